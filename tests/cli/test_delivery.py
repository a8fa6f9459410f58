"""`usageledger ingest` against a server that fails in every way there is."""

import json
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import zstandard
from tests.cli.support import COMMAND, DEADLINE_S, KEY, Run, one_error

ERROR = {"error": {"message": "No.", "type": "server_error", "param": None, "code": "some_code"}}


@dataclass
class Reply:
    """What the server does with one request; without a status it cuts the connection."""

    status: int | None = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass
class Faulty:
    """A server that gives its replies in turn, and after them accepts everything."""

    server: ThreadingHTTPServer
    replies: list[Reply]
    bodies: list[bytes]
    headers: list[dict[str, str]]
    most_events: int = 10_000

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def faulty() -> Iterator[Faulty]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            made.bodies.append(body)
            made.headers.append({name.lower(): value for name, value in self.headers.items()})
            assert self.path == "/v1/events"
            count = len(plain(body).splitlines())
            reply = made.replies.pop(0) if made.replies else Reply(413 if count > made.most_events else 200)
            if reply.status is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            body_out = ERROR if reply.status != 200 else answer(count)
            content = json.dumps(reply.body or body_out).encode()
            self.send_response(reply.status)
            for name, value in {**reply.headers, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        made = Faulty(server, [], [], [])
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


def answer(accepted: int, **changed: Any) -> dict[str, Any]:
    return {
        "object": "event.batch",
        "accepted": accepted,
        "duplicates": 0,
        "rejected": 0,
        "errors": [],
    } | changed


def plain(body: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(body)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "events.ndjson"
    path.write_text("".join(f'{{"id": "evt_{number}"}}\n' for number in range(10)))
    return path


def ingest(call: Run, faulty: Faulty, *arguments: object) -> "subprocess.CompletedProcess[str]":
    return call("ingest", "--url", faulty.url, *arguments, USAGELEDGER_API_KEY=KEY)


def test_batches_are_ndjson_in_zstd_with_the_key(call: Run, faulty: Faulty, file: Path) -> None:
    done = ingest(call, faulty, file, "--batch", 4)
    assert (done.returncode, done.stdout, done.stderr) == (0, "10 accepted, 0 duplicates, 0 refused\n", "")
    assert [len(plain(body).splitlines()) for body in faulty.bodies] == [4, 4, 2]
    assert b"\n".join(map(plain, faulty.bodies)) + b"\n" == file.read_bytes()
    for headers in faulty.headers:
        assert headers["content-type"] == "application/x-ndjson"
        assert headers["content-encoding"] == "zstd"
        assert headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "replies",
    [
        [Reply(503, {"retry-after": "0"}), Reply(503, {"retry-after": "0"})],
        [Reply(429, {"retry-after": formatdate(0, usegmt=True)})],
        [Reply(502, {"retry-after": "0"}, body="not json"), Reply(504, {"retry-after": "0"})],
        [Reply(503, {"retry-after": "soon"})],
        [Reply(429)],
    ],
    ids=["503", "429_until_a_date", "502_and_504", "retry_after_that_says_nothing", "no_retry_after"],
)
def test_the_same_bytes_are_sent_again(call: Run, faulty: Faulty, file: Path, replies: list[Reply]) -> None:
    faulty.replies += replies
    done = ingest(call, faulty, file)
    assert (done.returncode, done.stdout) == (0, "10 accepted, 0 duplicates, 0 refused\n")
    assert len(faulty.bodies) == len(replies) + len({*faulty.bodies})
    assert len(done.stderr.splitlines()) == len(replies)
    assert all("Trying again in" in line for line in done.stderr.splitlines())


def test_what_came_another_way_before_is_told(call: Run, faulty: Faulty, file: Path) -> None:
    faulty.replies += [Reply(200, body=answer(7, duplicates=3, same_response=2))] * 2
    done = ingest(call, faulty, file)
    assert (done.returncode, done.stdout) == (0, "7 accepted, 3 duplicates (2 by another way), 0 refused\n")
    told = json.loads(ingest(call, faulty, "--json", file).stdout)
    assert (told["duplicates"], told["same_response"]) == (3, 2)


def test_after_a_lost_answer_duplicates_are_explained(call: Run, faulty: Faulty, file: Path) -> None:
    faulty.replies += [Reply(None), Reply(200, body=answer(0, duplicates=10))]
    done = ingest(call, faulty, file)
    assert (done.returncode, done.stdout) == (0, "0 accepted, 10 duplicates, 0 refused\n")
    assert faulty.bodies[0] == faulty.bodies[1]
    assert "1 batch had to be sent again after an answer was lost" in done.stderr


def test_retries_are_bounded(call: Run, faulty: Faulty, file: Path) -> None:
    faulty.replies += [Reply(503, {"retry-after": "0"})] * 10
    done = ingest(call, faulty, file, "--retries", 2)
    assert done.returncode == 1
    assert len(faulty.bodies) == 3
    assert done.stderr.splitlines()[-1] == f"Error: {faulty.url}/v1/events answered 503: No. (3 attempts)"


def test_nobody_listens(call: Run, file: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        done = call("ingest", file, "--url", url, "--retries", 0, USAGELEDGER_API_KEY=KEY)
    assert "cannot be reached" in one_error(done, 1)
    assert done.stdout == ""


def test_too_large_batches_are_halved(call: Run, faulty: Faulty, file: Path) -> None:
    faulty.most_events = 3
    done = ingest(call, faulty, file)
    assert (done.returncode, done.stdout) == (0, "10 accepted, 0 duplicates, 0 refused\n")
    assert [len(plain(body).splitlines()) for body in faulty.bodies] == [10, 5, 2, 3, 5, 2, 3]


def test_an_event_that_is_too_large_by_itself_is_refused_alone(call: Run, faulty: Faulty, file: Path) -> None:
    faulty.replies += [Reply(413), Reply(413), Reply(413)]
    done = ingest(call, faulty, file, "--batch", 4)
    assert (done.returncode, done.stdout) == (1, "9 accepted, 0 duplicates, 1 refused\n")
    assert done.stderr == f"{file}:1: evt_0: No.\n"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_other_errors_end_it(call: Run, faulty: Faulty, file: Path, status: int) -> None:
    faulty.replies.append(Reply(status))
    done = ingest(call, faulty, file)
    assert one_error(done, 1) == f"Error: {faulty.url}/v1/events answered {status}: No."
    assert len(faulty.bodies) == 1


def test_what_was_sent_before_an_error_is_said(call: Run, faulty: Faulty, file: Path) -> None:
    faulty.replies += [Reply(), Reply(500)]
    done = ingest(call, faulty, file, "--batch", 4)
    assert (done.returncode, done.stdout) == (1, "4 accepted, 0 duplicates, 0 refused\n")
    assert "Run the same command again" in done.stderr


def test_a_redirect_is_named(call: Run, faulty: Faulty, file: Path) -> None:
    faulty.replies.append(Reply(308, {"location": "https://ledger.example.com/"}, body="moved"))
    assert one_error(ingest(call, faulty, file), 1).endswith(
        "answered 308: Permanent Redirect, moved to https://ledger.example.com/"
    )


def test_another_server_is_noticed(call: Run, faulty: Faulty, file: Path) -> None:
    faulty.replies.append(Reply(200, body={"hello": "world"}))
    assert "is not a UsageLedger" in one_error(ingest(call, faulty, file), 1)


def test_a_refusal_that_the_server_did_not_name_is_asked_for_in_halves(call: Run, faulty: Faulty, file: Path) -> None:
    fault = {"index": 0, "id": "evt_0", "code": "unknown_field", "param": "x", "message": "Unknown field: 'x'"}
    faulty.replies += [
        Reply(200, body=answer(0, rejected=2, errors=[fault], errors_omitted=1)),
        Reply(200, body=answer(0, rejected=1, errors=[fault])),
        Reply(200, body=answer(0, rejected=1, errors=[fault | {"id": "evt_1"}])),
    ]
    file.write_text('{"id": "evt_0", "x": 1}\n{"id": "evt_1", "x": 1}\n')
    done = ingest(call, faulty, file)
    assert (done.returncode, done.stdout) == (1, "0 accepted, 0 duplicates, 2 refused\n")
    assert done.stderr == f"{file}:1: evt_0: Unknown field: 'x'\n{file}:2: evt_1: Unknown field: 'x'\n"


def test_many_refusals_are_counted(call: Run, faulty: Faulty, tmp_path: Path) -> None:
    first, second = tmp_path / "a.ndjson", tmp_path / "b.ndjson"
    first.write_text("{}\n" * 30)
    second.write_text("\n{}\n" * 40)
    listed = [
        {"index": index, "id": None, "code": "missing_field", "param": "kind", "message": "No kind."}
        for index in range(10)
    ]
    refused = answer(0, rejected=10, errors=listed)
    faulty.replies += [Reply(200, body=refused)] * 7
    done = ingest(call, faulty, first, second, "--batch", 10)
    assert (done.returncode, done.stdout) == (1, "0 accepted, 0 duplicates, 70 refused\n")
    shown = done.stderr.splitlines()
    assert shown[:20] == [f"{first}:{line}: No kind." for line in range(1, 21)]
    assert shown[20:] == ["… and 50 more refused events."]
    faulty.replies += [Reply(200, body=refused)] * 7
    done = ingest(call, faulty, first, second, "--batch", 10, "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, done.stderr, told["rejected"], len(told["errors"])) == (1, "", 70, 70)
    assert told["errors"][30] == {
        "file": str(second),
        "line": 2,
        "id": None,
        "code": "missing_field",
        "param": "kind",
        "message": "No kind.",
    }


def test_ctrl_c_ends_it_with_what_was_sent(environment: dict[str, str], faulty: Faulty, file: Path) -> None:
    faulty.replies += [Reply(), Reply(503, {"retry-after": "300"})]
    process = subprocess.Popen(
        [*COMMAND, "ingest", str(file), "--batch", "4", "--url", faulty.url],
        env=environment | {"USAGELEDGER_API_KEY": KEY},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    assert "Trying again in 300.0 s" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert output == "4 accepted, 0 duplicates, 0 refused\n"
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--url", "ledger.example.com"), "--url: expected http://HOST:PORT or https://HOST"),
        (("--url", "ftp://host"), "--url: expected http://HOST:PORT or https://HOST"),
        (("--url", "http://host:99999"), "--url: expected http://HOST:PORT or https://HOST"),
        (("--key", "two words"), "--key: an API key is visible ASCII characters"),
        (("--key", "schlüssel"), "--key: an API key is visible ASCII characters"),
        (("--batch", "0"), "--batch: expected at least 1. See"),
        (("--retries", "-1"), "--retries: expected at least 0. See"),
        (("--bach", "1"), "No such option: --bach"),
    ],
)
def test_misuse(call: Run, file: Path, arguments: tuple[str, ...], message: str) -> None:
    error = one_error(call("ingest", file, *arguments, USAGELEDGER_API_KEY=KEY), 2)
    assert message in error
    assert "schl" not in error
    assert "two words" not in error


def test_no_key(call: Run, file: Path) -> None:
    assert "set USAGELEDGER_API_KEY" in one_error(call("ingest", file), 2)


def test_the_servers_address_may_end_in_v1(call: Run, faulty: Faulty, file: Path) -> None:
    done = call("ingest", file, USAGELEDGER_URL=f"{faulty.url}/v1/", USAGELEDGER_ADMIN_KEY=KEY)
    assert (done.returncode, len(faulty.bodies)) == (0, 1)
