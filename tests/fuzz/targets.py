"""Everything that parses what a stranger sends: given any bytes, it reads them, or refuses them with an error of ours.

A target takes bytes and raises where that does not hold. The same ones are run by Hypothesis in `make test`, and for
long by atheris in `make fuzz`.
"""

import asyncio
import atexit
import logging
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httptools
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import uvicorn
import zstandard
from tests.support import hostile_bodies
from tests.support.ledger_double import LedgerDouble
from tests.support.samples import NOW, SECRET, decode, total
from uvicorn.server import ServerState

from usageledger.errors import BodyTooLargeError, InvalidRequestError, RequestError
from usageledger.events.arrow_events import decode_table
from usageledger.events.batch import EventBatch, join
from usageledger.events.columns import SCHEMA
from usageledger.events.table_bodies import read_arrow, read_parquet
from usageledger.meters import METERS
from usageledger.questions.query import page_token, parse
from usageledger.registry import open_registry
from usageledger.server.api.otlp import OTLP_PATHS
from usageledger.server.app import create_app
from usageledger.server.http.http_connection import protocol_of
from usageledger.server.http.request_bodies import _decompress
from usageledger.server.http.requests import SECURITY_HEADERS
from usageledger.settings import Settings
from usageledger.sources.batches import to_batch
from usageledger.sources.litellm import read_litellm
from usageledger.sources.otlp.reading import read_otlp
from usageledger.sources.otlp.signals import Signal
from usageledger.sources.readings import Readings
from usageledger.sources.vendors import VENDORS, read_vendor

EVENTS_MAX = 200
BODY_BYTES_MAX = 100_000
CORPUS = Path(__file__).parent / "corpus"


def json_events(data: bytes) -> None:
    """A body of one event or an array of them."""
    _decode(data, lines=False)


def event_lines(data: bytes) -> None:
    """A body of NDJSON."""
    _decode(data, lines=True)


def _decode(data: bytes, *, lines: bool) -> None:
    try:
        decoded = decode(data, lines=lines, max_events=EVENTS_MAX)
    except RequestError as error:
        _check_error(error.status, msgspec.json.encode(error.body()))
        return
    explained = {rejection.index for rejection in decoded.refused.listed}
    assert decoded.refused.events == len(explained) + decoded.refused.omitted
    _check_batch(decoded)


def _check_batch(batch: EventBatch) -> None:
    """Each event of a body is kept or refused, once, and what is kept is valid."""
    indexes = [*batch.typed_indexes, *batch.row_indexes.tolist()]
    explained = {rejection.index for rejection in batch.refused.listed}
    assert len(explained) <= batch.refused.events <= len(explained) + batch.refused.omitted
    assert len(set(indexes)) == len(indexes) == batch.count
    assert not explained.intersection(indexes)
    joined = join([batch], NOW, NOW)
    assert joined.rows.schema == SCHEMA
    joined.rows.validate(full=True)
    refused = sum(each.events for each in joined.refused.values())
    assert joined.rows.num_rows + refused == batch.count


def source_bodies(data: bytes) -> None:
    """What a vendor returned, or LiteLLM sends; the first byte chooses."""
    choice, body = data[:1], data[1:]
    names = (*VENDORS, "litellm")
    name = names[choice[0] % len(names)] if choice else "litellm"
    if name == "litellm":
        _check_readings(lambda: read_litellm(body, now=NOW, items_max=EVENTS_MAX))
    else:
        _check_readings(lambda: read_vendor(name, body, now=NOW, items_max=EVENTS_MAX))


def otlp_bodies(data: bytes) -> None:
    """A body of OTLP; the first byte chooses its form and its signal."""
    choice, body = data[:1] or b"\0", data[1:]
    signal = tuple(Signal)[choice[0] % len(Signal)]
    _check_readings(lambda: read_otlp(signal, body, is_json=choice[0] >= 128, now=NOW))


def _check_readings(read: Callable[[], Readings]) -> None:
    """Readings whose events are kept or refused, or a refusal of the body."""
    try:
        readings = read()
    except RequestError as error:
        _check_error(error.status, msgspec.json.encode(error.body()))
        return
    for reading in readings.values():
        _check_batch(to_batch(reading.events))


def arrow_streams(data: bytes) -> None:
    """A body of one table, as an Arrow IPC stream."""
    _decode_table(lambda: read_arrow(data, EVENTS_MAX, BODY_BYTES_MAX))


