"""How fast pages are answered over HTTP, at rest and while events come in, beside the bare SQL over the whole table."""

import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from bench.dashboard import dashboard
from bench.data import DAY, MODELS, Generator, wire_events
from bench.ingestion import recent
from bench.load import Connection, request_bytes
from bench.measure import KEY, Served, figure, p, served
from usageledger.columns import with_cards
from usageledger.ledger import open_ledger
from usageledger.pricing.book import PriceBook
from usageledger.registry import open_registry
from usageledger.server.pricing import CardGiver

DAYS = 31
ARRIVING = 20_000  # events/s
WARM_UP, TIMES = 5, 50
END = int(time.time()) // 3600 * 3600
START = END // DAY * DAY - (DAYS - 1) * DAY
USAGE, COSTS = "/v1/organization/usage/completions", "/v1/organization/costs"


@dataclass(frozen=True)
class Question:
    """A page; `p50` and `p99` are targets in ms, `floor` its bucket width and groups in the table of events."""

    name: str
    address: str
    p50: float | None = None
    p99: float | None = None
    floor: tuple[int, str] | None = None


def _usage(rest: str, days: int = DAYS) -> str:
    return f"{USAGE}?start_time={START}&end_time={START + days * DAY}&{rest}"


QUESTIONS = (
    Question(
        "31x1d by model and project",
        _usage("limit=31&group_by=model,project_id"),
        5,
        15,
        (DAY, ", model, project_id"),
    ),
    Question("31x1d by user", _usage("limit=31&group_by=user_id"), None, 60, (DAY, ", user_id")),
    Question(
        "31x1d by API key, two models",
        _usage(f"limit=31&group_by=api_key_id&models={MODELS[0]}&models={MODELS[1]}"),
        None,
        60,
        (DAY, ", api_key_id"),
    ),
    Question("168x1h by model", _usage("limit=168&bucket_width=1h&group_by=model", 7), None, 30, (3600, ", model")),
    Question("1440x1m", _usage("limit=1440&bucket_width=1m", 1), None, 30, (60, "")),
    Question(
        "costs 180x1d by line item",
        f"{COSTS}?start_time={START - (180 - DAYS) * DAY}&end_time={START + DAYS * DAY}&limit=180&group_by=line_item",
        None,
        30,
    ),
    Question("31x1d in Kathmandu by model", _usage("limit=31&group_by=model&timezone=Asia/Kathmandu")),
    Question("31x1d", _usage("limit=31")),
)


def queries(events: int) -> Iterator[dict[str, Any]]:
    """Latencies on a ledger of `events` events over 31 days up to now."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        _fill(data, events)
        floors = _floors(data)
        size = sum(file.stat().st_size for file in data.glob("ledger.duckdb*"))
        with served(data) as server:
            for question in QUESTIONS:
                yield from _latencies(server, question, floors.get(question.name))
            yield from dashboard(server.port, START, START + DAYS * DAY)
            with arriving(server):
                for question in QUESTIONS[:1]:
                    target = 40
                    latencies, _ = _ask(server.port, question.address)
                    yield figure(f"{question.name}, {ARRIVING:,} events/s arriving, p50", p(latencies, 50), "ms")
                    yield figure("  p99", p(latencies, 99), "ms", target)
            yield figure("resident memory while serving", server.resident_bytes / 2**20, "MiB", 1024)
        yield figure("start to ready", server.start_seconds, "s", 1.5)
        yield figure("clean stop", server.stop_seconds, "s", 5)
        with served(data, cache_bytes=0) as server:
            for question in QUESTIONS:
                latencies, _ = _ask(server.port, question.address)
                yield figure(f"{question.name}, nothing remembered, p50", p(latencies, 50), "ms")
                yield figure("  p99", p(latencies, 99), "ms")
        yield figure("disk", size / events, "bytes/event", 60)


def _fill(data: Path, events: int) -> None:
    began = time.perf_counter()
    ledger = open_ledger(f"duckdb:///{data}/ledger.duckdb")
    registry = open_registry(f"sqlite:///{data}/registry.sqlite")
    giver = CardGiver(registry.rate_cards, PriceBook())
    for table in Generator(seed=2).tables(events, START, END, 50_000):
        ledger.append(with_cards(table, giver.cards(table)))
        while ledger.compact():
            pass
    ledger.close()
    registry.close()
    print(f"{events:,} events written in {time.perf_counter() - began:.0f} s", file=sys.stderr)


def _latencies(server: Served, question: Question, floor: float | None) -> Iterator[dict[str, Any]]:
    latencies, length = _ask(server.port, question.address)
    yield figure(f"{question.name}, p50", p(latencies, 50), "ms", question.p50, floor)
    yield figure(f"  p99, page of {length / 1e6:.1f} MB", p(latencies, 99), "ms", question.p99)


def _ask(port: int, address: str) -> tuple[list[float], int]:
    request = request_bytes(address, KEY)
    latencies: list[float] = []
    length = 0
    with Connection(port) as connection:
        for number in range(WARM_UP + TIMES):
            began = time.perf_counter()
            status, body = connection.send(request)
            if status != 200:
                raise RuntimeError(body[:500])
            if number >= WARM_UP:  # the first ones fill caches
                latencies.append(time.perf_counter() - began)
            length = len(body)
    return latencies, length


@contextmanager
def arriving(server: Served) -> Iterator[None]:
    """While this lasts, `ARRIVING` events/s come in, in batches of 1,000."""
    generator, stop = Generator(seed=3), threading.Event()
    bodies = [msgspec.json.encode(wire_events(generator.table(recent(1_000, age_seconds=5)))) for _ in range(200)]

    def send() -> None:
        began = time.perf_counter()
        with Connection(server.port) as connection:
            for number in count():
                if stop.wait(max(0.0, began + number * 1_000 / ARRIVING - time.perf_counter())):
                    return
                # The same events again and again, each time with ids of their own.
                body = bodies[number % len(bodies)].replace(b'"evt_', b'"%d_' % number)
                status, answer = connection.send(request_bytes("/v1/events", KEY, body))
                if status != 200:
                    raise RuntimeError(answer[:500])

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _floors(data: Path) -> dict[str, float]:
    """What DuckDB alone takes for the same answers from the table of events, in ms: the p50 of three."""
    sums = "SUM(input_text_tokens), SUM(input_cached_text_tokens), SUM(output_text_tokens), SUM(num_model_requests)"
    spans = {DAY: DAYS * DAY, 3600: 7 * DAY, 60: DAY}
    floors: dict[str, float] = {}
    with duckdb.connect(str(data / "ledger.duckdb"), read_only=True) as connection:
        for question in QUESTIONS:
            if not question.floor:
                continue
            width, groups = question.floor
            chosen = f" AND model IN ('{MODELS[0]}', '{MODELS[1]}')" if "models=" in question.address else ""
            statement = (
                f"SELECT ts - ts % {width}{groups}, {sums} FROM events WHERE kind = 'completions' AND ts >= {START} "
                f"AND ts < {START + spans[width]}{chosen} GROUP BY ALL ORDER BY ALL"
            )
            latencies: list[float] = []
            for _ in range(3):
                began = time.perf_counter()
                connection.sql(statement).to_arrow_table()
                latencies.append(time.perf_counter() - began)
            floors[question.name] = p(latencies, 50)
    return floors
