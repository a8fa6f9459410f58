"""`make bench-sweep`: one ledger grown from 1 to 100 million events over HTTP, and what it costs at each size.

The figures of each size are written as soon as they are known, with the plot of those so far, so that a sweep that is
interrupted is of use. At `TABLE` million events the whole table of `make bench` is measured too, on a copy.
"""

import argparse
import json
import logging
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from queue import Queue
from typing import Any

from bench.data import Generator
from bench.figures import collect, machine, progress, show
from bench.ingestion import ARROW_EVENTS, arrow_request, ingestion, seconds_of_load
from bench.load import Connection
from bench.measure import Served, p, served
from bench.plot import plot
from bench.queries import DAYS, END, QUESTIONS, START, ask, measured, size_of

SIZES = (1, 2, 5, 10, 20, 50, 100)  # million events
TABLE = 50
SENDERS = 4


def main() -> None:
    """Runs it and writes JSON and SVG."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=float, nargs="+", default=SIZES, help="millions of events, ascending")
    parser.add_argument("--table", type=float, default=TABLE, help="at which of them to measure the whole table")
    parser.add_argument("--ingest-seconds", type=seconds_of_load, default=10, help="as of `make bench`, for that table")
    parser.add_argument("--json", type=Path, default=Path("bench/results-sweep.json"), help="where the figures go")
    parser.add_argument("--plot", type=Path, default=Path("docs/images/sweep.svg"), help="where the picture goes")
    given = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)  # that made-up usage has no price is nothing to be told of
    told: dict[str, Any] = {**machine(), "sizes": [], "table": []}

    def write() -> None:
        given.json.write_text(json.dumps(told, indent=2) + "\n")
        given.plot.write_text(plot(told["sizes"]))

    with tempfile.TemporaryDirectory(prefix="usageledger-sweep-") as folder:
        data, generator, have = Path(folder) / "data", Generator(seed=2), 0
        for millions in given.sizes:
            events = int(millions * 1_000_000)
            told["sizes"].append(grown(data, generator, have, events))
            have = events
            write()
            say(told["sizes"][-1])
            if millions == given.table:
                copy = shutil.copytree(data, Path(folder) / "copy")
                figures = chain(measured(copy, events), ingestion(given.ingest_seconds))
                told["table"] = collect(figures, given.json.with_suffix(".table.json"), events=events)
                shutil.rmtree(copy)
                write()
                show(told["table"])


def grown(data: Path, generator: Generator, have: int, events: int) -> dict[str, Any]:
    """Sends what is missing to `events` events, spread over the whole window, and measures the ledger at rest."""
    with served(data) as server:
        began = time.perf_counter()
        fill(server, arrow_requests(generator, events - have))
        took = time.perf_counter() - began
        server.settle()
        settled = time.perf_counter() - began
    with served(data) as server:
        pages = {question.name: page(server, question.address) for question in QUESTIONS}
        memory = server.resident_bytes
    return {
        "events": events,
        "events_per_second": (events - have) / took,
        "events_per_second_rollups_included": (events - have) / settled,
        "bytes_per_event": size_of(data) / events,
        "resident_mib": memory / 2**20,
        "start_seconds": server.start_seconds,
        "stop_seconds": server.stop_seconds,
        "pages": pages,
    }


def page(server: Served, address: str) -> dict[str, float]:
    """One question by zstd: the first answer, which nothing is remembered of, then those that follow."""
    first, latencies, sent = ask(server.port, address)
    return {"first_ms": 1000 * first, "p50_ms": p(latencies, 50), "p99_ms": p(latencies, 99), "bytes_sent": sent}


def arrow_requests(generator: Generator, events: int) -> Iterator[bytes]:
    """Requests of `ARROW_EVENTS` events each, in order of time."""
    tables = generator.tables(events, START, min(END, START + DAYS * 86_400), 5 * ARROW_EVENTS)
    for table in progress(tables, events):
        for first in range(0, table.num_rows, ARROW_EVENTS):
            yield arrow_request(table.slice(first, ARROW_EVENTS))


def fill(server: Served, requests: Iterator[bytes]) -> None:
    """Sends all of them over `SENDERS` connections while the next ones are made.

    Raises:
        RuntimeError: one was not taken.
    """
    waiting: Queue[bytes | None] = Queue(2 * SENDERS)
    failures: list[str] = []

    def send() -> None:
        with Connection(server.port) as connection:
            while request := waiting.get():
                status, answer = connection.send(request) if not failures else (200, b'"rejected":0')
                if status != 200 or b'"rejected":0' not in answer:
                    failures.append(f"{status}: {answer[:500]!r}")

    threads = [threading.Thread(target=send) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for request in requests:
        waiting.put(request)
    for _ in threads:
        waiting.put(None)
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(failures[0])


def say(size: dict[str, Any]) -> None:
    """One line on stderr."""
    slowest = max(size["pages"].items(), key=lambda item: item[1]["p99_ms"])
    sys.stderr.write(
        f"{size['events']:>11,} events: {size['events_per_second']:,.0f} events/s, {size['bytes_per_event']:.1f} "
        f"bytes/event, {size['resident_mib']:.0f} MiB, slowest p99 {slowest[1]['p99_ms']:.1f} ms ({slowest[0]})\n"
    )


if __name__ == "__main__":
    main()
