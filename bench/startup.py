"""How long the command line takes to answer `--help`: `python -m bench.startup`; exits 1 where that is too long.

Each command is a process of its own, as it is for whoever types it. The fastest run counts: what slows the others down
is the machine.
"""

import subprocess
import sys
import time

from rich.console import Console
from rich.table import Table

COMMANDS = (["--help"], ["usage", "completions", "--help"], ["costs", "--help"], ["serve", "--help"], ["--version"])
RUNS = 20
TARGET_MS = 300


def main() -> int:
    """Prints a table of medians and best times; the exit code."""
    times = {" ".join(command): sorted(measured(command) for _ in range(RUNS)) for command in COMMANDS}
    table = Table("usageledger …", "fastest, ms", "median, ms", "target, ms")
    for name, found in times.items():
        table.add_row(name, f"{found[0]:.0f}", f"{found[RUNS // 2]:.0f}", str(TARGET_MS))
    Console().print(table)
    return int(any(found[0] > TARGET_MS for found in times.values()))


def measured(command: list[str]) -> float:
    """Milliseconds of one run."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "usageledger", *command], check=True, capture_output=True)
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    sys.exit(main())
