"""Clients in Python, generated from the server's own description and from OpenAI's, answer what is in its ledger."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.conftest import DATA
from tests.generated.clients import CLIENTS
from tests.generated.questions import COSTS, WINDOW, answered, ask, plain, serving, truth
from tests.support.server_process import RunningServer
from tests.support.three_days import END, START, model

from usageledger.meter import Meter
from usageledger.meters import METERS

pytestmark = [pytest.mark.external, pytest.mark.processes]

OFFICIAL = json.loads((DATA / "usage-operations.json").read_text())
FIELDS = {
    schema["properties"]["object"]["enum"][0]: set(schema["properties"])
    for name, schema in OFFICIAL["components"]["schemas"].items()
    if name.endswith("Result")
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("generated")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[RunningServer]:
    with serving(folder) as server:
        yield server


@pytest.mark.parametrize("name", ["python", "python-client"])
def test_a_generated_client_answers_what_is_in_the_ledger(name: str, server: RunningServer, folder: Path) -> None:
    found, right = ask(name, server, folder / "openapi.json", folder / name)
    assert found == right


def questions_to_openai(meter: Meter) -> list[dict[str, Any]]:
    """Asks plainly, and in pages of an hour's buckets grouped by what OpenAI's description has."""
    return [WINDOW, WINDOW | {"bucket_width": "1h", "limit": 40, "group_by": groupings(meter)}]


def groupings(meter: Meter) -> list[str]:
    parameters = {each["name"]: each["schema"] for each in OFFICIAL["paths"][meter.path]["get"]["parameters"]}
    found: list[str] = parameters["group_by"]["items"]["enum"]
    return found


def official(buckets: list[dict[str, Any]]) -> list[Any]:
    """Times and results of buckets, with the fields that OpenAI's description has."""
    return [
        (
            bucket["start_time"],
            bucket["end_time"],
            [{name: one[name] for name in one.keys() & FIELDS[one["object"]]} for one in bucket["results"]],
        )
        for bucket in buckets
    ]


@pytest.mark.parametrize("name", ["python", "python-client"])
def test_a_client_made_of_openais_description_does_too(name: str, server: RunningServer, folder: Path) -> None:
    made = folder / f"openai-{name}"
    command = CLIENTS[name](DATA / "usage-operations.json", made)
    meters = [meter for meter in METERS if meter.path in OFFICIAL["paths"]]
    assert len(meters) == len(OFFICIAL["paths"]) - 1  # the other one is of costs
    asked = [[meter.kind, question] for meter in meters for question in questions_to_openai(meter)] + [["costs", COSTS]]
    given = {"questions": asked, "package": "open_ai_api_client"}
    *usage, costs = answered(command, made, f"{server.url}/v1", server.key, given)["answers"]
    right = [
        buckets
        for meter in meters
        for buckets in (
            model().buckets(meter.kind, (START, END), "1d"),
            model().buckets(meter.kind, (START, END), "1h", group_by=groupings(meter)),
        )
    ]
    assert [official(buckets) for buckets in usage] == [official(buckets) for buckets in plain(right)]
    assert official(costs) == official(plain(truth(server)["answers"][-1]))
