"""What every measurement needs: a real server on a folder, percentiles, and a row of the table."""

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEY = "sk-admin-bench-0000000000000000"

# The server as it is, but that every event gets the card 1 without a look.
WITHOUT_PRICES = """
import numpy as np
from usageledger.cli import main
from usageledger.rating.card_giver import CardGiver
CardGiver.cards = lambda self, rows: np.ones(rows.num_rows, np.int64)
main()
"""


@dataclass
class Served:
    """A running server; `start_seconds` until it was ready, `stop_seconds` from SIGTERM to its end."""

    port: int
    process_id: int
    start_seconds: float
    stop_seconds: float = 0.0

    @property
    def resident_bytes(self) -> int:
        status = Path(f"/proc/{self.process_id}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def settle(self) -> None:
        """Waits until the server has nothing left to do: three seconds with hardly any of the processor's time."""
        before, quiet = self.processor_seconds, 0
        while quiet < 3:
            time.sleep(1)
            now = self.processor_seconds
            quiet = quiet + 1 if now - before < 0.05 else 0
            before = now

    @property
    def processor_seconds(self) -> float:
        user, system = Path(f"/proc/{self.process_id}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def served(data: Path, *, priced: bool = True, **settings: int | str) -> Iterator[Served]:
    """A real server on `data`."""
    start = ["-m", "usageledger"] if priced else ["-c", WITHOUT_PRICES]
    command = [sys.executable, *start, "serve", "--port", "0", "--data", str(data), "--json"]
    given = {f"USAGELEDGER_{name.upper()}": str(value) for name, value in settings.items()}
    environment = {**os.environ, "USAGELEDGER_ADMIN_KEY": KEY, **given}
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    server: Served | None = None
    try:
        port = int(json.loads(process.stdout.readline())["address"].rpartition(":")[2])
        server = Served(port, process.pid, time.perf_counter() - began)
        yield server
    finally:
        began = time.perf_counter()
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        if server:
            server.stop_seconds = time.perf_counter() - began


def p(latencies: Sequence[float], percent: int) -> float:
    """A percentile of seconds, in milliseconds."""
    if percent == 50:
        return 1000 * statistics.median(latencies)
    return 1000 * statistics.quantiles(latencies, n=100, method="inclusive")[percent - 1]


def figure(
    name: str, ours: float, unit: str, target: float | None = None, floor: float | None = None
) -> dict[str, Any]:
    """One row of the table."""
    return {"name": name, "ours": ours, "target": target, "floor": floor, "unit": unit}
