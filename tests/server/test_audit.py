"""`GET /v1/organization/audit_logs`: every change over HTTP names the key that made it."""

import getpass
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI
from tests.server.support import NOW, Clock, Serve
from tests.server.test_auth import bearer
from tests.support.ledger_double import LedgerDouble
from tests.support.problems import problem
from tests.support.server_process import running

from usageledger.registry import Registry

pytestmark = pytest.mark.anyio

URL = "/v1/organization/audit_logs"
PROJECTS = "/v1/organization/projects"
KEYS = "/v1/organization/admin_api_keys"


async def test_changes_over_http_name_their_key(
    serve: Serve, double: LedgerDouble, registry: Registry, clock: Clock
) -> None:
    boss, value = registry.create_key("boss", now=NOW - 10)
    async with serve(double) as server:
        made = (await server.post(KEYS, json={"name": "ci"}, headers=bearer(value))).json()
        clock.now += 5
        await server.request("DELETE", f"{KEYS}/{made['id']}", headers=bearer(value))
        answer = (await server.get(URL, params={"limit": 2})).json()
    assert [answer[key] for key in ("object", "has_more")] == ["list", True]
    deleted, created = answer["data"]
    assert (answer["first_id"], answer["last_id"]) == (deleted["id"], created["id"])
    assert created == {
        "object": "organization.audit_log",
        "id": created["id"],
        "type": "api_key.created",
        "effective_at": NOW,
        "actor": {"type": "api_key", "api_key": {"id": boss.id}},
        "api_key.created": {
            "id": made["id"],
            "data": {"scopes": made["scopes"], "name": "ci", "expires_at": None},
        },
    }
    assert deleted["type"] == "api_key.deleted"
    assert deleted["effective_at"] == NOW + 5
    assert deleted["api_key.deleted"] == {"id": made["id"]}
    assert made["value"] not in str(answer)


@pytest.mark.parametrize(("limit", "pages"), [(2, 3), (3, 2), (6, 1)])
async def test_pages_and_types(serve: Serve, double: LedgerDouble, registry: Registry, limit: int, pages: int) -> None:
    for number in range(6):
        registry.revoke_key(registry.create_key(str(number), now=NOW)[0].id, now=NOW)
    async with serve(double) as server:
        found: list[str] = []
        asked: dict[str, Any] = {"limit": limit, "event_types[]": "api_key.deleted"}
        for place in range(pages):
            page = (await server.get(URL, params=asked)).json()
            found += [entry["id"] for entry in page["data"]]
            assert page["has_more"] == (place < pages - 1)
            asked["after"] = page["last_id"]
        everything = (await server.get(URL, params={"event_types": "api_key.deleted,api_key.created"})).json()
        nothing = (await server.get(URL, params={"event_types": "price.set"})).json()
    assert len(found) == len(set(found)) == 6
    assert len(everything["data"]) == 13  # the server's own key too
    assert everything["data"][-1]["actor"] == {"type": "local", "local": {"user": getpass.getuser()}}
    assert (nothing["data"], nothing["first_id"], nothing["has_more"]) == ([], None, False)


@pytest.mark.parametrize("types", ["", "api_key.deleted"])
async def test_the_page_before_an_entry(serve: Serve, double: LedgerDouble, registry: Registry, types: str) -> None:
    """It is the one that `after` leads on from, in the same order, where the whole page is there."""
    for number in range(6):
        registry.revoke_key(registry.create_key(str(number), now=NOW)[0].id, now=NOW)
    chosen: dict[str, Any] = {"event_types": types} if types else {}
    async with serve(double) as server:

        async def ids(**asked: Any) -> tuple[list[str], bool]:
            page = (await server.get(URL, params={"limit": 100, **chosen, **asked})).json()
            assert page["first_id"] == (page["data"][0]["id"] if page["data"] else None)
            return [entry["id"] for entry in page["data"]], page["has_more"]

        every, _ = await ids()
        for place, entry in enumerate(every):
            assert await ids(before=entry, limit=2) == (every[max(0, place - 2) : place], place > 2)
            assert await ids(before=entry) == (every[:place], False)
            assert await ids(after=every[0], before=entry, limit=2) == (every[1 : min(3, place)], place > 3)


async def test_changes_are_found_by_when_who_and_what(
    serve: Serve, double: LedgerDouble, registry: Registry, clock: Clock
) -> None:
    registry.note_seen(["p", "a,b"], [], now=NOW)
    boss, value = registry.create_key("boss", now=NOW - 10)
    limit = {"threshold_amount": 1, "currency": "USD", "interval": "month"}
    async with serve(double) as server:
        for project in ("p", "a,b"):
            clock.now += 5
            await server.post(f"{PROJECTS}/{project}/spend_limit", json=limit, headers=bearer(value))

        async def found(**asked: Any) -> list[int]:
            page = (await server.get(URL, params={"limit": 100, **asked})).json()
            return [entry["effective_at"] - NOW for entry in page["data"] if entry["effective_at"] > NOW]

        assert await found() == [10, 5]
        for bound, times in (("gt", [10]), ("gte", [10, 5]), ("lt", []), ("lte", [5])):
            assert await found(**{f"effective_at[{bound}]": NOW + 5}) == times
        several = {"effective_at[gt]": NOW, "effective_at[gte]": NOW + 6, "effective_at[lt]": NOW + 99}
        assert await found(**several) == [10]
        assert await found(project_ids="p") == [5]
        assert await found(**{"project_ids[]": ["p", "a,b"]}) == [10, 5]
        assert await found(**{"resource_ids[]": "a,b"}) == [10]
        assert await found(actor_ids=boss.id) == [10, 5]
        assert await found(actor_ids="key_of_nobody") == await found(actor_emails="ann@example.com") == []


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"effective_at[gt]": "now"}, "effective_at[gt]"),
        ({"effective_at[lte]": "-1"}, "effective_at[lte]"),
        ({"effective_at": "1"}, "effective_at"),
        ({"effective_at[eq]": "1"}, "effective_at[eq]"),
        ({"tenant_only": "true"}, "tenant_only"),
        ({"event_types": "api_key.made"}, "event_types"),
        ({"after": "audit_log-99999"}, "after"),
        ({"after": "key_1"}, "after"),
        ({"limit": "0"}, "limit"),
        ({"before": "audit_log-99999"}, "before"),
        ({"before": "audit_log-1,audit_log-2"}, "before"),
        ({"before": ""}, "before"),
        ({"order": "asc"}, "order"),
    ],
)
async def test_what_is_refused(serve: Serve, double: LedgerDouble, params: dict[str, Any], param: str) -> None:
    async with serve(double) as server:
        problem(await server.get(URL, params=params), 400, param=param)


def test_the_official_client_reads_it(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        client = OpenAI(base_url=f"{server.url}/v1", admin_api_key=server.key, api_key="unused")
        made = client.admin.organization.admin_api_keys.create(name="ci")
        listed = list(client.admin.organization.audit_logs.list(limit=1))
        later = client.admin.organization.audit_logs.list(effective_at={"gt": listed[0].effective_at}, actor_ids=["x"])
        assert later.data == []
        client.close()
    assert [entry.type for entry in listed] == ["api_key.created"] * 2
    assert listed[0].actor is not None
    assert listed[0].actor.type == "api_key"
    assert listed[0].api_key_created is not None
    assert listed[0].api_key_created.id == made.id
