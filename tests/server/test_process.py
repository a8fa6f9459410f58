"""The server as it is run: its address, its end, and what outlives it."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.ledger_contents import count, drop_events
from tests.support.problems import problem
from tests.support.server_process import RunningServer, running

from usageledger.errors import LedgerLockedError, RegistryError, SettingsError
from usageledger.ledger import open_ledger
from usageledger.server.process import run
from usageledger.settings import Settings

pytestmark = pytest.mark.processes

USAGE = "/v1/organization/usage/embeddings"
DAY = 86_400
START = 20_000 * DAY


def event(number: int) -> dict[str, object]:
    return {
        "kind": "embeddings",
        "id": f"e{number}",
        "timestamp": START + number * DAY,
        "input_tokens": number + 1,
        "project_id": "a/b c",
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path) as server:
        with httpx.Client(base_url=server.url, headers=server.headers) as client:
            assert client.post("/v1/events", json=[event(n) for n in range(5)]).json()["accepted"] == 5
        assert server.stop(number) == (0, "")
    ledger = open_ledger(Settings(data=tmp_path).ledger_url)
    assert count(ledger) == 5
    ledger.close()


BROKEN_WRITER = """
import pathlib
from usageledger.ledger.duckdb.ledger import DuckDBLedger
append = DuckDBLedger.append
def broken(*given):
    outcomes = append(*given)
    if pathlib.Path({file!r}).exists():
        raise SystemExit  # which a thread ends by, and says nothing
    return outcomes
DuckDBLedger.append = broken
"""


def test_it_ends_when_nothing_would_be_written_any_more(tmp_path: Path) -> None:
    """With a code that says so, and with everything on disk that was acknowledged."""
    broken = tmp_path / "broken"
    with running(tmp_path / "data", prepare=BROKEN_WRITER.format(file=str(broken))) as server:
        with httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as client:
            assert client.post("/v1/events", json=[event(n) for n in range(5)]).json()["accepted"] == 5
            broken.touch()
            error = problem(client.post("/v1/events", json=event(5)), 503, code="overloaded")
            assert error["message"] == "The server is stopping: send the same request again."
        _, said = server.process.communicate(timeout=60)
    assert server.process.returncode == 1
    assert "The thread 'writer 0' ended by an error: the server ends." in said
    assert "in broken" in said
    with closing(open_ledger(Settings(data=tmp_path / "data").ledger_url)) as ledger:
        assert count(ledger) == 6  # the last one was written, and nobody was told that it was or was not


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_it_ends_cleanly_when_nobody_hears_where_it_is(tmp_path: Path, form: tuple[str, ...]) -> None:
    """As when whoever started it, and was to read the address, is gone."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-W", "error", "-m", "usageledger", "serve", "--data", str(tmp_path), "--port", "0"]
    stream = "stdout" if form else "stderr"
    with os.fdopen(writing, "w") as pipe, (tmp_path / "said").open("w") as other:
        streams: dict[str, Any] = {"stdout": other, "stderr": other, stream: pipe}
        done = subprocess.run([*command, *form], **streams, timeout=60, check=False)
    assert done.returncode == 1
    assert not (tmp_path / "said").read_text()
    with closing(open_ledger(Settings(data=tmp_path).ledger_url)) as ledger:
        assert count(ledger) == 0


def test_page_tokens_keys_and_names_outlive_a_restart(tmp_path: Path) -> None:
    window = {"start_time": START, "end_time": START + 10 * DAY, "limit": 4}
    pages = []
    with running(tmp_path) as server:
        headers = server.headers
        with httpx.Client(base_url=server.url, headers=headers) as client:
            client.post("/v1/events", json=[event(n) for n in range(10)]).raise_for_status()
            pages.append(client.get(USAGE, params=window).json())
        assert server.stop() == (0, "")
    with running(tmp_path) as server, httpx.Client(base_url=server.url, headers=headers) as client:
        while pages[-1]["has_more"]:
            answer = client.get(USAGE, params=window | {"page": pages[-1]["next_page"]})
            pages.append(answer.json())
        whole = client.get(USAGE, params=window | {"limit": 31}).json()
        # An id with a slash, percent-encoded, as the real server's parser hands it over.
        project = client.get("/v1/organization/projects/a%2Fb%20c").json()
    assert len(pages) == 3
    assert [bucket for page in pages for bucket in page["data"]] == whole["data"]
    assert [bucket["results"][0]["input_tokens"] for bucket in whole["data"]] == list(range(1, 11))
    assert project["id"] == "a/b c"


