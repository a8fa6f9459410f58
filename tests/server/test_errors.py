"""Every class of error through real requests: its status, its body, its headers, and nothing of our insides."""

import base64
import gzip
import time
from collections.abc import AsyncIterator, Callable, Iterable
from random import Random
from typing import Any

import httpx
import pytest
import zstandard
from tests.server.support import NO_SPACE, NOW, Serve, event
from tests.support.ledger_double import LedgerDouble
from tests.support.problems import problem

from usageledger import errors
from usageledger.cli.commands.serve import OncePerMinute
from usageledger.errors import InvalidRequestError
from usageledger.meters import METER_BY_KIND
from usageledger.questions.aggregate import Aggregate
from usageledger.registry import Registry
from usageledger.server.http.compressed_pages import PIECE_BYTES
from usageledger.server.http.request_bodies import PIECES_MAX, _decompress, _unpack
from usageledger.server.http.requests import OBJECT_BYTES_MAX

pytestmark = pytest.mark.anyio

USAGE = "/v1/organization/usage/completions"


def ignore(_: int) -> None:
    """Counts nothing."""


async def test_400_names_the_parameter(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        response = await server.get(USAGE, params={"start_time": NOW, "group_by": "modell"})
    error = problem(response, 400, type="invalid_request_error", param="group_by", code="invalid_value")
    assert "'modell'" in error["message"]
    assert "'model'" in error["message"]


async def test_400_for_a_query_string_that_is_no_text(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        response = await server.get(f"{USAGE}?start_time=%ff")
    problem(response, 400, code="invalid_value")


async def test_400_for_too_many_parameters(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        beyond = await server.get(USAGE + "?" + "&".join(["a="] * 5001))
        at_limit = await server.get(USAGE + "?" + "&".join(["a="] * 5000))
    assert "5000" in problem(beyond, 400, code="invalid_value")["message"]
    problem(at_limit, 400, code="unknown_parameter", param="a")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b'"\xff"', "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"nothing\nhere", "application/x-ndjson"),
    ],
)
async def test_400_for_a_body_that_cannot_be_read(serve: Serve, double: LedgerDouble, body: bytes, kind: str) -> None:
    async with serve(double) as server:
        response = await server.post("/v1/events", content=body, headers={"content-type": kind})
    problem(response, 400, param=None, code="invalid_json")


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@pytest.mark.parametrize("cut", [0, 1, 5])
async def test_400_for_a_body_that_is_not_of_its_encoding(
    serve: Serve, double: LedgerDouble, encoding: str, cut: int
) -> None:
    packed = PACK[encoding](b'{"kind":"embeddings"}\n' * 50)
    body = packed[:-cut] if cut else b"plain text"
    async with serve(double) as server:
        response = await server.post("/v1/events", content=body, headers={"content-encoding": encoding})
    error = problem(response, 400, code="invalid_encoding")
    assert encoding in error["message"]


@pytest.mark.parametrize(
    ("path", "instead"),
    [
        ("/v1/usage?date=2024-01-01", "/v1/organization/usage/completions"),
        ("/v1/dashboard/billing/usage?start_date=2024-01-01&end_date=2024-02-01", "/v1/organization/costs"),
        ("/dashboard/billing/usage", "/v1/organization/costs"),
        ("/v1/dashboard/billing/credit_grants", "/v1/organization/costs"),
        ("/v1/dashboard/billing/subscription", "/v1/organization/costs"),
    ],
)
async def test_404_for_an_address_of_before_names_the_new_one(
    serve: Serve, double: LedgerDouble, path: str, instead: str
) -> None:
    async with serve(double) as server:
        error = problem(await server.get(path), 404, code="unknown_url")
    assert error["message"] == f"Unknown request URL: GET {path.partition('?')[0]}. Ask GET {instead} instead."


async def test_404_for_an_unknown_address(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        for path in ("/v1/organization/usage/completion", "/v1/organization/projec", "/nowhere", "/v1/events//"):
            response = await server.get(path)
            error = problem(response, 404, type="invalid_request_error", param=None, code="unknown_url")
            assert f"GET {path}" in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", USAGE, {"GET", "HEAD"}),
        ("GET", "/v1/events", {"POST"}),
        ("DELETE", "/v1/organization/projects/p", {"GET", "HEAD", "POST"}),
        ("PUT", "/v1/organization/admin_api_keys/k", {"GET", "HEAD", "DELETE"}),
        ("PATCH", "/healthz", {"GET", "HEAD"}),
        ("OPTIONS", "/openapi.json", {"GET", "HEAD"}),
    ],
)
async def test_405_says_what_is_allowed(
    serve: Serve, double: LedgerDouble, method: str, path: str, allowed: set[str]
) -> None:
    async with serve(double) as server:
        response = await server.request(method, path)
    error = problem(response, 405, code="method_not_allowed")
    assert set(response.headers["allow"].split(", ")) == allowed
    assert f"{method} {path}" in error["message"]
    assert all(name in error["message"] for name in allowed)


