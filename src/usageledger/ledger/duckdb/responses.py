"""Responses that the embedded ledger has, in memory, so that no commit reads the table to find the one it brings again.

All rows that were added since the start are noted, and those of earlier times by days, when a commit asks about a day.
"""

from collections.abc import Iterable
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from usageledger.buckets import DAY_SECONDS
from usageledger.events.typed_events import RESPONSE_PREFIX, RESPONSE_SECONDS
from usageledger.ledger.identity import Identity, responses_in

# A key: the upper bits of a hash of the id, and the second, of which more is known than that it is 48 hours away.
SECONDS = 1 << 20
_SECOND, _HASH = np.uint64(SECONDS - 1), np.uint64(2**64 - SECONDS)
SPANS_MAX = 64  # of days, each of which is a statement; beyond it one reads all between
_DAYS_AROUND = -(-RESPONSE_SECONDS // DAY_SECONDS)

Keys = np.ndarray[Any, np.dtype[np.uint64]]
Seconds = np.ndarray[Any, np.dtype[np.int64]]


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
        self._runs: list[Keys] = []  # each sorted, and less than half as long as the one before
        for rows in journal:
            self.note(rows)

    def note(self, rows: pa.Table) -> None:
        """Remembers the responses among rows that are in the ledger now."""
        ids, seconds = _columns(responses_in(rows))
        if ids:
            self._runs.append(np.sort(_hashes(ids) | (seconds.astype(np.uint64) & _SECOND)))
            while len(self._runs) > 1 and len(self._runs[-2]) <= 2 * len(self._runs[-1]):
                self._runs[-2:] = [np.sort(np.concatenate(self._runs[-2:]), kind="stable")]

    def near(self, writer: duckdb.DuckDBPyConnection, rows: pa.Table, journal: Iterable[pa.Table]) -> list[Identity]:
        """Identities that responses among `rows` may be kept under, within 48 hours; all of theirs if one comes twice.

        Raises duckdb.Error.
        """
        ids, seconds = _columns(responses_in(rows))
        if not ids:
            return []
        found = self._remembered(ids, seconds) if self._learn(writer, seconds, journal) else None
        if found is None:
            found = [*self._remembered(ids, seconds), *_read(writer, ids, seconds)]
        return found if found or len(set(ids)) == len(ids) else list(zip(ids, seconds.tolist(), strict=True))

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
                self.note(pa.Table.from_batches([batch]))
        self._days |= asked
        return True

    def _remembered(self, ids: list[str], seconds: Seconds) -> list[Identity]:
        found: list[Identity] = []
        hashes = _hashes(ids)
        for run in self._runs:
            first = np.searchsorted(run, hashes)
            hit = (run[np.minimum(first, len(run) - 1)] & _HASH) == hashes
            for row in np.nonzero(hit)[0].tolist():
                for at in range(first[row], np.searchsorted(run, hashes[row] | _SECOND, "right")):
                    second = int(seconds[row])
                    apart = (int(run[at] & _SECOND) - second + SECONDS // 2) % SECONDS - SECONDS // 2
                    if abs(apart) <= RESPONSE_SECONDS:
                        found.append((ids[row], second + apart))
        return found


def _columns(responses: pa.Table) -> tuple[list[str], Seconds]:
    ids: list[str] = responses["event_id"].to_pylist()  # type: ignore[assignment]  # no id is null
    return ids, responses["ts"].to_numpy()


def _hashes(ids: list[str]) -> Keys:
    return np.fromiter(map(hash, ids), np.int64, len(ids)).view(np.uint64) & _HASH


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


def _read(writer: duckdb.DuckDBPyConnection, ids: list[str], seconds: Seconds) -> list[Identity]:
    """The identities of these responses among the events of 48 hours before to 48 hours after."""
    _sought = pa.table({"event_id": ids})
    between = [int(seconds.min()) - RESPONSE_SECONDS, int(seconds.max()) + RESPONSE_SECONDS]
    found = writer.execute(
        "SELECT event_id, ts FROM events SEMI JOIN _sought USING (event_id) WHERE ts BETWEEN ? AND ?", between
    )
    return [(event_id, second) for event_id, second in found.fetchall()]
