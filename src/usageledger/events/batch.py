"""Events of one request, whatever form they came in, and those of many requests as one table for a commit.

Places are of two kinds. An *index* is the place of an event in the body of its request, as answers list it. A *row* is
a place in the table of a commit. `Joined` has the batch and the index of each row.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, TypeVar

import msgspec
import numpy as np
import pyarrow as pa

from usageledger.errors import BodyTooLargeError
from usageledger.events.columns import SCHEMA, reason_of, to_table
from usageledger.events.typed_events import ERRORS_LISTED_MAX

EVENT_BYTES = 512  # of an event beside its text: what Python needs for it, its texts and its numbers

Array = np.ndarray[Any, Any]
T = TypeVar("T")

NO_ROWS = SCHEMA.empty_table()
NO_INDEXES: Array = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a body of events.

    Attributes:
        events_max: in one body.
        bytes_max: of what it unpacks to.
        latest: the last timestamp (Unix seconds) that is not too far in the future.
        now: the server's time, Unix seconds.
    """

    events_max: int
    bytes_max: int
    latest: int
    now: int


def check_count(count: int, events_max: int) -> None:
    """Raises BodyTooLargeError for more events than a body may have."""
    if count > events_max:
        raise BodyTooLargeError(f"Too many events: {count}. A request carries at most {events_max}.")


class Rejection(msgspec.Struct, frozen=True, omit_defaults=False):
    """A reason why an event of a request was refused, as the answer lists it."""

    index: int
    id: str | None
    code: str
    param: str | None
    message: str


@dataclass(slots=True)
class Refusals:
    """Events of a request that are refused: all are counted, the first are explained.

    Attributes:
        events: how many.
        listed: reasons of the first ones.
        omitted: events and reasons that are not among `listed`.
    """

    events: int = 0
    listed: list[Rejection] = field(default_factory=list)
    omitted: int = 0

    def add(self, events: Sequence[T], explain: Callable[[T], Iterable[Rejection]]) -> None:
        """Counts `events`, in the order of their indexes, and explains as many as can be listed."""
        explained = 0
        for event in events:
            if len(self.listed) >= ERRORS_LISTED_MAX:
                break
            self.listed.extend(explain(event))
            explained += 1
        self.events += len(events)
        self.omitted += len(events) - explained

    def merged(self, other: "Refusals") -> "Refusals":
        """Joins refusals of other events of the same request; the first reasons of both stay listed."""
        found = sorted([*self.listed, *other.listed], key=lambda rejection: rejection.index)
        listed = found[:ERRORS_LISTED_MAX]
        omitted = self.omitted + other.omitted + len(found) - len(listed)
        return Refusals(self.events + other.events, listed, omitted)


@dataclass(slots=True)
class EventBatch:
    """Events of one request.

    An event that is not refused is either a row already or still typed. Rows of typed events are made by `join`, of
    those of all requests in a commit at once: a table of one event takes longer than everything else that is done for
    it.

    Attributes:
        typed: instances of `typed_events.STRUCTS`.
        typed_indexes: the index of each of them.
        rows: `columns.SCHEMA`, no rate card given yet.
        row_indexes: the index of each row, ascending.
        refused: the other events.
        size: bytes of memory that all this takes; never less than it does.
    """

    typed: Sequence[Any] = ()
    typed_indexes: Sequence[int] = ()
    rows: pa.Table = field(default_factory=lambda: NO_ROWS)
    row_indexes: Array = field(default_factory=lambda: NO_INDEXES)
    refused: Refusals = field(default_factory=Refusals)
    size: int = 0

    @property
    def count(self) -> int:
        """The number of events that are not refused."""
        return len(self.typed) + int(self.rows.num_rows)


@dataclass(slots=True)
class Joined:
    """Events of some batches as one table, in the order of batches and, of each, of indexes.

    Attributes:
        rows: the events that can be kept, `columns.SCHEMA`.
        batches: for each row, the number of its batch.
        indexes: for each row, the index of its event.
        refused: by the number of their batch, events that contradict themselves or lie too far in the future.
    """

    rows: pa.Table
    batches: Array
    indexes: Array
    refused: dict[int, Refusals]


def join(batches: Sequence[EventBatch], latest: int, now: int) -> Joined:
    """Make one table of all `batches`, of which there is at least one; `latest` and `now` as in `Limits`."""
    typed: list[Any] = []
    listed: list[int] = []
    for batch in batches:
        typed += batch.typed
        listed += batch.typed_indexes
    owners = np.repeat(np.arange(len(batches)), [len(batch.typed) for batch in batches])
    indexes = np.array(listed, np.int64)
    rows, kept = to_table(typed, latest)
    refused: dict[int, Refusals] = {}
    if len(kept) < len(typed):

        def explain(place: int) -> Iterable[Rejection]:
            yield rejection(typed[place], listed[place], latest, now)

        wrong = np.setdiff1d(np.arange(len(typed)), kept)
        for owner, places in groupby(wrong.tolist(), key=owners.tolist().__getitem__):
            refused.setdefault(owner, Refusals()).add(list(places), explain)
        owners, indexes = owners[kept], indexes[kept]
    parts = [(rows, owners, indexes)]
    for number, batch in enumerate(batches):
        if batch.rows.num_rows:
            parts.append((batch.rows, np.full(batch.rows.num_rows, number), batch.row_indexes))
    return Joined(*_in_order(parts), refused)


def _in_order(parts: Sequence[tuple[pa.Table, Array, Array]]) -> tuple[pa.Table, Array, Array]:
    """Tables, and the batches and indexes of their rows, as one: of two rows of one identity the first counts."""
    filled = [part for part in parts if part[0].num_rows] or parts[:1]
    if len(filled) == 1:
        return filled[0]
    batches, indexes = (np.concatenate([part[at] for part in filled]) for at in (1, 2))
    rows = pa.concat_tables([rows for rows, _, _ in filled]).combine_chunks()
    if (np.diff(batches) >= 0).all() and (np.diff(indexes)[np.diff(batches) == 0] > 0).all():
        return rows, batches, indexes
    order = np.lexsort((indexes, batches))
    return rows.take(order), batches[order], indexes[order]


def rejection(event: Any, index: int, latest: int, now: int) -> Rejection:
    """Explain why a well-formed event cannot be kept: a typed event that `columns.to_table` left out."""
    code, param, message = reason_of(event, latest, now)
    return Rejection(index, event.id, code, param, message)