def parquet_files(data: bytes) -> None:
    """A body of one table, as a Parquet file."""
    _decode_table(lambda: read_parquet(data, EVENTS_MAX, BODY_BYTES_MAX))


def _decode_table(read: Callable[[], pa.Table]) -> None:
    try:
        table = read()
        decoded = decode_table(table, latest=NOW, now=NOW)
    except RequestError as error:
        _check_error(error.status, msgspec.json.encode(error.body()))
        return
    assert total(decoded) == table.num_rows
    _check_batch(decoded)


def gzip_body(data: bytes) -> None:
    """A body that says it is gzip."""
    _unpack(data, "gzip")


def zstd_body(data: bytes) -> None:
    """A body that says it is zstd."""
    _unpack(data, "zstd")


def _unpack(data: bytes, encoding: str) -> None:
    with suppress(InvalidRequestError, BodyTooLargeError):
        assert len(_decompress(data, encoding, BODY_BYTES_MAX, lambda _: None)) <= BODY_BYTES_MAX


def page_tokens(data: bytes) -> None:
    """A page token: only ours are read, and what is read can be written again."""
    with suppress(InvalidRequestError):
        query = parse(METERS[0], [("page", data.decode("utf-8", "replace"))], now=NOW, secret=SECRET)
        assert query.meter is METERS[0]
        page_token(query, now=NOW, secret=SECRET)


def query_strings(data: bytes) -> None:
    """The parameters of a question; the first byte chooses the kind."""
    meter = METERS[data[0] % len(METERS)] if data else METERS[0]
    pairs = parse_qsl(data[1:].decode("latin-1"), keep_blank_values=True)
    with suppress(InvalidRequestError):
        query = parse(meter, pairs, now=NOW, secret=SECRET)
        assert len(query.buckets) <= query.width.max_limit
        if token := page_token(query, now=NOW, secret=SECRET):
            assert parse(meter, [("page", token)], now=NOW, secret=SECRET).start_time == query.start_time


def requests(data: bytes) -> None:
    """A request as the application gets it: headers, query string and body of any bytes, to each address in turn."""
    loop, app, addresses = _server()
    method, path = addresses[data[0] % len(addresses)] if data else addresses[0]
    head, _, body = data[1:].partition(b"\0")
    query_string, *lines = head.split(b"\n")
    headers = [(name.lower(), value) for name, _, value in (line.partition(b":") for line in lines)]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query_string,
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    loop.run_until_complete(app(scope, receive, send))
    assert sent[0]["type"] == "http.response.start"
    status = sent[0]["status"]
    assert status < 500, sent
    if status != 200 and method != "HEAD":
        said = b"".join(message.get("body", b"") for message in sent[1:])
        _check_status(said) if scope["path"] in OTLP_PATHS else _check_error(status, said)


def connections(data: bytes) -> None:
    """What a client sends over a connection, in pieces as long as the first byte says: our answers, or an end."""
    size, sent = max(1, data[0]) if data else 1, data[1:]
    if b"HEAD" in sent:
        return  # whoever reads the answers must know which ones have no body
    loop, app, _ = _server()
    wire = Wire()
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
    protocol = protocol_of(Settings(), 1)(config, ServerState(), {}, loop)
    protocol.logger = logging.getLogger("silent")
    protocol.logger.setLevel(logging.CRITICAL)
    protocol.connection_made(wire)

    async def talk() -> None:
        for start in range(0, len(sent), size):
            protocol.data_received(sent[start : start + size])
            await asyncio.sleep(0)
        under_way = [*protocol.tasks]
        if under_way:
            await asyncio.wait(under_way, timeout=0.05)  # one whose body has no end waits for it
        protocol.connection_lost(None)
        if under_way:
            await asyncio.wait(under_way)

    loop.run_until_complete(talk())
    wire.check()


class Wire(asyncio.Transport):
    """The server's end of a connection: keeps what is sent."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self._sent = bytearray()
        self._closing = False
        self._parser = httptools.HttpResponseParser(self)
        self._names: list[bytes] = []

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Whatever is written is gone at once."""

    def write(self, data: Any) -> None:
        self._sent += data

    def close(self) -> None:
        self._closing = True

    abort = close

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading

    def check(self) -> None:
        """Answers, one after another, each with its security headers once, none of them our failure."""
        self._parser.feed_data(bytes(self._sent))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._names.append(name.lower())

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        assert status < 500, self._sent
        assert status == 100 or all(self._names.count(name) == 1 for name, _ in SECURITY_HEADERS), self._sent
        self._names = []