@pytest.mark.parametrize("kept", [True, False])
def test_a_ledger_without_its_registry_is_refused(tmp_path: Path, kept: bool) -> None:
    """Or events would be charged what the new registry's cards say, which are about something else."""
    with running(tmp_path) as server:
        with httpx.Client(base_url=server.url, headers=server.headers) as client:
            assert client.post("/v1/events", json=[event(n) for n in range(5)]).json()["accepted"] == 5
        assert server.stop() == (0, "")
    with closing(open_ledger(Settings(data=tmp_path).ledger_url)) as ledger:
        while not kept and drop_events(ledger, START + 10 * DAY):
            pass
        assert count(ledger) == 5 * kept
    (tmp_path / "registry.sqlite").rename(tmp_path / "away")
    with pytest.raises(RegistryError, match=r"have rate card [1-5], and the registry .* gave 0: .* Restore both from"):
        run(Settings(data=tmp_path, port=0), lambda _: None)
    (tmp_path / "away").replace(tmp_path / "registry.sqlite")
    with running(tmp_path) as server:
        assert server.stop() == (0, "")


def test_another_servers_page_tokens_are_refused(tmp_path: Path) -> None:
    window = {"start_time": START, "end_time": START + 10 * DAY}
    with running(tmp_path / "a") as a, running(tmp_path / "b") as b:
        token = httpx.get(a.url + USAGE, params=window, headers=a.headers).json()["next_page"]
        answer = httpx.get(b.url + USAGE, params={"page": token}, headers=b.headers)
        same = httpx.get(a.url + USAGE, params={"page": token}, headers=a.headers)
    problem(answer, 400, code="invalid_request_error")
    assert same.status_code == 200


def test_a_body_cut_short_by_its_client_keeps_nothing(tmp_path: Path) -> None:
    line = b'{"kind":"embeddings","id":"half","timestamp":%d,"input_tokens":7}\n' % START
    with running(tmp_path) as server:
        with connect(server) as connection:
            connection.sendall(
                b"POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\n"
                b"content-type: application/x-ndjson\r\ncontent-length: %d\r\n\r\n%s"
                % (server.key.encode(), 2 * len(line), line)
            )
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1024):
                pass
        code, said = server.stop()
    assert (code, said) == (0, "")
    ledger = open_ledger(Settings(data=tmp_path).ledger_url)
    assert count(ledger) == 0
    ledger.close()


def test_two_servers_cannot_share_a_folder(tmp_path: Path) -> None:
    with running(tmp_path), pytest.raises(LedgerLockedError):
        run(Settings(data=tmp_path, port=0), lambda _: None)


def test_an_address_in_use_is_said_before_anything_is_opened(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"127.0.0.1:{port}"):
            run(Settings(data=tmp_path / "data", port=port), lambda _: None)
    assert not (tmp_path / "data").exists()


def test_it_listens_on_ipv6(tmp_path: Path) -> None:
    with running(tmp_path, host="::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert httpx.get(f"{server.url}/healthz").json() == {"status": "ok"}


def test_no_server_is_named_in_answers(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        assert "server" not in httpx.get(f"{server.url}/healthz").headers


@pytest.mark.parametrize(
    "junk", [b"\x16\x03\x01 hello\r\n\r\n", b"GET /v1/meters?a=%s HTTP/1.1\r\n\r\n" % (b"x" * 65_535)]
)
def test_what_cannot_be_read_as_http_gets_the_same_shape_of_error(tmp_path: Path, junk: bytes) -> None:
    with running(tmp_path) as server, connect(server) as connection:
        connection.sendall(junk)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    response = httpx.Response(int(status.split()[1]), headers=headers, content=body)
    error = problem(response, 400, type="invalid_request_error", param=None, code="invalid_request_error")
    assert "65535" in error["message"]
    assert response.headers["connection"] == "close"
    assert int(response.headers["content-length"]) == len(body)


def test_the_longest_url_is_read(tmp_path: Path) -> None:
    start = "/v1/meters?a="
    with running(tmp_path) as server, connect(server) as connection:
        connection.sendall(f"GET {start}{'x' * (65_535 - len(start))} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        assert connection.recv(12) == b"HTTP/1.1 401"


def connect(server: RunningServer) -> socket.socket:
    url = httpx.URL(server.url)
    return socket.create_connection((url.host, url.port or 0))
