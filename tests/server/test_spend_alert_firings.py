"""Firings of alerts over HTTP."""

from typing import Any

import pytest
from tests.server.support import NOW, Clock, Serve, event, until
from tests.support.ledger_double import LedgerDouble
from tests.support.mail_server import mail_server
from tests.support.problems import problem

from usageledger.ledger import Ledger
from usageledger.pricing.money import UNITS_PER_USD
from usageledger.registry import AlertTerms, Crossing, Registry, SpendAlert
from usageledger.registry.deliveries import HOLD_SECONDS
from usageledger.spending.months import month_of

pytestmark = pytest.mark.anyio
URL = "/v1/spend_alert_firings"


def alert(registry: Registry, cents: int, project: str | None = None) -> SpendAlert:
    return registry.spend_settings.create_alert(project, AlertTerms(cents, ("ann@example.com",)), now=NOW)


async def test_an_alert_fires_before_the_sender_is_answered(serve: Serve, ledger: Ledger, registry: Registry) -> None:
    made = alert(registry, 100, "p")
    async with serve(ledger) as server:
        cost = {"kind": "completions", "model": "gpt-4o", "input_tokens": 0, "output_tokens": 100_000}
        for number in range(2):
            answer = await server.post("/v1/events", json=event(number, project_id="p") | cost)
            assert answer.json()["accepted"] == 1
        answer = (await server.get(URL)).json()
    (firing,) = answer["data"]
    assert firing == {
        "object": "spend_alert.firing",
        "id": firing["id"],
        "alert_id": made.id,
        "project_id": "p",
        "period_start": month_of(NOW).start,
        "threshold_amount": 100,
        "fired_at": NOW,
        "spend": {"value": 1, "currency": "usd"},
        "cause": "crossed",
        "deliveries": [
            {
                "id": firing["deliveries"][0]["id"],
                "type": "email",
                "target": "ann@example.com",
                "status": "pending",
                "attempts": 0,
                "next_attempt_at": NOW + HOLD_SECONDS,
                "last_answer": None,
            }
        ],
    }


async def test_an_alert_that_is_made_later_fires_by_itself(
    serve: Serve, ledger: Ledger, registry: Registry, clock: Clock
) -> None:
    async with serve(ledger) as server:
        await server.post("/v1/events", json=event(model="text-embedding-3-small", input_tokens=10**9))
        alert(registry, 100)

        async def fired() -> bool:
            return [each["cause"] for each in (await server.get(URL)).json()["data"]] == ["created"]

        await until(fired)


async def test_its_recipients_get_a_mail(serve: Serve, ledger: Ledger, registry: Registry, clock: Clock) -> None:
    alert(registry, 100)
    with mail_server() as mailbox:
        smtp = {"smtp_url": f"smtp://127.0.0.1:{mailbox.port}", "smtp_from": "ledger@example.org"}
        async with serve(ledger, **smtp) as server:
            await server.post("/v1/events", json=event(model="text-embedding-3-small", input_tokens=10**9))
            clock.now += HOLD_SECONDS

            async def told() -> bool:
                (firing,) = (await server.get(URL)).json()["data"]
                return [each["status"] for each in firing["deliveries"]] == ["delivered"]

            await until(told)
    assert [mail["to"] for mail in mailbox.mails] == ["ann@example.com"]


async def test_firings_are_listed_by_pages_alerts_and_projects(
    serve: Serve, double: LedgerDouble, registry: Registry
) -> None:
    alerts = [alert(registry, cents, project) for cents in (1, 2) for project in (None, "p", "a/b")]
    crossings = [Crossing(each, 0, UNITS_PER_USD, "crossed") for each in alerts]
    firings = registry.alert_firings.fire(crossings, now=NOW)
    assert registry.alert_firings.fire(crossings, now=NOW + 1) == []
    ids = [firing.id for firing in firings]

    async with serve(double) as server:

        async def listed(**query: Any) -> list[str]:
            return [each["id"] for each in (await server.get(URL, params=query)).json()["data"]]

        assert await listed() == ids
        assert await listed(order="desc", limit=2, after=ids[4]) == [ids[3], ids[2]]
        assert await listed(before=ids[1]) == ids[:1]
        assert await listed(project_id="a/b") == [ids[2], ids[5]]
        assert await listed(alert_id=alerts[3].id) == [ids[3]]
        assert await listed(alert_id=alerts[3].id, project_id="p") == []
        problem(await server.get(URL, params={"after": "nobody"}), 400, param="after", code="invalid_value")
