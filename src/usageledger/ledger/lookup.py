"""Which rows of a commit are among the events of the embedded ledger."""

from typing import Any

import duckdb
import pyarrow as pa

from usageledger.columns import PAYLOAD_COLUMNS
from usageledger.ledger.duplicates import Payload, by_identity
from usageledger.ledger.journal import Identity


def stored(writer: duckdb.DuckDBPyConnection, rows: pa.Table) -> dict[Identity, Payload]:
    """Identity → payload of those among `rows` that are among the events."""
    incoming = rows.select(["event_id", "ts"])
    timestamps = incoming["ts"].to_numpy()
    between = [int(timestamps.min()), int(timestamps.max())]
    matched: dict[str, Any] = writer.execute(
        "SELECT event_id, ts FROM events SEMI JOIN incoming USING (event_id, ts) WHERE ts BETWEEN ? AND ?", between
    ).fetchnumpy()
    if not len(matched["ts"]):
        return {}
    _matches = pa.table(matched)
    found = writer.sql(
        f"SELECT {', '.join(PAYLOAD_COLUMNS)} FROM events SEMI JOIN _matches USING (event_id, ts) "
        "WHERE ts BETWEEN ? AND ?",
        params=between,
    ).to_arrow_table()
    return by_identity(found)
