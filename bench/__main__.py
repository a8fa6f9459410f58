"""`python -m bench`: one table of figures, each beside its target and the engine's floor in the same run."""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from bench.dashboard import dashboard
from bench.data import DAY, START, Generator, wire_events
from bench.load import Connection, request_bytes, run
from usageledger.ledger import open_ledger
from usageledger.ledger.schema import create_tables
from usageledger.pricing.book import PriceBook
from usageledger.registry import open_registry
from usageledger.server.pricing import CardGiver

# The server as it is, but that every event gets the card 1 without a look.
WITHOUT_PRICES = """
import numpy as np
from usageledger.cli import main
from usageledger.server.pricing import CardGiver
CardGiver.cards = lambda self, rows: np.ones(rows.num_rows, np.int64)
main()
"""
KEY = "sk-admin-bench-0000000000000000"
CONNECTIONS = 8
DAYS = 31


def main() -> None:
    """Runs every measurement and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000, help="events in the ledger that is queried")
    parser.add_argument("--ingest-seconds", type=float, default=10, help="how much load, about, for ingestion")
    parser.add_argument("--json", type=Path, default=Path("bench/results.json"), help="where the figures go")
    given = parser.parse_args()
    figures = [*ingestion(given.ingest_seconds), *queries(given.events)]
    given.json.write_text(json.dumps({"events": given.events, "figures": figures}, indent=2) + "\n")
    show(figures)


def ingestion(seconds: float) -> Iterator[dict[str, Any]]:
    """Durable events/s over HTTP in batches of 1,000 and one by one, and DuckDB's own rate for the same commits."""
    generator = Generator(seed=1)
    count = int(60 * seconds)
    batches = [generator.table(_recent(1_000, age_seconds=60 + (count - number) / 60)) for number in range(count)]
    bodies = [msgspec.json.encode(wire_events(batch)) for batch in batches]
    floor = _floor(batches[:200])
    sent = [request_bytes("/v1/events", KEY, body) for body in bodies]
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), priced=False) as (port, _):
        run(port, sent[:20], CONNECTIONS)
        took, latencies = run(port, sent[20:], CONNECTIONS)
        yield figure("events/s, batches of 1,000, pricing off", 1000 * len(latencies) / took, None, floor, "events/s")
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as (port, _):
        run(port, sent[:20], CONNECTIONS)
        took, latencies = run(port, sent[20:], CONNECTIONS)
        yield figure("events/s, batches of 1,000", 1000 * len(latencies) / took, 60_000, floor, "events/s")
        yield figure("  p99 of a batch", p(latencies, 99), None, None, "ms")
        singles = wire_events(generator.table(_recent(int(2_000 * seconds), age_seconds=30)))
        requests = [request_bytes("/v1/events", KEY, msgspec.json.encode(event)) for event in singles]
        for connections, target in ((CONNECTIONS, 2_000), (64, None)):
            part = requests[: len(requests) // 2] if connections == CONNECTIONS else requests[len(requests) // 2 :]
            took, latencies = run(port, part, connections)
            floor_one = _floor([batch.slice(0, 1) for batch in batches[:200]])
            name = f"events/s, one by one, {connections} connections"
            yield figure(name, len(latencies) / took, target, floor_one, "events/s")
            yield figure("  p99 of an event", p(latencies, 99), None, None, "ms")


def _recent(count: int, age_seconds: float) -> np.ndarray[Any, Any]:
    """`count` timestamps around `age_seconds` ago, a few seconds apart, ascending: as a gateway sends them."""
    return int(time.time() - age_seconds) + np.arange(count) * 5 // count


def _floor(batches: Sequence[pa.Table]) -> float:
    """Events/s of DuckDB alone: each batch appended to the same columns in a commit of its own."""
    with tempfile.TemporaryDirectory() as folder:
        connection = duckdb.connect(f"{folder}/floor.duckdb", config={"checkpoint_threshold": "64MB"})
        connection.execute(create_tables()[0])
        began = time.perf_counter()
        for batch in batches:  # noqa: B007 - DuckDB reads it by its name
            connection.execute("INSERT INTO events SELECT * FROM batch")
        took = time.perf_counter() - began
        connection.close()
    return sum(batch.num_rows for batch in batches) / took


def queries(events: int) -> Iterator[dict[str, Any]]:
    """Latencies of pages over HTTP on a ledger of `events` events, and of the bare SQL of the whole table."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        began = time.perf_counter()
        ledger = open_ledger(f"duckdb:///{data}/ledger.duckdb")
        registry = open_registry(f"sqlite:///{data}/registry.sqlite")
        giver = CardGiver(registry.rate_cards, PriceBook())
        for table in Generator(seed=2).tables(events, DAYS, 50_000):
            place = table.column_names.index("rate_id")
            ledger.append(table.set_column(place, "rate_id", pa.array(giver.cards(table))))
            while ledger.compact():
                pass
        ledger.close()
        registry.close()
        print(f"{events:,} events written in {time.perf_counter() - began:.0f} s", file=sys.stderr)
        floors = _query_floors(data)
        size = sum(file.stat().st_size for file in data.glob("ledger.duckdb*"))
        with served(data) as (port, process):
            for (name, (address, target)), floor in zip_longest(QUERIES.items(), floors):
                latencies, length = _query(port, address)
                yield figure(f"{name}, p50", p(latencies, 50), target, floor, "ms")
                yield figure(f"  p99, page of {length / 1e6:.1f} MB", p(latencies, 99), None, None, "ms")
            yield from dashboard(port, KEY, START, START + DAYS * DAY)
            yield figure("disk", size / events, None, None, "bytes/event")
            yield figure("resident memory while serving", _resident_bytes(process.pid) / 2**20, None, None, "MiB")


USAGE, COSTS = "/v1/organization/usage/completions", "/v1/organization/costs"
WINDOW = f"start_time={START}&end_time={START + DAYS * DAY}"
QUERIES: dict[str, tuple[str, float | None]] = {
    "31x1d by model and project": (f"{USAGE}?{WINDOW}&limit=31&group_by=model,project_id", 50),
    "31x1d": (f"{USAGE}?{WINDOW}&limit=31", None),
    "31x1d by model": (f"{USAGE}?{WINDOW}&limit=31&group_by=model", None),
    "168x1h by model": (f"{USAGE}?{WINDOW}&limit=168&bucket_width=1h&group_by=model", None),
    "1440x1m": (f"{USAGE}?{WINDOW}&limit=1440&bucket_width=1m", None),
    "costs 31x1d by line item": (f"{COSTS}?{WINDOW}&limit=31&group_by=line_item", 30),
    "costs 31x1d by project": (f"{COSTS}?{WINDOW}&limit=31&group_by=project_id", None),
}


def _query(port: int, address: str) -> tuple[list[float], int]:
    request = request_bytes(address, KEY)
    latencies: list[float] = []
    length = 0
    with Connection(port) as connection:
        for number in range(55):
            began = time.perf_counter()
            status, body = connection.send(request)
            if status != 200:
                raise RuntimeError(body[:500])
            if number >= 5:  # the first ones fill caches
                latencies.append(time.perf_counter() - began)
            length = len(body)
    return latencies, length


def _query_floors(data: Path) -> list[float]:
    """What DuckDB alone takes for the same answers from the table of events, in ms: the p50 of five."""
    end = START + DAYS * DAY
    sums = "SUM(input_text_tokens), SUM(input_cached_text_tokens), SUM(output_text_tokens), SUM(num_model_requests)"
    groups = [(86400, ", model, project_id", end), (86400, "", end), (86400, ", model", end)]
    groups += [(3600, ", model", START + 168 * 3600), (60, "", START + DAY)]
    floors: list[float] = []
    with duckdb.connect(str(data / "ledger.duckdb"), read_only=True) as connection:
        for width, names, until in groups:
            statement = (
                f"SELECT ts - ts % {width}{names}, {sums} FROM events "
                f"WHERE kind = 'completions' AND ts >= {START} AND ts < {until} GROUP BY ALL ORDER BY ALL"
            )
            latencies: list[float] = []
            for _ in range(5):
                began = time.perf_counter()
                connection.sql(statement).to_arrow_table()
                latencies.append(time.perf_counter() - began)
            floors.append(p(latencies, 50))
    return floors


@contextmanager
def served(data: Path, *, priced: bool = True) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A real server on `data`: its port and its process."""
    start = ["-m", "usageledger"] if priced else ["-c", WITHOUT_PRICES]
    command = [sys.executable, *start, "serve", "--port", "0", "--data", str(data), "--json"]
    environment = {**os.environ, "USAGELEDGER_ADMIN_KEY": KEY}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        yield int(json.loads(process.stdout.readline())["address"].rpartition(":")[2]), process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _resident_bytes(process_id: int) -> int:
    status = Path(f"/proc/{process_id}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def p(latencies: Sequence[float], percent: int) -> float:
    """A percentile of seconds, in milliseconds."""
    if percent == 50:
        return 1000 * statistics.median(latencies)
    return 1000 * statistics.quantiles(latencies, n=100, method="inclusive")[percent - 1]


def figure(name: str, ours: float, target: float | None, floor: float | None, unit: str) -> dict[str, Any]:
    """One row of the table."""
    return {"name": name, "ours": ours, "target": target, "floor": floor, "unit": unit}


def show(figures: list[dict[str, Any]]) -> None:
    """The table on stdout."""
    table = Table(title="UsageLedger", caption="ratio: ours to DuckDB alone, doing the same in the same run")
    table.add_column("figure")
    for column in ("ours", "target", "DuckDB alone", "ratio"):
        table.add_column(column, justify="right")
    table.add_column("unit")
    for row in figures:
        cells = [_number(row[name]) for name in ("ours", "target", "floor")]
        ratio = f"{row['ours'] / row['floor']:.2f}" if row["floor"] else ""
        table.add_row(row["name"], *cells, ratio, row["unit"])
    Console(width=110).print(table)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


if __name__ == "__main__":
    main()
