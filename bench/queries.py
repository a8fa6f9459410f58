"""How fast pages are answered over HTTP, at rest and while events come in, beside the bare SQL over the whole table."""

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from bench.dashboard import dashboard
from bench.data import DAY, MODELS, Generator, wire_events
from bench.figures import progress
from bench.ingestion import recent
from bench.load import Connection, request_bytes
from bench.measure import KEY, Served, figure, p, served
from usageledger.events.columns import with_cards
from usageledger.ledger import open_ledger
from usageledger.pricing.book import PriceBook
from usageledger.rating.card_giver import CardGiver
from usageledger.registry import open_registry

DAYS = 31
ENCODINGS = ("zstd", "identity")
ARRIVING = 20_000  # events/s
SENDERS = 4
WARM_UP, TIMES, TIMES_ANEW = 5, 50, 10
SECONDS_UNDER_LOAD = 10
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
        yield from measured(data, events)


def measured(data: Path, events: int) -> Iterator[dict[str, Any]]:
    """Every figure of a ledger: pages by zstd and plain, while events arrive, and when nothing is remembered."""
    floors = _floors(data)
    size = size_of(data)
    with served(data) as server:
        for question in QUESTIONS:
            for encoding in ENCODINGS:
                yield from _latencies(server, question, encoding, floors.get(question.name))
        yield from dashboard(server.port, START, START + DAYS * DAY)
        yield figure("resident memory while serving", server.resident_bytes / 2**20, "MiB", 1024)
        yield from _while_events_arrive(server, QUESTIONS[0])
        yield figure("  resident memory then", server.resident_bytes / 2**20, "MiB", 1024)
    yield figure("start to ready", server.start_seconds, "s", 1.5)
    yield figure("clean stop", server.stop_seconds, "s", 5)
    with served(data, cache_bytes=0) as server:
        for question in QUESTIONS:
            _, latencies, _ = ask(server.port, question.address, times=TIMES_ANEW)
            yield figure(f"{question.name}, nothing remembered, p50", p(latencies, 50), "ms")
    yield figure("disk", size / events, "bytes/event", 60)


def size_of(data: Path) -> int:
    """Bytes of the ledger's files."""
    return sum(file.stat().st_size for file in data.glob("ledger.duckdb*"))


def _fill(data: Path, events: int) -> None:
    ledger = open_ledger(f"duckdb:///{data}/ledger.duckdb")
    registry = open_registry(f"sqlite:///{data}/registry.sqlite")
    giver = CardGiver(registry.rate_cards, cache(PriceBook))
    for table in progress(Generator(seed=2).tables(events, START, END, 50_000), events):
        ledger.append(with_cards(table, giver.cards(table)))
        while ledger.compact():
            pass
    ledger.close()
    registry.close()


def _latencies(server: Served, question: Question, encoding: str, floor: float | None) -> Iterator[dict[str, Any]]:
    _, latencies, sent = ask(server.port, question.address, encoding)
    yield figure(f"{question.name}, {encoding}, p50", p(latencies, 50), "ms", question.p50, floor)
    yield figure(f"  p99, {sent / 1e6:.2f} MB sent", p(latencies, 99), "ms", question.p99)


def ask(
    port: int, address: str, encoding: str = "zstd", *, times: int = TIMES, seconds: float = 0
) -> tuple[float, list[float], int]:
    """Seconds from a request to the last byte of its answer: the first one and those that follow; and its bytes.

    These are `times`, and as many more as there are in `seconds`; a few between, which fill caches, are left out.
    """
    request = request_bytes(address, KEY, encoding=encoding)
    latencies: list[float] = []
    body = b""
    with Connection(port) as connection:
        started = time.perf_counter()
        while len(latencies) < WARM_UP + times or time.perf_counter() - started < seconds:
            began = time.perf_counter()
            status, body = connection.send(request)
            latencies.append(time.perf_counter() - began)
            if status != 200:
                raise RuntimeError(body[:500])
    return latencies[0], latencies[WARM_UP:], len(body)


def _while_events_arrive(server: Served, question: Question) -> Iterator[dict[str, Any]]:
    """Latencies under load; the table says so where the server took fewer events than were to arrive."""
    for encoding in ENCODINGS:
        with arriving(server) as taken:
            _, latencies, _ = ask(server.port, question.address, encoding, seconds=SECONDS_UNDER_LOAD)
        few = "" if taken.per_second >= 0.99 * ARRIVING else ", but TOO FEW EVENTS arrived"
        yield figure(f"{question.name} under load, {encoding}, p50", p(latencies, 50), "ms")
        yield figure(f"  p99{few}", p(latencies, 99), "ms", 40)
        yield figure("  events that arrived meanwhile", taken.per_second, "events/s", ARRIVING)


@dataclass
class Taken:
    """How many events a server took in a second."""

    per_second: float = 0.0


@contextmanager
def arriving(server: Served) -> Iterator[Taken]:
    """While this lasts, `ARRIVING` events/s are sent in batches of 1,000; how many were taken is known at its end.

    Raises:
        RuntimeError: the server did not accept a batch.
    """
    generator, stop, run_id, ticket = Generator(seed=3), threading.Event(), time.time_ns(), count()
    bodies = [msgspec.json.encode(wire_events(generator.table(recent(1_000, age_seconds=5)))) for _ in range(200)]
    failures: list[str] = []
    answered: list[float] = []

    def send() -> None:
        with Connection(server.port) as connection:
            while not failures:
                number = next(ticket)
                if stop.wait(max(0.0, began + number * 1_000 / ARRIVING - time.perf_counter())):
                    return
                # The same events again and again, each time with ids of their own.
                body = bodies[number % len(bodies)].replace(b'"evt_', b'"%d_%d_' % (run_id, number))
                status, answer = connection.send(request_bytes("/v1/events", KEY, body))
                if status != 200 or msgspec.json.decode(answer)["accepted"] != 1_000:
                    failures.append(f"{status}: {answer[:500]!r}")
                answered.append(time.perf_counter())

    # Several, so that the next batch is sent though one waits for the disk.
    threads = [threading.Thread(target=send) for _ in range(SENDERS)]
    taken, began = Taken(), time.perf_counter()
    for thread in threads:
        thread.start()
    try:
        yield taken
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if failures:
        raise RuntimeError(failures[0])
    taken.per_second = 1_000 * len(answered) / (max(answered) - began)


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
