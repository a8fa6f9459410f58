"""Identities of events: finds the rows of a commit that a ledger has already, so that an event counts once."""

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any

import numpy as np
import pyarrow as pa

from usageledger.events.columns import PAYLOAD_COLUMNS

Identity = tuple[str, int]
Payload = tuple[Any, ...]
Outcomes = np.ndarray[Any, np.dtype[np.uint8]]  # an `Outcome` for each row


class Outcome(IntEnum):
    """The outcome of an event: its identity is (`id`, `timestamp`), and it counts once."""

    ACCEPTED = 0
    DUPLICATE = 1  # the same identity and the same payload: kept before, counted once
    CONFLICT = 2  # the same identity and another payload: nothing changed
    TOO_OLD = 3  # events of its time were dropped, so that nobody can tell whether it is new: nothing changed


def identities_of(rows: pa.Table) -> list[Identity]:
    """(`event_id`, `ts`) of each row."""
    ids: list[str] = rows["event_id"].to_pylist()  # type: ignore[assignment]  # neither column holds nulls
    timestamps: list[int] = rows["ts"].to_pylist()  # type: ignore[assignment]  # the same
    return list(zip(ids, timestamps, strict=True))


def judge(rows: pa.Table, identities: list[Identity], stored: Mapping[Identity, Payload]) -> Outcomes:
    """Judges each row: its identity is new, or is among the `stored` ones or those of earlier rows."""
    outcomes = np.zeros(rows.num_rows, np.uint8)
    if not stored and len(set(identities)) == len(identities):
        return outcomes
    first: dict[Identity, Payload] = {}
    for row, payload in enumerate(payloads(rows)):
        identity = payload[0], payload[1]
        kept = stored.get(identity) or first.get(identity)
        if kept is None:
            first[identity] = payload
        else:
            outcomes[row] = Outcome.DUPLICATE if payload == kept else Outcome.CONFLICT
    return outcomes


def accepted(rows: pa.Table, outcomes: Outcomes) -> pa.Table:
    """Those of `rows` that are new."""
    return rows.take(np.nonzero(outcomes == Outcome.ACCEPTED)[0]) if outcomes.any() else rows


def by_identity(rows: pa.Table) -> dict[Identity, Payload]:
    """Identity → payload of stored rows."""
    return {(payload[0], payload[1]): payload for payload in payloads(rows)}


def payloads(rows: pa.Table) -> Iterator[Payload]:
    """Each row as a tuple of `PAYLOAD_COLUMNS`: its identity stands first."""
    return zip(*(rows.column(name).to_pylist() for name in PAYLOAD_COLUMNS), strict=True)
