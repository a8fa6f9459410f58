"""More events than the disk takes, a clock that jumps, a stop under load: whatever was acknowledged is there."""

import itertools
import json
import selectors
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode

import httpx
from tests.support.batches import SINCE, batch, events_told, post, verified
from tests.support.connections import connected, head
from tests.support.limits import memory_bounded
from tests.support.problems import problem
from tests.support.server_process import RunningServer, running
from tests.support.services.processes import wait_until

READY = {"status": "ready", "reasons": [], "queued_events": 0}
CLIENTS = 6
CROWD = 200  # requests of 1,000 events at once
MIB = 2**20
AUTH = "authorization: Bearer {}"
STUCK_DISK = """
import time, pathlib
from usageledger.ledger.duckdb.ledger import DuckDBLedger
append = DuckDBLedger.append
def stuck(*given):
    while pathlib.Path({file!r}).exists():
        time.sleep(0.01)
    return append(*given)
DuckDBLedger.append = stuck
"""
JUMPING_CLOCK = """
import time, pathlib
real = time.time
time.time = lambda: real() + float(pathlib.Path({file!r}).read_text())
"""


def under_load(server: RunningServer, meanwhile: Callable[[], None]) -> tuple[int, int]:
    """How many events were acknowledged, and how many requests were refused with 503, while many clients sent."""
    numbers, acknowledged, refused = itertools.count(), [0] * CLIENTS, [0] * CLIENTS
    ended = threading.Event()

    def send(place: int) -> None:
        with httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as client:
            while not ended.is_set():
                events = batch(next(numbers))
                try:
                    response = post(client, events)
                except httpx.TransportError:
                    return
                if response.status_code == 200:
                    acknowledged[place] += response.json()["accepted"]
                else:
                    problem(response, 503, type="server_error", code="overloaded")
                    assert response.headers["retry-after"]
                    refused[place] += 1

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(send, place) for place in range(CLIENTS)]
        meanwhile()
        ended.set()
        for client in clients:
            client.result()
    return sum(acknowledged), sum(refused)


def test_a_disk_that_is_stuck_fills_the_queue_and_no_more(tmp_path: Path) -> None:
    """Whoever comes when it is full is told so at once; whoever was taken is answered when the disk goes on."""
    stuck = tmp_path / "stuck"
    with running(tmp_path / "data", prepare=STUCK_DISK.format(file=str(stuck)), queue_events=5000) as server:
        bodies = [json.dumps(batch(number)).encode() for number in range(CROWD)]
        with httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as client:
            assert post(client, batch(CROWD)).json()["accepted"] == 1000
        stuck.touch()
        with memory_bounded(server, 60 * MIB), ExitStack() as held:
            connections = [held.enter_context(connected(server)) for _ in bodies]
            for connection, body in zip(connections, bodies, strict=True):
                connection.sendall(head(server, len(body)) + body)
            ready = selectors.DefaultSelector()
            for connection in connections:
                ready.register(connection, selectors.EVENT_READ)
            wait_until(lambda: len(ready.select(0)) == CROWD - 5)
            stuck.unlink()
            statuses = Counter(int(connection.recv(65_536).split()[1]) for connection in connections)
        assert statuses == {200: 5, 503: CROWD - 5}
        assert server.stop() == (0, "")
    assert verified(tmp_path / "data") == 6000


def test_a_full_queue(tmp_path: Path) -> None:
    with running(tmp_path, queue_events=1000) as server:
        acknowledged, refused = under_load(server, lambda: time.sleep(2))
        assert acknowledged
        assert refused
        with httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as client:
            assert events_told(client) == acknowledged
            assert post(client, batch(10**6)).json()["accepted"] == 1000
        assert server.stop() == (0, "")
    assert verified(tmp_path) == acknowledged + 1000


def test_sigterm_under_load(tmp_path: Path) -> None:
    with running(tmp_path) as server:

        def end() -> None:
            time.sleep(1)
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(timeout=60) == 0

        acknowledged, _ = under_load(server, end)
    assert acknowledged
    assert acknowledged <= verified(tmp_path) <= acknowledged + 1000 * CLIENTS


def test_a_clock_that_jumps(tmp_path: Path) -> None:
    """Back by a year and forth again: events, keys and answers are as before."""
    offset = tmp_path / "offset"
    offset.write_text("0")
    with running(tmp_path / "data", prepare=JUMPING_CLOCK.format(file=str(offset)), requests_per_minute=600) as server:
        with httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as client:
            sent = 0
            for number, seconds in enumerate((0, -3600, 3600, -86_400 * 20, 0)):
                offset.write_text(str(seconds))
                assert post(client, batch(number)).json()["accepted"] == 1000
                assert post(client, batch(number)).json()["duplicates"] == 1000
                sent += 1000
                assert events_told(client) == sent
            offset.write_text(str(-86_400 * 365 * 2))  # before all events: they are of the future then
            assert post(client, batch(9)).json()["rejected"] == 1000
            offset.write_text("0")
            assert post(client, batch(9)).json()["accepted"] == 1000
            wait_until(lambda: httpx.get(f"{server.url}/readyz").json() == READY)
        assert server.stop() == (0, "")
    assert verified(tmp_path / "data") == sent + 1000


def test_clients_that_do_not_read_their_answers(tmp_path: Path) -> None:
    """What is on its way to all of them is bounded: further large answers are refused, small ones are given."""
    window = {"start_time": SINCE, "end_time": SINCE + 86_400, "group_by": "user_id"}
    url = f"/v1/organization/usage/embeddings?{urlencode(window)}"
    with running(tmp_path, max_answers_bytes=24 * MIB, max_queries=1, cache_bytes=0) as server:
        headers = server.headers | {"accept-encoding": "identity"}
        with httpx.Client(base_url=server.url, headers=headers, timeout=60) as client, ExitStack() as stalled:
            for number in range(20):
                events = [event | {"user_id": f"{number}-{n}-{'u' * 200}"} for n, event in enumerate(batch(number))]
                assert post(client, events).json()["accepted"] == 1000
            page = client.get(url).raise_for_status()
            assert len(page.content) > 6 * MIB
            with memory_bounded(server, 200 * MIB):  # 60 answers of 7 MiB are twice as much
                connections = [stalled.enter_context(connected(server)) for _ in range(60)]
                for connection in connections:
                    connection.sendall(f"GET {url} HTTP/1.1\r\nhost: x\r\n{AUTH.format(server.key)}\r\n\r\n".encode())
                statuses = Counter(int(connection.recv(13, socket.MSG_PEEK).split()[1]) for connection in connections)
                assert client.get("/v1/meters").status_code == 200
            assert statuses == {200: 3, 503: 57}
            problem(client.get(url), 503, type="server_error", code="overloaded")
            stalled.close()
            wait_until(lambda: client.get(url).status_code == 200)
            assert client.get(url).content == page.content
        assert server.stop() == (0, "")
