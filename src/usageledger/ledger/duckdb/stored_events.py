"""Look-ups of a commit's rows in the embedded ledger's table of events."""

from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa

from usageledger.events.columns import PAYLOAD_COLUMNS, SCHEMA
from usageledger.ledger.identity import Identity, Payload, by_identity

_IDENTITY = pa.schema([SCHEMA.field("event_id"), SCHEMA.field("ts")])


def stored(writer: duckdb.DuckDBPyConnection, rows: pa.Table, others: Sequence[Identity]) -> dict[Identity, Payload]:
    """Identity → payload of those among `rows`, and among these other identities, that are among the events."""
    sought = rows.select(_IDENTITY.names)
    if others:
        columns = dict(zip(_IDENTITY.names, zip(*others, strict=True), strict=True))
        sought = pa.concat_tables([sought, pa.table(columns, _IDENTITY)])
    matched = _matched(writer, sought)
    if not len(matched["ts"]):
        return {}
    _matches = pa.table(matched)
    found = writer.sql(
        f"SELECT {', '.join(PAYLOAD_COLUMNS)} FROM events SEMI JOIN _matches USING (event_id, ts) "
        "WHERE ts BETWEEN ? AND ?",
        params=_between(_matches),
    ).to_arrow_table()
    return by_identity(found)


def any_stored(writer: duckdb.DuckDBPyConnection, rows: pa.Table) -> bool:
    """Returns true if one of `rows` is in the table of events."""
    return bool(_matched(writer, rows)["ts"].size)


def _matched(writer: duckdb.DuckDBPyConnection, rows: pa.Table) -> dict[str, Any]:
    """The identities, by column, of those among `rows` that are among the events."""
    _incoming = rows.select(["event_id", "ts"])
    return writer.execute(
        "SELECT event_id, ts FROM events SEMI JOIN _incoming USING (event_id, ts) WHERE ts BETWEEN ? AND ?",
        _between(rows),
    ).fetchnumpy()


def _between(rows: pa.Table) -> list[int]:
    timestamps = rows["ts"].to_numpy()
    return [int(timestamps.min()), int(timestamps.max())]
