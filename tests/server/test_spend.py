"""Limits of spend and alerts on it, of the organization and of projects with any id."""

from typing import Any
from urllib.parse import quote

import pytest
from tests.server.support import NOW, Clock, Serve, Server, event
from tests.server.test_organization_lists import ODD_IDS
from tests.support.ledger_double import LedgerDouble
from tests.support.problems import problem

from usageledger.ledger import Ledger
from usageledger.pricing import Override
from usageledger.pricing.money import UNITS_PER_USD
from usageledger.registry import Registry
from usageledger.registry.spend_settings import RECIPIENTS_MAX, THRESHOLD_CENTS_MAX
from usageledger.spending.months import Month, month_of

pytestmark = pytest.mark.anyio

ROOT = "/v1/organization"
SCOPES = {"organization": ROOT, "project": f"{ROOT}/projects/p"}
LIMIT = {"threshold_amount": 500, "currency": "USD", "interval": "month"}
CHANNEL = {"type": "email", "recipients": ["ann@example.com"], "subject_prefix": "[spend]"}
ALERT = LIMIT | {"notification_channel": CHANNEL}
ODD = {id_: quote(id_, safe="").replace(".", "%2E") for id_ in [*ODD_IDS, "p/spend_limit", "p/spend_alerts/a", "p/"]}


@pytest.fixture(autouse=True)
def seen(registry: Registry) -> None:
    registry.note_seen(["p"], [], now=NOW)


@pytest.mark.parametrize(("whose", "root"), SCOPES.items())
async def test_a_limit_is_set_replaced_and_removed(serve: Serve, double: LedgerDouble, whose: str, root: str) -> None:
    url, unset = f"{root}/spend_limit", f"No {whose} spend limit is configured."
    async with serve(double) as server:
        for method in ("GET", "DELETE"):
            error = problem(await server.request(method, url), 404, code="not_found", param=None)
            assert error["message"] == unset
        answer = await server.post(url, json=LIMIT)
        assert (answer.status_code, answer.json()) == (
            200,
            {"object": f"{whose}.spend_limit", **LIMIT, "enforcement": {"status": "inactive"}},
        )
        replaced = (await server.post(url, json=LIMIT | {"threshold_amount": THRESHOLD_CENTS_MAX})).json()
        assert replaced["threshold_amount"] == THRESHOLD_CENTS_MAX
        assert (await server.get(url)).json() == replaced
        other = SCOPES["project" if whose == "organization" else "organization"]
        problem(await server.get(f"{other}/spend_limit"), 404)
        deleted = await server.request("DELETE", url)
        assert (deleted.status_code, deleted.json()) == (
            200,
            {"object": f"{whose}.spend_limit.deleted", "deleted": True},
        )
        problem(await server.request("DELETE", url), 404)


@pytest.mark.parametrize(("whose", "root"), SCOPES.items())
async def test_an_alert_is_made_replaced_and_removed(serve: Serve, double: LedgerDouble, whose: str, root: str) -> None:
    async with serve(double) as server:
        made = await server.post(f"{root}/spend_alerts", json=ALERT)
        alert = made.json()
        assert made.status_code == 200
        assert alert == {"id": alert["id"], "object": f"{whose}.spend_alert", **ALERT}
        assert alert["id"].startswith("alert_")
        url = f"{root}/spend_alerts/{alert['id']}"
        assert (await server.get(url)).json() == alert
        plain = {"type": "email", "recipients": ["a@b", "c@d"]}
        changed = (await server.post(url, json=ALERT | {"threshold_amount": 0, "notification_channel": plain})).json()
        channel = {**plain, "subject_prefix": None}
        assert changed == alert | {"threshold_amount": 0, "notification_channel": channel}
        assert (await server.get(f"{root}/spend_alerts")).json()["data"] == [changed]
        other = SCOPES["project" if whose == "organization" else "organization"]
        assert (await server.get(f"{other}/spend_alerts")).json() == {
            "object": "list",
            "data": [],
            "first_id": None,
            "last_id": None,
            "has_more": False,
        }
        for method, body in (("GET", None), ("POST", ALERT), ("DELETE", None)):
            error = problem(
                await server.request(method, f"{other}/spend_alerts/{alert['id']}", json=body), 404, param="alert_id"
            )
            assert error["message"] == f"No such spend alert: '{alert['id']}'."
        deleted = await server.request("DELETE", url)
        assert (deleted.status_code, deleted.json()) == (
            200,
            {"id": alert["id"], "object": f"{whose}.spend_alert.deleted", "deleted": True},
        )
        problem(await server.get(url), 404)


