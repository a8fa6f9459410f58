"""Events as Arrow IPC streams and Parquet files: every answer and every stored event is the same as by JSON."""

import io
import json
import math
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.server.support import NOW, Serve, event
from tests.support import hostile_bodies
from tests.support.ledger_contents import count
from tests.support.ledger_double import LedgerDouble, no_claims
from tests.support.problems import problem
from tests.support.samples import NOW as LATEST
from tests.support.samples import decode, total
from tests.support.strategies import histories, wires

from usageledger.errors import BodyTooLargeError, InvalidRequestError
from usageledger.events.arrow_events import decode_table
from usageledger.events.columns import PAYLOAD_COLUMNS, to_table
from usageledger.events.table_bodies import read_arrow, read_parquet
from usageledger.events.typed_events import FIELDS
from usageledger.ledger import Ledger, open_ledger
from usageledger.ledger.statements.sql import Sql
from usageledger.server.ingest.commit_group import Submission
from usageledger.server.ingest.commits import Ingest
from usageledger.settings import Settings

pytestmark = pytest.mark.anyio

ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"
URL = "/v1/events"
MANY = 10**6
NOBODY: Any = None  # waits for the answer to a submission


def arrow(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=7)
    return sink.getvalue()


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


BODIES = {ARROW: arrow, PARQUET: parquet}


def answers(tmp: Path, body: bytes, kind: str) -> tuple[list[Any], list[tuple[Any, ...]]]:
    """What a fresh ledger answers to a body, sent twice, and what is stored then."""
    if kind == ARROW:
        decodeds = [decode_table(read_arrow(body, MANY, MANY), latest=LATEST + 600, now=LATEST) for _ in range(2)]
    elif kind == PARQUET:
        decodeds = [decode_table(read_parquet(body, MANY, MANY), latest=LATEST + 600, now=LATEST) for _ in range(2)]
    else:
        decodeds = [decode(body, lines=False, max_events=MANY) for _ in range(2)]
    with closing(open_ledger(f"duckdb:///{tmp}/ledger.duckdb")) as ledger:
        ingest = Ingest(
            ledger, lambda *_: None, lambda rows: rows["ts"].to_numpy(), no_claims, Settings(), lambda: LATEST
        )
        told = [ingest._written([Submission(decoded, NOBODY, NOBODY)]) for decoded in decodeds]
        with ledger.snapshot() as snapshot:
            stored = snapshot.read(Sql(f"SELECT {', '.join(PAYLOAD_COLUMNS)} FROM events ORDER BY ALL"))
    return told, list(zip(*(values.tolist() for values in stored.values()), strict=True))


# What a field may have that is wrong, and that a column can hold beside what is right.
WRONG_TEXT = ["", "x" * 129, "x" * 257, "a\0b", "512x512", "agents_api", "2026-06-14T00:00:00Z", "2026-06-14", "auto"]
WRONG_NUMBERS = [-1, 2**53, 2**53 - 1, 2**63 - 1, 253_402_300_800, LATEST + 601, LATEST, 0]


