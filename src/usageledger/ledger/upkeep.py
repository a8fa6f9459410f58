"""What the embedded ledger does between commits: sums moved on and merged, rate cards given to events without one."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from usageledger.columns import NO_CARD
from usageledger.ledger.schema import DELTAS, EVENT_COLUMNS, ROLLUP_COLUMNS, ROLLUP_KEYS, ROLLUPS, Rollup, sums
from usageledger.meters import MEASURE_COLUMNS

DAY_SECONDS = 86_400
LARGE_COUNT = 2**43  # a million counts below it add up to less than 2^63

_EVENT, _SUMS = ", ".join(EVENT_COLUMNS), ", ".join(ROLLUP_COLUMNS)


def flush(writer: duckdb.DuckDBPyConnection) -> dict[str, Counter[int]]:
    """Moves the deltas on to the rollups; rollup table → span → rows added to it."""
    added: dict[str, Counter[int]] = {}
    writer.execute("BEGIN")
    for rollup in ROLLUPS:
        moved = _summed(writer, DELTAS.table, rollup.seconds)
        writer.execute(f"INSERT INTO {rollup.table} ({_SUMS}) SELECT * FROM moved")
        added[rollup.table] = Counter(moved["span"].to_numpy().tolist())
    writer.execute(f"DELETE FROM {DELTAS.table}; COMMIT")
    return added


def merge(writer: duckdb.DuckDBPyConnection, rollup: Rollup, spans: Sequence[int]) -> None:
    """Makes one row of the rows that a rollup has for each key of these spans."""
    chosen = f"WHERE ts IN ({', '.join(str(span) for span in spans)})"
    writer.execute("BEGIN")
    _merged = _summed(writer, rollup.table, rollup.seconds, chosen)
    writer.execute(f"DELETE FROM {rollup.table} {chosen}")
    writer.execute(f"INSERT INTO {rollup.table} ({_SUMS}) SELECT * FROM _merged")
    writer.execute("COMMIT")


def days_without_cards(writer: duckdb.DuckDBPyConnection) -> list[int]:
    """The days (their starts) that have events without a rate card."""
    statement = f"SELECT DISTINCT ts - ts % {DAY_SECONDS} FROM events WHERE rate_id = {NO_CARD} ORDER BY 1"
    return [day for (day,) in writer.execute(statement).fetchall()]


def give_cards(
    writer: duckdb.DuckDBPyConnection, day: int, cards: Callable[[pa.Table], np.ndarray[Any, np.dtype[np.int64]]]
) -> int:
    """Gives the events of a day that have no rate card one, and makes the day's rollups anew; how many there were."""
    where = f"WHERE ts >= {day} AND ts < {day + DAY_SECONDS}"
    without: pa.Table = writer.sql(f"SELECT {_EVENT} FROM events {where} AND rate_id = {NO_CARD}").to_arrow_table()
    _carded = without.set_column(without.column_names.index("rate_id"), "rate_id", pa.array(cards(without)))
    writer.execute(
        f"BEGIN; DELETE FROM events {where} AND rate_id = {NO_CARD}; "
        f"INSERT INTO events ({_EVENT}) SELECT {_EVENT} FROM _carded; DELETE FROM {DELTAS.table} {where}"
    )
    for rollup in ROLLUPS:
        writer.execute(f"DELETE FROM {rollup.table} {where}")
        _made = _summed(writer, "events", rollup.seconds, where)
        writer.execute(f"INSERT INTO {rollup.table} ({_SUMS}) SELECT * FROM _made")
    writer.execute("COMMIT")
    return without.num_rows


def _summed(writer: duckdb.DuckDBPyConnection, table: str, seconds: int, where: str = "") -> pa.Table:
    """Sums by key and span; rows with counts so large that many of them overflow stay by themselves."""
    keys = ", ".join(ROLLUP_KEYS[1:])
    summed: pa.Table = writer.sql(
        f"SELECT ts - ts % {seconds} AS span, {keys}, {sums('sum_')} FROM {table} {where} GROUP BY span, {keys}, "
        f"CASE WHEN GREATEST({', '.join(MEASURE_COLUMNS)}) > {LARGE_COUNT} THEN rowid END ORDER BY span, {keys}"
    ).to_arrow_table()
    return summed
