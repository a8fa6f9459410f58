"""The table of endpoints: one row, with its handler, is all that a new one needs."""

import openapi_spec_validator
import pytest
from starlette.responses import Response
from tests.server.support import MakeKey, Serve
from tests.support.ledger_double import LedgerDouble
from tests.support.problems import problem
from tools.generate import endpoint_table

from usageledger.registry import MANAGE
from usageledger.server.endpoint import PUBLIC, Answer, Call, Endpoint
from usageledger.server.endpoints import ENDPOINTS
from usageledger.server.http.parameters import Parameter
from usageledger.server.http.requests import json_response
from usageledger.server.json_schema import TEXT, answer, const

pytestmark = pytest.mark.anyio


async def echo(call: Call) -> Response:
    """Sends back what came."""
    (region_id,) = call.endpoint.ids
    return json_response(
        {
            "object": "echo",
            "region": call.request.path_params[region_id],
            "texts": call.given().get("texts", []),
            "actor": call.actor,
        }
    )


ECHO = Endpoint(
    "GET",
    "/v1/echoes/{region_id}",
    echo,
    name="get-echo",
    tag="Server",
    summary="Send back what came.",
    scopes=(MANAGE,),
    answer=Answer(
        answer(
            {"object": const("echo"), "region": TEXT, "actor": TEXT, "texts": {"type": "array", "items": TEXT}},
            "An echo.",
        )
    ),
    parameters=(Parameter("texts", TEXT, "What to send back.", listed=True),),
)


@pytest.fixture(autouse=True)
def one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("usageledger.server.app.ENDPOINTS", (*ENDPOINTS, ECHO))


async def test_a_row_is_all_that_a_route_needs(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        found = await server.get("/v1/echoes/eu/west?texts=a,b&texts[]=c,d")
        other = await server.post("/v1/echoes/eu", json={})
        head = await server.request("HEAD", "/v1/echoes/eu")
    assert found.json()["region"] == "eu/west"
    assert found.json()["texts"] == ["a", "b", "c,d"]
    assert found.json()["actor"].startswith("key_")
    problem(other, 405)
    assert other.headers["allow"] == "GET, HEAD"
    assert head.status_code == 200


async def test_it_is_closed_to_whoever_may_not_and_they_hear_nothing_of_its_parameters(
    serve: Serve, double: LedgerDouble, key: MakeKey
) -> None:
    reader = {"authorization": f"Bearer {key('api.usage.read')}"}
    async with serve(double) as server:
        problem(await server.get("/v1/echoes/eu?x=1", headers={"authorization": ""}), 401)
        refused = problem(await server.get("/v1/echoes/eu?x=1", headers=reader), 403)
    assert "Missing scopes: api.management." in refused["message"]


@pytest.mark.parametrize("query", ["text=a", "texts[][]=a", "limit=1"])
async def test_a_parameter_that_it_does_not_name_is_refused(serve: Serve, double: LedgerDouble, query: str) -> None:
    async with serve(double) as server:
        error = problem(await server.get(f"/v1/echoes/eu?{query}"), 400, code="unknown_parameter")
    assert error["message"].startswith(f"Unknown parameter: '{query.partition('=')[0]}'.")
    assert "'texts'" in error["message"]


async def test_the_document_has_it(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        document = (await server.get("/openapi.json")).json()
    openapi_spec_validator.validate(document)
    path = document["paths"]["/v1/echoes/{region_id}"]
    operation = path["get"]
    assert [parameter["name"] for parameter in path["parameters"]] == ["region_id"]
    assert [parameter["name"] for parameter in operation["parameters"]] == ["texts"]
    assert operation["security"] == [{"bearer": ["api.management"]}]
    assert operation["description"] == "Send back what came. Needs a key with `api.management`."
    assert {"200", "400", "401", "403", "404", "429", "500", "503"} <= set(operation["responses"])
    assert operation["responses"]["200"]["content"]["application/json"]["schema"]["description"] == "An echo."


def test_the_reference_has_it() -> None:
    line = "| `GET` | `/v1/echoes/{region_id}` | `api.management` | Send back what came. |\n"
    assert line in endpoint_table((*ENDPOINTS, ECHO))
    assert line not in endpoint_table(ENDPOINTS)


def test_rows_are_told_apart() -> None:
    assert len({row.name for row in ENDPOINTS}) == len(ENDPOINTS)
    assert len({(row.method, row.path) for row in ENDPOINTS}) == len(ENDPOINTS)
    assert [row.path for row in ENDPOINTS if row.scopes == PUBLIC] == ["/healthz", "/readyz", "/openapi.json"]


def test_a_parameter_is_named_once_in_a_row() -> None:
    for row in ENDPOINTS:
        names = [parameter.name for parameter in row.parameters]
        assert len(set(names)) == len(names), row.name
