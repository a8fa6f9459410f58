"""Bodies that hold a table → the table, of flat columns that are valid, in memory that is bounded beforehand.

A few bytes of either format can stand for gigabytes: a long text that each row refers to, a page that says it is two
gigabytes, one buffer that is every column's. So everything that says how large something is comes first, and is added
up, and nothing is read where it is too much.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from usageledger.errors import BodyTooLargeError, InvalidRequestError
from usageledger.events.batch import check_count
from usageledger.events.parquet_pages import check_pages
from usageledger.events.typed_events import FIELDS
from usageledger.fields import NAME_CHARACTERS_MAX

UNKNOWN_COLUMNS_MAX = 10  # one is refused row by row, by its name
SCHEMA_BYTES_MAX = 512 * 1024
SCHEMA, DICTIONARY_BATCH, RECORD_BATCH = 1, 2, 3
PARQUET_END = struct.Struct("<I4s")
# A stream of Arrow 0.17 may be compressed and say so only here.
OLD_COMPRESSION = b"ARROW:experimental_compression"
NAMES = frozenset(("kind", *(name for fields in FIELDS.values() for name in fields)))

Array = np.ndarray[Any, Any]


def read_arrow(body: bytes, max_events: int, max_bytes: int) -> pa.Table:
    """The table of an Arrow IPC stream.

    Raises:
        InvalidRequestError: it is not one, its buffers are compressed, or no events can have its columns.
        BodyTooLargeError: more than `max_events` rows, or `max_bytes` of text.
    """

    def read() -> Iterator[pa.Table]:
        rows = 0
        for number, message in enumerate(pa.ipc.MessageReader.open_stream(body)):
            rows += _check_message(message.metadata.to_pybytes(), 0 if message.body is None else message.body.size)
            check_count(rows, max_events)
            if number == 0:
                _check_columns(pa.ipc.read_schema(message))
        with pa.ipc.open_stream(body) as reader:
            yield pa.Table.from_batches([batch for batch in reader if batch.num_rows], reader.schema)

    return _read(read, max_bytes, "invalid_arrow", "an Arrow IPC stream")


def read_parquet(body: bytes, max_events: int, max_bytes: int) -> pa.Table:
    """The table of a Parquet file; raises as `read_arrow` does, and where its pages are larger than `max_bytes`."""

    def read() -> Iterator[pa.Table]:
        footer, _ = PARQUET_END.unpack(body[-PARQUET_END.size :])
        if footer > SCHEMA_BYTES_MAX:
            raise ValueError(f"its footer is larger than {SCHEMA_BYTES_MAX} bytes")
        file = pq.ParquetFile(pa.BufferReader(body), thrift_container_size_limit=max(1000, max_events))
        groups = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
        if min(groups, default=0) < 0:
            raise ValueError("it has less than no rows")
        check_count(sum(groups), max_events)
        _check_columns(file.schema_arrow)
        # A text that each row refers to stays one. Not every encoding can be read by dictionary, and a column may have
        # another one in each row group.
        texts = frozenset(field.name for field in file.schema_arrow if _is_text(_value_type(field.type)))
        by_dictionary = [texts & names for names in check_pages(body, file.metadata, max_bytes)]
        for names, numbers in groupby(range(len(groups)), by_dictionary.__getitem__):
            part = pq.ParquetFile(pa.BufferReader(body), metadata=file.metadata, read_dictionary=list(names))
            yield part.read_row_groups(list(numbers), use_threads=False)
        if not groups:
            yield file.read()

    return _read(read, max_bytes, "invalid_parquet", "a Parquet file")


def _read(read: Callable[[], Iterator[pa.Table]], max_bytes: int, code: str, noun: str) -> pa.Table:
    try:
        return _flat(read(), max_bytes)
    except (pa.ArrowException, OSError, EOFError, struct.error, ValueError, LookupError, TypeError) as error:
        reason = str(error).partition("\n")[0][:1000]
        raise InvalidRequestError(f"The body is not {noun}: {reason}", code=code) from None


# --- before anything is read -------------------------------------------------------------------------------------


def _check_columns(schema: pa.Schema) -> None:
    """Refuses tables whose columns no events can have, by what their schema says."""
    names = schema.names
    unknown = [name for name in names if name not in NAMES]
    if len(unknown) > UNKNOWN_COLUMNS_MAX:
        shown = ", ".join(f"'{name[:NAME_CHARACTERS_MAX]}'" for name in unknown[:3])
        raise InvalidRequestError(
            f"The table has {len(names)} columns, of which {len(unknown)} are no fields of events: {shown}, …",
            param=unknown[0][:NAME_CHARACTERS_MAX],
            code="unknown_field",
        )
    for place, field in enumerate(schema):
        if field.name in names[:place]:
            raise InvalidRequestError(f"The table has two columns named '{field.name[:256]}'.", code="invalid_value")
        kind = _value_type(field.type)
        is_view = pa.types.is_string_view(kind)
        is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
        is_read = is_number or _is_text(kind) or pa.types.is_timestamp(kind) or pa.types.is_null(kind)
        if not is_read or (is_view and kind is not field.type):
            raise InvalidRequestError(
                f"The column '{field.name[:256]}' is of type {str(field.type)[:256]}: expected text, integers, times "
                "or true and false.",
                param=field.name[:256],
                code="invalid_type",
            )
        _ = getattr(kind, "tz", None)  # its bytes come from a stranger, and are read no sooner


def _is_text(kind: Any) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _value_type(kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _check_message(metadata: bytes, body_size: int) -> int:
    """The rows that a message of a stream says it has; raises where it says what its body cannot hold.

    Source: Message.fbs and Schema.fbs of the Arrow format; tables and vectors as flatbuffers lay them out.
    """
    message = _follow(metadata, 0)
    kind, header = metadata[_field(metadata, message, 1)], _follow(metadata, _field(metadata, message, 2))
    if kind == SCHEMA:
        if len(metadata) > SCHEMA_BYTES_MAX:
            raise ValueError(f"its schema is larger than {SCHEMA_BYTES_MAX} bytes")
        return 0
    if kind not in {DICTIONARY_BATCH, RECORD_BATCH}:
        raise ValueError("it has messages that are neither rows nor dictionaries")
    batch = header
    if kind == DICTIONARY_BATCH:
        batch = _follow(metadata, _field(metadata, header, 1))
        if (is_delta := _field(metadata, header, 2)) and metadata[is_delta]:
            raise ValueError("it adds to a dictionary that it gave before: send a whole one")
    if _field(metadata, batch, 3) or OLD_COMPRESSION in metadata:
        raise ValueError("its buffers are compressed: send it with 'Content-Encoding: zstd' instead")
    rows = struct.unpack_from("<q", metadata, length)[0] if (length := _field(metadata, batch, 0)) else 0
    nodes, buffers = (_pairs(metadata, _field(metadata, batch, number)) for number in (1, 2))
    views = _vector(metadata, _field(metadata, batch, 4), 1)
    held = int(buffers[:, 1].sum(dtype=np.float64)) if (buffers >= 0).all() else -1
    if not 0 <= held <= body_size or views.sum(dtype=np.float64) > len(buffers) or (views < 0).any():
        raise ValueError("its buffers are larger than it is")
    if rows < 0 or (nodes[:, 0] != rows).any():
        raise ValueError("its columns are not equally long")
    return rows if kind == RECORD_BATCH else 0


def _field(metadata: bytes, table: int, number: int) -> int:
    """The place of a field of a table, 0 where the table does not have it."""
    vtable = table - struct.unpack_from("<i", metadata, table)[0]
    (size,) = struct.unpack_from("<H", metadata, vtable)
    place = 4 + 2 * number
    (offset,) = struct.unpack_from("<H", metadata, vtable + place) if place < size else (0,)
    return table + int(offset) if offset else 0


def _follow(metadata: bytes, place: int) -> int:
    return place + int(struct.unpack_from("<I", metadata, place)[0])


def _vector(metadata: bytes, place: int, width: int) -> Array:
    """The 64-bit integers of a vector of structs of so many; none where there is no vector."""
    if not place:
        return np.zeros(0, np.int64)
    start = _follow(metadata, place)
    (count,) = struct.unpack_from("<I", metadata, start)
    return np.frombuffer(metadata, "<i8", count * width, start + 4)


def _pairs(metadata: bytes, place: int) -> Array:
    return _vector(metadata, place, 2).reshape(-1, 2)


# --- from what was read to flat columns --------------------------------------------------------------------------


def _flat(parts: Iterable[pa.Table], max_bytes: int) -> pa.Table:
    """Makes one table of all parts, each value checked; at most so many bytes of text were in dictionaries or views."""
    left = max_bytes
    flat: list[pa.Table] = []
    for part in parts:
        columns: list[Any] = []
        for column in part.columns:
            chunks: list[Any] = []
            for chunk, texts in _parts(column):
                left -= texts
                if left < 0:
                    raise BodyTooLargeError(
                        f"The texts of the table are larger than {max_bytes} bytes: send fewer events."
                    )
                chunks.append(_plain(chunk))
            kind = _value_type(column.type)
            columns.append(pa.chunked_array(chunks, pa.string() if _is_text(kind) else kind))
        flat.append(pa.Table.from_arrays(columns, names=part.column_names))
    table = pa.concat_tables(flat)
    table.validate()
    return table


def _plain(chunk: Any) -> Any:
    """Gives the same values, checked, as no dictionary and no views."""
    chunk.validate(full=True)  # offsets and UTF-8 come from a stranger
    decoded = chunk.dictionary_decode() if pa.types.is_dictionary(chunk.type) else chunk
    return decoded.cast(pa.string()) if _is_text(decoded.type) else decoded


def _parts(column: Any) -> Iterator[tuple[Any, int]]:
    """The chunks of a column, those of one dictionary as one, and how many bytes of text each refers to."""
    if not pa.types.is_dictionary(column.type):
        for chunk in column.chunks:
            yield chunk, _viewed(chunk)
        return
    at = 0
    while at < column.num_chunks:
        first = column.chunk(at)
        same = [first.indices]
        while (at := at + 1) < column.num_chunks and _same(column.chunk(at).dictionary, first.dictionary):
            same.append(column.chunk(at).indices)
        for each in same:
            each.validate(full=True)
        indices, dictionary = pa.concat_arrays(same), first.dictionary
        dictionary.validate(full=True)
        whole = pa.DictionaryArray.from_arrays(indices, dictionary)  # refuses indices of nothing
        yield whole, _referred(indices, dictionary) if _is_text(dictionary.type) else 0


def _same(one: Any, other: Any) -> bool:
    """Returns true if two arrays are the same memory."""

    def about(array: Any) -> list[Any]:
        return [len(array), array.offset, *(buffer and (buffer.address, buffer.size) for buffer in array.buffers())]

    return about(one) == about(other)


def _referred(indices: Any, dictionary: Any) -> int:
    lengths: Array = pc.binary_length(dictionary).fill_null(0).to_numpy(zero_copy_only=False)
    return int(lengths[indices.drop_null().to_numpy(zero_copy_only=False)].sum(dtype=np.float64))


def _viewed(array: Any) -> int:
    """The bytes of text that views refer to; a text that is no view is the bytes that it has."""
    if not pa.types.is_string_view(array.type):
        return 0
    views = array.buffers()[1]
    if not len(array) or views is None:
        return 0
    if views.size < 16 * (array.offset + len(array)):
        raise ValueError("its views are fewer than its rows")
    lengths = np.frombuffer(views, "<u4", 4 * len(array), 16 * array.offset)[::4]
    return int(lengths.sum(dtype=np.float64))