@pytest.mark.parametrize("root", SCOPES.values())
async def test_alerts_are_listed_by_pages_both_ways(serve: Serve, double: LedgerDouble, root: str) -> None:
    url = f"{root}/spend_alerts"

    async def page(server: Server, **query: Any) -> tuple[list[str], bool]:
        answer = (await server.get(url, params=query)).json()
        ids = [alert["id"] for alert in answer["data"]]
        assert (answer["first_id"], answer["last_id"]) == ((ids[0], ids[-1]) if ids else (None, None))
        return ids, answer["has_more"]

    async with serve(double) as server:
        ids = [(await server.post(url, json=ALERT)).json()["id"] for _ in range(22)]
        assert await page(server) == (ids[:20], True)
        assert await page(server, limit=100, order="asc") == (ids, False)
        assert await page(server, after=ids[19]) == (ids[20:], False)
        assert await page(server, limit=2, order="desc", after=ids[20]) == ([ids[19], ids[18]], True)
        assert await page(server, limit=2, before=ids[5]) == (ids[3:5], True)
        assert await page(server, limit=0) == ([], True)
        assert await page(server, limit=0, after=ids[-1]) == ([], False)
        for query, param in (
            ({"limit": 101}, "limit"),
            ({"limit": -1}, "limit"),
            ({"order": "up"}, "order"),
            ({"after": "nobody"}, "after"),
            ({"before": "nobody"}, "before"),
        ):
            problem(await server.get(url, params=query), 400, param=param, code="invalid_value")


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        *(({name: None}, name, "invalid_type") for name in ALERT),
        ({"threshold_amount": -1}, "threshold_amount", "invalid_value"),
        ({"threshold_amount": THRESHOLD_CENTS_MAX + 1}, "threshold_amount", "invalid_value"),
        ({"threshold_amount": 1.5}, "threshold_amount", "invalid_type"),
        ({"threshold_amount": True}, "threshold_amount", "invalid_type"),
        ({"threshold_amount": "1"}, "threshold_amount", "invalid_type"),
        ({"currency": "usd"}, "currency", "invalid_value"),
        ({"interval": "day"}, "interval", "invalid_value"),
        ({"name": "n"}, "name", "unknown_field"),
        ({"notification_channel": []}, "notification_channel", "invalid_type"),
        *(
            ({"notification_channel": channel}, f"notification_channel.{param}", code)
            for channel, param, code in (
                ({"recipients": ["a@b"]}, "type", "missing_field"),
                ({"type": "email"}, "recipients", "missing_field"),
                (CHANNEL | {"type": "webhook"}, "type", "invalid_value"),
                (CHANNEL | {"recipients": []}, "recipients", "invalid_value"),
                (CHANNEL | {"recipients": "a@b"}, "recipients", "invalid_type"),
                (CHANNEL | {"recipients": ["a@b"] * (RECIPIENTS_MAX + 1)}, "recipients", "invalid_value"),
                *(
                    (CHANNEL | {"recipients": ["good@example.com", bad]}, "recipients", "invalid_value")
                    for bad in ("", "nobody", "a@b\r\nBcc: c@d", "a@b\n", "a\0@b", "a@b,c@d", "x@" + "y" * 255, 7)
                ),
                *(
                    (CHANNEL | {"subject_prefix": bad}, "subject_prefix", "invalid_value")
                    for bad in ("x\r\nBcc: c@d", "x\n", "\0", "\x7f", "\u2028", "x" * 257)
                ),
                (CHANNEL | {"url": "https://x"}, "url", "unknown_field"),
            )
        ),
    ],
    ids=str,
)
async def test_what_no_alert_can_be_is_refused(
    serve: Serve, double: LedgerDouble, registry: Registry, change: dict[str, Any], param: str, code: str
) -> None:
    async with serve(double) as server:
        for root in SCOPES.values():
            error = problem(await server.post(f"{root}/spend_alerts", json=ALERT | change), 400, param=param, code=code)
            assert f"'{param}'" in error["message"]
    assert registry.spend_settings.alerts() == []


@pytest.mark.parametrize("root", SCOPES.values())
async def test_every_field_is_required_each_time(
    serve: Serve, double: LedgerDouble, registry: Registry, root: str
) -> None:
    async with serve(double) as server:
        made = (await server.post(f"{root}/spend_alerts", json=ALERT)).json()
        for path, body in (("spend_limit", LIMIT), ("spend_alerts", ALERT), (f"spend_alerts/{made['id']}", ALERT)):
            for left_out in body:
                rest = {name: value for name, value in body.items() if name != left_out}
                problem(await server.post(f"{root}/{path}", json=rest), 400, param=left_out, code="missing_field")
        problem(await server.post(f"{root}/spend_limit", json=LIMIT | {"threshold_amount": 0}), 400)
        problem(await server.post(f"{root}/spend_limit", json=ALERT), 400, param="notification_channel")
    assert registry.spend_settings.limits() == []