async def test_413_by_bytes(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double, max_body_bytes=2000) as server:
        at_limit = await server.post("/v1/events", json=[], headers={"x": "y"}, content=b"[" + b" " * 1998 + b"]")
        beyond = await server.post("/v1/events", content=b"[" + b" " * 1999 + b"]")
        of_project = await server.post("/v1/organization/projects", json={"name": "n" * OBJECT_BYTES_MAX})
    assert at_limit.status_code == 200
    assert "2000" in problem(beyond, 413, code="body_too_large")["message"]
    assert str(OBJECT_BYTES_MAX) in problem(of_project, 413, code="body_too_large")["message"]


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("good", [False, True])
async def test_413_by_events(serve: Serve, double: LedgerDouble, lines: bool, good: bool) -> None:
    one = b'{"kind":"embeddings","id":"e%d","timestamp":1759999940%s}'
    events = [one % (n, b',"input_tokens":1' if good else b"") for n in range(4)]
    kind = {"content-type": "application/x-ndjson" if lines else "application/json"}

    def body(count: int) -> bytes:
        return b"\n".join(events[:count]) if lines else b"[" + b",".join(events[:count]) + b"]"

    async with serve(double, max_batch_events=3) as server:
        at_limit = await server.post("/v1/events", content=body(3), headers=kind)
        beyond = await server.post("/v1/events", content=body(4), headers=kind)
    assert at_limit.status_code == 200
    error = problem(beyond, 413, code="body_too_large")
    assert ("4" if good else "more than 3") in error["message"]
    assert "3" in error["message"]
    assert len(double.ids) == (3 if good else 0)


PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstandard.compress}


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
async def test_413_for_a_decompression_bomb(serve: Serve, double: LedgerDouble, encoding: str) -> None:
    packed = PACK[encoding](b" " * 40_000_000)
    async with serve(double, max_body_bytes=2_000_000) as server:
        response = await server.post("/v1/events", content=packed, headers={"content-encoding": encoding})
    problem(response, 413, code="body_too_large")


@pytest.mark.parametrize("encoding", PACK)
def test_a_decompression_bomb_is_not_unpacked_to_its_end(encoding: str) -> None:
    plain = _unpack(PACK[encoding](bytes(200_000_000)), encoding, 1000, ignore)
    assert 1000 < len(plain) < 40_000_000