def _check_error(status: int, body: bytes) -> None:
    error = msgspec.json.decode(body)["error"]
    assert list(error) == ["message", "type", "param", "code"]
    assert 400 <= status < 500
    assert len(error["message"]) < 10_000


def _check_status(body: bytes) -> None:
    """A `google.rpc.Status`, in protobuf or JSON."""
    assert len(body) < 10_000
    assert body.startswith(b"\x08") or sorted(msgspec.json.decode(body)) == ["code", "message"]


@cache
def _server() -> tuple[asyncio.AbstractEventLoop, Any, list[tuple[str, str]]]:
    """An application that ends with the process, its loop, and every method and path it has."""
    folder = tempfile.TemporaryDirectory(prefix="usageledger-fuzz-")
    settings = Settings(data=Path(folder.name), wrong_keys_per_minute=0, max_body_bytes=BODY_BYTES_MAX)
    registry = open_registry(settings.registry_url)
    registry.create_key("fuzz", value="a-key-of-the-fuzz-test-01234", now=NOW)
    app = create_app(settings, LedgerDouble(), registry, lambda: float(NOW))
    loop = asyncio.new_event_loop()
    started: asyncio.Queue[Any] = asyncio.Queue()
    events: asyncio.Queue[Any] = asyncio.Queue()
    events.put_nowait({"type": "lifespan.startup"})
    lifespan = asyncio.ensure_future(
        app({"type": "lifespan", "asgi": {"version": "3.0"}}, events.get, started.put), loop=loop
    )
    loop.run_until_complete(started.get())

    def end() -> None:
        events.put_nowait({"type": "lifespan.shutdown"})
        loop.run_until_complete(lifespan)
        loop.close()
        registry.close()
        folder.cleanup()

    atexit.register(end)
    addresses = [
        (method, route.path.partition("{")[0] + ("x" if "{" in route.path else ""))
        for route in app._app.routes  # type: ignore[attr-defined]  # the application inside the envelope
        for method in sorted(route.methods or ())
    ]
    return loop, app, addresses


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        *(
            json_events,
            event_lines,
            source_bodies,
            otlp_bodies,
            arrow_streams,
            parquet_files,
            gzip_body,
            zstd_body,
        ),
        *(page_tokens, query_strings, requests, connections),
    )
}


def corpus(name: str) -> list[bytes]:
    """The inputs kept for a target: one of each shape, and whatever once was found to break it."""
    return [file.read_bytes() for file in sorted((CORPUS / name).iterdir())]