async def test_a_project_that_nobody_knows(serve: Serve, double: LedgerDouble, registry: Registry) -> None:
    requests: list[tuple[str, str, Any]] = [
        *((method, "spend_limit", None) for method in ("GET", "DELETE")),
        *((method, "spend_alerts/a", None) for method in ("GET", "DELETE")),
        ("POST", "spend_limit", LIMIT),
        ("GET", "spend_alerts", None),
        ("POST", "spend_alerts", ALERT),
        ("POST", "spend_alerts/a", ALERT),
    ]
    async with serve(double) as server:
        for method, path, body in requests:
            for project in ("none", "a%2Fb", "a%00b"):
                answer = await server.request(method, f"{ROOT}/projects/{project}/{path}", json=body)
                error = problem(answer, 404, param="project_id", code="not_found")
                assert error["message"].startswith("No such project: ")
    assert (*registry.spend_settings.limits(), *registry.spend_settings.alerts()) == ()


@pytest.mark.parametrize("odd", ODD)
async def test_projects_with_any_id(serve: Serve, double: LedgerDouble, registry: Registry, odd: str) -> None:
    registry.note_seen([odd], [], now=NOW)
    root = f"{ROOT}/projects/{ODD[odd]}"
    async with serve(double) as server:
        assert (await server.post(f"{root}/spend_limit", json=LIMIT)).status_code == 200
        alert = (await server.post(f"{root}/spend_alerts", json=ALERT)).json()
        assert (await server.get(f"{root}/spend_limit")).json()["threshold_amount"] == 500
        assert (await server.get(f"{root}/spend_alerts")).json()["data"] == [alert]
        assert (await server.get(f"{root}/spend_alerts/{alert['id']}")).json() == alert
        assert (await server.get(root)).json()["id"] == odd
    assert [limit.project_id for limit in registry.spend_settings.limits()] == [odd]
    assert [made.project_id for made in registry.spend_settings.alerts()] == [odd]


@pytest.mark.parametrize(
    ("now", "month"),
    [
        (NOW, (1_759_276_800, 1_761_955_200)),  # October 2025
        (1_759_276_800, (1_759_276_800, 1_761_955_200)),
        (1_759_276_799, (1_756_684_800, 1_759_276_800)),
        (1_767_225_599, (1_764_547_200, 1_767_225_600)),  # the last second of a year
        (0, (0, 31 * 86_400)),
    ],
)
def test_a_month_is_one_of_the_calendar_in_utc(now: int, month: tuple[int, int]) -> None:
    assert month_of(now) == Month(*month)


async def test_a_limit_is_enforcing_from_the_cent_that_reaches_it(
    serve: Serve, ledger: Ledger, registry: Registry, clock: Clock
) -> None:
    """Of this month alone, and of the project alone or of all of them."""
    month = month_of(NOW)
    start, end = month.start, month.end
    registry.rate_cards.set_prices(
        [Override("embeddings", "openai", "m", "input_text_tokens", "standard", 0, UNITS_PER_USD // 1000)], now=NOW
    )
    spent = [(start, "p", 4_999), (start - 1, "p", 9_999), (end - 1, "q", 5_000), (NOW, None, 1)]
    async with serve(ledger) as server:
        clock.now = end
        events = [
            event(number, model="m", project_id=project, timestamp=time, input_tokens=tokens)
            for number, (time, project, tokens) in enumerate(spent)
        ]
        assert (await server.post("/v1/events", json=events)).json()["accepted"] == len(events)

        async def states(cents: int) -> list[str]:
            found = []
            for root in (ROOT, f"{ROOT}/projects/p", f"{ROOT}/projects/q"):
                set_it = await server.post(f"{root}/spend_limit", json=LIMIT | {"threshold_amount": cents})
                assert set_it.json() == (await server.get(f"{root}/spend_limit")).json()
                found.append(set_it.json()["enforcement"]["status"])
            return found

        clock.now = end - 1
        assert await states(500) == ["enforcing", "inactive", "enforcing"]
        assert await states(501) == ["enforcing", "inactive", "inactive"]
        assert await states(1000) == ["enforcing", "inactive", "inactive"]
        assert await states(1001) == ["inactive"] * 3
        clock.now = end
        assert await states(1) == ["inactive"] * 3


async def test_changes_are_in_the_trail(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        await server.post(f"{ROOT}/spend_limit", json=LIMIT)
        (entry,) = (await server.get(f"{ROOT}/audit_logs?event_types[]=spend_limit.updated")).json()["data"]
    assert entry["actor"]["type"] == "api_key"
    assert entry["spend_limit.updated"]["threshold_cents"] == 500
