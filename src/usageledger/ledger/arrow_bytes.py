"""Tables of events as compressed Arrow IPC streams."""

import pyarrow as pa

from usageledger.events.columns import conform

_COMPRESSED = pa.ipc.IpcWriteOptions(compression="zstd")


def to_bytes(rows: pa.Table) -> bytes:
    """Rows as a compressed Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema, options=_COMPRESSED) as writer:
        writer.write_table(rows)
    return sink.getvalue().to_pybytes()


def from_bytes(stream: bytes) -> pa.Table:
    """The rows that `to_bytes` of any version made (`columns.SCHEMA`). Raises LedgerVersionError."""
    return conform(pa.ipc.open_stream(stream).read_all())
