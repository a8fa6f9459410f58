"""The tables on ClickHouse, made from METERS, and the statements that bring a database to them.

Each identity has one place: its shard by the hash of its id, its partition by its day, and there its place in the order
of (`ts`, `event_id`). Rows that meet in one place are one event, and the row that arrived first is the one that stays:
`precedence` falls with the time of arrival.
"""

from collections.abc import Mapping

from usageledger.buckets import DAY_SECONDS
from usageledger.events.columns import COLUMNS
from usageledger.ledger.clickhouse.address import Address
from usageledger.meters import DIMENSIONS

PRECEDENCE = "precedence"
LOCAL, EVERYWHERE = "events_local", "events"
# Texts that have few values are kept by their number in a dictionary.
_MANY = {"event_id", *(name for name, dimension in DIMENSIONS.items() if dimension.many)}
_TIMES = "CODEC(Delta(8), ZSTD(1))"
# Whether there are events without a card is known without reading them.
_INDEX = "INDEX cards rate_id TYPE minmax"
_SETTINGS = "fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1"


def columns() -> dict[str, str]:
    """Column → its type and how it is compressed."""
    found = {name: f"{_type(name)} {_TIMES if name == 'ts' else 'CODEC(ZSTD(1))'}" for name in COLUMNS}
    return found | {PRECEDENCE: f"UInt64 {_TIMES}"}


def _type(name: str) -> str:
    kind = COLUMNS[name]
    if kind is int:
        return "Int64"
    plain = "Bool" if kind is bool else "String"
    plain = f"Nullable({plain})" if name in DIMENSIONS else plain
    return plain if kind is bool or name in _MANY else f"LowCardinality({plain})"


def names(address: Address) -> list[str]:
    """The tables that hold columns, the one that holds the rows first."""
    return [LOCAL, EVERYWHERE] if address.cluster else [EVERYWHERE]


def create(address: Address) -> list[str]:
    """The statements that make database and tables where there are none."""
    database, on = f"`{address.database}`", _on_cluster(address)
    listed = ", ".join(f"{name} {kind}" for name, kind in columns().items())
    engine = f"ReplacingMergeTree({PRECEDENCE})"
    if address.replicated:
        path = f"'/clickhouse/tables/{{shard}}/{address.database}/{LOCAL}', '{{replica}}'"
        engine = f"ReplicatedReplacingMergeTree({path}, {PRECEDENCE})"
    rows = (
        f"CREATE TABLE IF NOT EXISTS {database}.{names(address)[0]}{on} ({listed}, {_INDEX}) ENGINE = {engine} "
        f"PARTITION BY intDiv(ts, {DAY_SECONDS}) ORDER BY (ts, event_id) SETTINGS {_SETTINGS}"
    )
    statements = [f"CREATE DATABASE IF NOT EXISTS {database}{on}", rows]
    if address.cluster:
        where = f"`{address.cluster}`, {database}, {LOCAL}, sipHash64(event_id)"
        statements.append(
            f"CREATE TABLE IF NOT EXISTS {database}.{EVERYWHERE}{on} ({listed}) ENGINE = Distributed({where})"
        )
    return statements


def add_missing(address: Address, present: Mapping[str, set[str]]) -> list[str]:
    """The statements that add the columns that tables lack; `present` is table → its columns."""
    return [
        f"ALTER TABLE `{address.database}`.{table}{_on_cluster(address)} ADD COLUMN IF NOT EXISTS {name} {kind}"
        for table in names(address)
        for name, kind in columns().items()
        if table in present and name not in present[table]
    ]


def _on_cluster(address: Address) -> str:
    return f" ON CLUSTER `{address.cluster}`" if address.replicated else ""
