"""The embedded ledger: one DuckDB file, one process.

One connection writes; every query runs on a cursor of its own and sees the last commit. Facts that shaped it, each
measured: no index and no key (they collapse as a table grows), so identities are looked up inside the time range of
a commit; a commit is one fdatasync; results are fetched by column, because row-wise fetching holds the interpreter.

A large commit goes straight to the events and their sums. A small one that is certainly new goes to the journal, and
from there to the events when the journal is full, before a query reads, and at the next large commit.
"""

import threading
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from usageledger.errors import InvalidRequestError, LedgerUnavailableError, LedgerVersionError
from usageledger.ledger import answers, checks, costs, deltas, duplicates, facets, journal, sql, upkeep
from usageledger.ledger.backup import copy_database
from usageledger.ledger.connection import cannot_open, deadline, first_line, refuse_another
from usageledger.ledger.engine import Engine
from usageledger.ledger.protocol import CardUse, Facet, Outcome, StoredEvent, Unpriced
from usageledger.ledger.schema import (
    DELTAS,
    EVENT_COLUMNS,
    FACET_COLUMNS,
    ROLLUP_COLUMNS,
    ROLLUPS,
    VERSION,
    Rollup,
    create_tables,
    migrate,
)
from usageledger.pages import Aggregate, too_many_results
from usageledger.query import Query

DAY_SECONDS = 86_400
SMALL_ROWS = 500  # a commit of at most so many rows may go to the journal
JOURNAL_ROWS = 2_000  # rows of the journal that make moving them worth a commit
FLUSH_ROWS = 20_000  # rows of `deltas` that make moving them to the rollups worth a commit
MERGE_ROWS = 40_000  # rows added to one rollup that make merging its fullest spans worth a commit
LARGE_COUNT = 2**43  # a million counts below it add up to less than 2^63
MERGE_SPANS = 64  # spans merged in one step, so that a step stays short

_EVENT, _SUMS, _FACET = ", ".join(EVENT_COLUMNS), ", ".join(ROLLUP_COLUMNS), ", ".join(FACET_COLUMNS)

Outcomes = np.ndarray[Any, np.dtype[np.uint8]]


