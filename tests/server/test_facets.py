"""`GET /v1/facets`: which values there are, what they are called, and what is refused."""

from typing import Any

import pytest
from tests.server.support import NOW, MakeKey, Serve, event
from tests.support.problems import problem

from usageledger.ledger import Ledger
from usageledger.meter import Meter
from usageledger.meters import FACETS, METERS
from usageledger.registry import Registry

pytestmark = pytest.mark.anyio

DAY = 86_400
TODAY = NOW - NOW % DAY
PATH = "/v1/facets"


async def values(server: Any, **given: Any) -> list[str]:
    response = await server.get(PATH, params=given)
    assert response.status_code == 200, response.text
    return [entry["value"] for entry in response.json()["data"]]


async def test_values_are_there_when_their_event_was_acknowledged(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        assert (await server.get(PATH, params={"dimension": "model"})).json() == {
            "object": "list",
            "data": [],
            "has_more": False,
        }
        for number, model in enumerate(["b", "a", "b", "ü"]):
            await server.post("/v1/events", json=event(number, model=model))
        assert await values(server, dimension="model") == ["a", "b", "ü"]
        assert await values(server, dimension="model", kind="embeddings") == ["a", "b", "ü"]
        assert await values(server, dimension="model", kind="completions") == []
        assert await values(server, dimension="user_id") == []


@pytest.mark.parametrize("meter", METERS, ids=lambda meter: meter.kind)
async def test_every_text_dimension_of_every_kind(serve: Serve, ledger: Ledger, meter: Meter) -> None:
    texts = [d for d in meter.groupings if not d.flag]
    given = {d.name: d.values[0] if d.values else f"a {d.name}" for d in texts}
    required = {m.name: 1 for m in meter.measures if m.required}
    async with serve(ledger) as server:
        sent = {"kind": meter.kind, "id": "e", "timestamp": NOW, **given, **required}
        assert (await server.post("/v1/events", json=sent)).json()["accepted"] == 1
        for dimension in texts:
            assert await values(server, dimension=dimension.name, kind=meter.kind) == [given[dimension.name]]
            assert await values(server, dimension=dimension.name) == [given[dimension.name]]


async def test_a_window_is_the_days_that_it_touches(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        for day in range(4):
            await server.post("/v1/events", json=event(day, model=f"m{day}", timestamp=TODAY - day * DAY + 5))
        yesterday = {"start_time": TODAY - DAY + 7200, "end_time": TODAY - DAY + 7201}
        assert await values(server, dimension="model", **yesterday) == ["m1"]
        assert await values(server, dimension="model", start_time=TODAY - DAY, end_time=TODAY + 1) == ["m0", "m1"]
        assert await values(server, dimension="model", start_time=TODAY - 1) == ["m0", "m1"]
        assert await values(server, dimension="model", end_time=TODAY - 2 * DAY) == ["m3"]


async def test_names_come_from_the_registry(serve: Serve, ledger: Ledger, registry: Registry) -> None:
    key, _ = registry.create_key("Gateway", now=NOW)
    async with serve(ledger) as server:
        for number, project in enumerate(("p1", "p2")):
            sent = event(number, project_id=project, user_id="u", api_key_id=(key.id, "other")[number])
            await server.post("/v1/events", json=sent)
        await server.post("/v1/organization/projects/p2", json={"name": "Search"})
        listed = {
            name: (await server.get(PATH, params={"dimension": name})).json()["data"]
            for name in ("project_id", "user_id", "api_key_id")
        }
        assert await values(server, dimension="project_id", search="SEAR") == ["p2"]
    keys: list[dict[str, Any]] = [
        {"object": "facet", "value": key.id, "name": "Gateway"},
        {"object": "facet", "value": "other", "name": None},
    ]
    assert listed == {
        "project_id": [
            {"object": "facet", "value": "p1", "name": None},
            {"object": "facet", "value": "p2", "name": "Search"},
        ],
        "user_id": [{"object": "facet", "value": "u", "name": None}],
        "api_key_id": sorted(keys, key=lambda entry: str(entry["value"])),
    }


async def test_search_and_limit(serve: Serve, ledger: Ledger) -> None:
    models = ["gpt-5", "gpt-5-mini", "Straße", "o3"]
    async with serve(ledger) as server:
        await server.post("/v1/events", json=[event(n, model=model) for n, model in enumerate(models)])
        for search, found in {
            "": sorted(models),
            "GPT": ["gpt-5", "gpt-5-mini"],
            "STRASSE": ["Straße"],
            "%": [],
        }.items():
            assert await values(server, dimension="model", search=search) == found
        for limit, more in ((1, True), (2, False), (1000, False)):
            response = await server.get(PATH, params={"dimension": "model", "search": "gpt", "limit": limit})
            assert len(response.json()["data"]) == min(limit, 2)
            assert response.json()["has_more"] is more


@pytest.mark.parametrize(
    ("given", "param", "code", "said"),
    [
        (
            {},
            "dimension",
            "invalid_value",
            "Missing required parameter: 'dimension'. Supported values are: 'project_id', ",
        ),
        ({"dimension": "modle"}, "dimension", "invalid_value", "Did you mean 'model'?"),
        ({"dimension": "batch"}, "dimension", "invalid_value", "Invalid value for 'dimension': 'batch'. Supported"),
        (
            {"dimension": "size", "kind": "completions"},
            "dimension",
            "invalid_value",
            "Supported values are: 'project_id', ",
        ),
        ({"dimension": "model", "kind": "completion"}, "kind", "invalid_value", "Did you mean 'completions'?"),
        ({"dimension": "model", "models": "a"}, "models", "unknown_parameter", "Unknown parameter: 'models'."),
        ({"dimension": "model", "serch": "a"}, "serch", "unknown_parameter", "Did you mean 'search'?"),
        ({"dimension": "model", "limit": "0"}, "limit", "invalid_value", "an integer from 1 to 1000, got 0."),
        ({"dimension": "model", "limit": "1001"}, "limit", "invalid_value", "an integer from 1 to 1000, got 1001."),
        ({"dimension": "model", "limit": "ten"}, "limit", "invalid_type", "expected an integer, got 'ten'."),
        ({"dimension": "model", "start_time": "-1"}, "start_time", "invalid_value", "Unix seconds from 0"),
        ({"dimension": "model", "start_time": "x"}, "start_time", "invalid_type", "expected an integer, got 'x'."),
        ({"dimension": "model", "start_time": "9", "end_time": "9"}, "end_time", "invalid_value", "is not after"),
        ({"dimension": "model", "search": "x" * 257}, "search", "invalid_value", "at most 256 characters, got 257."),
        ({"dimension": "model", "search": "\0"}, "search", "invalid_value", "text without NUL"),
        ({"dimension": ["model", "model"]}, "dimension", "invalid_value", "Parameter given twice: 'dimension'."),
    ],
)
async def test_what_is_refused(
    serve: Serve, ledger: Ledger, given: dict[str, Any], param: str, code: str, said: str
) -> None:
    async with serve(ledger) as server:
        response = await server.get(PATH, params=given)
    assert said in problem(response, 400, param=param, code=code)["message"]


async def test_a_key_that_may_only_write_is_refused(serve: Serve, ledger: Ledger, key: MakeKey) -> None:
    async with serve(ledger) as server:
        headers = {"authorization": f"Bearer {key('api.usage.write')}"}
        assert (await server.get(PATH, params={"dimension": "model"}, headers=headers)).status_code == 403
        headers = {"authorization": f"Bearer {key('api.usage.read')}"}
        assert (await server.get(PATH, params={"dimension": "model"}, headers=headers)).status_code == 200


async def test_there_may_be_any_number_of_values(serve: Serve, ledger: Ledger) -> None:
    """`--max-results` is for pages; of values no more are read than are shown."""
    async with serve(ledger, max_results=3) as server:
        await server.post("/v1/events", json=[event(n, project_id=f"p{n:02}") for n in range(50)])
        await server.post("/v1/organization/projects/p40", json={"name": "number 7"})
        first = (await server.get(PATH, params={"dimension": "project_id", "limit": 2})).json()
        found = (await server.get(PATH, params={"dimension": "project_id", "limit": 3, "search": "7"})).json()
    assert ([entry["value"] for entry in first["data"]], first["has_more"]) == (["p00", "p01"], True)
    assert [entry["value"] for entry in found["data"]] == ["p07", "p17", "p27"]
    assert found["has_more"]


async def test_what_is_found_by_its_name_is_among_the_others(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        await server.post("/v1/events", json=[event(n, project_id=f"p{n}") for n in range(4)])
        for name in ("p1", "p2", "never-used"):
            await server.post(f"/v1/organization/projects/{name}", json={"name": "Seven 3"})
        assert await values(server, dimension="project_id", search="3") == ["p1", "p2", "p3"]
        assert await values(server, dimension="project_id", search="SEVEN", limit=1) == ["p1"]


def test_facets_are_the_groupings_that_are_text() -> None:
    groupings = {d.name for meter in METERS for d in meter.groupings}
    assert set(FACETS) == groupings - {"batch"}
