"""Requests that ask for another protocol are read as HTTP/1.1 says; those that cannot be are refused."""

import asyncio
import http.client
import json
import logging
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import httptools
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from tests.server.test_connections import read, rest
from tests.support.connections import connected
from tests.support.server_process import running
from uvicorn.server import ServerState

from usageledger.server.http.http_connection import protocol_of
from usageledger.settings import Settings

H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
UPGRADES = (
    H2C,
    b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n",
    b"Upgrade: TLS/1.0, h2c\r\nConnection: keep-alive, Upgrade\r\nUpgrade: IRC/6.9\r\n",
    b"Connection: keep-alive\r\nConnection: UPGRADE\r\nUPGRADE:\r\n",
)
HEADERS = (b"", b"upgrade: h2c\r\n", b"connection: upgrade\r\n", b"expect: 100-continue\r\n" + H2C, *UPGRADES)
Answers = list[tuple[int, bytes]]


class Wire(asyncio.Transport):
    """The server's end of a connection, and the answers that were sent over it: status and body."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self._parser = httptools.HttpResponseParser(self)
        self._closing = False
        self._body = b""
        self.answers: Answers = []

    def write(self, data: Any) -> None:
        self._parser.feed_data(bytes(data))

    def close(self) -> None:
        self._closing = True

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def on_message_begin(self) -> None:
        self._body = b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.answers.append((self._parser.get_status_code(), self._body))


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the request as it was read."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    content = b"%s %s HTTP/%s\n%s" % (
        scope["method"].encode(), scope["raw_path"], scope["http_version"].encode(), body
    )  # fmt: skip
    length = (b"content-length", str(len(content)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": content})


def answered(pieces: Sequence[bytes], *, interim: bool = False) -> Answers:
    """The answers to what comes in these pieces: the final ones, or the interim ones too."""

    async def talk() -> Answers:
        wire = Wire()
        config = uvicorn.Config(echo, log_config=None, access_log=False, lifespan="off")
        protocol = protocol_of(Settings(), 1)(config, ServerState(), {}, asyncio.get_running_loop())
        protocol.logger = logging.getLogger("silent")
        protocol.logger.setLevel(logging.CRITICAL)
        protocol.connection_made(wire)
        for piece in pieces:
            protocol.data_received(piece)
            await asyncio.sleep(0)
        while protocol.tasks:
            await asyncio.wait([*protocol.tasks], timeout=10)
            await asyncio.sleep(0)
        protocol.connection_lost(None)
        return [answer for answer in wire.answers if interim or answer[0] != 100]

    return asyncio.run(talk())


def request(method: bytes, headers: bytes, body: bytes, chunks: Sequence[int] | None, version: bytes = b"1.1") -> bytes:
    """A request; in chunks of these lengths and one of the rest, or with its length."""
    head = b"%s /a%%20path?x=1 HTTP/%s\r\nHost: x\r\n%s" % (method, version, headers)
    if chunks is None:
        return head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    sent, rest = b"", body
    for size in (*chunks, len(body)):
        piece, rest = rest[:size], rest[size:]
        sent += b"%x\r\n%s\r\n" % (len(piece), piece) if piece else b""
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + sent + b"0\r\nupgrade: x\r\n\r\n"


@st.composite
def conversation(draw: st.DrawFn) -> tuple[bytes, Answers]:
    """Requests one after another, and how they are to be answered."""
    sent, wanted = b"", []
    for _ in range(draw(st.integers(1, 4))):
        method = draw(st.sampled_from([b"GET", b"POST", b"DELETE", b"M-SEARCH"]))
        body = draw(
            st.sampled_from([b"", b"x", b'{"id": "e"}\n{"id": "f"}', b"GET /other HTTP/1.1\r\nhost: x\r\n\r\n"])
        )
        chunks = draw(st.one_of(st.none(), st.lists(st.integers(1, 5), max_size=3)))
        sent += request(method, draw(st.sampled_from(HEADERS)), body, chunks)
        wanted.append((200, b"%s /a%%20path HTTP/1.1\n%s" % (method, body)))
    return sent, wanted


@given(talk=conversation(), cuts=st.lists(st.integers(0, 2000), max_size=12))
def test_an_upgrade_is_ignored_however_the_bytes_come(talk: tuple[bytes, Answers], cuts: list[int]) -> None:
    sent, wanted = talk
    places = [0, *sorted({min(cut, len(sent)) for cut in cuts}), len(sent)]
    assert answered([sent[start:end] for start, end in pairwise(places)]) == wanted


@pytest.mark.parametrize("chunks", [None, [3]])
@pytest.mark.parametrize("headers", UPGRADES)
def test_an_upgrade_is_ignored_in_pieces_of_any_size(headers: bytes, chunks: list[int] | None) -> None:
    sent = request(b"POST", headers, b"a body", chunks) + request(b"GET", headers, b"", None)
    wanted = [(200, b"POST /a%20path HTTP/1.1\na body"), (200, b"GET /a%20path HTTP/1.1\n")]
    for size in range(1, len(sent) + 1):
        assert answered([sent[start : start + size] for start in range(0, len(sent), size)]) == wanted, size


@pytest.mark.parametrize("headers", UPGRADES)
def test_an_upgrade_of_http_1_0_is_ignored(headers: bytes) -> None:
    assert answered([request(b"POST", headers, b"a body", None, b"1.0")]) == [(200, b"POST /a%20path HTTP/1.0\na body")]


@pytest.mark.parametrize(("version", "interim"), [(b"1.1", [100]), (b"1.0", [])])
def test_only_who_knows_of_interim_answers_gets_one(version: bytes, interim: list[int]) -> None:
    sent = request(b"POST", b"expect: 100-continue\r\n" + H2C, b"a body", None, version)
    told = answered([sent[:-6], sent[-6:]], interim=True)
    assert [status for status, _ in told] == [*interim, 200]


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_connect_is_refused_and_nothing_after_it_is_read(size: int) -> None:
    sent = request(b"GET", b"", b"", None) + b"CONNECT db:5432 HTTP/1.1\r\nhost: db\r\n\r\n" + b"GET / HTTP/1.1\r\n\r\n"
    first, *others = answered([sent[start : start + size] for start in range(0, len(sent), size)])
    assert first == (200, b"GET /a%20path HTTP/1.1\n")
    assert [status for status, _ in others] in ([405], [])  # at once with the first, the connection only ends
    (status, body), *none = answered([b"CONNECT db:5432 HTTP/1.1\r\nhost: db\r\n\r\nGET / HTTP/1.1\r\n\r\n"])
    assert (status, none, json.loads(body)["error"]["code"]) == (405, [], "method_not_allowed")


def test_what_speaks_http_2_at_once_is_refused() -> None:
    (status, body), *none = answered([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)])
    assert (status, none, json.loads(body)["error"]["type"]) == (400, [], "invalid_request_error")


@pytest.mark.parametrize("together", [True, False])
def test_events_are_kept_whatever_protocol_is_asked_for(tmp_path: Path, together: bool) -> None:
    with running(tmp_path) as server:
        for number, headers in enumerate(HEADERS):
            event = {"kind": "embeddings", "id": f"e{number}", "timestamp": 1_790_000_000, "input_tokens": 1}
            body = json.dumps(event).encode() + b"\n"
            head = (
                b"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n"
                b"Content-Type: application/x-ndjson\r\n%s\r\n" % (server.key.encode(), len(body), headers)
            )
            with connected(server) as connection:
                for piece in (head + body,) if together else (head, body):
                    connection.sendall(piece)
                    time.sleep(0.1)  # so that they come one by one
                answer = http.client.HTTPResponse(connection)
                answer.begin()
                assert (answer.status, json.loads(answer.read())["accepted"]) == (200, 1)
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert read(rest(connection)).status_code == 200
        assert server.stop() == (0, "")
