"""What one connection may hold and how long, over real sockets; and that the server answers others meanwhile."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.connections import connected, head
from tests.support.limits import resident_bytes
from tests.support.problems import problem
from tests.support.server_process import RunningServer, running

from usageledger.server.http.http_connection import HEAD_BYTES_MAX, HEADERS_MAX
from usageledger.server.http.requests import SECURITY_HEADERS

pytestmark = pytest.mark.processes

REQUEST = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
QUICK: dict[str, Any] = {"idle_seconds": 1, "max_request_seconds": 1}
PATIENCE_S = 60
MIB = 2**20


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that waits a second and no longer."""
    with running(tmp_path_factory.mktemp("quick"), **QUICK) as server:
        yield server
        assert server.stop()[0] == 0


def rest(connection: socket.socket) -> bytes:
    """What comes until the server ends the connection."""
    received = []
    try:
        while data := connection.recv(65_536):
            received.append(data)
    except ConnectionResetError:
        pass
    return b"".join(received)


def read(answer: bytes) -> httpx.Response:
    """One answer as it came."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    response = httpx.Response(int(status.split()[1]), headers=headers, content=body)
    for name, value in SECURITY_HEADERS:
        assert response.headers.get_list(name.decode()) == [value.decode()]
    return response


def answers(server: RunningServer) -> bool:
    return httpx.get(f"{server.url}/healthz", timeout=PATIENCE_S).status_code == 200


@pytest.mark.parametrize("start", ["head", "body", "second head", "chunk"])
def test_a_client_that_stalls_is_told_so(quick: RunningServer, start: str) -> None:
    began = time.monotonic()
    with connected(quick) as connection:
        if start == "body":
            connection.sendall(head(quick, 100) + b'[{"kind":')
        elif start == "chunk":
            chunked = head(quick, 0).replace(b"content-length: 0", b"transfer-encoding: chunked")
            connection.sendall(chunked + b"5\r\n[{")
        elif start == "second head":
            connection.sendall(REQUEST)
            assert b"200 OK" in connection.recv(65_536)
            connection.sendall(REQUEST[:20])
        else:
            connection.sendall(REQUEST[:20])
        assert answers(quick)
        response = read(rest(connection))
    error = problem(response, 408, type="invalid_request_error", code="request_timeout", param=None)
    assert "after 1 seconds" in error["message"]
    assert response.headers["connection"] == "close"
    assert time.monotonic() - began > 0.9


def test_a_client_that_sends_a_byte_now_and_then_is_stalling(quick: RunningServer) -> None:
    with connected(quick) as connection:
        connection.settimeout(0.1)
        received = b""
        connection.sendall(REQUEST[:-2])
        for _ in range(100):
            try:
                connection.sendall(b"a")
                received += connection.recv(65_536)
            except TimeoutError:
                continue
            break
    assert received.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("said", [b"", b"\r\n", REQUEST])
def test_a_connection_without_a_request_is_ended(quick: RunningServer, said: bytes) -> None:
    with connected(quick) as connection:
        connection.sendall(said)
        received = rest(connection)
    assert received.startswith(b"HTTP/1.1 200") if said == REQUEST else received == b""


def test_line_ends_keep_no_connection_alive(quick: RunningServer) -> None:
    with connected(quick) as connection:
        connection.settimeout(0.1)
        connection.sendall(REQUEST)
        ended = False
        for _ in range(100):
            try:
                connection.sendall(b"\r\n")
                ended = connection.recv(65_536) == b""
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                ended = True
            if ended:
                break
    assert ended


def test_a_client_that_takes_nothing_in_is_cut_off(tmp_path: Path) -> None:
    """Its answers do not stay in memory for ever, and its place is free for another."""
    page = "/v1/organization/usage/completions?start_time=1790000000&end_time=1790086400&bucket_width=1m&limit=1440"
    with running(tmp_path, max_connections=1, max_request_seconds=2) as server:
        ask = f"GET {page} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {server.key}\r\n\r\n".encode()
        assert 100 * len(httpx.get(server.url + page, headers=server.headers).content) > 20_000_000
        with connected(server) as connection:
            connection.sendall(ask * 100)  # more than buffers between the two hold
            assert not answers(server)
            until = time.monotonic() + PATIENCE_S
            while not answers(server):
                assert time.monotonic() < until
                time.sleep(0.1)


def test_a_connection_may_last_longer_than_a_request(tmp_path: Path) -> None:
    with (
        running(tmp_path, max_request_seconds=1, idle_seconds=PATIENCE_S) as server,
        httpx.Client(base_url=server.url, timeout=PATIENCE_S) as client,
    ):
        for _ in range(4):
            assert client.get("/healthz").status_code == 200
            time.sleep(0.5)


def test_headers_have_a_number_and_a_size(quick: RunningServer) -> None:
    for count, status in ((HEADERS_MAX, 200), (HEADERS_MAX + 1, 431)):
        with connected(quick) as connection:
            headers = b"".join(b"h%d: x\r\n" % n for n in range(count - 1))
            connection.sendall(
                b"GET /healthz HTTP/1.1\r\nhost: x\r\n%sconnection: close\r\n\r\n" % headers[: -len(b"h00: x\r\n")]
            )
            response = read(rest(connection))
        assert response.status_code == status
    error = problem(response, 431, code="headers_too_large", param=None)
    assert str(HEADERS_MAX) in error["message"]


@pytest.mark.parametrize("piece", [b"x" * 1000, b"x: " + b"y" * 997])
def test_a_head_without_an_end_is_refused(quick: RunningServer, piece: bytes) -> None:
    with connected(quick) as connection:
        connection.sendall(REQUEST[:-2] + piece[:1])
        sent = 0
        try:
            while sent < 100 * HEAD_BYTES_MAX:  # the kernel takes some megabytes that nobody reads
                connection.sendall(piece)
                sent += len(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert sent < 100 * HEAD_BYTES_MAX
    assert answers(quick)


def test_a_head_that_is_too_large_is_told_so(quick: RunningServer) -> None:
    with connected(quick) as connection:
        connection.sendall(REQUEST[:-2] + b"x: " + b"y" * HEAD_BYTES_MAX)
        response = read(rest(connection))
    assert str(HEAD_BYTES_MAX) in problem(response, 431, code="headers_too_large")["message"]


@pytest.mark.parametrize(
    "junk",
    [
        b"\0",
        b"no request\r\n\r\n",
        REQUEST[:-2] + b"h: x\r\n" * 2 * HEADERS_MAX,
        b"GET / HTTP/1.1\r\nx: \0\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
        b"CONNECT db:5432 HTTP/1.1\r\n\r\n",
    ],
)
def test_what_cannot_be_read_is_no_answer_to_what_came_before(quick: RunningServer, junk: bytes) -> None:
    """Or whoever sent events would be told that they were refused, and they are kept."""
    number = len(junk)
    lone = {"kind": "embeddings", "id": f"lone {number}", "timestamp": 1_790_000_000, "input_tokens": 1}
    body = json.dumps(lone).encode()
    with connected(quick) as connection:
        connection.sendall(head(quick, len(body)) + body + junk)
        response = read(rest(connection))
    assert response.status_code == 200
    assert response.json()["accepted"] == 1


def test_connections_have_a_number(tmp_path: Path) -> None:
    with running(tmp_path, max_connections=3) as server:
        with ExitStack() as others:
            held = [others.enter_context(connected(server)) for _ in range(3)]
            for connection in held:  # an answer shows that it was taken
                connection.sendall(REQUEST)
                assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
            with connected(server) as beyond:
                response = read(rest(beyond))
            problem(response, 503, type="server_error", code="overloaded")
            assert response.headers["retry-after"] == "1"
            held[0].close()
            with connected(server) as next_one:
                next_one.sendall(REQUEST)
                assert next_one.recv(65_536).startswith(b"HTTP/1.1 200")
        assert server.stop()[0] == 0


def test_a_thousand_idle_connections(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        assert answers(server)
        before = resident_bytes(server)
        with ExitStack() as held:
            connections = [held.enter_context(connected(server)) for _ in range(1000)]
            for connection in connections[::2]:  # half of them asked before they fell silent
                connection.sendall(REQUEST)
            for connection in connections[::2]:
                assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
            event = {"kind": "embeddings", "id": "e", "timestamp": 1_790_000_000, "input_tokens": 1}
            with httpx.Client(base_url=server.url, headers=server.headers, timeout=PATIENCE_S) as client:
                assert client.post("/v1/events", json=event).json()["accepted"] == 1
                assert client.get("/v1/meters").status_code == 200
            assert resident_bytes(server) - before < 60 * MIB
        assert answers(server)
        assert server.stop() == (0, "")


def test_an_answer_brings_its_security_headers_once(quick: RunningServer) -> None:
    for path, status in (("/healthz", 200), ("/v1/meters", 401), ("/nowhere", 404), ("/openapi.json", 200)):
        response = httpx.get(quick.url + path)
        assert response.status_code == status
        for name, value in SECURITY_HEADERS:
            assert response.headers.get_list(name.decode()) == [value.decode()]
        assert "strict-transport-security" not in response.headers
    assert json.loads(httpx.get(f"{quick.url}/healthz").content) == {"status": "ok"}
