"""`python -m bench`: one table of figures, each beside its target and the engine's floor in the same run."""

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.ingestion import ingestion
from bench.queries import queries


def main() -> None:
    """Runs every measurement and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000, help="events in the ledger that is queried")
    parser.add_argument(
        "--ingest-seconds", type=float, default=10, help="how much load, about, for ingestion; 0 for none"
    )
    parser.add_argument("--json", type=Path, default=Path("bench/results.json"), help="where the figures go")
    given = parser.parse_args()
    figures = [*ingestion(given.ingest_seconds), *queries(given.events)]
    machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    told = {"events": given.events, **machine, "load_average": os.getloadavg()[0], "figures": figures}
    given.json.write_text(json.dumps(told, indent=2) + "\n")
    show(figures)


def show(figures: list[dict[str, Any]], floor: str = "DuckDB alone") -> None:
    """The table on stdout."""
    table = Table(title="UsageLedger", caption=f"ratio: ours to {floor}, doing the same in the same run")
    table.add_column("figure")
    for column in ("ours", "target", floor, "ratio"):
        table.add_column(column, justify="right")
    table.add_column("unit")
    for row in figures:
        cells = [_number(row[name]) for name in ("ours", "target", "floor")]
        ratio = f"{row['ours'] / row['floor']:.2f}" if row["floor"] else ""
        table.add_row(row["name"], *cells, ratio, row["unit"])
    Console(width=120).print(table)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


if __name__ == "__main__":
    main()