class DuckDBLedger:
    """A `Ledger` in one DuckDB file."""

    def __init__(self, path: str | Path, *, memory_bytes: int = 1024**3) -> None:
        self._path = Path(path)
        self._lock = threading.RLock()  # the writer, and all that is remembered of what it wrote
        self._journal: list[pa.Table] = []
        self._facets = facets.Known()
        self._delta_rows = 0
        # Rollup table → span → rows added to it since it was last merged.
        self._added: dict[str, Counter[int]] = {rollup.table: Counter() for rollup in ROLLUPS}
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
        self._delta_rows = self._one(f"SELECT COUNT(*) FROM {DELTAS.table}")

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
            if rows.num_rows <= SMALL_ROWS and self._newcomers.are(identities):
                self._writer.execute("INSERT INTO journal VALUES (?, ?)", [len(self._journal), journal.to_bytes(rows)])
                self._journal.append(rows)
                outcomes = np.zeros(rows.num_rows, np.uint8)
            else:
                outcomes = self._commit(rows, identities)
            self._engine.ready = True
            self._newcomers.note(identities, max(timestamp for _, timestamp in identities))
            self._commits += 1
            days = np.unique(rows["ts"].to_numpy() // DAY_SECONDS)
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
        outcomes = duplicates.judge(self._writer, rows, identities)
        fresh = rows if not outcomes.any() else rows.take(np.nonzero(outcomes == Outcome.ACCEPTED)[0])
        if fresh.num_rows:
            self._insert(fresh)
        return outcomes

    def _move(self) -> None:
        """Moves the journal to the events: from here on queries see it."""
        if self._journal:
            self._insert(pa.concat_tables(self._journal).combine_chunks(), "DELETE FROM journal;")
            self._journal = []

    def _insert(self, fresh: pa.Table, also: str = "") -> None:
        """Writes the events, their sums and their facets in one transaction.

        All of it is one call: between calls this thread would wait for its turn with the interpreter.
        """
        delta = deltas.sums_of(fresh)
        found = facets.found_in(fresh)
        new = self._facets.others(found)
        if new.num_rows:
            first, last = min(found)[0], max(found)[0]
            also += (
                f"INSERT INTO facets ({_FACET}) SELECT {_FACET} FROM new ANTI JOIN "
                f"(SELECT * FROM facets WHERE ts BETWEEN {first} AND {last}) AS kept USING ({_FACET}); "
            )
        self._writer.execute(
            f"BEGIN; INSERT INTO events ({_EVENT}) SELECT {_EVENT} FROM fresh; "
            f"INSERT INTO {DELTAS.table} ({_SUMS}) SELECT {_SUMS} FROM delta; {also} COMMIT"
        )
        self._delta_rows += delta.num_rows
        self._facets.note(found)

    def compact(self) -> bool:
        """See `Ledger.compact`: what failed, then the journal, the deltas, and the fullest spans of one rollup."""
        with self._lock, self._writing("The rollups could not be written"):
            self._engine.mend()
            if not self._engine.ready:
                return False
            if sum(table.num_rows for table in self._journal) >= JOURNAL_ROWS:
                self._move()
                return True
            if self._delta_rows >= FLUSH_ROWS:
                self._flush()
                return True
            for rollup in ROLLUPS:
                added = self._added[rollup.table]
                if added.total() >= MERGE_ROWS:
                    self._merge(rollup, [span for span, _ in added.most_common(MERGE_SPANS)])
                    return True
        return False

    def _flush(self) -> None:
        added = upkeep.flush(self._writer)
        self._delta_rows = 0
        for table, counts in added.items():
            self._added[table].update(counts)

    def _merge(self, rollup: Rollup, spans: Sequence[int]) -> None:
        upkeep.merge(self._writer, rollup, spans)
        for span in spans:
            del self._added[rollup.table][span]

    def give_cards(self, cards: Callable[[pa.Table], np.ndarray[Any, np.dtype[np.int64]]]) -> int:
        """See `Ledger.give_cards`; each day is a transaction of its own, so that it can be interrupted."""
        with self._lock, self._writing("The ledger could not write"):
            self._move()
            given = sum(upkeep.give_cards(self._writer, day, cards) for day in upkeep.days_without_cards(self._writer))
            self._delta_rows = self._one(f"SELECT COUNT(*) FROM {DELTAS.table}")
            return given

    # --- reading -------------------------------------------------------------------------------------------------

    def aggregate(self, query: Query, *, max_seconds: float, max_results: int) -> Aggregate:
        """See `Ledger.aggregate`."""
        statement = sql.aggregate(query, max_results)
        if statement is None:
            return Aggregate([], {})
        columns = self._read(*statement, max_seconds=max_seconds)
        if len(columns["bucket"]) > max_results:
            raise too_many_results(max_results)
        return answers.to_aggregate(query, columns)

    def costs(self, query: Query, prices: pa.Table, *, max_seconds: float, max_results: int) -> Aggregate:
        """See `Ledger.costs`."""
        statement = costs.costs(query, max_results)
        if statement is None:
            return Aggregate([], {})
        columns = self._read(*statement, max_seconds=max_seconds, prices=prices)
        if len(columns["bucket"]) > max_results:
            raise too_many_results(max_results)
        return costs.to_aggregate(query, columns)

    def unpriced(self, query: Query, prices: pa.Table, *, max_seconds: float, max_results: int) -> list[Unpriced]:
        """See `Ledger.unpriced`."""
        statement = costs.unpriced(query, max_results)
        if statement is None:
            return []
        found = self._read(*statement, max_seconds=max_seconds, prices=prices)
        rows = zip(*(found[name].tolist() for name in found), strict=True)
        return [Unpriced(kind, rate_id, part, int(quantity)) for kind, rate_id, part, quantity in rows]

    def times_of_cards(self, rate_ids: Sequence[int], start: int, end: int) -> dict[int, tuple[int, int]]:
        """See `Ledger.times_of_cards`."""
        if not rate_ids:
            return {}
        found = self._read(
            f"SELECT rate_id, MIN(ts) AS first, MAX(ts) AS last FROM events WHERE ts >= ? AND ts < ? "
            f"AND rate_id IN ({', '.join('?' * len(rate_ids))}) GROUP BY rate_id",
            [start, end, *rate_ids],
        )
        return {
            rate_id: (first, last) for rate_id, first, last in zip(*(c.tolist() for c in found.values()), strict=True)
        }

    def event(self, event_id: str, timestamp: int) -> StoredEvent | None:
        """See `Ledger.event`."""
        found = self._read(f"SELECT {_EVENT} FROM events WHERE event_id = ? AND ts = ?", [event_id, timestamp])
        if not len(found["ts"]):
            return None
        columns = {name: values.tolist()[0] for name, values in found.items()}
        if columns["kind"] != costs.STORES.kind:
            return StoredEvent(columns, None)
        return StoredEvent(columns, int(self._read(*costs.largest_size(columns))["largest"][0]))

    def facets(self, facet: Facet, *, max_seconds: float, max_results: int) -> list[str]:
        """See `Ledger.facets`."""
        values = self._read(*sql.facets(facet, max_results), max_seconds=max_seconds)["value"].tolist()
        if len(values) > max_results:
            raise too_many_results(max_results)
        return sorted(values)

    def _read(
        self,
        statement: str,
        arguments: Sequence[Any] = (),
        *,
        max_seconds: float | None = None,
        prices: pa.Table | None = None,
    ) -> dict[str, np.ndarray[Any, Any]]:
        """Column → its values; masked where some are null."""
        if self._journal:
            with self._lock, self._writing("The ledger could not write"):
                self._move()
        try:
            with self._engine.cursor() as cursor, deadline(cursor, max_seconds):
                if prices is not None:
                    cursor.register("prices", prices)
                columns: dict[str, Any] = cursor.execute(statement, list(arguments)).fetchnumpy()
                return columns
        except duckdb.InterruptException:
            raise InvalidRequestError(
                f"The query took longer than {max_seconds} seconds: ask for a shorter window or fewer groups.",
                code="query_timeout",
            ) from None
        except (duckdb.ConversionException, duckdb.OutOfRangeException):
            raise InvalidRequestError(
                "A sum of this page is larger than 2^63 - 1: ask for narrower buckets or for more groups.",
                code="too_large_sum",
            ) from None
        except duckdb.Error as error:
            self._engine.note(error)
            raise LedgerUnavailableError(f"The ledger could not read: {first_line(error)}") from error

    def version(self, start: int, end: int) -> int:
        """See `Ledger.version`."""
        days = range(start // DAY_SECONDS, (end - 1) // DAY_SECONDS + 1)
        return max([self._all_touched, *(self._touched.get(day, 0) for day in days)])

    def span(self) -> tuple[int, int] | None:
        """See `Ledger.span`."""
        if not self.count():
            return None
        row = self._read("SELECT MIN(ts) AS first, MAX(ts) AS last FROM events")
        return int(row["first"][0]), int(row["last"][0])

    def count(self) -> int:
        """See `Ledger.count`."""
        return int(self._read("SELECT COUNT(*) AS events FROM events")["events"][0])

    def malformed(self, limit: int) -> list[str]:
        """See `Ledger.malformed`."""
        return checks.malformed(self._read, limit)

    def doubled(self, limit: int) -> list[str]:
        """See `Ledger.doubled`."""
        return checks.doubled(self._read, limit)

    def rollup_differences(self, limit: int) -> list[str]:
        """See `Ledger.rollup_differences`."""
        return checks.rollup_differences(self._read, limit)

    def facet_differences(self, limit: int) -> list[str]:
        """See `Ledger.facet_differences`."""
        return checks.facet_differences(self._read, limit)

    def cards_used(self) -> list[CardUse]:
        """See `Ledger.cards_used`."""
        return checks.cards_used(self._read)

    def quantities(self, start: int, end: int) -> list[tuple[int, str, int]]:
        """See `Ledger.quantities`."""
        return checks.quantities(self._read, start, end)

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
