"""The tables, made from METERS.

`events` keeps every event, in disjoint parts, and the number of the commit that brought it. A rollup keeps sums of
events by span of time, by rate card (so that costs are sums of a rollup too) and by dimensions. `rollup_state` says
which events that are: those of the commits up to `covered` whose time is before `until`. Whoever reads a rollup adds
the events of later commits, so that it never disagrees with the events, at any commit; and a key may stand in it more
than once. `facets` has every value that a dimension has on a day. `journal` holds small commits as they came, until
they are moved to the events. `retention` says from when on events are kept; what was before is in rollups only.

The columns of METERS need no version of the schema: a file that lacks one is given it, with its default, when it is
opened, and a dimension that was no facet before gets its facets then. So a new column stands behind those that were
there before, and statements name columns, never count them.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from usageledger.buckets import DAY_SECONDS, LATEST_TIME
from usageledger.events.columns import COLUMNS, default_of
from usageledger.meters import DIMENSIONS, FACETS, GAUGES, MEASURE_COLUMNS, METERS

VERSION = 4
EVER = LATEST_TIME + 1  # `until` of a rollup that holds all days
_SQL_TYPES: dict[type, str] = {str: "VARCHAR", int: "BIGINT", bool: "BOOLEAN"}
EVENT_COLUMNS: tuple[str, ...] = tuple(COLUMNS)
EVENTS_TABLE, FACETS_TABLE = "events", "facets"
FACET_COLUMNS: tuple[str, ...] = ("ts", "kind", "dimension", "value")
EVENT_LIST, FACET_LIST = ", ".join(EVENT_COLUMNS), ", ".join(FACET_COLUMNS)  # as statements have them


@dataclass(frozen=True, slots=True)
class Rollup:
    """A table of sums by spans of `seconds`; its column `ts` is the start of the span."""

    table: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Family:
    """Rollups by the same dimensions, the coarsest first; at any time they hold the same events."""

    name: str
    dimensions: tuple[str, ...]
    rollups: tuple[Rollup, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that identify a row, beside its span."""
        return ("kind", *self.dimensions, "rate_id")


# By user and key most hours are as many rows as events, so that finer spans than days would not pay. The dimensions of
# a size stay: it is charged by the hour.
_OF_SIZES = {d.name for meter in METERS if GAUGES & set(meter.columns) for d in meter.dimensions}
FAMILIES: tuple[Family, ...] = (
    Family(
        "models",
        tuple(name for name, dimension in DIMENSIONS.items() if not dimension.many or name in _OF_SIZES),
        (Rollup("rollup_1d", DAY_SECONDS), Rollup("rollup_1h", 3600), Rollup("rollup_15m", 900)),
    ),
    Family("keys", tuple(DIMENSIONS), (Rollup("rollup_keys_1d", DAY_SECONDS),)),
)

COMMIT_NUMBER = "commit_number"
# Table → its columns, of those whose columns come from METERS.
TABLES: dict[str, tuple[str, ...]] = {
    EVENTS_TABLE: (*EVENT_COLUMNS, COMMIT_NUMBER),
    **{rollup.table: ("ts", *family.keys, *MEASURE_COLUMNS) for family in FAMILIES for rollup in family.rollups},
}

_CREATE_FACETS = (
    "CREATE TABLE IF NOT EXISTS facets "
    "(ts BIGINT NOT NULL, kind VARCHAR NOT NULL, dimension VARCHAR NOT NULL, value VARCHAR NOT NULL)"
)


_CREATE_STATE = (
    "CREATE TABLE IF NOT EXISTS rollup_state (family VARCHAR NOT NULL, covered BIGINT NOT NULL, until BIGINT NOT NULL)"
)


def create_tables() -> list[str]:
    """The statements that make the tables where there are none."""
    return [
        _create(EVENTS_TABLE),
        *_create_rollups(EVER),
        _CREATE_FACETS,
        "CREATE TABLE IF NOT EXISTS journal (position BIGINT NOT NULL, rows BLOB NOT NULL)",
    ]


def _create_rollups(until: int) -> list[str]:
    """Empty rollups: of all events if there are none yet, else of none, to be filled day by day."""
    return [
        *(_create(rollup.table) for family in FAMILIES for rollup in family.rollups),
        _CREATE_STATE,
        *(f"INSERT INTO rollup_state VALUES ('{family.name}', 0, {until})" for family in FAMILIES),
        "CREATE TABLE IF NOT EXISTS retention (events_from BIGINT NOT NULL)",
        "INSERT INTO retention VALUES (0)",
    ]


def migrate(stored: int, present: Mapping[str, Collection[str]]) -> list[str]:
    """The statements that bring tables to this version.

    Args:
        stored: their version.
        present: the columns that they have, by table.
    """
    steps = {
        1: [],  # since then there are rate cards
        2: [_CREATE_FACETS, *(f"INSERT INTO facets {facets_of_events(name)}" for name in FACETS)],
        3: [*(f"DROP TABLE {table}" for table in ("rollup_1d", "rollup_1h", "deltas")), *_create_rollups(0)],
    }
    return [*_add_missing(present), *(statement for old in range(stored, VERSION) for statement in steps[old])]


def _add_missing(present: Mapping[str, Collection[str]]) -> list[str]:
    return [
        f"ALTER TABLE {table} ADD COLUMN {name} {_type(name)}{'' if default is None else f' DEFAULT {default}'}"
        for table, names in TABLES.items()
        if table in present
        for name in names
        if name not in present[table]
        for default in (default_of(name),)
    ]


def facets_of_events(dimension: str, where: str = "TRUE", source: str = EVENTS_TABLE) -> str:
    """The facets of one dimension, from the events themselves (or a table with their columns), as SQL."""
    return (
        f"SELECT DISTINCT ts - ts % {DAY_SECONDS} AS ts, kind, '{dimension}' AS dimension, {dimension} AS value "
        f"FROM {source} WHERE {dimension} IS NOT NULL AND {where}"
    )


def _create(table: str) -> str:
    columns = ", ".join(f"{name} {_type(name)}{'' if name in DIMENSIONS else ' NOT NULL'}" for name in TABLES[table])
    return f"CREATE TABLE IF NOT EXISTS {table} ({columns})"


def _type(column: str) -> str:
    return "BIGINT" if column == COMMIT_NUMBER else _SQL_TYPES[COLUMNS[column]]
