"""The official client for JavaScript against a running server: one question of each kind to every endpoint."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.server_process import RunningServer
from tests.support.services.programs import program
from tests.support.three_days import END, START, model, values

from usageledger.meter import Meter
from usageledger.meters import METERS

OFFICIAL = [meter for meter in METERS if not meter.extension]
HERE = Path(__file__).parent / "node"
COSTS_QUESTION: dict[str, Any] = {
    "start_time": START,
    "end_time": END,
    "limit": 1,
    "group_by": ["line_item", "project_id"],
}


def method(meter: Meter) -> str:
    """The client's method for an endpoint: `audioSpeeches` for `audio_speeches`."""
    first, *others = meter.kind.split("_")
    return first + "".join(word.title() for word in others)


def questions(meter: Meter) -> list[dict[str, Any]]:
    """Plain, grouped by everything in pages of an hour's buckets, and filtered by everything."""
    filters = {d.filter: True if d.flag else values(d)[1:3] for d in meter.filters if d.filter}
    window = {"start_time": START, "end_time": END}
    names = [d.name for d in meter.groupings]
    return [
        window,
        window | {"bucket_width": "1h", "limit": 20, "group_by": names},
        window | {"group_by": ["project_id"], **filters},
    ]


def expected(meter: Meter) -> list[list[dict[str, Any]]]:
    filters = {d.name: [True] if d.flag else values(d)[1:3] for d in meter.filters}
    names = [d.name for d in meter.groupings]
    window = (START, END)
    return [
        model().buckets(meter.kind, window, "1d"),
        model().buckets(meter.kind, window, "1h", group_by=names),
        model().buckets(meter.kind, window, "1d", filters=filters, group_by=["project_id"]),
    ]


@pytest.fixture(scope="module")
def asked(server: RunningServer) -> dict[str, Any]:
    """What the client answered to all of the questions."""
    program("openai")
    done = subprocess.run(
        [program("node"), HERE / "usage.mjs"],
        input=json.dumps({method(meter): questions(meter) for meter in OFFICIAL} | {"costs": [COSTS_QUESTION]}),
        env={**os.environ, "USAGELEDGER_URL": f"{server.url}/v1", "USAGELEDGER_KEY": server.key},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.external
@pytest.mark.parametrize("meter", OFFICIAL, ids=lambda meter: meter.kind)
def test_every_endpoint(asked: dict[str, Any], meter: Meter) -> None:
    assert asked["answers"][method(meter)] == expected(meter)


@pytest.mark.external
def test_costs(asked: dict[str, Any], raw: httpx.Client) -> None:
    """Every page of them, as plain HTTP answers them at once."""
    (buckets,) = asked["answers"]["costs"]
    whole = raw.get("/organization/costs", params=COSTS_QUESTION | {"limit": 180}).json()["data"]
    assert buckets == whole
    assert sum(len(bucket["results"]) for bucket in buckets) > 20


@pytest.mark.external
def test_lists_go_on_by_themselves(asked: dict[str, Any]) -> None:
    assert sorted(asked["projects"]) == sorted(
        {u.dimensions["project_id"] for u in model().kept.values() if u.dimensions["project_id"]}
    )
    assert len(asked["projects"]) > 2


@pytest.mark.external
def test_errors_are_the_clients_own(asked: dict[str, Any]) -> None:
    assert asked["refused"] == {
        "type": "BadRequestError",
        "status": 400,
        "param": "bucket_width",
        "code": "invalid_value",
    }


def test_the_lock_has_no_addresses_and_the_version_that_was_asked_for() -> None:
    lock = (HERE / "package-lock.json").read_text()
    assert "://" not in lock
    wanted = json.loads((HERE / "package.json").read_text())["devDependencies"]["openai"]
    assert json.loads(lock)["packages"]["node_modules/openai"]["version"] == wanted == "7.57.0"
