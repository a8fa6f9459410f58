"""Clients that would rather speak HTTP/2 send their events over HTTP/1.1: curl, and Java's own client."""

import json
import subprocess
from pathlib import Path

import pytest
from tests.support.server_process import RunningServer
from tests.support.services.programs import program

pytestmark = pytest.mark.external

JAVA = Path(__file__).parent / "java" / "SendEvents.java"
SIZES = (2, 10_000)  # the second file is larger than what curl sends without waiting for 100 Continue


@pytest.fixture
def files(tmp_path: Path, request: pytest.FixtureRequest) -> list[Path]:
    """NDJSON of as many events as `SIZES` says, with ids of their own."""
    made = []
    for size in SIZES:
        each = {"kind": "embeddings", "timestamp": 1_790_000_000, "model": "m" * 100, "input_tokens": 1}
        events = (each | {"id": f"{request.node.name} {size} {n}"} for n in range(size))
        made.append(tmp_path / f"{size}.ndjson")
        made[-1].write_text("".join(json.dumps(event) + "\n" for event in events))
    assert made[-1].stat().st_size > 2**20
    return made


@pytest.mark.parametrize("form", [[], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"]])
def test_curl_that_asks_for_http_2(empty_server: RunningServer, files: list[Path], form: list[str]) -> None:
    for file, size in zip(files, SIZES, strict=True):
        asked = ["-H", f"Authorization: Bearer {empty_server.key}", "-H", "Content-Type: application/x-ndjson", *form]
        post = [
            str(program("curl")),
            "-sv",
            "--http2",
            *asked,
            "--data-binary",
            f"@{file}",
            f"{empty_server.url}/v1/events",
        ]
        after = ["--next", "-sS", "-H", asked[1], f"{empty_server.url}/v1/meters"]
        done = subprocess.run([*post, *after], capture_output=True, text=True, check=True, timeout=120)
        answer, end = json.JSONDecoder().raw_decode(done.stdout)
        assert (answer["accepted"], answer["duplicates"], answer["rejected"]) == (size, 0, 0)
        assert json.loads(done.stdout[end:])["object"] == "list"
        assert "> Upgrade: h2c" in done.stderr
        assert "< HTTP/1.1 200 OK" in done.stderr
        waits = size > 2 or "Expect: 100-continue" in form
        assert ("< HTTP/1.1 100 Continue" in done.stderr) == waits


def test_curl_that_speaks_http_2_at_once_is_told_that_nobody_does(empty_server: RunningServer) -> None:
    command = [str(program("curl")), "-sS", "--http2-prior-knowledge", f"{empty_server.url}/healthz"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert done.stderr


def test_the_client_of_java(empty_server: RunningServer, files: list[Path]) -> None:
    command = [str(program("java")), str(JAVA), empty_server.url, empty_server.key, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    answers = [line.split(" ", 2) for line in done.stdout.splitlines()]
    assert {(status, version) for status, version, _ in answers} == {("200", "HTTP_1_1")}
    sent = [json.loads(body) for _, _, body in answers[::2]]
    counts = [(answer["accepted"], answer["duplicates"]) for answer in sent]
    assert counts == [outcome for size in SIZES for outcome in ((size, 0), (0, size))]
    assert all(json.loads(body)["object"] == "list" for _, _, body in answers[1::2])
