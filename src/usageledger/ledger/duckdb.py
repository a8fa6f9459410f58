"""The embedded ledger: one DuckDB file, one process.

One connection writes; every query runs on a cursor of its own and sees the last commit. Facts that shaped it, each
measured: no index and no key (they collapse as a table grows), so identities are looked up inside the time range of
a commit; a commit is one fdatasync; results are fetched by column, because row-wise fetching holds the interpreter.

A large commit goes straight to the events. A small one that is certainly new goes to the journal, and
from there to the events when the journal is full, before a query reads, and at the next large commit.
"""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from usageledger.buckets import floor
from usageledger.errors import LedgerUnavailableError, LedgerVersionError
from usageledger.ledger import carding, checks, duplicates, facets, journal, lookup
from usageledger.ledger.backup import copy_database
from usageledger.ledger.connection import cannot_open, deadline, first_line, refuse_another
from usageledger.ledger.dialect import DUCKDB
from usageledger.ledger.engine import Engine
from usageledger.ledger.protocol import Outcome
from usageledger.ledger.reading import Columns, Reader, Statement, too_large_sum, too_slow
from usageledger.ledger.rollups import coverage
from usageledger.ledger.schema import (
    DAY_SECONDS,
    EVENT_COLUMNS,
    FACET_COLUMNS,
    VERSION,
    create_tables,
    migrate,
)
from usageledger.ledger.sql import Coverage
from usageledger.ledger.upkeep import Upkeep

SMALL_ROWS = 500  # a commit of at most so many rows may go to the journal
JOURNAL_ROWS = 2_000  # rows of the journal that make moving them worth a commit
NOT_ROLLED_UP = "The rollups could not be written"

_EVENT, _FACET = ", ".join(EVENT_COLUMNS), ", ".join(FACET_COLUMNS)

Outcomes = np.ndarray[Any, np.dtype[np.uint8]]


