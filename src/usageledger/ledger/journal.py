"""Small commits, cheaply: rows kept on disk as they came, and the certainty that none of them was there before.

A commit to the wide table of events costs milliseconds however few its rows; one value in a narrow table costs one.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from usageledger.columns import NO_CARD

MOST_KNOWN = 500_000  # identities remembered; about 30 MB

Identity = tuple[str, int]


class Newcomers:
    """Which identities are certainly new: those at or after `since` that were not noted.

    Two generations are remembered. When the younger one is full the older one is forgotten, with its latest time:
    what comes about now stays certain, however many came before.
    """

    def __init__(self, since: int) -> None:
        self._since = since
        self._older: set[int] = set()
        self._older_latest = since - 1
        self._younger: set[int] = set()
        self._younger_latest = since - 1

    def are(self, identities: list[Identity]) -> bool:
        """Whether all of `identities` are certainly new, and different from each other."""
        if any(timestamp < self._since for _, timestamp in identities):
            return False
        hashes = set(map(hash, identities))
        unknown = self._older.isdisjoint(hashes) and self._younger.isdisjoint(hashes)
        return unknown and len(hashes) == len(identities)

    def note(self, identities: Iterable[Identity], latest: int) -> None:
        """Remembers identities now in the ledger, the last of them at `latest`."""
        self._younger.update(map(hash, identities))
        self._younger_latest = max(self._younger_latest, latest)
        if len(self._younger) > MOST_KNOWN // 2:
            self._since = max(self._since, self._older_latest + 1)
            self._older, self._older_latest = self._younger, self._younger_latest
            self._younger, self._younger_latest = set(), self._since - 1


def identities_of(rows: pa.Table) -> list[Identity]:
    """(`event_id`, `ts`) of each row."""
    ids: list[str] = rows["event_id"].to_pylist()  # type: ignore[assignment]  # neither column holds nulls
    timestamps: list[int] = rows["ts"].to_pylist()  # type: ignore[assignment]  # the same
    return list(zip(ids, timestamps, strict=True))


def to_bytes(rows: pa.Table) -> bytes:
    """Rows as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return sink.getvalue().to_pybytes()


def from_bytes(stream: bytes) -> pa.Table:
    """The rows that `to_bytes` made; those of a version without rate cards have none."""
    rows = pa.ipc.open_stream(stream).read_all()
    if "rate_id" not in rows.column_names:
        rows = rows.append_column("rate_id", pa.array(np.full(rows.num_rows, NO_CARD, np.int64)))
    return rows