@st.composite
def bodies(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Events, some of them with one or two fields that are missing, foreign or wrong."""
    sent = [draw(wires(usage)) for usage in draw(histories(most=8))]
    names = sorted({name for fields in FIELDS.values() for name in fields} | {"kind", "modle"})
    for one in sent:
        for name in draw(st.lists(st.sampled_from(names), max_size=2)) if draw(st.booleans()) else []:
            is_number = any(int in fields[name].python for fields in FIELDS.values() if name in fields)
            is_flag = name == "batch"
            values = [True, False] if is_flag else WRONG_NUMBERS if is_number else WRONG_TEXT
            one[name] = draw(st.sampled_from([None, *values]))
            if one[name] is None:
                del one[name]
    return sent


def test_requests_of_every_form_in_one_commit_are_answered_as_one_by_one(tmp_path: Path) -> None:
    """The first of two of one identity counts, whatever form it came in; and each refusal is of its own request."""
    late, wrong = {"id": "late", "timestamp": LATEST + 601}, {"id": "wrong", "model": ""}
    requests = [
        decode(json.dumps([GOOD, GOOD | {"id": "b"}]).encode(), lines=False, max_events=MANY),
        *(
            decode_table(table, latest=LATEST + 600, now=LATEST)
            for table in (
                as_table([GOOD | {"input_tokens": 7}, GOOD | late, GOOD | {"id": "c"}]),
                as_table([GOOD | {"id": "d"}, GOOD | wrong, GOOD | {"id": "b"}]),
            )
        ),
        decode(json.dumps([GOOD | {"id": "d", "input_tokens": 9}, GOOD | late]).encode(), lines=False, max_events=MANY),
    ]
    told: list[list[Any]] = []
    for number, groups in enumerate(([requests], [[request] for request in requests])):
        with closing(open_ledger(f"duckdb:///{tmp_path}/{number}.duckdb")) as ledger:
            ingest = Ingest(
                ledger, lambda *_: None, lambda rows: rows["ts"].to_numpy(), no_claims, Settings(), lambda: LATEST
            )
            together = [[Submission(each, NOBODY, NOBODY) for each in group] for group in groups]
            told.append([answer for group in together for answer in ingest._written(group)])
            assert count(ledger) == 4
    assert told[0] == told[1]
    assert [(each["accepted"], each["duplicates"], each["rejected"]) for each in told[0]] == [
        (2, 0, 0),
        (1, 0, 2),
        (1, 1, 1),
        (0, 0, 2),
    ]
    assert [(error.index, error.id, error.code) for each in told[0] for error in each["errors"]] == [
        (0, GOOD["id"], "conflict"),
        (1, "late", "invalid_value"),
        (1, "wrong", "invalid_value"),
        (0, "d", "conflict"),
        (1, "late", "invalid_value"),
    ]


def columns(events: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for one in events for name in one))


def as_table(events: list[dict[str, Any]]) -> pa.Table:
    names = columns(events)
    return pa.table({name: pa.array([one.get(name) for one in events]) for name in names})


@settings(max_examples=40)
@given(events=bodies(), kind=st.sampled_from([ARROW, PARQUET]))
def test_the_same_events_have_the_same_answers(events: list[dict[str, Any]], kind: str) -> None:
    # Errors of an event come in the order of its fields, which in a table is that of the columns.
    ordered = [{name: each[name] for name in columns(events) if name in each} for each in events]
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        by_json = answers(Path(one), json.dumps(ordered).encode(), "json")
        assert answers(Path(other), BODIES[kind](as_table(events)), kind) == by_json


GOOD = {"kind": "completions", "id": "e", "timestamp": NOW - 60, "input_tokens": 5, "output_tokens": 3, "model": "m"}


@pytest.mark.parametrize("kind", BODIES)
async def test_over_http(serve: Serve, ledger: Ledger, kind: str) -> None:
    wrong = {**GOOD, "id": "w", "input_tokens": -5}
    embedding = event(7, model="e")
    body = BODIES[kind](as_table([GOOD, embedding, GOOD, wrong]))
    async with serve(ledger) as server:
        answer = (await server.post(URL, content=body, headers={"content-type": kind})).json()
        assert (answer["accepted"], answer["duplicates"], answer["rejected"]) == (2, 1, 1)
        (error,) = answer["errors"]
        assert (error["index"], error["id"], error["param"]) == (3, "w", "input_tokens")
        json_answer = (await server.post(URL, json=[GOOD, embedding, GOOD, wrong])).json()
        assert (json_answer["duplicates"], json_answer["errors"]) == (3, answer["errors"])


@pytest.mark.parametrize("kind", BODIES)
async def test_a_null_is_a_count_that_is_not_given_in_every_form(serve: Serve, ledger: Ledger, kind: str) -> None:
    nulls = GOOD | {"input_cached_tokens": None, "num_model_requests": None, "input_cache_write_1h_tokens": None}
    sent = [nulls, GOOD | {"id": "f", "output_tokens": None}, event(7, model="e", input_tokens=None)]
    lines = b"".join(json.dumps(each).encode() + b"\n" for each in sent)
    async with serve(ledger) as server:
        answer = (await server.post(URL, content=BODIES[kind](as_table(sent)), headers={"content-type": kind})).json()
        assert (answer["accepted"], answer["rejected"]) == (1, 2)
        assert [(error["code"], error["param"]) for error in answer["errors"]] == [
            ("missing_field", "output_tokens"),
            ("missing_field", "input_tokens"),
        ]
        by_json = (await server.post(URL, json=sent)).json()
        by_line = (await server.post(URL, content=lines, headers={"content-type": "application/x-ndjson"})).json()
        plain = (await server.post(URL, json=GOOD)).json()
    assert (by_json["duplicates"], by_json["errors"]) == (1, answer["errors"])
    assert (by_line["duplicates"], by_line["errors"]) == (1, answer["errors"])
    assert plain["duplicates"] == 1


def column(values: list[Any], kind: Any = None) -> list[Any]:
    """What comes of a column of timestamps."""
    table = pa.table({**{n: [v] * len(values) for n, v in GOOD.items()}, "timestamp": pa.array(values, kind)})
    decoded = decode_table(table, latest=NOW, now=NOW)
    rows = to_table(decoded.typed, NOW)[0]
    return [*decoded.rows["ts"].to_pylist(), *rows["ts"].to_pylist(), *(r.code for r in decoded.refused.listed)]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_of_arrow(unit: str) -> None:
    at = datetime(2025, 6, 1, 12, tzinfo=UTC)
    seconds = int(at.timestamp())
    moments = [at, at + timedelta(seconds=1)]
    for zone in ("UTC", "Europe/Berlin", "+05:30"):
        assert column(moments, pa.timestamp(unit, zone)) == [seconds, seconds + 1]
    assert column([m.replace(tzinfo=None) for m in moments], pa.timestamp(unit)) == ["invalid_value"] * 2
    if unit != "s":
        assert column([at + timedelta(milliseconds=999)], pa.timestamp(unit, "UTC")) == [seconds]
    assert column([at - timedelta(days=365 * 80)], pa.timestamp(unit, "UTC")) == ["invalid_value"]


INTEGERS = [pa.int8(), pa.uint8(), pa.int32(), pa.uint64()]


@pytest.mark.parametrize(
    "kind",
    [*INTEGERS, pa.dictionary(pa.int8(), pa.string()), pa.large_string(), pa.string_view()],
    ids=str,
)
def test_other_types_of_the_same(kind: pa.DataType) -> None:
    name, values = ("input_tokens", [1, 2]) if pa.types.is_integer(kind) else ("model", ["a", "b"])
    table = pa.table({**{n: [v] * 2 for n, v in GOOD.items()}, "id": ["1", "2"], name: pa.array(values, kind)})
    decoded = decode_table(read_arrow(arrow(table), 9, MANY), latest=NOW, now=NOW)
    stored = "input_text_tokens" if name == "input_tokens" else name
    assert decoded.rows[stored].to_pylist() == values
    assert not decoded.typed


READ = [
    *(pa.int8(), pa.uint64(), pa.float16(), pa.float64(), pa.bool_(), pa.null(), pa.string(), pa.large_string()),
    *(pa.string_view(), pa.timestamp("s"), pa.timestamp("ns", "UTC"), pa.dictionary(pa.int8(), pa.string())),
    *(pa.dictionary(pa.uint64(), pa.timestamp("ms", "UTC")), pa.dictionary(pa.int8(), pa.null())),
]
NOT_READ = [
    *(pa.date32(), pa.time64("ns"), pa.duration("s"), pa.month_day_nano_interval(), pa.decimal128(5, 2)),
    *(pa.binary(), pa.binary_view(), pa.binary(4), pa.list_(pa.int8()), pa.list_view(pa.int8()), pa.struct([])),
    *(pa.map_(pa.string(), pa.int8()), pa.run_end_encoded(pa.int32(), pa.string()), pa.uuid()),
    *(pa.dense_union([pa.field("a", pa.int8())]), pa.dictionary(pa.int8(), pa.binary())),
    pa.dictionary(pa.int8(), pa.string_view()),
]


@pytest.mark.parametrize("rows", [None, 0, 2])
@pytest.mark.parametrize("kind", [*READ, *NOT_READ], ids=str)
def test_every_type_is_read_or_refused(kind: Any, rows: int | None) -> None:
    """In no batch, in an empty one, and with rows; whatever the column is called."""
    for name in ("model", "input_tokens", "batch", "timestamp", "unknown"):
        chunks = [] if rows is None else [pa.nulls(rows, kind)]
        table = pa.table([pa.chunked_array(chunks, kind)], [name])
        if kind in NOT_READ:
            with pytest.raises(InvalidRequestError, match=f"^The column '{name}' is of type .*: expected text, "):
                decode_table(read_arrow(arrow(table), MANY, MANY), latest=NOW, now=NOW)
        else:
            decoded = decode_table(read_arrow(arrow(table), MANY, MANY), latest=NOW, now=NOW)
            assert total(decoded) == len({rejection.index for rejection in decoded.refused.listed}) == (rows or 0)


SOME = [GOOD | {"id": f"{n}", "model": f"model {n % 3}", "user_id": None if n % 5 else "ü"} for n in range(100)]
WRITTEN = [
    *({"compression": name} for name in ("none", "snappy", "gzip", "brotli", "lz4", "zstd")),
    *({"data_page_version": version, "use_dictionary": use} for version in ("1.0", "2.0") for use in (False, True)),
    {"row_group_size": 7, "data_page_size": 1, "write_batch_size": 3, "use_dictionary": False},
    {"row_group_size": 1, "write_statistics": True, "write_page_index": True, "write_page_checksum": True},
    {"use_dictionary": False, "column_encoding": {"id": "DELTA_LENGTH_BYTE_ARRAY", "timestamp": "DELTA_BINARY_PACKED"}},
    {"dictionary_pagesize_limit": 10},
    {"version": "1.0", "store_schema": False},
]


@pytest.mark.parametrize("options", WRITTEN, ids=str)
def test_every_way_to_write_parquet(options: dict[str, Any]) -> None:
    """Whatever pages and encodings a file has, but for the one whose size no header says."""
    made = as_table(SOME)
    for table in (made, made.set_column(made.column_names.index("model"), "model", made["model"].dictionary_encode())):
        sink = io.BytesIO()
        pq.write_table(table, sink, **options)
        assert read_parquet(sink.getvalue(), 100, MANY).to_pylist() == made.to_pylist()


def test_parquet_of_duckdb(tmp_path: Path) -> None:
    made = as_table(SOME)
    for version in ("V1", "V2"):
        file = tmp_path / version
        duckdb.sql(f"COPY made TO '{file}' (FORMAT parquet, PARQUET_VERSION {version}, ROW_GROUP_SIZE 40)")
        assert read_parquet(file.read_bytes(), 100, MANY).to_pylist() == made.to_pylist()


@pytest.mark.parametrize("version", ["V1", "V2"])
@pytest.mark.parametrize("repeating", [0, 1])
def test_parquet_whose_row_groups_differ(tmp_path: Path, version: str, repeating: int) -> None:
    """A column is written by dictionary as long as its texts repeat, plain or by their lengths where they do not."""
    rows, few = 8192, 3
    made = as_table([GOOD | {"id": f"e{n}", "model": f"m{n}", "user_id": f"u{n % few}"} for n in range(rows)])
    models = [None if n % 7 == 0 else f"m{n % few if n * 2 // rows == repeating else n}" for n in range(rows)]
    made = made.set_column(made.column_names.index("model"), "model", [models])
    file = tmp_path / "events.parquet"
    duckdb.sql(f"COPY made TO '{file}' (FORMAT parquet, PARQUET_VERSION {version}, ROW_GROUP_SIZE {rows // 2})")
    groups = pq.ParquetFile(file).metadata
    model = made.column_names.index("model")
    assert len({groups.row_group(number).column(model).encodings for number in range(2)}) == 2
    assert read_parquet(file.read_bytes(), rows, MANY).to_pylist() == made.to_pylist()


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_parquet_whose_dictionary_grew_too_large(version: Literal["1.0", "2.0"]) -> None:
    """In the midst of a column: so write those who have more different texts than a dictionary may have."""
    made = as_table([GOOD | {"id": f"e{n}", "model": f"m{n if n < 500 else n % 2}"} for n in range(1000)])
    sink = io.BytesIO()
    small: dict[str, Any] = {
        "dictionary_pagesize_limit": 999,
        "data_page_size": 99,
        "write_batch_size": 9,
        "row_group_size": 500,
    }
    pq.write_table(made, sink, data_page_version=version, **small)
    chunk = pq.ParquetFile(sink).metadata.row_group(0).column(made.column_names.index("id"))
    assert {"PLAIN", "RLE_DICTIONARY"} <= set(chunk.encodings)
    assert read_parquet(sink.getvalue(), 1000, MANY).to_pylist() == made.to_pylist()


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_every_way_to_write_texts_in_arrow(kind: pa.DataType) -> None:
    """In slices, with nothing, and by dictionaries that change from batch to batch."""
    made = as_table(SOME)
    at = made.column_names.index("model")
    parts = [made.slice(start, size) for start, size in ((0, 30), (30, 0), (30, 1), (31, 69))]
    whole = pa.concat_tables(
        [part.set_column(at, "model", pa.array(part["model"].to_pylist(), kind)) for part in parts]
    )
    assert read_arrow(arrow(whole), 100, MANY).to_pylist() == made.to_pylist()
    assert read_arrow(arrow(whole.slice(9, 50)), 100, MANY).to_pylist() == made.slice(9, 50).to_pylist()


def test_the_texts_of_a_table_are_bounded_together() -> None:
    """By what they are and not by what they are written as: a byte more than there may be is too much."""
    for column in (hostile_bodies.referring("x" * 100, 50), hostile_bodies.viewing(b"x" * 100, 50)):
        table = pa.table({"model": column, "user_id": column})
        assert read_arrow(arrow(table), 100, 10_000).num_rows == 50
        with pytest.raises(BodyTooLargeError, match=r"^The texts of the table are larger than 9999 bytes"):
            read_arrow(arrow(table), 100, 9_999)


@pytest.mark.parametrize(
    ("values", "shown"), [([1.5], "1.5"), ([1.0], "1.0"), (["1"], "'1'"), ([True], "true"), ([math.nan], "'nan'")]
)
def test_other_types_are_refused_value_by_value(values: list[Any], shown: str) -> None:
    table = pa.table({**{n: [v] for n, v in GOOD.items()}, "input_tokens": values})
    (rejection,) = decode_table(table, latest=NOW, now=NOW).refused.listed
    assert rejection.message == f"Invalid 'input_tokens': expected an integer, got {shown}"


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (b"", ARROW, "invalid_arrow"),
        (b"no table", ARROW, "invalid_arrow"),
        (arrow(as_table([GOOD] * 20))[:-100], ARROW, "invalid_arrow"),
        (arrow(as_table([GOOD] * 20), compression="zstd"), ARROW, "invalid_arrow"),
        (arrow(as_table([GOOD] * 20), compression="lz4"), ARROW, "invalid_arrow"),
        (parquet(as_table([GOOD])), ARROW, "invalid_arrow"),
        (b"", PARQUET, "invalid_parquet"),
        (b"PAR1 no table PAR1", PARQUET, "invalid_parquet"),
        (parquet(as_table([GOOD] * 20))[:-9], PARQUET, "invalid_parquet"),
        (arrow(as_table([GOOD])), PARQUET, "invalid_parquet"),
        (arrow(pa.table([pa.array(["a"]), pa.array(["b"])], ["id", "id"])), ARROW, "invalid_value"),
        (arrow(pa.table({f"c{n}": ["a"] for n in range(11)})), ARROW, "unknown_field"),
        (parquet(pa.table({f"c{n}": ["a"] for n in range(11)})), PARQUET, "unknown_field"),
        (arrow(pa.table({"étage": [1]})).replace("étage".encode(), b"\xe9\xe9tage"), ARROW, "invalid_arrow"),
        (parquet(pa.table({"étage": [1]})).replace("étage".encode(), b"\xe9\xe9tage"), PARQUET, "invalid_parquet"),
        (
            arrow(pa.table({"timestamp": pa.array([1], pa.timestamp("s", "Nowhere"))})).replace(
                b"Nowhere", b"Nowh\xe9re"
            ),
            ARROW,
            "invalid_arrow",
        ),
        (arrow(pa.table({"id": [b"a"]})), ARROW, "invalid_type"),
        (arrow(pa.table({"id": [["a"]]})), ARROW, "invalid_type"),
    ],
)
async def test_bodies_that_cannot_be_read(
    serve: Serve, double: LedgerDouble, body: bytes, kind: str, code: str
) -> None:
    async with serve(double) as server:
        problem(await server.post(URL, content=body, headers={"content-type": kind}), 400, code=code)
        assert (await server.post(URL, json=event())).status_code == 200


@pytest.mark.parametrize("kind", BODIES)
async def test_too_many_rows(serve: Serve, double: LedgerDouble, kind: str) -> None:
    async with serve(double, max_batch_events=5) as server:
        for rows, status in ((5, 200), (6, 413)):
            body = BODIES[kind](as_table([GOOD] * rows))
            assert (await server.post(URL, content=body, headers={"content-type": kind})).status_code == status


async def test_a_small_file_of_many_bytes(serve: Serve, double: LedgerDouble) -> None:
    body = parquet(pa.table({"id": ["x" * 200_000] * 9, "model": ["y" * 200_000] * 9}))
    assert len(body) < 50_000
    async with serve(double, max_body_bytes=50_000) as server:
        problem(await server.post(URL, content=body, headers={"content-type": PARQUET}), 413)


def test_no_columns_and_no_rows() -> None:
    for table in (pa.table({}), as_table([GOOD]).slice(0, 0)):
        decoded = decode_table(table, latest=NOW, now=NOW)
        assert (decoded.count, decoded.refused.listed, total(decoded)) == (0, [], 0)
