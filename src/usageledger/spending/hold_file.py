"""The file of holds, which outlives a server that is killed: `holds.sqlite` in the data folder, of one server.

A loss of power may take the holds of the last moments with it, and no more than these: SQLite then writes without
waiting for the disk. It is not in backups, since holds end by themselves.
"""

import os
import sqlite3
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from usageledger.errors import LedgerUnavailableError, LedgerVersionError

Status = Literal["active", "released", "settled", "expired"]
VERSION = 1
_TABLES = f"""
BEGIN;
CREATE TABLE holds (
    id TEXT PRIMARY KEY, project_id TEXT, amount TEXT NOT NULL, made_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
    content BLOB NOT NULL, status TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX holds_by_end ON holds (expires_at);
CREATE TABLE settled (
    month INTEGER, scope TEXT, cost TEXT NOT NULL, above TEXT NOT NULL, late TEXT NOT NULL, PRIMARY KEY (month, scope)
) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
COMMIT;
"""
_COLUMNS = "id, project_id, amount, made_at, expires_at, content, status"


@dataclass(slots=True)
class Hold:
    """Money that is held for a request until its event comes, it is released, or `expires_at` (Unix seconds).

    Attributes:
        id: the one that its event will have.
        project_id: of its event; None where it has none.
        amount: in 10⁻¹⁸/9 USD.
        made_at: Unix seconds.
        content: a digest of what was asked for.
        status: `expired` ones may have cost something that nobody told.
    """

    id: str
    project_id: str | None
    amount: int
    made_at: int
    expires_at: int
    content: bytes
    status: Status = "active"


@dataclass(slots=True)
class Settled:
    """Sums of a month and scope, in 10⁻¹⁸/9 USD: of events that had a hold.

    Attributes:
        cost: of all of them.
        above: by how much costs were above their holds.
        late: of those that came after the end of their hold.
    """

    cost: int = 0
    above: int = 0
    late: int = 0


class HoldFile:
    """The file, which is made with the first hold. One thread at a time may call, but for `checkpoint`.

    Raises:
        LedgerVersionError: a later version wrote the file.
        LedgerUnavailableError: it cannot be opened, read or written; of every method.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        if path.exists():
            with self._failing():
                self._open()

    def _open(self) -> sqlite3.Connection:
        if self._connection:
            return self._connection
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        self._connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("PRAGMA wal_autocheckpoint = 0")  # which waits for the disk: see `checkpoint`
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            self.close()
            raise LedgerVersionError(f"{self._path} has version {version}, and this program knows {VERSION}.")
        if version == 0:
            self._connection.executescript(_TABLES)
        return self._connection

    def close(self) -> None:
        """Ends it."""
        if self._connection:
            self._connection.close()

    def checkpoint(self) -> None:
        """Moves what was written to its place, and waits for the disk; beside all other calls."""
        if self._connection:
            with self._failing(), closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def holds(self) -> Iterator[Hold]:
        """Yields all holds, the one that ends first, first."""
        for row in self._rows(f"SELECT {_COLUMNS} FROM holds ORDER BY expires_at, id"):
            hold_id, project_id, amount, made_at, expires_at, content, status = row
            yield Hold(hold_id, project_id, int(amount), made_at, expires_at, content, status)

    def put(self, hold: Hold) -> None:
        """Writes a hold, in place of the one with its id."""
        with self._failing():
            self._put([hold])

    def settle(self, holds: Iterable[Hold], sums: dict[tuple[int, str], Settled]) -> None:
        """Writes holds and the sums that go with them, all or none."""
        with self._failing():
            connection = self._open()
            connection.execute("BEGIN")
            try:
                self._put(holds)
                connection.executemany(
                    "INSERT OR REPLACE INTO settled VALUES (?, ?, ?, ?, ?)",
                    [(*key, str(each.cost), str(each.above), str(each.late)) for key, each in sums.items()],
                )
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise

    def _put(self, holds: Iterable[Hold]) -> None:
        rows = [
            (hold.id, hold.project_id, str(hold.amount), hold.made_at, hold.expires_at, hold.content, hold.status)
            for hold in holds
        ]
        self._open().executemany("INSERT OR REPLACE INTO holds VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def settled(self) -> dict[tuple[int, str], Settled]:
        """Reads the sums: (start of the month, scope) → its."""
        rows = self._rows("SELECT month, scope, cost, above, late FROM settled")
        return {(month, scope): Settled(int(cost), int(above), int(late)) for month, scope, cost, above, late in rows}

    def forget(self, before: int) -> None:
        """Drops holds that ended before a time (Unix seconds)."""
        with self._failing():
            self._open().execute("DELETE FROM holds WHERE expires_at < ?", [before])

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self._failing():
            return self._connection.execute(statement).fetchall() if self._connection else []

    @contextmanager
    def _failing(self) -> Generator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise LedgerUnavailableError(f"The holds could not be read or written: {error}") from error
