"""Schedules rollup maintenance: which table to update next, and when."""

from collections import Counter
from collections.abc import Mapping

import duckdb

from usageledger.ledger.duckdb import rollups
from usageledger.ledger.duckdb.tuning import Worth
from usageledger.ledger.schema import EVER, FAMILIES, Family


class Upkeep:
    """The pending work on the rollups of one open ledger. `note` may be called beside everything else."""

    def __init__(self, worth: Mapping[str, Worth]) -> None:
        self._worth = worth
        # Rollup table → span → rows added to it since it was last merged, less what was there then, where it is much:
        # a large span is merged when it has doubled, since one whose rows are all different stays as large as it is.
        self._added: rollups.Added = {rollup.table: Counter() for family in FAMILIES for rollup in family.rollups}
        self._later: dict[int, int] = {}  # commit → its events, of those that some family does not hold yet

    def learn(self, writer: duckdb.DuckDBPyConnection) -> int:
        """Reads the state of a file that was just opened; returns the number of its last commit."""
        self._coverage = rollups.coverage(writer)
        later = (
            f"SELECT commit_number, COUNT(*) FROM events WHERE commit_number > {self._least()} GROUP BY 1 ORDER BY 1"
        )
        self._later = dict(writer.execute(later).fetchall())
        ((last,),) = writer.execute("SELECT COALESCE(MAX(commit_number), 0) FROM events").fetchall()
        # The events of later commits may be dropped, after the rollups held them: no number comes twice.
        return max([int(last), *(held.covered for held in self._coverage.held.values())])

    def note(self, commit_number: int, events: int) -> None:
        """Called after each commit."""
        self._later[commit_number] = events

    def _least(self) -> int:
        return min(held.covered for held in self._coverage.held.values())

    def step(self, writer: duckdb.DuckDBPyConnection) -> bool:
        """Does one step that is worth a transaction; returns true if there was one."""
        return any(self._step(writer, family) for family in FAMILIES)

    def _step(self, writer: duckdb.DuckDBPyConnection, family: Family) -> bool:
        held, worth = self._coverage.held[family.name], self._worth[family.name]
        if held.until < EVER:
            self._make_next_day(writer, family)
            return True
        later = [number for number in list(self._later) if number > held.covered]
        if sum(self._later[number] for number in later) >= worth.events:
            self._add(writer, family, later[-1])
            return True
        for rollup in family.rollups:
            added = +self._added[rollup.table]
            if added.total() >= worth.rows:
                spans = [span for span, _ in added.most_common(worth.spans)]
                left = rollups.merge(writer, family, rollup, spans)
                for span in spans:
                    del self._added[rollup.table][span]
                self._added[rollup.table].update({span: -rows for span, rows in left.items() if rows >= worth.rows})
                return True
        return False

    def _add(self, writer: duckdb.DuckDBPyConnection, family: Family, last: int) -> None:
        much = self._worth[family.name].rows
        for table, counts in rollups.add(writer, family, self._coverage.held[family.name], last).items():
            added = self._added[table]
            for span, rows in counts.items():
                added[span] += rows if span in added or rows < much else -rows
        self._coverage = rollups.coverage(writer)
        least = self._least()
        for number in list(self._later):
            if number <= least:
                del self._later[number]

    @property
    def events_from(self) -> int:
        """The time before which events were dropped, Unix seconds."""
        return self._coverage.events_from

    def drop_day(self, writer: duckdb.DuckDBPyConnection, before: int, last: int) -> bool:
        """Drops a day's events before this time, once the rollups hold them; returns true if there are others."""
        for family in FAMILIES:
            held = self._coverage.held[family.name]
            if held.until < EVER:
                self._make_next_day(writer, family)
                return True
            if held.covered < last:
                self._add(writer, family, last)
        more = rollups.drop_day(writer, before)
        self._coverage = rollups.coverage(writer)
        return more is not None

    def make_anew(self, writer: duckdb.DuckDBPyConnection, last: int) -> None:
        """Begins to make all rollups anew, of the commits up to `last`, unless that was begun before."""
        if all(held.until == EVER for held in self._coverage.held.values()):
            rollups.make_anew(writer, last)
            self._coverage = rollups.coverage(writer)
            self._later.clear()

    def next_day(self, writer: duckdb.DuckDBPyConnection) -> int | None:
        """Makes the next day of rollups that do not hold all days yet; its start, or None when all is done."""
        for family in FAMILIES:
            if self._coverage.held[family.name].until < EVER:
                day = self._make_next_day(writer, family)
                if day is not None:
                    return day
        return None

    def _make_next_day(self, writer: duckdb.DuckDBPyConnection, family: Family) -> int | None:
        day = rollups.make_next_day(writer, family, self._coverage.held[family.name])
        self._coverage = rollups.coverage(writer)
        return day
