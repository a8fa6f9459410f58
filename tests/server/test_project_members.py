"""Keys, service accounts and users of a project, as its events name them."""

from typing import Any
from urllib.parse import quote

import pytest
from tests.server.support import NOW, Serve, event
from tests.support.problems import problem

from usageledger.ledger import Ledger
from usageledger.registry import Registry

pytestmark = pytest.mark.anyio

ROOT = "/v1/organization/projects"
KINDS = {"api_keys": "api_key_id", "service_accounts": "api_key_id", "users": "user_id"}


def used(number: int, project: str, who: str | None, ago: int) -> dict[str, Any]:
    return event(number, project_id=project, api_key_id=who, user_id=who, timestamp=NOW - ago)


async def test_who_used_a_project_and_when_first_and_last(serve: Serve, ledger: Ledger, registry: Registry) -> None:
    ours, _ = registry.create_key("gateway", now=NOW)
    known = [
        used(1, "a/b", "k/1", 50),
        used(2, "a/b", "k/1", 9),
        used(3, "a/b", "k/1", 30),
        used(4, "a/b", ours.id, 7),
        used(5, "a/b", None, 1),
        used(6, "other", "k/1", 2),
    ]
    async with serve(ledger) as server:
        assert (await server.post("/v1/events", json=known)).json()["accepted"] == 6
        await server.post("/v1/organization/users/k%2F1", json={"name": "Ann"})
        root = f"{ROOT}/a%2Fb"
        key = (await server.get(f"{root}/api_keys/k%2F1")).json()
        of_ours = (await server.get(f"{root}/api_keys/{ours.id}")).json()
        keys = (await server.get(f"{root}/api_keys")).json()
        account = (await server.get(f"{root}/service_accounts/k%2F1")).json()
        user = (await server.get(f"{root}/users/k%2F1")).json()
        assert {each["id"] for each in keys["data"]} == {"k/1", ours.id}
        assert (await server.get(f"{root}/api_keys?owner_project_access=active")).json() == keys
        assert (await server.get(f"{root}/api_keys?owner_project_access=inactive")).json()["data"] == []
        problem(await server.get(f"{root}/api_keys?owner_project_access=some"), 400, param="owner_project_access")
        problem(await server.get(f"{root}/users?owner_project_access=any"), 400, param="owner_project_access")
    shown = {"id": "k/1", "name": "k/1", "created_at": NOW - 50, "role": "member"}
    assert key == {
        "object": "organization.project.api_key",
        "id": "k/1",
        "name": "k/1",
        "redacted_value": "",
        "created_at": NOW - 50,
        "last_used_at": NOW - 9,
        "expires_at": None,
        "owner": {"type": "service_account", "service_account": shown},
        "owner_project_access": "active",
    }
    assert account == {"object": "organization.project.service_account", **shown}
    assert [of_ours[name] for name in ("name", "redacted_value", "last_used_at")] == [
        "gateway",
        ours.redacted_value,
        NOW - 7,
    ]
    assert user == {
        "object": "organization.project.user",
        "id": "k/1",
        "name": "Ann",
        "email": None,
        "role": "member",
        "added_at": NOW - 50,
    }


@pytest.mark.parametrize("what", KINDS)
async def test_pages_go_both_ways(serve: Serve, ledger: Ledger, what: str) -> None:
    ids = [f"{number:02}" for number in range(7)]
    known = [used(number, "p", who, number) for number, who in enumerate(ids)]
    async with serve(ledger) as server:
        await server.post("/v1/events", json=known)

        async def page(**asked: Any) -> tuple[list[str], bool]:
            answer = (await server.get(f"{ROOT}/p/{what}", params=asked)).json()
            listed = [each["id"] for each in answer["data"]]
            assert (answer["first_id"], answer["last_id"]) == ((listed[0], listed[-1]) if listed else (None, None))
            return listed, answer["has_more"]

        assert await page() == (ids, False)
        assert await page(limit=3) == (ids[:3], True)
        assert await page(limit=3, after="02") == (ids[3:6], True)
        assert await page(limit=3, after="05") == (ids[6:], False)
        assert await page(limit=3, before="05") == (ids[2:5], True)
        assert await page(limit=3, before="03") == (ids[:3], False)
        assert await page(limit=3, after="01", before="04") == (ids[2:4], False)
        assert await page(after="06") == ([], False)


@pytest.mark.parametrize(("what", "param"), [*KINDS.items()])
async def test_what_is_not_there(serve: Serve, ledger: Ledger, registry: Registry, what: str, param: str) -> None:
    registry.note_seen(["p"], [], now=NOW)
    param = "service_account_id" if what == "service_accounts" else param
    async with serve(ledger) as server:
        await server.post("/v1/events", json=used(1, "other", "k", 1))
        assert (await server.get(f"{ROOT}/p/{what}")).json()["data"] == []
        for who in ("k", "a/b", "a\0b"):
            problem(await server.get(f"{ROOT}/p/{what}/{quote(who, safe='')}"), 404, param=param, code="not_found")
        for path in (what, f"{what}/k"):
            problem(await server.get(f"{ROOT}/none/{path}"), 404, param="project_id", code="not_found")
            problem(await server.request("DELETE", f"{ROOT}/p/{path}"), 405)
