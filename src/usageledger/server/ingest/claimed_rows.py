"""Rows whose responses stand at the seconds that all servers of a ledger agree on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from usageledger.events.typed_events import RESPONSE_PREFIX
from usageledger.ledger import Judged, Outcome
from usageledger.registry import Claimed


class Claim(Protocol):
    """`registry.claims.Claims.claim`."""

    def __call__(self, responses: Sequence[tuple[str, int]], *, now: int) -> Claimed:
        """Claims responses (id, second), in their order."""
        ...


@dataclass(frozen=True, slots=True)
class ClaimedRows:
    """Rows of a commit.

    Attributes:
        rows: each response at the second that was claimed for it.
        moved: for each row, true if that is not the second that it came with.
        known_from: as `Claimed` has it.
    """

    rows: pa.Table
    moved: np.ndarray[Any, np.dtype[np.bool_]]
    known_from: int

    def judged(self, judged: Judged) -> Judged:
        """The outcomes as they are told to those who sent the rows: what was moved came at another second."""
        judged.outcomes[self.moved & (judged.outcomes == Outcome.DUPLICATE)] = Outcome.SAME_RESPONSE
        return judged


def claimed(rows: pa.Table, claim: Claim, now: int) -> ClaimedRows:
    """Claims the responses among `rows`; where there are none nobody is asked."""
    places = np.nonzero(pc.starts_with(rows["event_id"], RESPONSE_PREFIX).to_numpy())[0]
    given = rows["ts"].to_numpy()
    if not len(places):
        return ClaimedRows(rows, np.zeros(rows.num_rows, bool), 0)
    ids: list[str] = rows["event_id"].take(places).to_pylist()  # type: ignore[assignment]  # no id is null
    found = claim(list(zip(ids, given[places].tolist(), strict=True)), now=now)
    seconds = given.copy()
    seconds[places] = found.seconds
    at = rows.column_names.index("ts")
    return ClaimedRows(
        rows.set_column(at, rows.schema.field(at), pa.array(seconds)), seconds != given, found.known_from
    )