@pytest.mark.parametrize("encoding", PACK)
def test_members_and_frames_are_bounded(encoding: str) -> None:
    """Empty ones are a few bytes each, and each costs its time: a million of them held a thread for seconds."""
    empty = PACK[encoding](b"")
    assert _decompress(PACK[encoding](b"[]") + empty * (PIECES_MAX - 1), encoding, 1000, ignore) == b"[]"
    began = time.process_time()
    for body in (empty * (PIECES_MAX + 1), empty * (16 * 2**20 // len(empty))):
        with pytest.raises(InvalidRequestError, match=f"more than {PIECES_MAX} members or frames"):
            _decompress(body, encoding, 1000, ignore)
    assert time.process_time() - began < 2  # one by one, by Python's own reader, all of them take five times as long


def test_gzip_members_may_be_padded() -> None:
    packed = gzip.compress(b"[") + bytes(5000) + gzip.compress(b"]") + bytes(5000)
    assert _decompress(packed, "gzip", 1000, ignore) == b"[]"
    for wrong in (bytes(10) + packed, packed + b"x", zstandard.compress(b"[]") + bytes(8)):
        with pytest.raises(InvalidRequestError, match=r"^The body is not "):
            _decompress(wrong, "gzip" if wrong[:1] != b"\x28" else "zstd", 1000, ignore)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
async def test_the_limit_is_of_the_decompressed_size(serve: Serve, double: LedgerDouble, encoding: str) -> None:
    pack = PACK[encoding]
    header = {"content-encoding": encoding}
    async with serve(double, max_body_bytes=2000) as server:
        at_limit = await server.post("/v1/events", content=pack(b"[" + b" " * 1998 + b"]"), headers=header)
        beyond = await server.post("/v1/events", content=pack(b"[" + b" " * 1999 + b"]"), headers=header)
    assert at_limit.status_code == 200
    problem(beyond, 413)


async def test_415_for_a_type(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        for path in ("/v1/events", "/v1/organization/projects", "/v1/organization/admin_api_keys"):
            response = await server.post(path, content=b"a,b", headers={"content-type": "text/csv; charset=utf-8"})
            error = problem(response, 415, param="content-type", code="unsupported_media_type")
            assert "'text/csv'" in error["message"]
            assert "'application/json'" in error["message"]


async def test_415_for_an_encoding(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        response = await server.post("/v1/events", content=b"[]", headers={"content-encoding": "br"})
    error = problem(response, 415, param="content-encoding", code="unsupported_media_type")
    assert "'br'" in error["message"]
    assert "'zstd'" in error["message"]


async def test_503_when_the_ledger_cannot_write(
    serve: Serve, double: LedgerDouble, caplog: pytest.LogCaptureFixture
) -> None:
    double.failure = NO_SPACE
    async with serve(double) as server:
        response = await server.post("/v1/events", json=event())
        error = problem(response, 503, type="server_error", code="overloaded")
        assert response.headers["retry-after"] == "2"
        # What failed is for the operator: the engine's words name files.
        assert "no space left" not in error["message"]
        assert "no space left" in caplog.text
        double.failure = None
        again = await server.post("/v1/events", json=event())
    assert again.json()["accepted"] == 1
    assert double.ids == ["e1"]


async def test_503_when_the_ledger_breaks_in_an_unknown_way(serve: Serve, double: LedgerDouble) -> None:
    double.failure = ZeroDivisionError("secret insides")
    async with serve(double) as server:
        response = await server.post("/v1/events", json=event())
        double.failure = None
        assert (await server.post("/v1/events", json=event())).status_code == 200
    assert "secret" not in problem(response, 503)["message"]


async def test_503_when_the_ledger_cannot_read(serve: Serve, double: LedgerDouble) -> None:
    double.read_failure = errors.LedgerUnavailableError("The ledger is closed.")
    async with serve(double) as server:
        response = await server.get(USAGE, params={"start_time": NOW - 60})
    problem(response, 503, type="server_error")
    assert response.headers["retry-after"] == "2"


async def test_503_when_the_registry_is_closed(serve: Serve, double: LedgerDouble, registry: Registry) -> None:
    async with serve(double) as server:
        registry.close()
        problem(await server.get("/v1/organization/users"), 503)


async def test_500_for_a_defect_shows_no_insides(
    serve: Serve, double: LedgerDouble, caplog: pytest.LogCaptureFixture
) -> None:
    double.read_failure = ZeroDivisionError("secret insides")
    async with serve(double) as server:
        response = await server.get(USAGE, params={"start_time": NOW - 60})
    error = problem(response, 500, type="server_error", param=None, code="internal_error")
    assert "secret" not in response.text
    assert "ZeroDivision" not in response.text
    assert response.headers["x-request-id"] in error["message"]
    # Whoever runs the server finds the reason under the id that the client was given.
    (record,) = caplog.records
    assert response.headers["x-request-id"] in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


async def test_a_failure_is_logged_once_a_minute_whatever_was_asked_for(
    serve: Serve, double: LedgerDouble, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever asks may choose the address, and each request has an id of its own."""
    once = OncePerMinute()

    def logged() -> list[bool]:
        told = [once.filter(record) for record in caplog.records]
        caplog.clear()
        return told

    async with serve(double) as server:
        for number in range(3):
            double.read_failure = ZeroDivisionError(f"{number} by 0")
            problem(await server.get(USAGE, params={"start_time": NOW - 60 - number}), 500)
        assert logged() == [True, False, False]
        double.read_failure = TypeError("another one")
        problem(await server.get(USAGE, params={"start_time": NOW - 60}), 500)
        assert logged() == [True]
        registry.close()
        for number in range(3):
            problem(await server.get(f"/v1/organization/projects/{number}"), 503)
        assert logged() == [True, False, False]


@pytest.fixture
def models(double: LedgerDouble, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the results of the page `LARGE` are called: nothing that can be compressed to less than some pieces."""
    names = [base64.b64encode(Random(number).randbytes(750)).decode() for number in range(1_000)]
    counts = {measure.name: [1] * len(names) for measure in METER_BY_KIND["completions"].measures}
    page = Aggregate([NOW - NOW % 60] * len(names), {"model": names, **counts})
    monkeypatch.setattr(double, "aggregate", lambda *_, **__: page)
    return names


LARGE: dict[str, Any] = {"start_time": NOW - NOW % 60, "bucket_width": "1m", "limit": 1, "group_by": "model"}


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("encoding", ["identity", "gzip", "zstd"])
async def test_a_failure_in_the_middle_of_a_large_page_ends_the_connection(
    serve: Serve, double: LedgerDouble, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    async def stream(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
        yield next(iter(pieces))
        raise ZeroDivisionError("secret insides")

    monkeypatch.setattr("usageledger.server.http.requests._cut", stream)
    async with serve(double) as server:
        server.client.headers["accept-encoding"] = encoding
        async with server.client.stream("GET", USAGE, params=LARGE) as response:
            sent = b"".join([piece async for piece in response.aiter_raw()])
        assert isinstance(server.client._transport, httpx.ASGITransport)
        server.client._transport.raise_app_exceptions = True
        with pytest.raises(ZeroDivisionError):  # the web server hears of it, and ends the connection
            await server.get(USAGE, params=LARGE)
    # What was sent cannot be taken back; it is less than was promised, so nobody takes it for the whole.
    assert PIECE_BYTES <= len(sent) < int(response.headers["content-length"])
    assert b"secret" not in sent
    assert len(caplog.records) == 2


@pytest.mark.parametrize("encoding", ["identity", "gzip", "zstd"])
async def test_a_large_page_comes_in_pieces(
    serve: Serve, double: LedgerDouble, models: list[str], monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    pieces: list[bytes] = []

    async def stream(given: Iterable[bytes]) -> AsyncIterator[bytes]:
        for piece in given:
            pieces.append(piece)
            yield piece

    monkeypatch.setattr("usageledger.server.http.requests._cut", stream)
    async with serve(double) as server:
        server.client.headers["accept-encoding"] = encoding
        page = await server.get(USAGE, params=LARGE)
    assert [result["model"] for result in page.json()["data"][0]["results"]] == models
    assert len(pieces) > 1
    assert (encoding == "identity") == (page.headers["content-length"] == str(len(page.content)))


async def test_every_answer_has_an_id_of_its_own(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        answers = [await server.get(path) for path in ("/healthz", "/healthz", "/nowhere", "/openapi.json", USAGE)]
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)
    assert all(answer.headers["openai-processing-ms"].isdigit() for answer in answers)


async def test_a_query_string_of_an_unknown_address_that_is_not_utf_8(serve: Serve, double: LedgerDouble) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/v1/nowhere", "query_string": b"\xce", "headers": []}
    async with serve(double) as server:
        await server.app({**scope, "scheme": "http", "server": None, "root_path": ""}, None, send)
    assert sent[0]["status"] == 404
