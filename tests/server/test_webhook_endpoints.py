"""Endpoints of webhooks over HTTP: secrets are shown once, and not every address is taken."""

import pytest
from tests.server.support import NOW, Serve
from tests.support.ledger_double import LedgerDouble
from tests.support.problems import problem

pytestmark = pytest.mark.anyio
URL = "/v1/webhook_endpoints"


async def test_an_endpoint_is_made_rotated_and_removed(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        made = (await server.post(URL, json={"url": "https://a.test/x?y=1"})).json()
        secret = made.pop("secret")
        assert secret.startswith("whsec_")
        assert made == {
            "object": "webhook_endpoint",
            "id": made["id"],
            "url": "https://a.test/x?y=1",
            "format": "standard",
            "created_at": NOW,
            "disabled_at": None,
        }
        one = f"{URL}/{made['id']}"
        assert (await server.get(one)).json() == made
        rotated = (await server.post(f"{one}/rotate_secret")).json()
        assert rotated.pop("secret") not in (None, secret)
        assert rotated == made
        slack = (await server.post(URL, json={"url": "https://hooks.test/T/B/x", "format": "slack"})).json()
        assert slack.pop("secret") is None
        assert slack["url"] == "https://hooks.test/…"
        problem(await server.post(f"{URL}/{slack['id']}/rotate_secret"), 404, param="endpoint_id")
        assert (await server.get(URL)).json()["data"] == [made, slack]
        assert (await server.get(URL, params={"order": "desc", "limit": 1})).json()["data"] == [slack]
        deleted = {"object": "webhook_endpoint.deleted", "id": made["id"], "deleted": True}
        assert (await server.request("DELETE", one)).json() == deleted
        for method in ("GET", "DELETE"):
            problem(await server.request(method, one), 404, param="endpoint_id", code="not_found")


@pytest.mark.parametrize(
    "url",
    [
        "http://a.test/",
        "ftp://a.test/",
        "https://",
        "https://user@a.test/",
        "https://a.test/#x",
        "https://a.test/ x",
        "https://a.test/\n",
        "https://a.test:99999/",
        "https://169.254.169.254/latest",
        "https://100.100.100.200/",
        "https://0.0.0.0/",
        "https://a.test/" + "x" * 2_000,
    ],
)
async def test_addresses_that_are_refused(serve: Serve, double: LedgerDouble, url: str) -> None:
    async with serve(double) as server:
        problem(await server.post(URL, json={"url": url}), 400, param="url", code="invalid_value")


@pytest.mark.parametrize("url", ["https://10.0.0.1:8443", "http://localhost:8080/x", "http://127.0.0.1", "https://a?b"])
async def test_addresses_that_are_taken(serve: Serve, double: LedgerDouble, url: str) -> None:
    async with serve(double) as server:
        assert (await server.post(URL, json={"url": url})).json()["url"] == url
