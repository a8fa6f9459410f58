"""Spend and reservations over HTTP: what is held, refused, settled and reported."""

from typing import Any

import pytest
from tests.server.support import NOW, Clock, Serve, Server, event, until

from usageledger.ledger import Ledger
from usageledger.registry import Registry

pytestmark = pytest.mark.anyio
RESERVATION = {"id": "e1", "project_id": "proj_a", "model": "gpt-4o", "input_tokens": 1000, "output_tokens": 1000}
MOST = 0.0125  # of it: 1,000 input tokens at 2.50 USD a million, 1,000 output tokens at 10
USED = {
    "kind": "completions",
    "id": "e1",
    "timestamp": NOW,
    "project_id": "proj_a",
    "model": "gpt-4o",
    "input_tokens": 1000,
    "output_tokens": 100,
}
COST = 0.0035


def usd(value: float) -> dict[str, Any]:
    return {"value": value, "currency": "usd"}


async def reserve(server: Server, **fields: Any) -> Any:
    return (await server.post("/v1/reservations", json=RESERVATION | fields)).json()


async def send(server: Server, **fields: Any) -> None:
    answer = (await server.post("/v1/events", json=USED | fields)).json()
    assert answer["rejected"] == 0, answer


async def spend_of(server: Server, project_id: str | None = None) -> Any:
    listed = (await server.get("/v1/spend")).json()["data"]
    return {each["project_id"]: each for each in listed}[project_id]


@pytest.fixture
def limit(registry: Registry) -> None:
    """Limits of 1 USD for a project and 2 for all."""
    registry.spend_settings.set_limit("proj_a", 100, now=NOW)
    registry.spend_settings.set_limit(None, 200, now=NOW)


