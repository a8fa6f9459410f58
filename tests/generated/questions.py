"""What every generated client is asked, and the truth about it."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from tests.generated.clients import CLIENTS, SECONDS_MAX, environment
from tests.support.server_process import RunningServer, running
from tests.support.three_days import DAY, END, START, model, values, wire_events

from usageledger.meter import Meter
from usageledger.meters import METERS

WINDOW = {"start_time": START, "end_time": END}
COSTS: dict[str, Any] = WINDOW | {"limit": 1, "group_by": ["line_item", "project_id"]}
TOKENS = 2**40  # more than fit into 32 bits


@contextmanager
def serving(folder: Path) -> Iterator[RunningServer]:
    """Serves a ledger that holds the three days; its document is in `folder`."""
    with running(folder / "data") as server:
        sent = httpx.post(f"{server.url}/v1/events", json=wire_events(), headers=server.headers, timeout=60).json()
        assert (sent["accepted"], sent["rejected"]) == (len(wire_events()), 0), sent
        (folder / "openapi.json").write_bytes(httpx.get(f"{server.url}/openapi.json").content)
        yield server


def questions(meter: Meter) -> list[dict[str, Any]]:
    """Asks plainly, grouped by everything in pages of an hour's buckets, and filtered by everything."""
    filters = {d.filter: True if d.flag else values(d)[1:3] for d in meter.filters if d.filter}
    names = [d.name for d in meter.groupings]
    return [
        WINDOW,
        WINDOW | {"bucket_width": "1h", "limit": 40, "group_by": names},
        WINDOW | {"group_by": ["project_id"], **filters},
    ]


def expected(meter: Meter) -> list[list[dict[str, Any]]]:
    """Gives the buckets that `questions` are answered with."""
    filters = {d.name: [True] if d.flag else values(d)[1:3] for d in meter.filters}
    names, window = [d.name for d in meter.groupings], (START, END)
    return [
        model().buckets(meter.kind, window, "1d"),
        model().buckets(meter.kind, window, "1h", group_by=names),
        model().buckets(meter.kind, window, "1d", filters=filters, group_by=["project_id"]),
    ]


def truth(server: RunningServer) -> dict[str, Any]:
    """Gives what a client has to answer: usage is the model's, costs and projects are as plain HTTP gives them."""
    with httpx.Client(base_url=f"{server.url}/v1/organization", headers=server.headers) as raw:
        given: dict[str, Any] = {**WINDOW, "group_by[]": COSTS["group_by"]}
        costs = raw.get("/costs", params=given).json()["data"]
        projects = [project["id"] for project in raw.get("/projects", params={"limit": 100}).json()["data"]]
    assert sum(len(bucket["results"]) for bucket in costs) > 3
    return {
        "answers": [*(buckets for meter in METERS for buckets in expected(meter)), costs],
        "projects": projects,
        "accepted": 2,
        "tokens": TOKENS,
        "renamed": "renamed",
    }


def ask(name: str, server: RunningServer, document: Path, folder: Path) -> tuple[Any, Any]:
    """Makes a client and asks by it; what it answered, and the truth."""
    command = CLIENTS[name](document, folder)
    right = truth(server)
    asked = [[meter.kind, question] for meter in METERS for question in questions(meter)] + [["costs", COSTS]]
    given: dict[str, Any] = {
        "questions": asked,
        "project": f"of-{name}",
        "at": END + DAY * (1 + list(CLIENTS).index(name)),
    }
    given |= {"package": "usage_ledger_client", "tokens": TOKENS}
    return answered(command, folder, server.url, server.key, given), plain(right)


def answered(command: list[str], folder: Path, url: str, key: str, given: dict[str, Any]) -> Any:
    """Runs a client's program; what it printed."""
    done = subprocess.run(
        command,
        input=json.dumps(given),
        env=environment(folder) | {"USAGELEDGER_URL": url, "USAGELEDGER_KEY": key},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return plain(json.loads(done.stdout))


def plain(value: Any) -> Any:
    """Leaves out what is null, as clients leave it out or add it, and reads times, which each writes in its own way."""
    if isinstance(value, dict):
        return {
            name: datetime.fromisoformat(each) if name.endswith("_iso") else plain(each)
            for name, each in value.items()
            if each is not None
        }
    return [plain(each) for each in value] if isinstance(value, Sequence) and not isinstance(value, str) else value