class DuckDBLedger(Reader):
    """A `Ledger` in one DuckDB file."""

    dialect = DUCKDB
    has_rollups = True

    def __init__(self, path: str | Path, *, memory_bytes: int = 1024**3) -> None:
        self._path = Path(path)
        self._lock = threading.RLock()  # the writer, and all that is remembered of what it wrote
        self._journal: list[pa.Table] = []
        self._facets = facets.Known()
        self._upkeep = Upkeep()
        self._commits = 0
        self._touched: dict[int, int] = {}  # day since 1970 → the last commit with an event of it
        self._engine = Engine(self._path, memory_bytes, self._recover)
        try:
            self._prepare()
            self._recover()
            self._move()
        except duckdb.Error as error:
            self._writer.close()
            raise cannot_open(self._path, error) from error
        except BaseException:
            self._writer.close()
            raise
        self._engine.ready = True

    @property
    def _writer(self) -> duckdb.DuckDBPyConnection:
        return self._engine.writer

    def _prepare(self) -> None:
        refuse_another(self._writer, self._path)
        self._writer.execute("CREATE TABLE IF NOT EXISTS ledger_version (version BIGINT NOT NULL)")
        stored = self._one("SELECT MAX(version) FROM ledger_version")
        if stored is not None and stored > VERSION:
            raise LedgerVersionError(
                f"The ledger {self._path} has schema version {stored}, and this UsageLedger reads up to {VERSION}: "
                "use a newer UsageLedger."
            )
        changes = create_tables() if stored is None else [s for old in range(stored, VERSION) for s in migrate(old)]
        if changes:
            self._writer.execute(f"BEGIN; {'; '.join(changes)}; INSERT INTO ledger_version VALUES ({VERSION}); COMMIT")
            self._writer.execute("CHECKPOINT")

    def _recover(self) -> None:
        """Takes up what an earlier process, or an engine that failed, left behind.

        A commit that failed with its engine may be there after all: whatever was asked before is asked again.
        """
        left = self._writer.execute("SELECT rows FROM journal ORDER BY position").fetchall()
        self._journal = [journal.from_bytes(stream) for (stream,) in left]
        latest = self._one("SELECT COALESCE(MAX(ts), -1) FROM events")
        latest = max([latest, *(int(rows["ts"].to_numpy().max()) for rows in self._journal)])
        self._newcomers = journal.Newcomers(latest + 1)
        self._commits += 1
        self._all_touched = self._commits
        self._number = self._upkeep.learn(self._writer)

    def _one(self, statement: str) -> Any:
        return self._writer.execute(statement).fetchall()[0][0]

    # --- writing -------------------------------------------------------------------------------------------------

    def append(self, rows: pa.Table) -> Outcomes:
        """See `Ledger.append`."""
        if not rows.num_rows:
            return np.zeros(0, np.uint8)
        identities = journal.identities_of(rows)
        with self._lock, self._writing("The ledger could not write"):
            self._engine.reopen()
            timestamps = rows["ts"].to_numpy()
            old = timestamps < self._upkeep.events_from
            if old.any():
                outcomes = np.full(rows.num_rows, Outcome.TOO_OLD, np.uint8)
                outcomes[~old] = self.append(rows.filter(pa.array(~old)))
                return outcomes
            if rows.num_rows <= SMALL_ROWS and self._newcomers.are(identities):
                self._writer.execute("INSERT INTO journal VALUES (?, ?)", [len(self._journal), journal.to_bytes(rows)])
                self._journal.append(rows)
                outcomes = np.zeros(rows.num_rows, np.uint8)
            else:
                outcomes = self._commit(rows, identities)
            self._engine.ready = True
            self._newcomers.note(identities, int(timestamps.max()))
            self._commits += 1
            days = np.unique(timestamps // DAY_SECONDS)
            self._touched.update(dict.fromkeys(days.tolist(), self._commits))
            return outcomes

    @contextmanager
    def _writing(self, doing: str) -> Generator[None]:
        """An engine's failure as ours, out of its transaction; one that invalidated itself is seen by `ready`."""
        try:
            yield
        except duckdb.Error as error:
            self._engine.ready = isinstance(error, duckdb.DataError | duckdb.ProgrammingError)
            self._engine.note(error)
            self._roll_back()
            raise LedgerUnavailableError(f"{doing}: {first_line(error)}") from error
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        try:
            self._writer.execute("ROLLBACK")
        except duckdb.TransactionException:
            pass  # it failed outside of a transaction
        except duckdb.Error as error:
            self._engine.ready = False
            self._engine.note(error)

    def _commit(self, rows: pa.Table, identities: list[journal.Identity]) -> Outcomes:
        """Keeps rows of which some may be known."""
        self._move()
        outcomes = duplicates.judge(rows, identities, lookup.stored(self._writer, rows))
        fresh = duplicates.accepted(rows, outcomes)
        if fresh.num_rows:
            self._insert(fresh)
        return outcomes

    def _move(self) -> None:
        """Moves the journal to the events: from here on queries see it."""
        if self._journal:
            self._insert(pa.concat_tables(self._journal).combine_chunks(), "DELETE FROM journal;")
            self._journal = []

    def _insert(self, fresh: pa.Table, also: str = "") -> None:
        """Writes the events and their facets in one transaction.

        All of it is one call: between calls this thread would wait for its turn with the interpreter.
        """
        found = facets.found_in(fresh)
        new = self._facets.others(found)
        if new.num_rows:
            first, last = min(found)[0], max(found)[0]
            also += (
                f"INSERT INTO facets ({_FACET}) SELECT {_FACET} FROM new ANTI JOIN "
                f"(SELECT * FROM facets WHERE ts BETWEEN {first} AND {last}) AS kept USING ({_FACET}); "
            )
        number = self._number + 1
        self._writer.execute(
            f"BEGIN; INSERT INTO events ({_EVENT}, commit_number) SELECT {_EVENT}, {number} FROM fresh; {also} COMMIT"
        )
        self._number = number
        self._upkeep.note(number, fresh.num_rows)
        self._facets.note(found)

    def compact(self) -> bool:
        """See `Ledger.compact`: what failed, then the journal, then one family of rollups."""
        with self._lock, self._writing(NOT_ROLLED_UP):
            self._engine.mend()
            if not self._engine.ready:
                return False
            if sum(table.num_rows for table in self._journal) >= JOURNAL_ROWS:
                self._move()
                return True
            return self._upkeep.step(self._writer)

    def rebuild_rollups(self) -> Iterator[int]:
        """See `Ledger.rebuild_rollups`; the lock is free between two days."""
        with self._lock, self._writing(NOT_ROLLED_UP):
            self._move()
            self._upkeep.make_anew(self._writer, self._number)
        while True:
            with self._lock, self._writing(NOT_ROLLED_UP):
                day = self._upkeep.next_day(self._writer)
            if day is None:
                return
            yield day

    def drop_events(self, before: int) -> bool:
        """See `Ledger.drop_events`."""
        with self._lock, self._writing("The events could not be dropped"):
            self._move()
            return self._upkeep.drop_day(self._writer, floor(before, DAY_SECONDS), self._number)

    def events_from(self) -> int:
        """See `Ledger.events_from`."""
        return self._upkeep.events_from

    def give_cards(self, cards: Callable[[pa.Table], np.ndarray[Any, np.dtype[np.int64]]]) -> int:
        """See `Ledger.give_cards`; each day is a transaction of its own, so that it can be interrupted."""
        with self._lock, self._writing("The ledger could not write"):
            self._move()
            return sum(carding.give_cards(self._writer, day, cards) for day in carding.days_without_cards(self._writer))

    def _settle(self) -> None:
        if self._journal:
            with self._lock, self._writing("The ledger could not write"):
                self._move()

    def _answer(
        self,
        ask: Callable[[Coverage], Statement | None],
        max_seconds: float | None = None,
        prices: pa.Table | None = None,
    ) -> Columns | None:
        """See `Reader`: on a cursor of its own, which sees the last commit, fetched by column."""
        self._settle()
        try:
            with self._engine.cursor() as cursor, deadline(cursor, max_seconds):
                if prices is not None:
                    cursor.register("prices", prices)
                cursor.execute("BEGIN")
                statement = ask(coverage(cursor))
                if statement is None:
                    return None
                columns: dict[str, Any] = cursor.execute(*statement).fetchnumpy()
                return columns
        except duckdb.InterruptException:
            raise too_slow(max_seconds) from None
        except (duckdb.ConversionException, duckdb.OutOfRangeException):
            raise too_large_sum() from None
        except duckdb.Error as error:
            self._engine.note(error)
            raise LedgerUnavailableError(f"The ledger could not read: {first_line(error)}") from error

    def rollup_differences(self, limit: int) -> list[str]:
        """See `Ledger.rollup_differences`."""
        return checks.rollup_differences(self._read, limit)

    def facet_differences(self, limit: int) -> list[str]:
        """See `Ledger.facet_differences`."""
        return checks.facet_differences(self._read, limit)

    def version(self, start: int, end: int) -> int:
        """See `Ledger.version`."""
        days = range(start // DAY_SECONDS, (end - 1) // DAY_SECONDS + 1)
        return max([self._all_touched, *(self._touched.get(day, 0) for day in days)])

    def backup(self, file: Path) -> None:
        """See `Ledger.backup`."""
        try:
            with self._engine.cursor() as cursor:
                copy_database(cursor, file)
        except duckdb.Error as error:
            self._engine.note(error)
            raise LedgerUnavailableError(f"The ledger could not be backed up: {first_line(error)}") from error

    def ready(self) -> bool:
        """See `Ledger.ready`."""
        return self._engine.ready

    def close(self) -> None:
        """See `Ledger.close`."""
        with self._lock:
            try:
                if self._engine.ready:
                    with self._writing("The ledger could not write"):
                        self._move()
            finally:
                self._engine.ready = False
                self._writer.close()
