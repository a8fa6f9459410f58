"""Figures as they come: each is told and saved as soon as it is known, so that a run that is interrupted is of use."""

import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table

Figure = dict[str, Any]


def machine() -> dict[str, Any]:
    """Names what the figures were measured on."""
    return {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}


def collect(figures: Iterable[Figure], path: Path, **facts: Any) -> list[Figure]:
    """Measures all of them; after each, a line on stderr, and the file with all so far."""
    began, found = time.monotonic(), list[Figure]()
    for each in figures:
        found.append(each)
        told = {**facts, **machine(), "load_average": os.getloadavg()[0], "figures": found}
        path.write_text(json.dumps(told, indent=2) + "\n")
        sys.stderr.write(f"{time.monotonic() - began:5.0f} s  {each['name']}: {_number(each['ours'])} {each['unit']}\n")
    return found


def progress(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Hands the tables on that make up a ledger of so many rows, with a line on stderr for each tenth."""
    began, done = time.monotonic(), 0
    for table in tables:
        yield table
        before, done = done, done + table.num_rows
        if 10 * before // rows < 10 * done // rows:
            sys.stderr.write(f"  {done:,} of {rows:,} events written in {time.monotonic() - began:.0f} s\n")


def show(figures: Iterable[Figure], floor: str = "DuckDB alone") -> None:
    """Prints the table."""
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
