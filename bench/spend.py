"""Reservations, alone and while events arrive, and what limits cost ingestion: `python -m bench.spend`."""

import argparse
import tempfile
import threading
import time
from collections import abc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench.data import Generator, wire_events
from bench.figures import Figure, show
from bench.ingestion import CONNECTIONS, recent
from bench.load import Connection, request_bytes, run
from bench.measure import KEY, figure, p, served
from usageledger.registry import open_registry
from usageledger.settings import Settings

BATCH = 1_000
ARRIVING = 20_000  # events/s beside reservations
RESERVATIONS = 3_000
LIMITS = (0, 100, 10_000)
RESERVATION = {"project_id": "proj_bench", "model": "gpt-4o", "input_tokens": 1_200, "output_tokens": 4_096}


def spend(batches: int) -> Iterator[Figure]:
    """Reservations/s and how long one takes, then the CPU time of an event with few and many limits."""
    yield from _reservations()
    bodies = _bodies(batches)
    floor: float | None = None
    for limits in LIMITS:
        with tempfile.TemporaryDirectory() as folder:
            _limit(Path(folder), limits)
            with served(Path(folder)) as server:
                run(server.port, bodies[:20], CONNECTIONS)
                before = server.processor_seconds
                run(server.port, bodies[20:], CONNECTIONS)
                server.settle()
                used = (server.processor_seconds - before) / (BATCH * (batches - 20)) * 10**6
        floor = floor or used
        yield figure(f"CPU of an event, {limits:,} limits", used, "us", None, floor)


def _reservations() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        _limit(Path(folder), 1)
        with served(Path(folder)) as server, Connection(server.port) as connection:
            health = request_bytes("/healthz", KEY)
            floor = _times(connection, [health] * RESERVATIONS)
            alone = _times(connection, _asking("alone"))
            yield figure(
                "reservations/s, one after the other", RESERVATIONS / sum(alone), "/s", None, RESERVATIONS / sum(floor)
            )
            for percent, target in ((50, None), (99, 5.0)):
                yield figure(f"  p{percent}", p(alone, percent), "ms", target, p(floor, percent))
            with _arriving(server.port):
                floor = _times(connection, [health] * RESERVATIONS)
                loaded = _times(connection, _asking("loaded"))
            for percent, target in ((50, None), (99, 5.0)):
                name = f"a reservation while {ARRIVING:,} events/s arrive, p{percent}"
                yield figure(name, p(loaded, percent), "ms", target, p(floor, percent))


def _asking(name: str) -> list[bytes]:
    return [
        request_bytes("/v1/reservations", KEY, msgspec.json.encode(RESERVATION | {"id": f"{name}-{number}"}))
        for number in range(RESERVATIONS)
    ]


def _times(connection: Connection, requests: list[bytes]) -> list[float]:
    found = []
    for request in requests:
        began = time.perf_counter()
        status, body = connection.send(request)
        found.append(time.perf_counter() - began)
        if status != 200:
            raise RuntimeError(f"{status}: {body[:300]!r}")
    return found


@contextmanager
def _arriving(port: int) -> abc.Generator[None]:
    """Sends batches at a steady rate beside what is done in the block."""
    bodies, ended = _bodies(600), threading.Event()

    def send() -> None:
        with Connection(port) as connection:
            began = time.perf_counter()
            for number, body in enumerate(bodies):
                if ended.wait(max(0.0, began + number * BATCH / ARRIVING - time.perf_counter())):
                    return
                connection.send(body)

    sending = threading.Thread(target=send)
    sending.start()
    try:
        yield
    finally:
        ended.set()
        sending.join()


def _bodies(count: int) -> list[bytes]:
    generator = Generator(seed=5)
    batches = (generator.table(recent(BATCH, age_seconds=60 + (count - number) / 60)) for number in range(count))
    return [request_bytes("/v1/events", KEY, msgspec.json.encode(wire_events(batch))) for batch in batches]


def _limit(folder: Path, count: int) -> None:
    """Sets limits: the organization's, and those of so many projects less one."""
    if not count:
        return
    with open_registry(Settings(data=folder).registry_url) as registry:
        registry.spend_settings.set_limit(None, 10**15, now=1)
        for number in range(count - 1):
            registry.spend_settings.set_limit(f"proj_{number}", 10**15, now=1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=400, help="of 1,000 events, for each number of limits")
    show(spend(parser.parse_args().batches), floor="an answer of /healthz, or no limit")
