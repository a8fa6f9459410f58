"""Bodies of about a megabyte that are meant to take a server's time or memory, by what they try."""

import gzip
import io
import json
import struct
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

MEGABYTE = 2**20
ROWS = 10_000
JSON, LINES = "application/json", "application/x-ndjson"
ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"


def events(count: int, timestamp: int, **changes: Any) -> list[dict[str, Any]]:
    """Events as a gateway sends them, each with these changes."""
    return [
        {"id": f"req_{n:08}", "kind": "completions", "timestamp": timestamp, "project_id": f"proj_{n % 50}"}
        | {"user_id": f"user_{n % 500}", "model": "gpt-4o-2024-08-06", "input_tokens": 1000, "output_tokens": 500}
        | changes
        for n in range(count)
    ]


def megabyte(timestamp: int, **changes: Any) -> bytes:
    """An array of as many events as a megabyte holds."""
    one = len(json.dumps(events(1, timestamp, **changes)))
    return json.dumps(events(min(ROWS, MEGABYTE // one), timestamp, **changes)).encode()


def anagram(seed: int) -> str:
    """A name that is close to that of many a field."""
    letters = list("input_cached_text_tokens")
    Random(seed).shuffle(letters)
    return "".join(letters)


def repeated(piece: bytes, around: bytes = b"%s", size: int = MEGABYTE) -> bytes:
    """A piece again and again, as a megabyte, inside of what stands around it."""
    return around.replace(b"%s", piece * (size // len(piece)))


# --- JSON --------------------------------------------------------------------------------------------------------


def json_bodies(now: int) -> dict[str, tuple[bytes, str]]:
    """What is refused, event by event or as a whole: the body and its type."""
    one = b'{"kind":"images","id":'
    lines = b"\n".join(json.dumps(event).encode() for event in events(5_000, now, input_tokens="x"))
    bodies = {
        "unknown fields": megabyte(now, **{f"no_such_field_{n}": n for n in range(20)}),
        "words close to many": json.dumps(
            [{"kind": "completions"} | {anagram(20 * i + n): 1 for n in range(20)} for i in range(1_500)]
        ).encode(),
        "one event of many fields": json.dumps({"kind": "images"} | {anagram(n): 1 for n in range(30_000)}).encode(),
        "wrong types": megabyte(now, model=[1], user_id={"a": []}, input_tokens="5", output_tokens=1.5),
        "unknown kinds": megabyte(now, kind="completion"),
        "missing fields": b"[" + b",".join([b'{"kind":"completions"}'] * ROWS) + b"]",
        "a long name": one.replace(b'"id"', b'"' + b"x" * MEGABYTE + b'"') + b"1}",
        "long names": b"[" + b",".join([b'{"kind":"images","%s":1}' % (b"x" * 10_000)] * 100) + b"]",
        "a long value": one + b'"' + b"x" * MEGABYTE + b'"}',
        "a long number": one + b"1" * MEGABYTE + b"}",
        "a large exponent": one + b"1e" + b"9" * MEGABYTE + b"}",
        "nesting": one + b"[" * MEGABYTE,
        "nesting that ends": one + b"[" * (MEGABYTE // 2) + b"]" * (MEGABYTE // 2) + b"}",
        "nested objects": one + b'{"a":' * (MEGABYTE // 6) + b"1" + b"}" * (MEGABYTE // 6) + b"}",
        "empty arrays": repeated(b"[],", b"[" + one + b"[%s[]]}]"),
        "empty objects": repeated(b"{},", b"[%s{}]"),
        "numbers": repeated(b"1,", b"[%s1]"),
        "fields given twice": megabyte(now).replace(b'"id"', b'"id": "x", "id"'),
        "one field a hundred thousand times": repeated(b'"id":"a",', b'{%s"kind":"images"}'),
        "nested fields given twice": repeated(b'"id":"a",', one + b'{%s"a":1}}'),
        "NUL": megabyte(now, model="a\0b"),
        "escapes": megabyte(now, user_id='"\\' * 120),
        "an escaped colon": megabyte(now).replace(b"req_", b"\\u003a"),
        "no UTF-8": megabyte(now, model="ZZ").replace(b"ZZ", b"\xff\xff"),
        "counts that contradict": megabyte(now, input_cached_tokens=2**50),
        "the future": megabyte(now + 10**6),
        "patterns of counts": patterns(now),
        "no JSON": b"x" * MEGABYTE,
        "spaces": b" " * MEGABYTE,
    }
    by_line = {
        "lines of wrong types": lines,
        "lines that are no JSON": repeated(b"x\n"),
        "empty lines": b"\n" * MEGABYTE,
        "lines of numbers": b"1\n" * ROWS,
        "one right line": repeated(b"x\n", json.dumps(events(1, now)[0]).encode() + b"\n%s", 2 * ROWS - 2),
        "two events a line": repeated(json.dumps(events(1, now)[0]).encode()),
    }
    return {name: (body, JSON) for name, body in bodies.items()} | {name: (b, LINES) for name, b in by_line.items()}


def patterns(timestamp: int) -> bytes:
    """Events that each give another choice of counts."""
    names: tuple[str, ...] = (
        "input_tokens",
        "output_tokens",
        "input_cached_tokens",
        "input_text_tokens",
        "input_audio_tokens",
    )
    names += ("input_image_tokens", "output_text_tokens", "output_audio_tokens", "output_image_tokens")
    names += ("input_cached_text_tokens", "input_cached_audio_tokens", "input_uncached_tokens")
    bare = [{k: v for k, v in event.items() if k not in names} for event in events(3_000, timestamp)]
    chosen = ({name: 0 for place, name in enumerate(names) if number >> place & 1} for number in range(3_000))
    return json.dumps([event | counts for event, counts in zip(bare, chosen, strict=True)]).encode()


# --- tables ------------------------------------------------------------------------------------------------------


def table(rows: int = ROWS, timestamp: int = 0, **columns: Any) -> pa.Table:
    """Right events in columns, but for some columns."""
    plain: dict[str, Any] = {
        "id": [f"req_{n}" for n in range(rows)],
        "kind": ["embeddings"] * rows,
        "timestamp": [timestamp] * rows,
    }
    return pa.table(plain | {"input_tokens": [1] * rows} | columns)


def arrow(made: pa.Table, size: int = ROWS, **options: Any) -> bytes:
    """A table as an Arrow IPC stream in batches of a size."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, made.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(made, max_chunksize=size)
    return sink.getvalue()


def parquet(made: pa.Table, **options: Any) -> bytes:
    """A table as a Parquet file."""
    sink = io.BytesIO()
    pq.write_table(made, sink, **options)
    return sink.getvalue()


def referring(text: str, rows: int = ROWS) -> "pa.Array[Any]":
    """A dictionary of one text, to which every row refers."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8), pa.int8()), pa.array([text]))


def viewing(text: bytes, rows: int = ROWS) -> "pa.Array[Any]":
    """Views of one text, one for each row."""
    views = struct.pack("<i4sii", len(text), text[:4], 0, 0) * rows
    return pa.Array.from_buffers(pa.string_view(), rows, [None, pa.py_buffer(views), pa.py_buffer(text)])


def sharing_buffers() -> bytes:
    """An Arrow stream in which the text of one column is that of many."""
    names = ["model", "user_id", "project_id", "api_key_id", "service_tier", "provider", "size", "quality"]
    empty: dict[str, Any] = {name: ["", ""] for name in names}
    made = table(2, **empty, source=["x" * (MEGABYTE // 2), "y"])
    body = bytearray(arrow(made))
    size = struct.pack("<q", MEGABYTE // 2 + 1)
    last = body.index(size) - 8  # the buffer of the last column's text, after that of its offsets; 48 bytes a column
    for column in range(1, len(names) + 1):
        body[last - 48 * column - 16 : last - 48 * column + 16] = body[last - 16 : last + 16]
    return bytes(body)


def appended_dictionaries() -> bytes:
    """An Arrow stream that adds a text to a large dictionary with each row, so that each row has one of its own."""
    texts = ["x" * (MEGABYTE // 2), *(f"{n}" for n in range(500))]
    schema = pa.schema([("model", pa.dictionary(pa.int32(), pa.string()))])
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        for n in range(1, len(texts)):
            column = pa.DictionaryArray.from_arrays(pa.array([n - 1], pa.int32()), pa.array(texts[:n]))
            writer.write_batch(pa.record_batch([column], schema=schema))
    return sink.getvalue()


def old_compression() -> bytes:
    """A stream of Arrow 0.17's form, which may be compressed and say so beside the batch."""
    made = table(3)
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(metadata_version=pa.ipc.MetadataVersion.V4)
    with pa.ipc.new_stream(sink, made.schema, options=options) as writer:
        for batch in made.to_batches():
            writer.write_batch(batch, custom_metadata={b"ARROW:experimental_compression": b"zstd"})
    return sink.getvalue()


def lying_pages() -> bytes:
    """A Parquet file with a page that says to become 128 MB; what it has is a megabyte, compressed."""
    body = parquet(pa.table({"model": ["x" * 1_200_000]}), use_dictionary=False, compression="zstd")
    page = pq.ParquetFile(io.BytesIO(body)).metadata.row_group(0).column(0).data_page_offset
    start = body.index(b"\x15\x00\x15", page) + 3
    assert body[start + 3] < 128 <= body[start + 2]  # a number of four bytes
    return body[:start] + b"\xfe\xff\xff\x7f" + body[start + 4 :]


def arrow_bodies() -> dict[str, bytes]:
    """Arrow streams that become more than they are, or say so."""
    deep: Any = pa.null()
    for _ in range(60):
        deep = pa.list_(deep)
    columns = pa.schema([(f"c{n}", pa.null()) for n in range(20_000)])
    children = pa.struct([(f"c{n}", pa.null()) for n in range(20_000)])
    views, three = arrow(table(model=viewing(b"x" * 400_000))), arrow(table(3))
    return {
        "a dictionary": arrow(table(model=referring("x" * 700_000))),
        "a dictionary and a row a batch": arrow(table(2_000, model=referring("x" * 500_000, 2_000)), 1),
        "views": views,
        "views of more buffers than there are": views.replace(struct.pack("<q", 1), struct.pack("<q", 2**40), 3),
        "buffers that are shared": sharing_buffers(),
        "dictionaries that grow": appended_dictionaries(),
        "a thousand columns": arrow(pa.table({f"c{n}": pa.nulls(3) for n in range(1_000)})),
        "twenty thousand columns": arrow(pa.Table.from_arrays([pa.nulls(3)] * 20_000, schema=columns)),
        "twenty thousand columns of one name": arrow(pa.Table.from_arrays([pa.nulls(1)] * 20_000, ["id"] * 20_000)),
        "twenty thousand children": arrow(pa.table({"model": pa.nulls(3, children)})),
        "lists in lists": arrow(pa.table({"model": pa.nulls(3, deep)})),
        "runs": arrow(
            pa.table({"model": pa.RunEndEncodedArray.from_arrays(pa.array([2**30], pa.int32()), pa.array(["x"]))}),
            2**30,
        ),
        "views of lists": arrow(pa.table({"model": pa.nulls(ROWS, pa.list_view(pa.string()))})),
        "a large schema": arrow(table(3).replace_schema_metadata({"pandas": "x" * MEGABYTE})),
        "batches without rows": empty_batches(),
        "too many rows": arrow(pa.table({"model": pa.nulls(10**8)}), 10**8),
        "rows that are not there": three.replace(struct.pack("<q", 3), struct.pack("<q", 2**40)),
        "fewer rows than there are": arrow(table(30)).replace(struct.pack("<q", 30), struct.pack("<q", 3), 1),
        "compressed": arrow(table(model=["x" * 100] * ROWS), compression="zstd"),
        "compressed in the old way": old_compression(),
        "wrong values": arrow(table(model=["x" * 300] * ROWS, input_tokens=[-1] * ROWS)),
        "a schema cut short": three[:100],
        "zeros": bytes(MEGABYTE),
    }


def empty_batches() -> bytes:
    """Thousands of batches, none of which has a row."""
    made = table(1).slice(0, 0)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, made.schema) as writer:
        for _ in range(3_000):
            writer.write_batch(
                pa.RecordBatch.from_arrays([c.combine_chunks() for c in made.columns], schema=made.schema)
            )
    return sink.getvalue()


def parquet_bodies() -> dict[str, bytes]:
    """Parquet files that become more than they are, or say so."""
    texts = ["x" * 500_000] * ROWS
    long = pa.table({"id": ["x" * 1_000_000 + str(n) for n in range(20)]})
    columns = {f"c{n}": pa.nulls(3) for n in range(5_000)}
    return {
        "a dictionary": parquet(table(model=referring(texts[0]))),
        "compressed texts": parquet(long, use_dictionary=False, compression="zstd"),
        "texts by what the one before has": parquet(
            long, use_dictionary=False, column_encoding={"id": "DELTA_BYTE_ARRAY"}, compression="zstd"
        ),
        "a page that lies": lying_pages(),
        "five hundred columns": parquet(pa.table({f"c{n}": pa.nulls(3) for n in range(500)})),
        "five thousand columns": parquet(pa.table(columns)),
        "lists": parquet(pa.table({"model": [["x"] * 100_000]})),
        "a row a group": parquet(table(1_000), row_group_size=1),
        "too many rows": parquet(pa.table({"model": pa.nulls(10**7)})),
        "a large footer": parquet(table(3).replace_schema_metadata({"pandas": "x" * MEGABYTE})),
        "wrong values": parquet(table(model=["x" * 300] * ROWS, input_tokens=[-1] * ROWS)),
        "a footer that is longer than the file": parquet(table(3))[:-8] + struct.pack("<I", 2**31) + b"PAR1",
        "a footer of zeros": b"PAR1" + bytes(MEGABYTE) + struct.pack("<I", 400_000) + b"PAR1",
        "a footer of ones": b"PAR1" + b"\x19\xfc" * (MEGABYTE // 2) + struct.pack("<I", 500_000) + b"PAR1",
    }


def packed_bodies() -> Iterator[tuple[str, bytes, str]]:
    """What is compressed: its name, the body and its encoding."""
    for encoding, pack in PACKERS.items():
        yield f"zeros by {encoding}", repeated(pack(bytes(64 * MEGABYTE))), encoding
        yield f"empty pieces by {encoding}", repeated(pack(b"")), encoding
        yield f"garbage by {encoding}", pack(b"[")[:10] + Random(1).randbytes(MEGABYTE), encoding
    yield "skipped frames by zstd", repeated(b"\x50\x2a\x4d\x18\0\0\0\0"), "zstd"


PACKERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstandard.compress}
