"""Which rows of a commit the embedded ledger has already: an event counts once."""

from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from usageledger.columns import PAYLOAD_COLUMNS
from usageledger.ledger.journal import Identity
from usageledger.ledger.protocol import Outcome


def judge(
    writer: duckdb.DuckDBPyConnection, rows: pa.Table, identities: list[Identity]
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """An outcome for each row: whether its identity is new, in the ledger and among the rows themselves."""
    outcomes = np.zeros(rows.num_rows, np.uint8)
    stored = _stored(writer, rows)
    if not stored and len(set(identities)) == len(identities):
        return outcomes
    first: dict[Identity, tuple[Any, ...]] = {}
    for row, payload in enumerate(_payloads(rows)):
        identity = payload[0], payload[1]
        kept = stored.get(identity) or first.get(identity)
        if kept is None:
            first[identity] = payload
        else:
            outcomes[row] = Outcome.DUPLICATE if payload == kept else Outcome.CONFLICT
    return outcomes


def _stored(writer: duckdb.DuckDBPyConnection, rows: pa.Table) -> dict[Identity, tuple[Any, ...]]:
    """Identity → payload of those among `rows` that the ledger has already."""
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
    return {(payload[0], payload[1]): payload for payload in _payloads(found)}


def _payloads(rows: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Each row as a tuple of `PAYLOAD_COLUMNS`: its identity stands first."""
    return zip(*(rows.column(name).to_pylist() for name in PAYLOAD_COLUMNS), strict=True)
