"""Bodies that are larger than they look, or that never end: refused at a limit, in bounded memory."""

import gzip
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import zstandard
from tests.faults.test_load import STUCK_DISK
from tests.support.batches import batch, events_told, post, verified
from tests.support.connections import connected, head
from tests.support.limits import memory_bounded
from tests.support.problems import problem
from tests.support.server_process import running
from tests.support.services.processes import wait_until

MIB = 2**20
TEN_GB = 10 * 10**9
CLIENTS = 24


def ten_gigabytes(encoding: str) -> bytes:
    """Ten gigabytes of zeros, compressed: frames, or members, one after another."""
    piece = 100 * MIB
    packed = gzip.compress(bytes(piece)) if encoding == "gzip" else zstandard.compress(bytes(piece))
    return packed * (TEN_GB // piece + 1)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_ten_gigabytes_of_zeros(tmp_path: Path, encoding: str) -> None:
    """From one client, and from many at once."""
    body = ten_gigabytes(encoding)
    assert len(body) < 16 * MIB
    with running(tmp_path) as server:
        with httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as client:
            assert post(client, batch(0)).json()["accepted"] == 1000

            def send(content: bytes) -> None:
                response = client.post("/v1/events", content=content, headers={"content-encoding": encoding})
                problem(response, 413, code="body_too_large")

            began = time.monotonic()
            with memory_bounded(server, 200 * MIB):
                send(body)
            with memory_bounded(server, 300 * MIB), ThreadPoolExecutor(CLIENTS) as pool:
                list(pool.map(send, [body[:MIB]] * CLIENTS))
            assert time.monotonic() - began < 60  # ten gigabytes were not unpacked
            assert post(client, batch(1)).json()["accepted"] == 1000
            assert events_told(client) == 2000
        assert server.stop() == (0, "")
    assert verified(tmp_path) == 2000


def test_many_clients_that_stall_in_the_middle_of_a_large_body(tmp_path: Path) -> None:
    """What they sent is held until they are told that it took too long; others are not held up meanwhile."""
    length, sent = 5 * MIB, 4 * MIB
    with running(tmp_path, max_bodies_bytes=32 * MIB, max_request_seconds=5) as server:
        request = head(server, length) + b"[" + b" " * sent
        with httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as client, ExitStack() as stalled:
            assert post(client, batch(0)).json()["accepted"] == 1000
            with memory_bounded(server, 120 * MIB):
                connections = [stalled.enter_context(connected(server)) for _ in range(60)]
                for connection in connections:
                    connection.sendall(request)
                assert post(client, batch(1)).json()["accepted"] == 1000
                statuses = [int(connection.recv(65_536).split()[1]) for connection in connections]
            assert statuses.count(503) > statuses.count(408) > 0
            assert set(statuses) == {503, 408}
            large = b" " * 12 * MIB + json.dumps(batch(2)).encode()
            wait_until(lambda: client.post("/v1/events", content=large).status_code == 200)
            assert events_told(client) == 3000
        assert server.stop() == (0, "")
    assert verified(tmp_path) == 3000


def test_small_bodies_that_are_large_when_they_are_read(tmp_path: Path) -> None:
    """What waits for a disk that is stuck is bounded by its memory, not by how many events or requests it is."""
    stuck = tmp_path / "stuck"
    wide = "x" * 240 + "\N{PANDA FACE}"  # one such letter, and every other one takes four bytes as well
    texts = dict.fromkeys(("model", "project_id", "user_id", "api_key_id"), wide)
    events = [event | texts for event in batch(0, 10_000)]
    body = zstandard.compress(json.dumps(events, ensure_ascii=False).encode(), 3)
    assert len(body) < MIB
    with running(tmp_path / "data", prepare=STUCK_DISK.format(file=str(stuck))) as server:
        headers = server.headers | {"content-encoding": "zstd"}
        with httpx.Client(base_url=server.url, headers=headers, timeout=60) as client, ThreadPoolExecutor(24) as pool:
            stuck.touch()
            # The queue, two bodies that are read, and what the allocator has free between them; all 24 are 1.5 GiB.
            with memory_bounded(server, 700 * MIB):
                sent = [pool.submit(client.post, "/v1/events", content=body) for _ in range(24)]
                wait_until(lambda: sum(answer.done() for answer in sent) > 16)
                stuck.unlink()
                statuses = {answer.result().status_code for answer in sent}
            assert statuses == {200, 503}
        assert server.stop() == (0, "")
    assert verified(tmp_path / "data") == 10_000
