"""`python -m bench.clickhouse`: the server on one ClickHouse node, each figure beside what ClickHouse alone does."""

import argparse
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from tests.support.services.clickhouse import cluster

from bench.data import Generator, wire_events
from bench.figures import collect, progress, show
from bench.ingestion import recent
from bench.load import Connection, request_bytes, run
from bench.measure import KEY, figure, p, served
from bench.queries import END, QUESTIONS, START
from usageledger.events.columns import with_cards
from usageledger.ledger import migrate_ledger
from usageledger.ledger.clickhouse import parse_address, table_ddl
from usageledger.ledger.clickhouse.client import Connection as ClickHouse
from usageledger.ledger.clickhouse.ledger import LATEST
from usageledger.meters import METER_BY_KIND
from usageledger.pricing.book import PriceBook
from usageledger.rating.card_giver import CardGiver
from usageledger.registry import open_registry

BATCH = 10_000
CONNECTIONS = 8
COMMIT_EVENTS = 50_000  # as docs/scale-out.md advises
TIMES = 15


def main() -> None:
    """Runs every measurement and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000, help="events in the ledger that is queried")
    parser.add_argument("--batches", type=int, default=60, help=f"batches of {BATCH:,} that are sent")
    parser.add_argument("--json", type=Path, default=Path("bench/results-clickhouse.json"), help="where the figures go")
    given = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)  # that made-up usage has no price is nothing to be told of
    with tempfile.TemporaryDirectory(prefix="usageledger-bench-") as name, cluster(Path(name) / "ch", 1) as nodes:
        server = f"clickhouse://{nodes[0].address}/"
        measured = chain(ingestion(Path(name), server, given.batches), queries(Path(name), server, given.events))
        figures = collect(measured, given.json, events=given.events)
    show(figures, "ClickHouse alone")


def ingestion(folder: Path, server: str, batches: int) -> Iterator[dict[str, Any]]:
    """Events/s over HTTP in batches, beside bare inserts of the same columns, flushed to the disk as well."""
    generator = Generator(seed=1)
    made = [generator.table(recent(BATCH, 60 + batches - number)) for number in range(batches)]
    for name in ("bare", "ingested"):
        migrate_ledger(f"{server}{name}")
    bare = ClickHouse(parse_address(f"{server}bare"), database="bare")
    rows = [_with_precedence(each) for each in made]
    floor = BATCH / statistics.median(_timed(rows, lambda each: bare.insert("events", each)))
    bare.close()
    requests = [request_bytes("/v1/events", KEY, msgspec.json.encode(wire_events(each))) for each in made]
    with served(folder / "ingested", ledger=f"{server}ingested", commit_events=COMMIT_EVENTS) as answering:
        run(answering.port, requests[:4], 2)
        took, latencies = run(answering.port, requests[4:], CONNECTIONS)
        rate = BATCH * len(latencies) / took
        yield figure(f"events/s, batches of {BATCH:,}", rate, "events/s", 0.6 * floor, floor)
        yield figure("  p99 of a batch", p(latencies, 99), "ms")


def queries(folder: Path, server: str, events: int) -> Iterator[dict[str, Any]]:
    """Pages of a full ledger before and after its parts are merged, beside the bare statements; and its size."""
    url = f"{server}full"
    migrate_ledger(url)
    connection = ClickHouse(parse_address(url), database="full")
    (folder / "full").mkdir()
    _fill(folder / "full" / "registry.sqlite", connection, events)
    with served(folder / "full", ledger=url) as answering:
        for merged in (False, True):
            if merged:
                connection.command("OPTIMIZE TABLE events FINAL")
            for question in QUESTIONS:
                request = request_bytes(question.address, KEY)
                took = p(_timed([request] * TIMES, partial(_ask, answering.port)), 50)
                floor = None
                if question.floor:
                    statement = _bare(question.address, *question.floor)
                    floor = p(_timed([statement] * TIMES, connection.read), 50)
                state = "merged" if merged else "before merges"
                yield figure(f"{question.name}, {state}, p50", took, "ms", floor and 1.5 * floor + 5, floor)
    size = connection.read("SELECT sum(bytes_on_disk) AS bytes FROM system.parts WHERE active AND database = 'full'")
    yield figure("disk, merged", size["bytes"][0].as_py() / events, "bytes/event")
    connection.close()


def _fill(registry_file: Path, connection: ClickHouse, events: int) -> None:
    with open_registry(f"sqlite:///{registry_file}") as registry:
        giver = CardGiver(registry.rate_cards, cache(PriceBook))
        for table in progress(Generator(seed=2).tables(events, START, END, 100_000), events):
            connection.insert("events", _with_precedence(with_cards(table, giver.cards(table))))


def _bare(address: str, width: int, names: str) -> str:
    """The same answer by plain sums, which may overflow, of rows that may be doubled."""
    given = dict(pair.split("=", 1) for pair in address.partition("?")[2].split("&") if not pair.startswith("models"))
    sums = ", ".join(f"SUM({name})" for name in METER_BY_KIND["completions"].columns)
    models = [pair.partition("=")[2] for pair in address.split("&") if pair.startswith("models")]
    chosen = f" AND model IN ({', '.join(map(repr, models))})" if models else ""
    return (
        f"SELECT ts - ts % {width} AS bucket{names}, {sums} FROM events WHERE kind = 'completions' "
        f"AND ts >= {given['start_time']} AND ts < {given['end_time']}{chosen} GROUP BY ALL ORDER BY ALL"
    )


def _with_precedence(table: pa.Table) -> pa.Table:
    return table.append_column(table_ddl.PRECEDENCE, pa.array(np.full(table.num_rows, LATEST, np.uint64)))


def _ask(port: int, request: bytes) -> None:
    with Connection(port) as connection:
        status, body = connection.send(request)
    if status != 200:
        raise RuntimeError(body[:500])


def _timed(items: Iterable[Any], work: Callable[[Any], Any]) -> list[float]:
    took = []
    for item in items:
        began = time.perf_counter()
        work(item)
        took.append(time.perf_counter() - began)
    return took


if __name__ == "__main__":
    main()
