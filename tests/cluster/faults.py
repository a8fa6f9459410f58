"""Faults while clients send: what was acknowledged is there once, whatever ended, was cut or was sent twice meanwhile.

Every client sends its batches until they are acknowledged, as the documentation tells senders to. At the end the ledger
is compared with what was sent, event by event, in every stored column.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tests.cluster.pair import Pair, pair
from tests.support.ledger_contents import days, doubled, malformed
from tests.support.numbered_events import event, stored
from tests.support.services.clickhouse import CLUSTER, Node, cluster
from tests.support.services.nginx import sheltering
from tests.support.services.proxy import Proxy, proxy

from usageledger.ledger import migrate_ledger, open_ledger
from usageledger.ledger.copying import pages
from usageledger.ledger.identity import payloads

SINCE = 1_792_108_800  # 2026-10-16
BATCH = 40
CLIENTS = 3
DATABASE = "usage"


@dataclass
class Client:
    """Sends batch after batch, each until it is acknowledged; to `twice`, each to both servers at once."""

    number: int
    system: Pair
    twice: bool
    acknowledged: int = 0
    retries: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)
    failure: BaseException | None = None

    def events(self, start: int, end: int) -> list[dict[str, Any]]:
        return [event(self.number, n, SINCE, "in order" if self.number % 2 else "spread") for n in range(start, end)]

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                batch = self.events(self.acknowledged, self.acknowledged + BATCH)
                if self.twice:
                    other = threading.Thread(target=self._send, args=(batch, self.system.addresses[0], 1))
                    other.start()
                    self._send(batch, self.system.addresses[1], 1)
                    other.join()
                assert self._send(batch, self.system.url), "not acknowledged, however often it was sent"
                self.acknowledged += BATCH
        except BaseException as error:  # noqa: BLE001 - shown at the end of the run
            self.failure = error

    def _send(self, batch: list[dict[str, Any]], address: str, attempts: int = 1000) -> bool:
        """Whether the batch was acknowledged."""
        for _ in range(attempts):
            try:
                answer = httpx.post(f"{address}/v1/events", json=batch, headers=self.system.headers, timeout=60)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code == 200:
                said = answer.json()
                assert said["rejected"] == 0, said
                assert said["accepted"] + said["duplicates"] == len(batch)
                return True
            assert answer is None or answer.status_code in (502, 503, 504), answer.text
            self.retries += 1
            time.sleep(0.05)
        return False


@dataclass
class Result:
    """Numbers of events, and of faults by their kind."""

    faults: Counter[str]
    sent: int
    retries: int
    lost: int
    doubled: int
    changed: int
    unknown: int


def run(folder: Path, faults: int, seed: int) -> Result:
    """Starts everything, sends under so many faults, and compares."""
    rng, done = random.Random(seed), Counter[str]()
    with ExitStack() as stack:
        # Shards, too, hear each other through something that stays: see `sheltering`.
        nodes = stack.enter_context(
            cluster(folder / "clickhouse", between=lambda port: stack.enter_context(proxy(port)).port)
        )
        urls = [_url(node.http) for node in nodes]
        for url in urls:
            migrate_ledger(url)
        shelters = [stack.enter_context(sheltering(folder / f"shelter-{node.http}", node.http)) for node in nodes]
        line = stack.enter_context(proxy(shelters[0]))
        system = stack.enter_context(pair(folder / "pair", (_url(line.port), _url(shelters[1]))))
        clients = [Client(number, system, twice=number == 0) for number in range(CLIENTS)]
        threads = [threading.Thread(target=client.run) for client in clients]
        for thread in threads:
            thread.start()
        try:
            ways = _ways(system, nodes, line)
            for number in range(faults):
                name = list(ways)[number % len(ways)]
                ways[name](rng)
                done[name] += 1
                time.sleep(rng.uniform(0.1, 0.5))
        finally:
            for client in clients:
                client.stopping.set()
            for thread in threads:
                thread.join(timeout=120)
        for client in clients:
            if client.failure is not None:
                raise client.failure
        return _compare(urls[0], clients, done)


def _url(port: int) -> str:
    return f"clickhouse://127.0.0.1:{port}/{DATABASE}?cluster={CLUSTER}&replicated=false"


def _ways(system: Pair, nodes: list[Node], line: Proxy) -> dict[str, Callable[[random.Random], None]]:
    def server(rng: random.Random) -> None:
        number = rng.randrange(2)
        system.kill(number)
        time.sleep(rng.uniform(0, 0.3))
        system.start(number)

    def shard(rng: random.Random) -> None:
        node = nodes[rng.randrange(2)]
        node.kill()
        time.sleep(rng.uniform(0.2, 0.6))
        node.start()
        node.wait()

    def connection(rng: random.Random) -> None:
        for _ in range(5):
            line.cut()
            time.sleep(rng.uniform(0.01, 0.1))

    return {"server killed": server, "shard killed": shard, "connections cut": connection}


def _compare(url: str, clients: list[Client], faults: Counter[str]) -> Result:
    expected: dict[tuple[str, int], tuple[Any, ...]] = {}
    for client in clients:
        expected.update({(row[0], row[1]): row for row in payloads(stored(client.events(0, client.acknowledged)))})
    ledger = open_ledger(url)
    try:
        found = [row for day, _ in days(ledger) for page in pages(ledger, day) for row in payloads(page)]
        assert doubled(ledger) == malformed(ledger) == []
    finally:
        ledger.close()
    times = Counter((row[0], row[1]) for row in found)
    rows = {(row[0], row[1]): row for row in found}
    return Result(
        faults=faults,
        sent=len(expected),
        retries=sum(client.retries for client in clients),
        lost=len(expected.keys() - rows.keys()),
        doubled=sum(count > 1 for count in times.values()),
        changed=sum(rows[identity] != row for identity, row in expected.items() if identity in rows),
        unknown=len(rows.keys() - expected.keys()),
    )
