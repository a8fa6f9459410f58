"""The journal: acknowledged rows that are not in the table of events yet, on disk as they came, compressed.

A commit to the wide table of events takes milliseconds even for one row; per event, large commits cost a third. One
value in a narrow table takes one millisecond. So commits go to the journal, and rows move to the events in large
pieces, while further commits come.
"""

from collections.abc import Iterable, Iterator

import pyarrow as pa

from usageledger.events.columns import conform
from usageledger.ledger.identity import identities_of


class Journal:
    """The rows of the journal by their positions, ascending. For one thread at a time; `at` for any, at any time."""

    def __init__(self, left: Iterable[tuple[int, pa.Table]] = ()) -> None:
        self._rows: dict[int, pa.Table] = {}
        self._hashes: dict[int, set[int]] = {}
        self._all_hashes: set[int] = set()
        self.count = self.size = 0  # rows, and their bytes
        self.next_position = 0
        for position, rows in left:
            self.next_position = position
            self.add(rows, set(map(hash, identities_of(rows))))

    def __iter__(self) -> Iterator[pa.Table]:
        return iter(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)

    def at(self, position: int) -> pa.Table | None:
        """Returns the rows at a position; None where they have moved on."""
        return self._rows.get(position)

    def add(self, rows: pa.Table, hashes: set[int]) -> None:
        """Adds rows at the next position."""
        self._rows[self.next_position] = rows = conform(rows)  # as those that are read from the disk again
        self._hashes[self.next_position] = hashes
        self._all_hashes |= hashes
        self.count += rows.num_rows
        self.size += rows.get_total_buffer_size()
        self.next_position += 1

    def has_none_of(self, hashes: set[int]) -> bool:
        """Returns true if none of these identities is in the journal."""
        return self._all_hashes.isdisjoint(hashes)

    def first(self, most: int, most_bytes: int, end: int) -> tuple[int, list[pa.Table]]:
        """The first tables before position `end`, up to `most` rows but at least one, and the last one's position."""
        taken: list[pa.Table] = []
        last, count, size = -1, 0, 0
        for position, rows in self._rows.items():
            count += rows.num_rows
            size += rows.get_total_buffer_size()
            if position >= end or (taken and (count > most or size > most_bytes)):
                break
            taken.append(rows)
            last = position
        return last, taken

    def forget(self, last: int) -> None:
        """Removes the rows at positions up to `last`."""
        for position in [each for each in self._rows if each <= last]:
            rows = self._rows.pop(position)
            self.count -= rows.num_rows
            self.size -= rows.get_total_buffer_size()
            self._all_hashes -= self._hashes.pop(position)


class Newcomers:
    """Identities of recent commits: any other one at or after `since` is certainly new.

    Two generations are remembered, of `kept_max` identities together. When the younger one is full the older one is
    forgotten, with its latest time: so recent identities can always be judged without a look-up.
    """

    def __init__(self, since: int, kept_max: int) -> None:
        self._since = since
        self._kept_max = kept_max
        self._older: set[int] = set()
        self._older_latest = since - 1
        self._younger: set[int] = set()
        self._younger_latest = since - 1

    def are(self, hashes: set[int], earliest: int) -> bool:
        """Returns true if identities with these hashes, the first of them at `earliest`, are all certainly new."""
        return earliest >= self._since and self._older.isdisjoint(hashes) and self._younger.isdisjoint(hashes)

    def note(self, hashes: set[int], latest: int) -> None:
        """Remembers identities now in the ledger, the last of them at `latest`."""
        self._younger |= hashes
        self._younger_latest = max(self._younger_latest, latest)
        if len(self._younger) > self._kept_max // 2:
            self._since = max(self._since, self._older_latest + 1)
            self._older, self._older_latest = self._younger, self._younger_latest
            self._younger, self._younger_latest = set(), self._since - 1
