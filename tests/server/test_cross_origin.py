"""Pages of other origins: they read nothing, but where the operator names their origin, and never by a session."""

from pathlib import Path

import httpx
import pytest
from tests.server.support import NOW, Serve, Server, event
from tests.support.ledger_double import LedgerDouble
from tests.support.problems import problem

from usageledger.errors import SettingsError
from usageledger.registry import Registry
from usageledger.server.app import create_app
from usageledger.server.http.auth import PAGE_HEADER
from usageledger.settings import Settings

pytestmark = pytest.mark.anyio

TOOL, OTHER = "https://tool.example", "https://other.example"
USAGE = "/v1/organization/usage/completions"
QUESTION = {"start_time": NOW - 60}
ORIGINS = f"{TOOL}, http://localhost:3000"


def cors(response: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.startswith("access-control-")}


async def preflight(server: Server, origin: str, path: str = USAGE, **headers: str) -> httpx.Response:
    asked = {"origin": origin, "access-control-request-method": "GET", **headers}
    return await server.request("OPTIONS", path, headers=asked)


async def test_without_the_setting_nothing_is_said_to_other_origins(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        response = await server.get(USAGE, params=QUESTION, headers={"origin": TOOL})
        assert (response.status_code, cors(response), response.headers["vary"]) == (200, {}, "Accept-Encoding")
        response = await preflight(server, TOOL)
        problem(response, 405)
        assert cors(response) == {}


@pytest.mark.parametrize("origin", [TOOL, "http://localhost:3000"])
async def test_an_origin_that_is_named_may_read(serve: Serve, double: LedgerDouble, origin: str) -> None:
    async with serve(double, cors_origins=ORIGINS) as server:
        response = await server.get(USAGE, params=QUESTION, headers={"origin": origin})
        assert response.status_code == 200
        assert cors(response).pop("access-control-allow-origin") == origin
        assert "origin" in response.headers["vary"].lower()
        exposed = set(cors(response)["access-control-expose-headers"].split(", "))
        assert {"x-request-id", "retry-after", "openai-processing-ms", "x-usageledger-unpriced"} <= exposed
        assert "x-usageledger-provisional" in exposed
        assert "access-control-allow-credentials" not in response.headers


async def test_what_fails_is_read_as_well(serve: Serve, double: LedgerDouble) -> None:
    """Or a tool could not say why."""
    async with serve(double, cors_origins=TOOL) as server:
        refused = await server.get(USAGE, headers={"origin": TOOL})
        nobody = await server.get(USAGE, headers={"origin": TOOL, "authorization": "Bearer wrong-key-of-nobody-here"})
        double.read_failure = ZeroDivisionError("insides")
        defect = await server.get(USAGE, params=QUESTION, headers={"origin": TOOL})
    for response, status in ((refused, 400), (nobody, 401), (defect, 500)):
        problem(response, status)
        assert cors(response)["access-control-allow-origin"] == TOOL


@pytest.mark.parametrize("origin", [OTHER, "null", "", f"{TOOL}.evil", f"{TOOL}:444", "http://tool.example"])
async def test_other_origins_may_not(serve: Serve, double: LedgerDouble, origin: str) -> None:
    async with serve(double, cors_origins=ORIGINS) as server:
        response = await server.get(USAGE, params=QUESTION, headers={"origin": origin})
        assert cors(response) == {}
        assert "origin" in response.headers["vary"].lower()
        problem(await preflight(server, origin), 405)
        assert cors(await server.get(USAGE, params=QUESTION)) == {}


@pytest.mark.parametrize("path", [USAGE, "/v1/events", "/v1/organization/projects/a%2Fb", "/openapi.json", "/v1/none"])
async def test_a_preflight_is_answered_without_a_key(serve: Serve, double: LedgerDouble, path: str) -> None:
    async with serve(double, cors_origins=TOOL) as server:
        del server.client.headers["authorization"]
        asked = f"authorization,x-stainless-lang,{PAGE_HEADER}"
        response = await preflight(server, TOOL, path, **{"access-control-request-headers": asked})
    assert (response.status_code, response.content) == (204, b"")
    found = cors(response)
    assert found["access-control-allow-origin"] == TOOL
    assert set(found["access-control-allow-methods"].split(", ")) == {"GET", "HEAD", "POST", "DELETE"}
    headers = set(found["access-control-allow-headers"].split(", "))
    assert headers == {"authorization", "content-type", "content-encoding", "x-stainless-lang"}
    assert int(found["access-control-max-age"]) > 0
    assert response.headers["x-request-id"]


async def test_every_origin_is_one_that_the_operator_wrote(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double, cors_origins="*") as server:
        for response in (
            await server.get(USAGE, params=QUESTION, headers={"origin": OTHER}),
            await preflight(server, OTHER),
        ):
            assert cors(response)["access-control-allow-origin"] == "*"
            assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize("path", ["/", "/dashboard/session", "/dashboard/none"])
async def test_the_dashboard_is_not_shared(serve: Serve, double: LedgerDouble, path: str) -> None:
    async with serve(double, cors_origins="*") as server:
        assert cors(await server.get(path, headers={"origin": TOOL})) == {}
        assert cors(await preflight(server, TOOL, path)) == {}


async def test_a_session_is_for_our_own_pages_all_the_same(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double, cors_origins=TOOL) as server:
        key = server.client.headers["authorization"].removeprefix("Bearer ")
        signed_in = await server.post("/dashboard/session", json={"key": key}, headers={PAGE_HEADER: "1"})
        assert signed_in.status_code == 200
        del server.client.headers["authorization"]
        for more in ({}, {PAGE_HEADER: "1"}, {PAGE_HEADER: "1", "sec-fetch-site": "cross-site"}):
            response = await server.get(USAGE, params=QUESTION, headers={"origin": TOOL, **more})
            problem(response, 403, code="foreign_page")


async def test_it_sends_events(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double, cors_origins=TOOL) as server:
        response = await server.post("/v1/events", json=event(), headers={"origin": TOOL})
    assert response.json()["accepted"] == 1
    assert cors(response)["access-control-allow-origin"] == TOOL


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            ",",
            f"{TOOL},",
            f"*,{TOOL}",
            "tool.example",
            "https://",
            "https:tool.example",
            "null",
            "https://*.example",
        ),
        *(
            f"{TOOL}/",
            f"{TOOL}/path",
            f"{TOOL}?a",
            f"{TOOL}#a",
            "https://me@tool.example",
            "https://t\u00f6\u00f6l.example",
        ),
        *(
            f"{TOOL}:443",
            "http://tool.example:80",
            f"{TOOL}:port",
            f"{TOOL}:99999",
            "ftp://tool.example",
            "https://a b",
        ),
    ],
)
def test_what_is_no_origin(value: str, double: LedgerDouble, registry: Registry, tmp_path: Path) -> None:
    wrong = next((each for each in value.split(",") if each.strip() not in (TOOL, "*")), "*")
    with pytest.raises(SettingsError) as caught:
        create_app(Settings(data=tmp_path, cors_origins=value), double, registry)
    assert str(caught.value) == (
        "cors_origins: expected origins such as https://tools.example.com or http://localhost:3000, separated by "
        f"commas, or * alone, got {wrong.strip()!r}"
    )


@pytest.mark.parametrize("value", ["HTTPS://Tool.Example", "http://127.0.0.1:5173", "http://[::1]:8000"])
async def test_origins_as_browsers_send_them(serve: Serve, double: LedgerDouble, value: str) -> None:
    async with serve(double, cors_origins=value) as server:
        response = await server.get(USAGE, params=QUESTION, headers={"origin": value.lower()})
    assert cors(response)["access-control-allow-origin"] == value.lower()