@pytest.mark.usefixtures("limit")
async def test_a_reservation_holds_the_most_that_its_request_can_cost(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        made = await reserve(server)
        assert made == {
            "object": "reservation",
            "id": "e1",
            "status": "active",
            "project_id": "proj_a",
            "amount": usd(MOST),
            "created_at": NOW,
            "expires_at": NOW + 600,
            "limits": [
                {
                    "object": "organization.spend_limit",
                    "project_id": None,
                    "limit": usd(2),
                    "spent": usd(0),
                    "held": usd(MOST),
                    "available": usd(1.9875),
                },
                {
                    "object": "project.spend_limit",
                    "project_id": "proj_a",
                    "limit": usd(1),
                    "spent": usd(0),
                    "held": usd(MOST),
                    "available": usd(0.9875),
                },
            ],
        }
        assert await reserve(server) == made
        await send(server)
        seen = await spend_of(server, "proj_a")
        assert (seen["spent"], seen["held"], seen["available"]) == (usd(COST), usd(0), usd(1 - COST))
        assert (await server.get("/v1/reservations/e1")).json()["status"] == "settled"
        assert (await reserve(server))["status"] == "settled"


@pytest.mark.usefixtures("limit")
@pytest.mark.parametrize(
    ("fields", "code", "final"),
    [
        ({"amount": {"value": "1.01", "currency": "usd"}}, "project_spend_limit_exceeded", True),
        ({"amount": {"value": 2.5, "currency": "usd"}}, "organization_spend_limit_exceeded", True),
        ({"amount": {"value": 0.6, "currency": "usd"}}, "spend_limit_reserved", False),
        ({"amount": {"value": "0.5", "currency": "usd"}}, None, None),
    ],
)
async def test_limits_are_never_passed(
    serve: Serve, ledger: Ledger, fields: dict[str, Any], code: str | None, final: bool | None
) -> None:
    only_id = {"id": "other", "project_id": "proj_a"}
    async with serve(ledger) as server:
        half = {"id": "half", "project_id": "proj_a", "amount": {"value": 0.5, "currency": "usd"}}
        assert (await server.post("/v1/reservations", json=half)).status_code == 200
        for dry_run in (True, False):
            answer = await server.post("/v1/reservations", json=only_id | fields | {"dry_run": dry_run})
            if code is None:
                assert answer.status_code == 200
                continue
            error = answer.json()["error"]
            assert (answer.status_code, error["type"], error["code"]) == (429, "insufficient_quota", code)
            assert answer.headers.get("x-should-retry") == ("false" if final else None)
            assert answer.headers.get("retry-after") == (None if final else "30")
        listed = (await server.get("/v1/reservations")).json()["data"]
        assert [each["id"] for each in listed] == ["half"] if code else ["half", "other"]


@pytest.mark.usefixtures("limit")
async def test_spend_that_is_recorded_without_a_reservation_counts(
    serve: Serve, ledger: Ledger, registry: Registry
) -> None:
    async with serve(ledger) as server:
        await send(server, output_tokens=100_000)
        refused = await server.post("/v1/reservations", json=RESERVATION | {"id": "e2"})
        assert refused.json()["error"]["code"] == "project_spend_limit_exceeded"
        seen = await spend_of(server, "proj_a")
        assert (seen["status"], seen["spent"]) == ("enforcing", usd(1.0025))
        assert seen["accuracy"] == {
            "cost_above_holds": usd(0),
            "cost_without_hold": usd(1.0025),
            "cost_after_holds_ended": usd(0),
        }
        registry.spend_settings.set_limit("proj_a", 200, now=NOW)

        async def admitted() -> bool:
            return (await server.post("/v1/reservations", json=RESERVATION | {"id": "e3"})).status_code == 200

        await until(admitted)


@pytest.mark.usefixtures("limit")
async def test_holds_end(serve: Serve, ledger: Ledger, clock: Clock) -> None:
    async with serve(ledger) as server:
        for number in ("e1", "e2", "e3"):
            await reserve(server, id=number)
        assert (await server.post("/v1/reservations/e2/release")).json()["status"] == "released"
        assert (await server.post("/v1/reservations/e2/release")).json()["status"] == "released"
        longer = await server.post("/v1/reservations/e3/extend", json={"expires_in_seconds": 1200})
        assert longer.json()["expires_at"] == NOW + 1200
        clock.now += 600
        assert (await spend_of(server))["held"] == usd(MOST)
        expired = (await server.get("/v1/reservations?status=expired")).json()
        assert [each["id"] for each in expired["data"]] == ["e1"]
        for path in ("e1/release", "e2/extend"):
            answer = await server.post(f"/v1/reservations/{path}", json={"expires_in_seconds": 60})
            assert answer.status_code == 409
        clock.now -= 300  # which revives nothing
        assert (await spend_of(server))["held"] == usd(MOST)
        await send(server, output_tokens=2_000)
        accuracy = (await spend_of(server))["accuracy"]
        assert accuracy["cost_above_holds"] == usd(0.01)
        assert accuracy["cost_after_holds_ended"] == usd(0.0225)


@pytest.mark.usefixtures("limit")
async def test_holds_outlive_a_restart(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        await reserve(server)
        await reserve(server, id="e2")
        await send(server)
    async with serve(ledger) as server:
        assert (await spend_of(server))["held"] == usd(MOST)
        assert (await server.get("/v1/reservations/e1")).json()["status"] == "settled"


async def test_without_limits_everything_is_admitted_and_nothing_kept(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        assert (await reserve(server))["limits"] == []
        assert (await server.get("/v1/reservations")).json()["data"] == []


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"model": "nobody-knows-it"}, "model", "unpriced_model"),
        ({"output_tokens": None}, "output_tokens", "missing_field"),
        ({"images": 1}, "images", "unknown_field"),
        ({"kind": "vector_stores"}, "kind", "invalid_value"),
        ({"amount": {"value": 1, "currency": "usd"}}, "amount", "invalid_value"),
        ({"input_tokens": -1}, "input_tokens", "invalid_value"),
        ({"expires_in_seconds": 86_401}, "expires_in_seconds", "invalid_value"),
        ({"token": 1}, "token", "unknown_field"),
    ],
)
async def test_what_cannot_be_reserved(
    serve: Serve, ledger: Ledger, change: dict[str, Any], param: str, code: str
) -> None:
    async with serve(ledger) as server:
        answer = await server.post("/v1/reservations", json=RESERVATION | change)
        assert (answer.status_code, answer.json()["error"]["param"], answer.json()["error"]["code"]) == (
            400,
            param,
            code,
        )


@pytest.mark.parametrize("value", ["-1", "1e400", "1e999999", "NaN", "1000001", "x", -1, True, None])
async def test_amounts_that_are_none(serve: Serve, ledger: Ledger, value: Any) -> None:
    async with serve(ledger) as server:
        body = {"id": "e1", "amount": {"value": value, "currency": "usd"}}
        answer = await server.post("/v1/reservations", json=body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "amount")


@pytest.mark.usefixtures("limit")
async def test_the_same_id_with_another_content(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        await reserve(server)
        assert (await server.post("/v1/reservations", json=RESERVATION | {"input_tokens": 1})).status_code == 409
        assert (await server.get("/v1/reservations/nobody")).status_code == 404


async def test_unpriced_requests_and_the_forecast(serve: Serve, ledger: Ledger) -> None:
    day = 86_400
    async with serve(ledger) as server:
        for back in range(1, 8):
            await send(server, id=f"d{back}", timestamp=NOW - back * day, output_tokens=0, input_tokens=400_000)
        await send(server, id="unpriced", model="nobody-knows-it")
        answer = (await server.post("/v1/events", json=event(9, model="no-such", num_model_requests=3))).json()
        assert answer["accepted"] == 1
        seen = await spend_of(server)
        assert (seen["spent"], seen["unpriced_requests"]) == (usd(7), 4)
        # The 9th of October: today and 22 days to come like the last seven, of 1 USD each.
        assert seen["forecast"] == {"amount": usd(7 + 23), "low": usd(30), "high": usd(30)}
