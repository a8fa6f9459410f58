"""Responses that the embedded ledger has, in memory, so that no commit reads the table to find the one it brings again.

All rows that were added since the start are noted, and those of earlier times by days, when a commit asks about a day.
"""

from collections.abc import Iterable, Sequence
from itertools import compress
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from usageledger.buckets import DAY_SECONDS
from usageledger.events.typed_events import RESPONSE_PREFIX, RESPONSE_SECONDS
from usageledger.ledger.identity import Identity, identities_of

# A key is the upper bits of a hash of the id, and the lower ones of the second: within 48 hours these tell all of it.
SECONDS = 1 << 20
_SECOND, _HASH = np.uint64(SECONDS - 1), np.uint64(2**64 - SECONDS)
RUNS_GROW = 8  # of sorted keys, each is more than so many times as long as the next, or both become one
SPANS_MAX = 64  # of days, each of which is a statement; beyond it one reads all between
_DAYS_AROUND = -(-RESPONSE_SECONDS // DAY_SECONDS)

Keys = np.ndarray[Any, np.dtype[np.uint64]]
Seconds = np.ndarray[Any, np.dtype[np.int64]]


class Batch:
    """The responses among rows: their ids, seconds and hashes, and their keys, ascending."""

    def __init__(self, rows: pa.Table, identities: Sequence[Identity]) -> None:
        which = pc.starts_with(rows["event_id"], RESPONSE_PREFIX).to_numpy()
        self.ids = [event_id for event_id, _ in compress(identities, which)] if which.any() else []
        self.seconds: Seconds = rows["ts"].to_numpy()[which]
        self.hashes: Keys = np.fromiter(map(hash, self.ids), np.int64, len(self.ids)).view(np.uint64) & _HASH
        self.keys: Keys = np.sort(self.hashes | (self.seconds.view(np.uint64) & _SECOND))


class Known:
    """Responses of some days, and where each may be among the events. For one thread at a time.

    Args:
        kept_max: beyond so many, all are forgotten, but those of the journal and of the days that are asked for.
        journal: rows that are not among the events yet.
    """

    def __init__(self, kept_max: int, journal: Iterable[pa.Table]) -> None:
        self._kept_max = kept_max
        self._forget(journal)

    def _forget(self, journal: Iterable[pa.Table]) -> None:
        self._days: set[int] = set()  # of which all responses are known
        self._runs: list[Keys] = []  # each sorted; few, since each is searched
        for rows in journal:
            self.note(Batch(rows, identities_of(rows)))

    def note(self, batch: Batch) -> None:
        """Remembers responses that are in the ledger now."""
        if batch.ids:
            self._runs.append(batch.keys)
            while len(self._runs) > 1 and len(self._runs[-2]) <= RUNS_GROW * len(self._runs[-1]):
                self._runs[-2:] = [np.sort(np.concatenate(self._runs[-2:]), kind="stable")]

    def near(self, writer: duckdb.DuckDBPyConnection, batch: Batch, journal: Iterable[pa.Table]) -> list[Identity]:
        """Identities that these responses may be kept under, within 48 hours; all of theirs if one comes twice.

        Raises duckdb.Error.
        """
        if not batch.ids:
            return []
        found = self._remembered(batch) if self._learn(writer, batch.seconds, journal) else None
        if found is None:
            found = [*self._remembered(batch), *_read(writer, batch)]
        if found or len(set(batch.ids)) == len(batch.ids):
            return found
        return list(zip(batch.ids, batch.seconds.tolist(), strict=True))

    def _learn(self, writer: duckdb.DuckDBPyConnection, seconds: Seconds, journal: Iterable[pa.Table]) -> bool:
        """Remembers the responses of all days around these seconds; false where they are too many."""
        days = np.unique(seconds // DAY_SECONDS).tolist()
        asked = {day + apart for day in days for apart in range(-_DAYS_AROUND, _DAYS_AROUND + 1)}
        missing = _spans(asked - self._days)
        if len(missing) > SPANS_MAX:
            return False
        if sum(map(len, self._runs)) + _count(writer, missing) > self._kept_max:
            self._forget(journal)
            missing = _spans(asked)
            if _count(writer, missing) > self._kept_max:
                return False
        for span in missing:
            for batch in writer.sql(f"SELECT event_id, ts FROM events WHERE {_inside(span)}").to_arrow_reader():
                rows = pa.Table.from_batches([batch])
                self.note(Batch(rows, identities_of(rows)))
        self._days |= asked
        return True

    def _remembered(self, batch: Batch) -> list[Identity]:
        found: list[Identity] = []
        sought = batch.keys & _HASH  # ascending: searched so they are found several times as fast
        for run in self._runs:
            first = np.searchsorted(run, sought)
            hit = (run[np.minimum(first, len(run) - 1)] & _HASH) == sought
            for hashed in np.unique(sought[hit]):
                kept = run[np.searchsorted(run, hashed) : np.searchsorted(run, hashed | _SECOND, "right")]
                for row in np.nonzero(batch.hashes == hashed)[0].tolist():
                    second = int(batch.seconds[row])
                    apart = ((kept & _SECOND).astype(np.int64) - second + SECONDS // 2) % SECONDS - SECONDS // 2
                    near = apart[np.abs(apart) <= RESPONSE_SECONDS]
                    found += [(batch.ids[row], second + each) for each in near.tolist()]
        return found


def _spans(days: set[int]) -> list[range]:
    """Days in a row, as few spans of them as there are."""
    spans: list[range] = []
    for day in sorted(days):
        if spans and spans[-1].stop == day:
            spans[-1] = range(spans[-1].start, day + 1)
        else:
            spans.append(range(day, day + 1))
    return spans


def _inside(span: range) -> str:
    """The condition for the responses of a span of days."""
    between = f"ts >= {span.start * DAY_SECONDS} AND ts < {span.stop * DAY_SECONDS}"
    return f"{between} AND starts_with(event_id, '{RESPONSE_PREFIX}')"


def _count(writer: duckdb.DuckDBPyConnection, spans: list[range]) -> int:
    """The number of responses of these days."""
    counts = [writer.execute(f"SELECT COUNT(*) FROM events WHERE {_inside(span)}").fetchall() for span in spans]
    return sum(count for ((count,),) in counts)


def _read(writer: duckdb.DuckDBPyConnection, batch: Batch) -> list[Identity]:
    """The identities of these responses among the events of 48 hours before to 48 hours after."""
    _sought = pa.table({"event_id": batch.ids})
    between = [int(batch.seconds.min()) - RESPONSE_SECONDS, int(batch.seconds.max()) + RESPONSE_SECONDS]
    found = writer.execute(
        "SELECT event_id, ts FROM events SEMI JOIN _sought USING (event_id) WHERE ts BETWEEN ? AND ?", between
    )
    return [(event_id, second) for event_id, second in found.fetchall()]
