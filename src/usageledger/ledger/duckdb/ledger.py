"""The embedded ledger: one DuckDB file, one process.

One connection writes; every query runs on a cursor of its own and sees the last commit. Facts that shaped it, each
measured: no index and no key (they collapse as a table grows), so identities are looked up inside the time range of
a commit; a commit is one fdatasync; results are fetched by column, because row-wise fetching holds the interpreter.

A commit goes to the journal, and from there to the events when the journal is full or when there is time; a query
reads both. Batches with known events, and very large ones, skip the journal.

Who changes more than one of them takes the locks in the order of their ranks: the rollups', the events', the writer's.
A cursor comes last, and no lock is taken while one is open. So commits go on while the journal is moved, and both while
rollups are made.
"""

import logging
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from heapq import nlargest
from itertools import compress
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from usageledger.buckets import DAY_SECONDS, floor
from usageledger.errors import LedgerUnavailableError, LedgerVersionError
from usageledger.events.columns import NO_CARD, refuse_unknown
from usageledger.ledger import identity
from usageledger.ledger.arrow_bytes import from_bytes, to_bytes
from usageledger.ledger.duckdb import give_cards, journal, new_facets, responses, stored_events
from usageledger.ledger.duckdb.backup import copy_database
from usageledger.ledger.duckdb.connection import cannot_open, columns_of, deadline, first_line, stored_version
from usageledger.ledger.duckdb.engine import Engine
from usageledger.ledger.duckdb.rollup_schedule import Upkeep
from usageledger.ledger.duckdb.rollups import coverage
from usageledger.ledger.duckdb.snapshot import DuckDBSnapshot
from usageledger.ledger.duckdb.tuning import MEASURED, Tuning
from usageledger.ledger.identity import Judged, Outcome
from usageledger.ledger.protocol import CardsOf, Ledger, too_large_sum, too_slow
from usageledger.ledger.schema import EVENT_LIST, FACET_LIST, TABLES, VERSION, create_tables, migrate
from usageledger.locks import RankedLock, holding

ROW_BYTES = 400  # that an event takes in the log, about
logger = logging.getLogger("usageledger.ledger")
NOT_ROLLED_UP = "The rollups could not be written"


