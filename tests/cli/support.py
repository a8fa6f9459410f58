"""What the tests of the command line share: running servers, expected errors, events of the wire."""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from tests.support.server_process import without_prices

from usageledger.cli.demo.data import demo_tables
from usageledger.meters import METER_BY_KIND

if TYPE_CHECKING:
    import subprocess

COMMAND = [sys.executable, "-W", "error", "-m", "usageledger"]
DEADLINE_S = 150  # half of what a test may last
NOW = 1_795_000_000
KEY = "a-key-of-the-tests-0123456789"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass
class Server:
    """A running `usageledger serve --json`, or `demo --json`."""

    process: "subprocess.Popen[str]"
    address: str
    data: Path
    key: str | None

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Ends it; its exit code and what it wrote to stderr, but for models without a price."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, without_prices(errors)


Start = Callable[..., Server]


def one_error(done: "subprocess.CompletedProcess[str]", code: int) -> str:
    """The one line on stderr of a command that failed with `code`."""
    assert done.returncode == code, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("Error: ")
    return lines[0]


def as_wire_event(row: dict[str, Any]) -> dict[str, Any]:
    """The event of the wire that a stored row could have come from."""
    meter = METER_BY_KIND[row["kind"]]
    return {
        "id": row["event_id"],
        "timestamp": row["ts"],
        "kind": row["kind"],
        "provider": row["provider"],
        **{d.name: row[d.name] for d in meter.dimensions if row[d.name] is not None},
        **{measure.name: sum(row[column] for column in measure.columns) for measure in meter.measures},
    }


def wire_events(count: int, seed: int = 0, days: int = 7) -> Iterator[dict[str, Any]]:
    for table in demo_tables(days, count, seed, NOW):
        yield from map(as_wire_event, table.to_pylist())


def lines(events: Iterator[dict[str, Any]]) -> list[bytes]:
    return [json.dumps(event).encode() + b"\n" for event in events]


def whole(tables: Iterator[pa.Table]) -> pa.Table:
    return pa.concat_tables(list(tables))
