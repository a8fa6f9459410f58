"""How fast events come in, durable, over HTTP, beside what DuckDB alone does with the same commits."""

import math
import tempfile
import time
from argparse import ArgumentTypeError
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np
import pyarrow as pa

from bench.data import Generator, wire_events, wire_table
from bench.load import Connection, request_bytes, run
from bench.measure import KEY, figure, p, served
from usageledger.events.decoders import ARROW_TYPES
from usageledger.ledger.schema import create_tables

CONNECTIONS, MANY_CONNECTIONS = 8, 64
SECONDS_MIN = 1
ARROW_EVENTS = 10_000  # in a batch, the most that a server takes by default


def seconds_of_load(text: str) -> float:
    """Reads an option: less than a second has too few requests to tell anything by.

    Raises:
        ArgumentTypeError: it is neither 0 nor at least `SECONDS_MIN`.
    """
    seconds = float(text)
    if seconds != 0 and not SECONDS_MIN <= seconds < math.inf:
        raise ArgumentTypeError(f"expected 0 for none, or at least {SECONDS_MIN} second, got {text}")
    return seconds


def ingestion(seconds: float) -> Iterator[dict[str, Any]]:
    """Events/s in batches of 1,000 and one by one, about `seconds` long each, and how long one alone takes."""
    if not seconds:
        return
    generator = Generator(seed=1)
    count = int(60 * seconds)
    batches = [generator.table(recent(1_000, age_seconds=60 + (count - number) / 60)) for number in range(count)]
    bodies = [msgspec.json.encode(wire_events(batch)) for batch in batches]
    floor = _floor(batches[:200])
    sent = [request_bytes("/v1/events", KEY, body) for body in bodies]
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), priced=False) as server:
        run(server.port, sent[:20], CONNECTIONS)
        took, latencies = run(server.port, sent[20:], CONNECTIONS)
        rate = 1000 * len(latencies) / took
        yield figure("events/s, JSON batches of 1,000, pricing off", rate, "events/s", floor=floor)
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as server:
        run(server.port, sent[:20], CONNECTIONS)
        took, latencies = run(server.port, sent[20:], CONNECTIONS)
        rate = 1000 * len(latencies) / took
        yield figure("events/s, JSON batches of 1,000", rate, "events/s", 120_000, floor)
        yield figure("  p99 of a batch", p(latencies, 99), "ms")
        singles = wire_events(generator.table(recent(int(2_000 * seconds), age_seconds=30)))
        requests = [request_bytes("/v1/events", KEY, msgspec.json.encode(event)) for event in singles]
        floor = _floor([batch.slice(0, 1) for batch in batches[:200]])
        few, many, alone = requests[: len(requests) // 2], requests[len(requests) // 2 : -50], requests[-50:]
        for connections, part, target in ((CONNECTIONS, few, None), (MANY_CONNECTIONS, many, 6_000)):
            took, latencies = run(server.port, part, connections)
            name = f"events/s, one by one, {connections} connections"
            yield figure(name, len(latencies) / took, "events/s", target, floor)
            yield figure("  p99 of an event", p(latencies, 99), "ms")
        yield figure("one event alone, p99", p(_alone(server.port, alone), 99), "ms", 15)
    yield from _by_arrow(seconds)


def _by_arrow(seconds: float) -> Iterator[dict[str, Any]]:
    """Events/s by Arrow IPC, in batches as small as those of JSON and in those that such clients send."""
    generator = Generator(seed=4)
    for size in (1_000, ARROW_EVENTS):
        count = int(150_000 * seconds / size)
        ages = (60 + (count - number) * size / 60_000 for number in range(count))
        batches = [generator.table(recent(size, age)) for age in ages]
        floor = _floor(batches[: max(10, 200_000 // size)])
        sent = [arrow_request(batch) for batch in batches]
        del batches
        with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as server:
            run(server.port, sent[: count // 20], CONNECTIONS)
            took, latencies = run(server.port, sent[count // 20 :], CONNECTIONS)
        rate = size * len(latencies) / took
        yield figure(f"events/s, Arrow IPC batches of {size:,}", rate, "events/s", 300_000, floor)
        yield figure("  p99 of a batch", p(latencies, 99), "ms")


def arrow_request(batch: pa.Table) -> bytes:
    """A request that sends the events of a batch as an Arrow IPC stream."""
    stream, events = pa.BufferOutputStream(), wire_table(batch)
    with pa.ipc.new_stream(stream, events.schema) as writer:
        writer.write_table(events)
    return request_bytes("/v1/events", KEY, stream.getvalue().to_pybytes(), media_type=ARROW_TYPES[0])


def _alone(port: int, requests: Sequence[bytes]) -> list[float]:
    """Each request some time after the one before, when the server is at rest."""
    latencies: list[float] = []
    with Connection(port) as connection:
        for request in requests:
            time.sleep(0.05)
            began = time.perf_counter()
            connection.send(request)
            latencies.append(time.perf_counter() - began)
    return latencies


def recent(count: int, age_seconds: float) -> np.ndarray[Any, Any]:
    """`count` timestamps around `age_seconds` ago, a few seconds apart, ascending: as a gateway sends them."""
    return int(time.time() - age_seconds) + np.arange(count) * 5 // count


def _floor(batches: Sequence[pa.Table]) -> float:
    """Events/s of DuckDB alone: each batch appended to the same columns in a commit of its own."""
    with tempfile.TemporaryDirectory() as folder:
        connection = duckdb.connect(f"{folder}/floor.duckdb", config={"checkpoint_threshold": "64MB"})
        connection.execute(create_tables()[0])
        began = time.perf_counter()
        for number, batch in enumerate(batches):  # noqa: B007 - DuckDB reads it by its name
            connection.execute(f"INSERT INTO events SELECT *, {number} FROM batch")
        took = time.perf_counter() - began
        connection.close()
    return sum(batch.num_rows for batch in batches) / took