class DuckDBLedger(Ledger):
    """A `Ledger` in one DuckDB file."""

    writers = 1

    def __init__(self, path: str | Path, *, memory_bytes: int = 1024**3, tuning: Tuning = MEASURED) -> None:
        self._path = Path(path)
        self._tuning = tuning
        self._rollups_lock = RankedLock("rollups", 1)
        self._events_lock = RankedLock("events", 2)
        self._writer_lock = RankedLock("writer", 3)  # and all that is remembered of what it wrote
        self._journal = journal.Journal()
        self._appended_at = -tuning.busy_seconds  # by the clock that only goes forward
        self._facets = new_facets.Known(tuning.facets_kept_max)
        self._upkeep = Upkeep(tuning.worth)
        self._commits = 0
        self._touched: dict[int, int] = {}  # day since 1970 → the last commit with an event of it; 0 for one of before
        self._dropped_at = 0  # the last commit before which events were dropped
        self._engine = Engine(self._path, memory_bytes, self._recover, tuning)
        try:
            self._prepare()
            self._recover()
            self._start_writing()
            last = self._one("SELECT MAX(ts) FROM events")
            if last is not None:
                before = self._one(f"SELECT MAX(ts) FROM events WHERE ts < {floor(last, DAY_SECONDS)}")
                self._touched = {at // DAY_SECONDS: 0 for at in (last, before) if at is not None}
        except duckdb.Error as error:
            self._writer.close()
            raise cannot_open(self._path, error) from error
        except BaseException:
            self._writer.close()
            raise

    @property
    def rollups(self) -> "DuckDBLedger":
        """See `Rollups`."""
        return self

    @property
    def retention(self) -> "DuckDBLedger":
        """See `Retention`."""
        return self

    @property
    def backups(self) -> "DuckDBLedger":
        """See `Backups`."""
        return self

    @property
    def _writer(self) -> duckdb.DuckDBPyConnection:
        return self._engine.writer

    def _prepare(self) -> None:
        stored = stored_version(self._writer, self._path)
        if stored is None:
            of_version = "CREATE TABLE IF NOT EXISTS ledger_version (version BIGINT NOT NULL)"
            self._change([of_version, *create_tables(), f"INSERT INTO ledger_version VALUES ({VERSION})"])
            return
        if stored > VERSION:
            raise LedgerVersionError(
                f"The ledger {self._path} has schema version {stored}, and this UsageLedger reads up to {VERSION}: "
                "use a newer UsageLedger."
            )
        present = columns_of(self._writer, TABLES)
        for table, columns in present.items():
            refuse_unknown(f"The ledger {self._path}", columns, TABLES[table])
        changes = migrate(stored, present)
        if stored != VERSION:
            changes.append(f"INSERT INTO ledger_version VALUES ({VERSION})")
        self._change(changes)
        self._change(new_facets.missing(self._writer))

    def _change(self, statements: list[str]) -> None:
        if statements:
            self._writer.execute(f"BEGIN; {'; '.join(statements)}; COMMIT")
            self._writer.execute("CHECKPOINT")

    def _recover(self) -> None:
        """Loads the state that an earlier process or a failed engine left on disk.

        A commit that failed with its engine may be there after all: so all of the state is read again.
        """
        left = self._writer.execute("SELECT position, rows FROM journal ORDER BY position").fetchall()
        self._journal = journal.Journal((position, from_bytes(stream)) for position, stream in left)
        latest = self._one("SELECT COALESCE(MAX(ts), -1) FROM events")
        latest = max([latest, *(int(rows["ts"].to_numpy().max()) for rows in self._journal)])
        self._newcomers = journal.Newcomers(latest + 1, self._tuning.identities_kept_max)
        self._responses = responses.Known(self._tuning.responses_kept_max, self._journal)
        self._commits += 1
        self._all_touched = self._commits
        self._number = self._upkeep.learn(self._writer)

    def _start_writing(self) -> None:
        """Moves what is left in the journal; on a full disk it is read where it is, until `compact` succeeds."""
        try:
            with self._events_lock:
                self._move()
            with self._writer_lock, self._writing("The ledger could not write"):
                self._engine.start()
        except LedgerUnavailableError as error:
            if self._engine.ready:  # it is no fault of the disk
                raise
            logger.error("%s; it is read meanwhile", error)  # noqa: TRY400 - the message is the whole story
            self._engine.reopen()

    def _one(self, statement: str) -> Any:
        return self._writer.execute(statement).fetchall()[0][0]

    # --- writing -------------------------------------------------------------------------------------------------

    def append(self, rows: pa.Table) -> Judged:
        """See `Ledger.append`."""
        if not rows.num_rows:
            return Judged(np.zeros(0, np.uint8))
        identities = identity.identities_of(rows)
        hashes, batch = set(map(hash, identities)), responses.Batch(rows, identities)
        with self._writer_lock, self._writing("The ledger could not write"):
            self._engine.reopen()
            if self._fits_journal(rows, hashes) and not self._responses.near(self._writer, batch, self._journal):
                self._keep(rows, hashes)
                self._responses.note(batch)
                return Judged(np.zeros(rows.num_rows, np.uint8))
        with self._events_lock, self._writer_lock, self._writing("The ledger could not write"):
            return self._judge(rows, identities)

    @holding("_writer_lock")
    def _fits_journal(self, rows: pa.Table, hashes: set[int]) -> bool:
        """Returns true if all `rows` are new, and neither they nor the rows already in the journal are too many."""
        earliest = int(rows["ts"].to_numpy().min())
        kept, tuning = self._journal, self._tuning
        if len(hashes) < rows.num_rows or rows.num_rows > tuning.full_rows:
            return False
        if kept.count > tuning.journal_rows_max or kept.size > tuning.journal_bytes_max:
            return False
        if earliest < self._upkeep.events_from:
            return False
        if self._newcomers.are(hashes, earliest):
            return True
        return self._journal.has_none_of(hashes) and not stored_events.any_stored(self._writer, rows)

    @holding("_writer_lock")
    def _keep(self, rows: pa.Table, hashes: set[int]) -> None:
        """Keeps new rows in the journal."""
        self._writer.execute("INSERT INTO journal VALUES (?, ?)", [self._journal.next_position, to_bytes(rows)])
        self._journal.add(rows, hashes)
        self._note(rows, hashes)

    @holding("_events_lock", "_writer_lock")
    def _judge(self, rows: pa.Table, identities: list[identity.Identity]) -> Judged:
        """Keeps rows of which some may be known or too old; with the locks of the events and the writer."""
        young = rows["ts"].to_numpy() >= self._upkeep.events_from
        outcomes, kept = np.full(rows.num_rows, Outcome.TOO_OLD, np.uint8), dict[int, identity.Payload]()
        if young.any():
            if not young.all():
                rows, identities = rows.filter(pa.array(young)), list(compress(identities, young))
            self._move()
            near = self._responses.near(self._writer, responses.Batch(rows, identities), self._journal)
            judged = identity.judge(rows, identities, stored_events.stored(self._writer, rows, near))
            outcomes[young] = judged.outcomes
            kept = dict(zip(np.nonzero(young)[0][list(judged.kept)].tolist(), judged.kept.values(), strict=True))
            fresh = identity.accepted(rows, judged.outcomes)
            if fresh.num_rows:
                self._insert(self._writer, fresh)
                self._responses.note(responses.Batch(fresh, identity.identities_of(fresh)))
            self._note(rows, set(map(hash, identities)))
        return Judged(outcomes, kept)

    @holding("_writer_lock")
    def _note(self, rows: pa.Table, hashes: set[int]) -> None:
        """Remembers what is in the ledger now."""
        timestamps = rows["ts"].to_numpy()
        self._appended_at = time.monotonic()
        self._newcomers.note(hashes, int(timestamps.max()))
        self._commits += 1
        self._touched.update(dict.fromkeys(np.unique(timestamps // DAY_SECONDS).tolist(), self._commits))

    @contextmanager
    def _writing(self, doing: str, connection: duckdb.DuckDBPyConnection | None = None) -> Generator[None]:
        """Rolls back and raises LedgerUnavailableError on an engine error; marks the engine not ready if it is broken.

        Args:
            doing: what could not be done.
            connection: the one that writes, where it is not the writer.
        """
        try:
            yield
        except duckdb.Error as error:
            self._engine.ready = isinstance(error, duckdb.DataError | duckdb.ProgrammingError)
            self._engine.note(error)
            self._roll_back(connection or self._writer)
            raise LedgerUnavailableError(f"{doing}: {first_line(error)}") from error
        except BaseException:
            self._roll_back(connection or self._writer)
            raise

    def _roll_back(self, connection: duckdb.DuckDBPyConnection) -> None:
        try:
            connection.execute("ROLLBACK")
        except duckdb.TransactionException:
            pass  # it failed outside of a transaction
        except duckdb.Error as error:
            self._engine.ready = False
            self._engine.note(error)

    @holding("_events_lock")
    def _move(self) -> None:
        """Moves what is in the journal now to the events; with their lock."""
        end = self._journal.next_position
        while True:
            with self._writer_lock:
                moved = self._journal
                last, tables = moved.first(self._tuning.full_rows, self._tuning.full_bytes, end)
            if not tables:
                return
            with self._engine.cursor() as cursor, self._writing("The ledger could not write", cursor):
                self._insert(cursor, pa.concat_tables(tables), f"DELETE FROM journal WHERE position <= {last};")
            with self._writer_lock:
                moved.forget(last)

    @holding("_events_lock")
    def _insert(self, connection: duckdb.DuckDBPyConnection, fresh: pa.Table, also: str = "") -> None:
        """Writes the events and their facets in one transaction; with the lock of the events.

        All of it is one call: between calls this thread would wait for its turn with the interpreter.
        """
        found = new_facets.found_in(fresh)
        new = self._facets.others(found)
        if new.num_rows:
            first, last = min(found)[0], max(found)[0]
            also += (
                f"INSERT INTO facets ({FACET_LIST}) SELECT {FACET_LIST} FROM new ANTI JOIN "
                f"(SELECT * FROM facets WHERE ts BETWEEN {first} AND {last}) AS kept USING ({FACET_LIST}); "
            )
        number = self._number + 1
        connection.execute(
            f"BEGIN; INSERT INTO events ({EVENT_LIST}, commit_number) SELECT {EVENT_LIST}, {number} FROM fresh; "
            f"{also} COMMIT"
        )
        self._number = number
        self._upkeep.note(number, fresh.num_rows)
        self._facets.note(found)

    def compact(self) -> bool:
        """See `Ledger.compact`: what failed, then the journal, then one family of rollups."""
        with self._writer_lock, self._writing(NOT_ROLLED_UP):
            self._engine.mend(ROW_BYTES * min(self._journal.count, self._tuning.full_rows))
            if not self._engine.ready:
                return False
        if self._worth_moving():
            with self._events_lock:
                self._move()
            return True
        with self._rollups_lock, self._engine.cursor() as cursor, self._writing(NOT_ROLLED_UP, cursor):
            return self._upkeep.step(cursor)

    def _worth_moving(self) -> bool:
        kept, tuning = self._journal, self._tuning
        busy = time.monotonic() - self._appended_at < tuning.busy_seconds
        full = kept.count >= tuning.full_rows or kept.size >= tuning.full_bytes or len(kept) >= tuning.full_commits
        return full or (not busy and kept.count > 0)

    def rebuild_rollups(self) -> Iterator[int]:
        """See `Rollups.rebuild_rollups`; the locks are free between two days."""
        with self._rollups_lock, self._events_lock, self._writer_lock, self._writing(NOT_ROLLED_UP):
            self._move()
            self._upkeep.make_anew(self._writer, self._number)
        while True:
            with self._rollups_lock, self._events_lock, self._writer_lock, self._writing(NOT_ROLLED_UP):
                day = self._upkeep.next_day(self._writer)
            if day is None:
                return
            yield day

    def drop_events(self, before: int) -> bool:
        """See `Retention.drop_events`."""
        with self._rollups_lock, self._events_lock, self._writer_lock, self._writing("The events could not be dropped"):
            self._move()
            more = self._upkeep.drop_day(self._writer, floor(before, DAY_SECONDS), self._number)
            self._commits += 1
            self._dropped_at = self._commits
            return more

    def events_from(self) -> int:
        """See `Retention.events_from`."""
        return self._upkeep.events_from

    def settled_until(self) -> int:
        """See `Retention.settled_until`."""
        days = nlargest(2, list(self._touched))
        return (days[-1] + 1) * DAY_SECONDS if len(days) > 1 else 0

    def give_cards(self, cards: CardsOf) -> int:
        """See `Ledger.give_cards`; each day is a transaction of its own, so that it can be interrupted."""
        with self._rollups_lock, self._events_lock, self._writer_lock, self._writing("The ledger could not write"):
            if any((rows["rate_id"].to_numpy() == NO_CARD).any() for rows in self._journal):
                self._move()
            return sum(
                give_cards.give_cards(self._writer, day, cards) for day in give_cards.days_without_cards(self._writer)
            )

    @contextmanager
    def snapshot(self, max_seconds: float | None = None) -> Generator[DuckDBSnapshot]:
        """See `Ledger.snapshot`: a transaction of a cursor of its own, which sees the last commit."""
        try:
            with self._engine.cursor() as cursor, deadline(cursor, max_seconds):
                cursor.execute("BEGIN")
                # Reading the coverage settles what the transaction sees, before prices are read.
                yield DuckDBSnapshot(cursor, coverage(cursor), self._journal)
        except duckdb.InterruptException:
            raise too_slow(max_seconds) from None
        except (duckdb.ConversionException, duckdb.OutOfRangeException):
            raise too_large_sum() from None
        except duckdb.Error as error:
            raise LedgerUnavailableError(f"The ledger could not read: {first_line(error)}") from error

    def version(self, start: int, end: int) -> int:
        """See `Ledger.version`."""
        days = range(start // DAY_SECONDS, (end - 1) // DAY_SECONDS + 1)
        dropped_at = self._dropped_at if start < self._upkeep.events_from else 0
        return max([self._all_touched, dropped_at, *(self._touched.get(day, 0) for day in days)])

    def backup(self, file: Path) -> None:
        """See `Backups.backup`."""
        try:
            with self._engine.cursor() as cursor:
                copy_database(cursor, file)
        except duckdb.Error as error:
            raise LedgerUnavailableError(f"The ledger could not be backed up: {first_line(error)}") from error

    def ready(self) -> bool:
        """See `Ledger.ready`."""
        return self._engine.ready

    def close(self) -> None:
        """See `Ledger.close`."""
        with self._events_lock, self._writer_lock:
            try:
                if self._engine.ready:
                    self._move()
            finally:
                self._engine.ready = False
                self._writer.close()
