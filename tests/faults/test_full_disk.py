"""A disk that is full, told by a limit on the size of files: nothing acknowledged is lost, and it mends itself.

The limit is the kernel's own (`RLIMIT_FSIZE`): writes beyond it fail as on a full disk, and it can be lifted from
outside while the server runs.
"""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from tests.support.batches import batch, events_told, post, verified
from tests.support.limits import memory_bounded
from tests.support.problems import problem
from tests.support.server_process import RunningServer, running
from tests.support.services.processes import wait_until

# Small, so that few events fill it, and often attempted, so that nobody waits; what it says is said once a minute.
SMALL = """
from functools import partial
from usageledger.cli.commands import serve
from usageledger.ledger.duckdb import ledger
from usageledger.ledger.duckdb.tuning import Tuning
serve.log_to_stderr()
small = Tuning(full_rows=2_000, checkpoint_threshold="2MB", mend_seconds=0.2)
ledger.DuckDBLedger = partial(ledger.DuckDBLedger, tuning=small)
"""
MiB = 2**20
INSISTENT = 200  # requests of 1,000 events while the disk is full


def limit_files(server: RunningServer, size: int) -> None:
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def fill(client: httpx.Client, numbers: Iterator[int]) -> tuple[int, list[int]]:
    """Sends batches until one is refused; how many were acknowledged, and the batch that was not."""
    acknowledged = 0
    for number in numbers:
        response = post(client, batch(number))
        if response.status_code != 200:
            problem(response, 503, type="server_error", code="overloaded")
            assert "retry-after" in response.headers
            return acknowledged, [number]
        assert response.json()["accepted"] == 1000
        acknowledged += 1000
    raise AssertionError("it never was full")


@pytest.mark.parametrize("log_may_grow", [False, True])
def test_a_full_disk(tmp_path: Path, log_may_grow: bool) -> None:
    numbers = iter(range(1000))
    with (
        running(tmp_path, prepare=SMALL) as server,
        httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as client,
    ):
        for _ in range(60):
            assert post(client, batch(next(numbers))).json()["accepted"] == 1000
        # Either the file is full, so that folding the log in ends the engine, or the log itself.
        file = tmp_path / "ledger.duckdb"
        limit_files(server, file.stat().st_size if log_may_grow else MiB)
        acknowledged, refused = fill(client, numbers)
        acknowledged += 60_000

        # What was acknowledged can be read while the disk is full.
        wait_until(lambda: events_told(client) >= acknowledged)
        more, again = fill(client, numbers)
        acknowledged += more
        wait_until(lambda: httpx.get(f"{server.url}/readyz").status_code == 503)
        wait_until(lambda: acknowledged <= events_told(client) <= acknowledged + 2000)

        # Whoever sends on fills no memory with what cannot be kept.
        with memory_bounded(server, 50 * MiB):
            for number in range(INSISTENT):
                problem(post(client, batch(10_000 + number)), 503, code="overloaded")
        wait_until(lambda: acknowledged <= events_told(client) <= acknowledged + 2000)

        # When there is space again, the server finds out by itself.
        limit_files(server, resource.RLIM_INFINITY)
        wait_until(lambda: httpx.get(f"{server.url}/readyz").status_code == 200)
        for number in refused + again:
            answer = post(client, batch(number)).json()
            assert answer["accepted"] + answer["duplicates"] == 1000
        assert events_told(client) == acknowledged + 1000 * len({*refused, *again})
        code, said = server.stop()
    assert code == 0
    assert "Traceback" not in said
    if log_may_grow:
        assert "the engine was opened again" in said
    assert verified(tmp_path) == acknowledged + 2000


FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
"""


@pytest.mark.parametrize("ended", ["stopped", "killed"])
def test_a_start_on_a_full_disk(tmp_path: Path, ended: str) -> None:
    """What was acknowledged is read; `/readyz` says why nothing is written, until there is room."""
    with (
        running(tmp_path) as server,
        httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as client,
    ):
        assert post(client, batch(1)).json()["accepted"] == 1000
        if ended == "stopped":
            server.stop()
    with (
        running(tmp_path, key=server.key, prepare=SMALL + FULL) as server,
        httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as client,
    ):
        not_ready = client.get("/readyz")
        assert not_ready.status_code == 503
        assert not_ready.json()["reasons"] == ["The ledger cannot be written.", "The registry cannot be written."]
        assert events_told(client) == 1000
        refused = post(client, batch(2))
        problem(refused, 503, type="server_error", code="overloaded")
        assert "retry-after" in refused.headers
        assert events_told(client) == 1000
        limit_files(server, resource.RLIM_INFINITY)
        wait_until(lambda: client.get("/readyz").status_code == 200)
        assert post(client, batch(2)).json()["accepted"] == 1000
        assert events_told(client) == 2000
        code, said = server.stop()
    assert code == 0
    assert "Traceback" not in said
    assert verified(tmp_path) == 2000


def test_a_registry_that_cannot_be_written(tmp_path: Path) -> None:
    """Another process keeps its lock, and the ledger can be written: new names are refused, and `/readyz` says so."""
    with (
        running(tmp_path, prepare=SMALL) as server,
        httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as client,
    ):
        assert post(client, batch(1)).json()["accepted"] == 1000
        assert client.get("/readyz").status_code == 200
        with closing(sqlite3.connect(tmp_path / "registry.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            problem(post(client, [batch(2)[0] | {"user_id": "another"}]), 503, code="overloaded")
            assert client.get("/readyz").json()["reasons"] == ["The registry cannot be written."]
            assert events_told(client) == 1000
        wait_until(lambda: client.get("/readyz").status_code == 200)
        assert post(client, [batch(2)[0] | {"user_id": "another"}]).json()["accepted"] == 1
        assert server.stop()[0] == 0
    assert verified(tmp_path) == 1001
