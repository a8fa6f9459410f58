"""The tables, made from METERS.

`events` keeps every event, in disjoint parts. A rollup keeps sums of them by span of time, by rate card (so that costs
are sums of a rollup too) and by every dimension but the two of highest cardinality. `deltas` has the same columns as a
rollup: the transaction that writes events writes their sums to it, and another one moves them on to the rollups. So
deltas and rollup together never disagree with the events, at any commit. A key may stand in a rollup more than once;
whoever reads it adds up. `facets` has every value that a dimension has on a day. `journal` holds small commits as they
came, until they are moved to the events.
"""

from dataclasses import dataclass

from usageledger.columns import COLUMNS, NO_CARD
from usageledger.meters import DIMENSIONS, FACETS, GAUGES, MEASURE_COLUMNS

VERSION = 3
DAY_SECONDS = 86_400
_SQL_TYPES: dict[type, str] = {str: "VARCHAR", int: "BIGINT", bool: "BOOLEAN"}
EVENT_COLUMNS: tuple[str, ...] = tuple(COLUMNS)
ROLLUP_DIMENSIONS: tuple[str, ...] = tuple(name for name in DIMENSIONS if name not in ("user_id", "api_key_id"))
ROLLUP_KEYS: tuple[str, ...] = ("ts", "kind", *ROLLUP_DIMENSIONS, "rate_id")
ROLLUP_COLUMNS: tuple[str, ...] = (*ROLLUP_KEYS, *MEASURE_COLUMNS)


FACET_COLUMNS: tuple[str, ...] = ("ts", "kind", "dimension", "value")
_CREATE_FACETS = (
    "CREATE TABLE IF NOT EXISTS facets "
    "(ts BIGINT NOT NULL, kind VARCHAR NOT NULL, dimension VARCHAR NOT NULL, value VARCHAR NOT NULL)"
)


@dataclass(frozen=True, slots=True)
class Rollup:
    """A table of sums by spans of `seconds`; its column `ts` is the start of the span."""

    table: str
    seconds: int


# The coarsest first: a query reads the first one whose spans fit its buckets.
ROLLUPS: tuple[Rollup, ...] = (Rollup("rollup_1d", 86400), Rollup("rollup_1h", 3600))
DELTAS = Rollup("deltas", ROLLUPS[-1].seconds)


def create_tables() -> list[str]:
    """The statements that make the tables where there are none."""
    return [
        _create("events", EVENT_COLUMNS),
        *(_create(rollup.table, ROLLUP_COLUMNS) for rollup in (*ROLLUPS, DELTAS)),
        _CREATE_FACETS,
        "CREATE TABLE IF NOT EXISTS journal (position BIGINT NOT NULL, rows BLOB NOT NULL)",
    ]


def migrate(stored: int) -> list[str]:
    """The statements that bring tables of version `stored` to the next one."""
    tables = ("events", *(rollup.table for rollup in (*ROLLUPS, DELTAS)))
    steps = {
        1: [f"ALTER TABLE {table} ADD COLUMN rate_id BIGINT DEFAULT {NO_CARD}" for table in tables],
        2: [_CREATE_FACETS, *(f"INSERT INTO facets {facets_of_events(name)}" for name in FACETS)],
    }
    return steps[stored]


def facets_of_events(dimension: str, where: str = "TRUE") -> str:
    """The facets of one dimension, from the events themselves, as SQL."""
    return (
        f"SELECT DISTINCT ts - ts % {DAY_SECONDS} AS ts, kind, '{dimension}' AS dimension, {dimension} AS value "
        f"FROM events WHERE {dimension} IS NOT NULL AND {where}"
    )


def _create(table: str, names: tuple[str, ...]) -> str:
    columns = ", ".join(
        f"{name} {_SQL_TYPES[COLUMNS[name]]}{'' if name in DIMENSIONS else ' NOT NULL'}" for name in names
    )
    return f"CREATE TABLE IF NOT EXISTS {table} ({columns})"


def sums(prefix: str) -> str:
    """Every stored count of many rows added up, each called `prefix` and its name, as SQL."""
    return ", ".join(f"{summed(column)} AS {prefix}{column}" for column in MEASURE_COLUMNS)


def summed(column: str) -> str:
    """How a stored column adds up, as SQL: the largest for a gauge, else the exact sum."""
    return f"MAX({column})" if column in GAUGES else f"CAST(SUM({column}) AS BIGINT)"
