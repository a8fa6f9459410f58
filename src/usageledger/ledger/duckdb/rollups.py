"""Maintenance of the embedded ledger's rollups: adds later commits, merges spans, makes days anew.

Each step is one transaction, which says in `rollup_state` what the rollups hold when it is done. So a step can fail,
or the process end, at any time, and what was done stays done.
"""

from collections import Counter
from collections.abc import Sequence

import duckdb

from usageledger.buckets import DAY_SECONDS, floor
from usageledger.ledger.schema import EVER, FAMILIES, Family, Rollup
from usageledger.ledger.statements.dialect import DUCKDB
from usageledger.ledger.statements.usage_sums import Coverage, Held
from usageledger.meters import MEASURE_COLUMNS

SUM_MAX = 2**63 - 1  # that a rollup can hold

Added = dict[str, Counter[int]]  # rollup table → span → rows added to it


def coverage(connection: duckdb.DuckDBPyConnection) -> Coverage:
    """Reads which events the rollups hold, as this connection's transaction sees it."""
    states = connection.execute("SELECT family, covered, until FROM rollup_state").fetchall()
    ((events_from,),) = connection.execute("SELECT events_from FROM retention").fetchall()
    return Coverage({family: Held(covered, until) for family, covered, until in states}, events_from)


def add(writer: duckdb.DuckDBPyConnection, family: Family, held: Held, covered: int) -> Added:
    """Adds the events of the commits after those that the family holds, up to `covered`."""
    writer.execute("BEGIN")
    added = _insert(
        writer,
        family,
        f"commit_number > {held.covered} AND commit_number <= {covered} AND ts < {held.until}",
    )
    writer.execute(f"UPDATE rollup_state SET covered = {covered} WHERE family = '{family.name}'; COMMIT")
    return added


def merge(writer: duckdb.DuckDBPyConnection, family: Family, rollup: Rollup, spans: Sequence[int]) -> Counter[int]:
    """Makes one row of the rows that a rollup has for each key of these spans; span → rows that are left."""
    chosen = f"ts IN ({', '.join(str(span) for span in spans)})"
    writer.execute(
        f"BEGIN; CREATE TEMP TABLE merged AS {_sums(family, rollup, rollup.table, chosen)}; DELETE FROM {rollup.table} "
        f"WHERE {chosen}; INSERT INTO {rollup.table} BY NAME SELECT * FROM merged"
    )
    left = _rows(writer, "merged")
    writer.execute("DROP TABLE merged; COMMIT")
    return left


def drop_day(writer: duckdb.DuckDBPyConnection, before: int) -> int | None:
    """Drops the events of the earliest day, which every family holds all of; up to when, or None if there were none.

    Only a day that had events is closed to others, and it stays closed whatever is to be dropped later.
    """
    ((first,),) = writer.execute(f"SELECT MIN(ts) FROM events WHERE ts < {before}").fetchall()
    if first is None:
        return None
    end = floor(first, DAY_SECONDS) + DAY_SECONDS
    writer.execute(
        f"BEGIN; DELETE FROM events WHERE ts < {end}; "
        f"UPDATE retention SET events_from = GREATEST(events_from, {end}); COMMIT"
    )
    return end


def make_anew(writer: duckdb.DuckDBPyConnection, covered: int) -> None:
    """Begins to make all rollups anew, of the commits up to `covered`; those of dropped events stay.

    Days that have sums and lie before all events were dropped, whatever `retention` says.
    """
    dropped = (
        f"SELECT MAX(ts) + {DAY_SECONDS} FROM {FAMILIES[0].rollups[0].table} "
        f"WHERE ts + {DAY_SECONDS} <= (SELECT COALESCE(MIN(ts), {EVER}) FROM events)"
    )
    writer.execute(
        f"BEGIN; UPDATE retention SET events_from = GREATEST(events_from, ({dropped})); "
        f"UPDATE rollup_state SET covered = {covered}, until = (SELECT events_from FROM retention); COMMIT"
    )


def make_next_day(writer: duckdb.DuckDBPyConnection, family: Family, held: Held) -> int | None:
    """Makes the next day of a family that does not hold all days yet; its start, or None when it was the last.

    A day without events keeps what sums it has: they may be all that is left of it.
    """
    ((first,),) = writer.execute(f"SELECT MIN(ts) FROM events WHERE ts >= {held.until}").fetchall()
    day = None if first is None else floor(first, DAY_SECONDS)
    until = EVER if day is None else day + DAY_SECONDS
    writer.execute("BEGIN")
    if day is not None:
        make_days(writer, family, held.covered, day, until)
    writer.execute(f"UPDATE rollup_state SET until = {until} WHERE family = '{family.name}'; COMMIT")
    return day


def make_days(writer: duckdb.DuckDBPyConnection, family: Family, covered: int, start: int, end: int) -> None:
    """Makes these days anew, inside of a transaction."""
    inside = f"ts >= {start} AND ts < {end}"
    for rollup in family.rollups:
        writer.execute(f"DELETE FROM {rollup.table} WHERE {inside}")
    _insert(writer, family, f"commit_number <= {covered} AND {inside}")


def _insert(writer: duckdb.DuckDBPyConnection, family: Family, where: str) -> Added:
    """Adds the events that are chosen to every rollup of a family: to the finest, and from it to the coarser ones."""
    added: Added = {}
    made: list[str] = []
    source, rows = "events", Counter[int]()
    for rollup in reversed(family.rollups):
        wider = Counter({floor(span, rollup.seconds): count for span, count in rows.items()})
        if made and len(wider) == len(rows):  # no span is to be summed up with another: the sums are the same
            chosen, rows = f"SELECT * REPLACE (ts - ts % {rollup.seconds} AS ts) FROM {source}", wider
        else:
            sums = f"{rollup.table}_sums"
            writer.execute(f"CREATE TEMP TABLE {sums} AS {_sums(family, rollup, source, where)}")
            made.append(sums)
            chosen, rows, source, where = f"SELECT * FROM {sums}", _rows(writer, sums), sums, "TRUE"
        writer.execute(f"INSERT INTO {rollup.table} BY NAME {chosen}")
        added[rollup.table] = rows
    writer.execute("; ".join(f"DROP TABLE {sums}" for sums in made))
    return added


def _rows(writer: duckdb.DuckDBPyConnection, table: str) -> Counter[int]:
    """Span → its rows in a table of sums."""
    return Counter(dict(writer.execute(f"SELECT ts, COUNT(*) FROM {table} GROUP BY ts").fetchall()))


def _sums(family: Family, rollup: Rollup, source: str, where: str) -> str:
    """The rows of a rollup; a row stays by itself if as many such rows as there are would overflow."""
    keys = ", ".join(family.keys)
    counts = ", ".join(f"{DUCKDB.summed(column)} AS {column}" for column in MEASURE_COLUMNS)
    most = f"(SELECT {SUM_MAX} // GREATEST(COUNT(*), 1) FROM {source} WHERE {where})"
    return (
        f"SELECT ts - ts % {rollup.seconds} AS ts, {keys}, {counts} FROM {source} WHERE {where} GROUP BY 1, {keys}, "
        f"CASE WHEN GREATEST({', '.join(MEASURE_COLUMNS)}) > {most} THEN rowid END ORDER BY 1, {keys}"
    )
