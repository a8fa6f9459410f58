"""Tables of events as compressed Arrow IPC streams."""

import pyarrow as pa

from usageledger.events.columns import conform

FEW_ROWS = 8  # which are larger compressed, column by column
_COMPRESSED, _AS_IT_IS = pa.ipc.IpcWriteOptions(compression="zstd"), pa.ipc.IpcWriteOptions()


def to_bytes(rows: pa.Table) -> bytes:
    """Rows as an Arrow IPC stream, compressed where there are more than a few."""
    sink = pa.BufferOutputStream()
    options = _COMPRESSED if rows.num_rows > FEW_ROWS else _AS_IT_IS
    with pa.ipc.new_stream(sink, rows.schema, options=options) as writer:
        writer.write_table(rows)
    return sink.getvalue().to_pybytes()


def from_bytes(stream: bytes) -> pa.Table:
    """The rows that `to_bytes` of any version made (`columns.SCHEMA`). Raises LedgerVersionError."""
    return conform(pa.ipc.open_stream(stream).read_all())
