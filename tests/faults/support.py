"""What the tests of faults share: events in batches, what the server tells of them, and whether the ledger is sound."""

import json
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from tests.server.process import RunningServer

SINCE = 1_790_000_000 - 1_790_000_000 % 86_400
PATIENCE_S = 300


def batch(number: int, size: int = 1000) -> list[dict[str, Any]]:
    """Events of a batch, hard to compress."""
    return [
        {
            "kind": "embeddings",
            "id": f"{number}-{n}-{(number * 1000 + n) * 2_654_435_761 % 2**32:x}",
            "timestamp": SINCE + (number * 7 + n) % 86_400,
            "model": f"model {n % 50}",
            "user_id": f"user {number * n % 997}",
            "input_tokens": n,
        }
        for n in range(size)
    ]


def post(client: httpx.Client, events: list[dict[str, Any]]) -> httpx.Response:
    return client.post("/v1/events", json=events)


@contextmanager
def connected(server: RunningServer) -> Iterator[socket.socket]:
    """A connection to it."""
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port or 0), timeout=PATIENCE_S) as connection:
        yield connection


def head(server: RunningServer, length: int) -> bytes:
    """Of a request that posts events."""
    return (
        f"POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {server.key}\r\ncontent-length: {length}\r\n\r\n"
    ).encode()


def events_told(client: httpx.Client, group_by: str = "user_id") -> int:
    """Asks the API how many events there are; -1 where it cannot be asked now."""
    window = {"start_time": SINCE, "end_time": SINCE + 2 * 86_400, "group_by": group_by}
    response = client.get("/v1/organization/usage/embeddings", params=window)
    if response.status_code != 200:
        assert response.status_code == 503, response.text
        return -1
    return sum(result["num_model_requests"] for bucket in response.json()["data"] for result in bucket["results"])


@contextmanager
def files_limited(size: int) -> Iterator[None]:
    """In the block no file of this process grows beyond so many bytes, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def settle(condition: Callable[[], bool]) -> None:
    """Waits until `condition` holds."""
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, "it never came to pass"
        time.sleep(0.02)


def resident_bytes(server: RunningServer, most: bool = False) -> int:
    """The memory of its process: now, or the most that it was."""
    name = "VmHWM:" if most else "VmRSS:"
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {name}")


@contextmanager
def memory_bounded(server: RunningServer, most: int) -> Iterator[None]:
    """In the block the memory of its process grows by at most so many bytes, even for a moment."""
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")  # the most that it was is what it is now
    before = resident_bytes(server)
    yield
    grown = resident_bytes(server, most=True) - before
    assert grown < most, f"{grown:,} bytes"


def verified(data: Path) -> int:
    """How many events there are in a ledger that `usageledger verify` finds in order."""
    command = [sys.executable, "-W", "error", "-m", "usageledger", "verify", "--data", str(data), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    count: int = json.loads(done.stdout)["events"]
    return count
