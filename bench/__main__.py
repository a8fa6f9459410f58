"""`python -m bench`: one table of figures, each beside its target and the engine's floor in the same run."""

import argparse
import logging
from itertools import chain
from pathlib import Path

from bench.figures import collect, show
from bench.ingestion import ingestion, seconds_of_load
from bench.queries import queries
from bench.relay import relay


def main() -> None:
    """Runs every measurement and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000, help="events in the ledger that is queried")
    parser.add_argument(
        "--ingest-seconds", type=seconds_of_load, default=10, help="how much load, about, for ingestion; 0 for none"
    )
    parser.add_argument("--json", type=Path, default=Path("bench/results.json"), help="where the figures go")
    given = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)  # that made-up usage has no price is nothing to be told of
    figures = chain(ingestion(given.ingest_seconds), queries(given.events), relay())
    show(collect(figures, given.json, events=given.events))


if __name__ == "__main__":
    main()
