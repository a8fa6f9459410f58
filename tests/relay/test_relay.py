"""`usageledger relay`: what passes is what was sent, in both directions, and its usage arrives."""

import gzip
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.relay.conftest import Between, relaying
from tests.support.faulty_server import cut, faulty
from tests.support.raw_server import chunk, head, raw_server, says
from tests.support.vendor_answers import CHAT, CHUNKS, COUNTS, sse

pytestmark = pytest.mark.processes

CHAT_BODY = json.dumps(CHAT).encode()
ASKED = b'{"model": "gpt-4o", "messages": []}'
LARGE = bytes(range(256)) * 40_000  # 10 MB


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def raw(port: int, request: bytes) -> bytes:
    """The answer to a request, as it comes through a socket."""
    with socket.create_connection(("127.0.0.1", port), 30) as connected:
        connected.sendall(request)
        return b"".join(iter(lambda: connected.recv(65536), b""))


def with_length(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    return head(*headers, f"content-length: {len(body)}", status=status) + body


ANSWERS = {
    "plain": with_length(CHAT_BODY, "content-type: application/json", "x-request-id: req_1"),
    "gzip": with_length(gzip.compress(CHAT_BODY), "content-type: application/json", "content-encoding: gzip"),
    "an error": with_length(b'{"error": {"message": "no"}}', "retry-after: 3", status="429 Too Many Requests"),
    "no content": head(status="204 No Content"),
    "not modified": head("etag: x", status="304 Not Modified"),
    "large": with_length(LARGE, "content-type: image/png"),
    "two cookies": with_length(b"", "set-cookie: a=1", "set-cookie: b=2"),
    "no JSON": with_length(b"\x00\xff{", "content-type: application/json"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_passes_byte_for_byte(name: str, between: Between) -> None:
    answer = ANSWERS[name]
    between.upstream.steps.append(says(answer))
    request = b"POST /v1/chat/completions HTTP/1.1\r\nHost: relay\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
    came, _, body = raw(between.relay.port, request).partition(b"\r\n\r\n")
    sent, _, sent_body = answer.partition(b"\r\n\r\n")
    assert body == sent_body
    assert came.split(b"\r\n")[0] == sent.split(b"\r\n")[0]
    lines = [line for line in came.split(b"\r\n")[1:] if line != b"connection: close"]
    assert lines == sent.split(b"\r\n")[1:]


def test_the_answer_to_head_has_the_length_and_no_body(between: Between) -> None:
    between.upstream.steps.append(says(head("content-length: 1234")))
    came = raw(between.relay.port, b"HEAD /x HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n")
    assert b"content-length: 1234\r\n" in came
    assert came.endswith(b"\r\n\r\n")
    assert between.upstream.asked[0].line == b"HEAD /base/x HTTP/1.1"


def test_a_request_passes_as_it_is(between: Between) -> None:
    between.upstream.steps.append(says(with_length(b"")))
    body = bytes(range(256)) * 3000
    request = (
        b"POST /v1/a%%2Fb%%20c/../d?b=1&a=%%7e&& HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer sk-vendor\r\n"
        b"X-Twice: 1\r\nX-Twice: 2\r\nX-Named: 3\r\nConnection: close, X-Named\r\nKeep-Alive: 5\r\nTE: trailers\r\n"
        b"Accept-Encoding: br;q=1.0, gzip;q=0.8, zstd\r\nx-usageledger-project: p\r\nX-UsageLedger-User: u\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    )
    raw(between.relay.port, request + body)
    (asked,) = between.upstream.asked
    assert asked.line == b"POST /base/v1/a%2Fb%20c/../d?b=1&a=%7e&& HTTP/1.1"
    assert asked.body == body
    assert asked.headers == [
        (b"host", between.upstream.url.removeprefix("http://").encode()),
        (b"authorization", b"Bearer sk-vendor"),
        (b"x-twice", b"1"),
        (b"x-twice", b"2"),
        (b"accept-encoding", b"gzip;q=0.8, zstd"),
        (b"content-length", str(len(body)).encode()),
    ]


def test_an_upload_in_chunks(between: Between) -> None:
    between.upstream.steps.append(says(with_length(CHAT_BODY, "content-type: application/json")))
    parts = [ASKED[:10], ASKED[10:], b" " * 300_000]
    came = httpx.post(f"{between.relay.url}/v1/chat/completions", content=iter(parts))
    assert came.content == CHAT_BODY
    (asked,) = between.upstream.asked
    assert asked.values(b"transfer-encoding") == [b"chunked"]
    assert b"".join(re.split(rb"(?:^|\r\n)[0-9a-f]+\r\n", asked.body)) == b"".join(parts) + b"\r\n"


def test_answers_of_100_and_103(between: Between) -> None:
    """A client that waits for leave to send gets it; hints of the upstream end at the relay."""
    hints = head("link: </x>", status="103 Early Hints")
    between.upstream.steps.append(says(head(status="100 Continue") + hints + with_length(b"done")))
    with socket.create_connection(("127.0.0.1", between.relay.port), 30) as connected:
        connected.sendall(
            b"POST /v1/x HTTP/1.1\r\nHost: relay\r\nExpect: 100-continue\r\n"
            b"Connection: close\r\nContent-Length: 4\r\n\r\n"
        )
        assert connected.recv(65536).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        connected.sendall(b"body")
        came = b"".join(iter(lambda: connected.recv(65536), b""))
    assert came.startswith(b"HTTP/1.1 200 OK")
    assert came.endswith(b"done")
    assert between.upstream.asked[0].body == b"body"


def test_a_stream_passes_piece_by_piece_and_counts(between: Between) -> None:
    seen = threading.Event()
    first, second = sse(CHUNKS[1], end=b""), sse(CHUNKS[3])

    def stream(connected: socket.socket) -> None:
        connected.sendall(head("content-type: text/event-stream", "transfer-encoding: chunked") + chunk(first))
        assert seen.wait(20)
        connected.sendall(chunk(second) + chunk(b""))

    between.upstream.steps.append(stream)
    headers = {"x-usageledger-project": "p", "x-usageledger-user": "ada", "x-usageledger-api-key": "key_1"}
    with httpx.stream("POST", f"{between.relay.url}/v1/chat/completions", content=ASKED, headers=headers) as came:
        parts = came.iter_raw()
        assert next(parts) == first
        seen.set()
        assert b"".join(parts) == second
    said = {**COUNTS, "project_id": "p", "user_id": "ada", "api_key_id": "key_1", "id": "response:chatcmpl-1a"}
    until(lambda: any(said.items() <= event.items() for event in between.ledger.events))


def test_a_slow_client_slows_the_upstream(between: Between) -> None:
    sent, total, piece = 0, 200 * 1024**2, b"x" * 65536

    def stream(connected: socket.socket) -> None:
        nonlocal sent
        connected.sendall(head(f"content-length: {total}"))
        while sent < total:
            connected.sendall(piece)
            sent += len(piece)

    between.upstream.steps.append(stream)
    with httpx.stream("GET", f"{between.relay.url}/v1/files") as came:
        until(lambda: sent > 0)
        before = -1
        while before != sent:
            before = sent
            time.sleep(0.5)
        assert sent < 32 * 1024**2  # what the buffers of two connections hold
        assert sum(map(len, came.iter_raw())) == total


@pytest.mark.parametrize("when", ["before the answer", "amid it"])
def test_a_client_that_hangs_up_ends_the_request(when: str, between: Between) -> None:
    ended = threading.Event()
    began = threading.Event()

    def wait(connected: socket.socket) -> None:
        if when == "amid it":
            connected.sendall(head("content-type: text/event-stream", "transfer-encoding: chunked") + chunk(b": a\n\n"))
        began.set()
        assert connected.recv(10) == b""
        ended.set()

    between.upstream.steps.append(wait)
    with socket.create_connection(("127.0.0.1", between.relay.port), 30) as connected:
        length = len(ASKED)
        connected.sendall(b"POST /v1/responses HTTP/1.1\r\nHost: r\r\nContent-Length: %d\r\n\r\n%s" % (length, ASKED))
        assert began.wait(20)
        if when == "amid it":
            assert connected.recv(10)
        assert not ended.is_set()
    assert ended.wait(20)


def test_an_answer_that_breaks_off_breaks_off_for_the_client(between: Between) -> None:
    broken = head("content-type: text/event-stream", "transfer-encoding: chunked") + chunk(b": a\n\n")
    for answer in (broken, with_length(b"12345")[:-2]):
        between.upstream.steps.append(says(answer))
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(f"{between.relay.url}/v1/chat/completions", content=ASKED)


def test_an_upstream_that_is_away(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with relaying(f"http://127.0.0.1:{port}", "http://127.0.0.1:9", tmp_path / "spool") as relay:
        came = httpx.post(f"{relay.url}/v1/chat/completions", content=ASKED)
        assert relay.stop()["answers"]["answers"] == 0
    assert came.status_code == 502
    error = came.json()["error"]
    assert error | {"message": ""} == {
        "message": "",
        "type": "server_error",
        "param": None,
        "code": "upstream_unavailable",
    }
    assert f"127.0.0.1:{port} cannot be reached" in error["message"]


def test_a_ledger_that_is_away_gets_every_event_once(tmp_path: Path) -> None:
    """Also where the relay is killed meanwhile, and where an answer of the ledger is lost."""
    answers = [
        with_length(json.dumps(CHAT | {"id": f"c-{n}"}).encode(), "content-type: application/json") for n in range(6)
    ]

    def ask(url: str, times: int) -> None:
        for _ in range(times):
            assert httpx.post(f"{url}/v1/chat/completions", content=ASKED).status_code == 200

    with raw_server() as upstream, faulty() as ledger:
        upstream.steps += map(says, answers)
        spool = tmp_path / "spool"
        with relaying(upstream.url, "http://127.0.0.1:9", spool) as relay:
            ask(relay.url, 3)
            until(lambda: sum(file.read_bytes().count(b"\n") for file in spool.glob("*.ndjson")) == 3)
            relay.process.kill()
        with relaying(upstream.url, "http://127.0.0.1:9", spool) as relay:
            ask(relay.url, 2)
            assert relay.stop()["events"]["waiting"] == 5
        ledger.steps.append(cut)
        with relaying(upstream.url, ledger.url, spool, "--project", "late") as relay:
            ask(relay.url, 1)
            until(lambda: len({event["id"] for event in ledger.events}) == 6)
            counts = relay.stop()["events"]
    assert (counts["delivered"], counts["waiting"]) == (6, 0)
    assert not list(spool.glob("*.ndjson"))
    identities = {(event["id"], event["timestamp"]) for event in ledger.events}
    assert len(identities) == 6
    assert [event.get("project_id") for event in ledger.events if event["id"] == "response:c-5"] == ["late"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--upstream", "https://api.example.com"], "vendor: expected one of openai, "),
        (["--upstream", "ftp://api.openai.com"], "upstream: expected https://HOST"),
        (["--upstream", "https://api.openai.com", "--listen", "0.0.0.0:1"], "--allow-plain-http"),
        (["--upstream", "https://api.openai.com", "--listen", "8100"], "--listen: expected HOST:PORT"),
    ],
)
def test_what_cannot_be_used(options: list[str], said: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "usageledger", "relay", "--key", "sk-x", "--url", "http://127.0.0.1:9", *options],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert said in line


def test_a_request_that_asks_for_another_protocol(between: Between) -> None:
    """As Java's client does by default: it is answered as it is, with its body."""
    between.upstream.steps.append(says(with_length(b"done")))
    request = (
        b"POST /v1/x HTTP/1.1\r\nHost: r\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAEAAEAA\r\nContent-Length: 4\r\n\r\nbody"
    )
    with socket.create_connection(("127.0.0.1", between.relay.port), 10) as connected:
        connected.sendall(request)
        came = b""
        while not came.endswith(b"done"):
            more = connected.recv(65536)
            assert more, came
            came += more
    (asked,) = between.upstream.asked
    assert asked.body == b"body"
    assert {name for name, _ in asked.headers} == {b"host", b"content-length"}