def seeds() -> dict[str, list[bytes]]:
    """What the corpus begins with: input that is right."""
    import gzip

    from tests.support.samples import ask, usage, wire

    events = [wire(usage(meter.kind, timestamp=NOW - 60), form) for meter in METERS for form in ("parts", "totals")]
    array = msgspec.json.encode(events)
    lines = b"\n".join(map(msgspec.json.encode, events))
    tokens = [
        page_token(ask("completions", NOW - 86_400 * 9, NOW, **more), now=NOW, secret=SECRET) or ""
        for more in ({}, {"group_by": ["model", "project_id"], "models": ["a,b", "ü"]}, {"batch": True})
    ]
    table = pa.Table.from_pylist([*events[:4], {**events[0], "input_tokens": -1}])
    narrow = pa.table(
        {
            "kind": pa.array(["embeddings", "embeddings"]).dictionary_encode(),
            "id": pa.array(["a", "b"], pa.string_view()),
            "timestamp": pa.array([NOW - 60, NOW - 61], pa.timestamp("s", "UTC")),
            "input_tokens": pa.array([1, None], pa.uint8()),
        }
    )
    twice = b'{"kind":"images","id":"a","\\u0069d":"b:","timestamp":"2026-06-15T12:00:00+0100","images":1}'
    nested = b'[{"kind":"images","id":[[],{"a":[{}]},"]"],"timestamp":1e400},' + twice + b"]"
    referred = pa.table(
        {"id": hostile_bodies.referring("x" * 900, 120), "model": hostile_bodies.viewing(b"y" * 900, 120)}
    )
    key = b"authorization: Bearer a-key-of-the-fuzz-test-01234"
    questions = [
        b"start_time=1781440000&group_by=model,project_id&models[]=a%2Cb&limit=3",
        b"start_time=1781440000&end_time=1781526000&bucket_width=1m&project_ids=x&project_ids[]=y&batch=true",
        b"page=" + tokens[0].encode(),
    ]
    paths = len(_server()[2])
    health, lone = b"GET /healthz HTTP/1.1\r\nhost: x\r\n", msgspec.json.encode(events[0])
    post = b"POST /v1/events HTTP/1.1\r\nhost: x\r\n" + key + b"\r\n"
    sized = b"content-length: %d\r\n\r\n%s" % (len(lone), lone)
    upgrade = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\n"
    chunked = b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(lone), lone)
    return {
        "json_events": [array, *map(msgspec.json.encode, events[:4]), twice, nested],
        "source_bodies": _source_bodies(),
        "otlp_bodies": _otlp_bodies(),
        "event_lines": [lines, lines.replace(b"\n", b"\r\n\r\n"), twice + b"\n\n" + nested],
        "arrow_streams": [_stream(table), _stream(narrow), _stream(referred), hostile_bodies.old_compression()],
        "parquet_files": [
            _file(table),
            _file(narrow),
            _file(referred),
            hostile_bodies.lying_pages(),
            hostile_bodies.parquet(table, use_dictionary=False, column_encoding={"id": "DELTA_BYTE_ARRAY"}),
        ],
        "gzip_body": [
            gzip.compress(array, mtime=0),
            gzip.compress(b"{}", mtime=0) * 2,
            gzip.compress(b"", mtime=0) * 20 + bytes(9),
        ],
        "zstd_body": [zstandard.compress(array), zstandard.compress(b"{}") * 2, b"\x50\x2a\x4d\x18\0\0\0\0" * 20],
        "connections": [
            b"\xff" + health + b"\r\n" + post + sized + health + b"connection: close\r\n\r\n",
            b"\x20" + post + b"expect: 100-continue\r\n" + chunked,
            b"\x09" + post + upgrade + sized + post + upgrade + chunked + health + b"\r\n",
            b"\xff" + health + upgrade + b"\r\nCONNECT x:1 HTTP/1.1\r\n\r\n",
            b"\x07" + health.replace(b"1.1", b"1.0") + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n",
        ],
        "page_tokens": [token.encode() for token in tokens],
        "query_strings": [bytes([place % 12]) + text for place, text in enumerate(questions)],
        "requests": [
            bytes([place])
            + b"\n".join((questions[place % 3], key, b"content-type: application/json"))
            + b"\0"
            + (b'{"name": "n"}' if place % 2 else array)
            for place in range(0, paths, 2)
        ],
    }


def _otlp_bodies() -> list[bytes]:
    """One of each signal in both forms, small ones of the captured bodies."""
    from tests.support.otlp_bodies import as_json, as_protobuf, captured

    found = []
    for label in ("anthropic-sdk", "claude-code", "ai-sdk-5-anthropic-google"):
        for signal, body in captured(label):
            number = tuple(Signal).index(signal)
            found += [bytes([number]) + as_protobuf(signal, body), bytes([129 + number]) + as_json(body)]
    return found


def _source_bodies() -> list[bytes]:
    """A stream and answers of each vendor, and a call of LiteLLM's."""
    from tests.support.vendor_answers import ONE, STREAMS, ndjson, sse

    def place(vendor: str) -> bytes:
        return bytes([[*VENDORS, "litellm"].index(vendor)])

    call = {
        "id": "chatcmpl-1",
        "call_type": "acompletion",
        "model": "gpt-4o",
        "custom_llm_provider": "openai",
        "endTime": NOW - 0.5,
        "metadata": {"user_api_key_team_id": "t", "usage_object": {"prompt_tokens": 5, "completion_tokens": 7}},
    }
    vendors = {vendor for vendor, _, _ in ONE.values()}
    return [
        place("litellm") + ndjson(call, call | {"cache_hit": True}),
        *(place(vendor) + sse(*pieces) for vendor, pieces, _ in STREAMS.values()),
        *(place(each) + ndjson(*[answer for vendor, answer, _ in ONE.values() if vendor == each]) for each in vendors),
    ]


def _stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return sink.getvalue().to_pybytes()


def _file(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()
