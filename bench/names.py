"""A million names that never came before, beside usage as it is: `python -m bench.names`.

Every event names a project, a user and a model for the first time, which is the worst that a client can do; then each
name comes in ten events. What is kept is a day of a million projects, users and models, which a server is started on.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pyarrow as pa

from bench.data import Generator, wire_events
from bench.figures import show
from bench.ingestion import CONNECTIONS, recent
from bench.load import request_bytes, run
from bench.measure import KEY, Served, figure, served

EVENTS = 1_000  # in a batch
BATCHES = 100  # made at once
NAMED = ("project_id", "user_id", "model")
DAY = 86_400


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--names", type=int, default=1_000_000, help="distinct projects, users and models, of each")
    names = parser.parse_args().names
    figures: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        rates: list[float] = []
        works: list[float] = []
        for place, (words, uses) in enumerate(
            (("as it is", 0), ("each name in ten events", 10), ("each name in one event", 1))
        ):
            data = Path(folder, str(place))
            with served(data) as server:
                before = server.processor_seconds
                rates.append(filled(server, names, uses))
                figures.append(figure(f"events/s, usage {words}", rates[-1], "events/s", floor=rates[0]))
                server.settle()
                works.append((server.processor_seconds - before) / names * 1e6)
                figures.append(figure("  the server's processor time", works[-1], "µs/event", floor=works[0]))
                figures.append(figure("  resident memory then", server.resident_bytes / 2**20, "MiB"))
        figures += asked(data)
    show(figures, "usage as it is")


def filled(server: Served, names: int, uses: int) -> float:
    """Events/s of as many events as names; each name is used in `uses` of them, or 0 for few names."""
    generator, seconds = Generator(seed=1), 0.0
    batch = EVENTS * BATCHES
    for first in range(0, names, batch):
        rows = generator.table(recent(min(batch, names - first), age_seconds=60))
        for column in NAMED if uses else ():
            made = pa.array([f"{column}-{(first + number) // uses}" for number in range(rows.num_rows)])
            rows = rows.set_column(rows.column_names.index(column), column, made)
        kind = pa.array(["completions"] * rows.num_rows)
        rows = rows.set_column(rows.column_names.index("kind"), "kind", kind)
        parts = [rows.slice(start, EVENTS) for start in range(0, rows.num_rows, EVENTS)]
        sent = [request_bytes("/v1/events", KEY, msgspec.json.encode(wire_events(part))) for part in parts]
        seconds += run(server.port, sent, CONNECTIONS)[0]
    return names / seconds


def asked(data: Path) -> list[dict[str, Any]]:
    """How long a server takes to start on them, for the first costs, and for a search among them."""
    today = int(recent(1, 0)[0]) // DAY * DAY
    questions: dict[str, tuple[str, dict[str, Any]]] = {
        "first costs of the day": ("/v1/organization/costs", {"start_time": today - DAY}),
        "costs of the day again": ("/v1/organization/costs", {"start_time": today - DAY}),
        "first hundred models": ("/v1/facets", {"dimension": "model"}),
        "a search among projects": ("/v1/facets", {"dimension": "project_id", "search": "99999"}),
        "a search among users that finds nothing": ("/v1/facets", {"dimension": "user_id", "search": "nobody"}),
    }
    with served(data) as server:
        figures = [figure("start to ready, with them", 1000 * server.start_seconds, "ms")]
        for words, (path, parameters) in questions.items():
            took, _ = run(server.port, [request_bytes(f"{path}?{urlencode(parameters)}", KEY)], 1)
            figures.append(figure(words, 1000 * took, "ms"))
        figures.append(figure("resident memory after these", server.resident_bytes / 2**20, "MiB"))
    return figures


if __name__ == "__main__":
    main()
