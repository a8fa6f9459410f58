"""Projects, users and admin API keys: objects, pages, what is refused, and ids of any characters."""

from typing import Any

import pytest
from tests.server.support import NOW, Clock, Serve, Server
from tests.server.test_auth import bearer
from tests.support.ledger_double import LedgerDouble
from tests.support.problems import problem

from usageledger.registry import SCOPES, Registry

pytestmark = pytest.mark.anyio

ROOT = "/v1/organization"


async def listed(server: Server, what: str, **parameters: Any) -> list[dict[str, Any]]:
    """All entries, by pages, each with the shape of a list."""
    entries: list[dict[str, Any]] = []
    after: dict[str, Any] = {}
    while True:
        page = (await server.get(f"{ROOT}/{what}", params=parameters | after)).json()
        assert list(page) == ["object", "data", "first_id", "last_id", "has_more"]
        assert page["object"] == "list"
        assert page["first_id"] == (page["data"][0]["id"] if page["data"] else None)
        assert page["last_id"] == (page["data"][-1]["id"] if page["data"] else None)
        entries += page["data"]
        if not page["has_more"]:
            return entries
        after = {"after": page["last_id"]}


# --- projects ----------------------------------------------------------------------------------------------------


async def test_a_project_is_made_read_and_renamed(serve: Serve, double: LedgerDouble, clock: Clock) -> None:
    clock.now = NOW + 0.9
    async with serve(double) as server:
        made = (await server.post(f"{ROOT}/projects", json={"name": "Suche"})).json()
        url = f"{ROOT}/projects/{made['id']}"
        clock.now = NOW + 50
        renamed = (await server.post(url, json={"name": "Search", "external_key_id": None, "geography": None})).json()
        same = (await server.post(url, json={})).json()
        read = (await server.get(url)).json()
    assert made == {
        "object": "organization.project",
        "id": made["id"],
        "name": "Suche",
        "created_at": NOW,
        "archived_at": None,
        "status": "active",
        "external_key_id": None,
    }
    assert made["id"].startswith("proj_")
    assert renamed == same == read == made | {"name": "Search"}


async def test_archived_projects_are_listed_when_asked_for(
    serve: Serve, double: LedgerDouble, registry: Registry
) -> None:
    first, second = (registry.create_project(name, now=NOW) for name in ("one", "two"))
    registry.archive_project(first.id, now=NOW + 5)
    async with serve(double) as server:
        default = await listed(server, "projects")
        without = await listed(server, "projects", include_archived="false")
        every = await listed(server, "projects", include_archived="True")
    assert [project["id"] for project in default] == [second.id]
    assert without == default
    archived = {project["id"]: (project["status"], project["archived_at"]) for project in every}
    assert archived == {first.id: ("archived", NOW + 5), second.id: ("active", None)}


@pytest.mark.parametrize("path", ["projects", "projects/p"])
@pytest.mark.parametrize(
    ("field", "value"), [("external_key_id", "k"), ("geography", "EU"), ("residency", "EU_STORAGE_PROCESSING")]
)
async def test_what_is_not_had_is_accepted_when_null_and_otherwise_refused(
    serve: Serve, double: LedgerDouble, registry: Registry, path: str, field: str, value: str
) -> None:
    registry.note_seen(["p"], [], now=NOW)
    async with serve(double) as server:
        null = await server.post(f"{ROOT}/{path}", json={"name": "n", field: None})
        given = await server.post(f"{ROOT}/{path}", json={"name": "n", field: value})
    if (path, field) == ("projects/p", "residency"):  # the official API has no such field there
        problem(null, 400, param=field, code="unknown_field")
    else:
        assert null.status_code == 200
        message = problem(given, 400, param=field, code="invalid_type")["message"]
        assert message.startswith(f"Invalid '{field}': expected null: ")
        assert message.endswith(f"got '{value}'")


@pytest.mark.parametrize("body", [b"", b"{}", b"no JSON"])
async def test_a_project_is_archived_with_any_body(
    serve: Serve, double: LedgerDouble, registry: Registry, clock: Clock, body: bytes
) -> None:
    registry.note_seen(["a/b"], [], now=NOW - 5)
    url = f"{ROOT}/projects/a%2Fb"
    async with serve(double) as server:
        archived = (await server.post(f"{url}/archive", content=body)).json()
        clock.now += 9
        again = (await server.post(f"{url}/archive")).json()
        assert archived == again == (await server.get(url)).json()
        assert (await server.get(f"{ROOT}/projects")).json()["data"] == []
        problem(await server.post(f"{ROOT}/projects/none/archive"), 404, param="project_id", code="not_found")
    assert [archived[name] for name in ("id", "status", "archived_at")] == ["a/b", "archived", NOW]


# --- users -------------------------------------------------------------------------------------------------------


async def test_a_user_has_every_field_of_the_official_api(
    serve: Serve, double: LedgerDouble, registry: Registry
) -> None:
    registry.note_seen([], ["user-1"], now=NOW)
    async with serve(double) as server:
        read = (await server.get(f"{ROOT}/users/user-1")).json()
        (in_list,) = await listed(server, "users")
    assert read == in_list
    assert read == {
        "object": "organization.user",
        "id": "user-1",
        "name": None,
        "email": None,
        "role": "reader",
        "added_at": NOW,
        "created": NOW,
        "is_default": False,
        "is_service_account": False,
        "is_scim_managed": False,
        "is_scale_tier_authorized_purchaser": None,
        "api_key_last_used_at": None,
        "technical_level": None,
        "developer_persona": None,
        "projects": None,
        "user": {
            "object": "user",
            "id": "user-1",
            "name": None,
            "email": None,
            "picture": None,
            "enabled": None,
            "banned": None,
            "banned_at": None,
        },
    }


async def test_a_user_is_given_a_name(serve: Serve, double: LedgerDouble, registry: Registry) -> None:
    registry.note_seen([], ["a/b"], now=NOW)
    url = f"{ROOT}/users/a%2Fb"
    async with serve(double) as server:
        named = (await server.post(url, json={"name": "Ann", "role": None})).json()
        same = (await server.post(url, json={})).json()
        assert named == same == (await server.get(url)).json()
        for body, code in (({"role": "owner"}, "invalid_type"), ({"name": ""}, "invalid_value")):
            problem(await server.post(url, json=body), 400, param=next(iter(body)), code=code)
        problem(await server.post(f"{ROOT}/users/none", json={"name": "n"}), 404, param="user_id")
    assert [named["id"], named["name"], named["user"]["name"]] == ["a/b", "Ann", "Ann"]
    assert registry.names.of("user_id", ["a/b"]) == {"a/b": "Ann"}


@pytest.mark.parametrize("path", ["projects", "users", "projects/p", "costs?start_time=1", "usage/images?start_time=1"])
async def test_the_cache_buster_of_grafana_says_nothing(
    serve: Serve, double: LedgerDouble, registry: Registry, path: str
) -> None:
    registry.note_seen(["p"], [], now=NOW)
    async with serve(double) as server:
        joint = "&" if "?" in path else "?"
        plain = await server.get(f"{ROOT}/{path}")
        busted = await server.get(f"{ROOT}/{path}{joint}_ts=1&_ts=2")
        problem(await server.get(f"{ROOT}/{path}{joint}_tss=1"), 400, param="_tss", code="unknown_parameter")
    assert plain.status_code == busted.status_code == 200
    assert busted.json() == plain.json()


@pytest.mark.parametrize(
    "query", ["emails=a@x,b@x", "emails=a@x&emails=b@x", "emails[]=a@x&emails%5B%5D=b@x", "emails[]=a@x&emails=b@x,c@x"]
)
async def test_emails_come_in_every_encoding_of_lists(
    serve: Serve, double: LedgerDouble, registry: Registry, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    asked: list[list[str]] = []
    list_users = registry.list_users

    def watch(*, emails: list[str], **given: Any) -> Any:
        asked.append(emails)
        return list_users(emails=emails, **given)

    monkeypatch.setattr(registry, "list_users", watch)
    registry.note_seen([], ["user-1"], now=NOW)
    async with serve(double) as server:
        page = (await server.get(f"{ROOT}/users?{query}")).json()
    assert page["data"] == []
    assert asked == [["a@x", "b@x", "c@x"] if "c@x" in query else ["a@x", "b@x"]]


async def test_an_email_in_brackets_may_hold_a_comma(
    serve: Serve, double: LedgerDouble, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    list_users = registry.list_users

    def watch(*, emails: list[str], **given: Any) -> Any:
        asked.append(emails)
        return list_users(emails=emails, **given)

    monkeypatch.setattr(registry, "list_users", watch)
    async with serve(double) as server:
        await server.get(f"{ROOT}/users", params={"emails[]": '"a,b"@x'})
    assert asked == [['"a,b"@x']]


@pytest.mark.parametrize(("count", "status"), [(1000, 200), (1001, 400)])
async def test_the_number_of_emails_has_a_limit(serve: Serve, double: LedgerDouble, count: int, status: int) -> None:
    async with serve(double) as server:
        response = await server.get(f"{ROOT}/users", params={"emails": ",".join(["a@b"] * count)})
    assert response.status_code == status
    if status == 400:
        assert "1001" in problem(response, 400, param="emails")["message"]


# --- keys --------------------------------------------------------------------------------------------------------


async def test_a_key_is_made_and_its_value_shown_once(serve: Serve, double: LedgerDouble, clock: Clock) -> None:
    clock.now = NOW + 0.5
    async with serve(double) as server:
        made = (await server.post(f"{ROOT}/admin_api_keys", json={"name": "ci"})).json()
        value = made.pop("value")
        read = (await server.get(f"{ROOT}/admin_api_keys/{made['id']}")).json()
        keys = await listed(server, "admin_api_keys")
        used = await server.get("/v1/meters", headers=bearer(value))
        after_use = (await server.get(f"{ROOT}/admin_api_keys/{made['id']}")).json()
    assert made == {
        "object": "organization.admin_api_key",
        "id": made["id"],
        "name": "ci",
        "redacted_value": f"sk-admin-...{value[-4:]}",
        "created_at": NOW,
        "expires_at": None,
        "last_used_at": None,
        "owner": {
            "type": "user",
            "object": "organization.user",
            "id": "user-organization",
            "name": "Organization",
            "created_at": 0,
            "role": "owner",
        },
        "scopes": list(SCOPES),
    }
    assert value.startswith("sk-admin-")
    assert read == made
    assert made in keys
    assert used.status_code == 200
    assert after_use == made | {"last_used_at": NOW}


async def test_a_key_may_expire_and_have_fewer_scopes(serve: Serve, double: LedgerDouble) -> None:
    body = {"name": "ci", "expires_in_seconds": 3600, "scopes": ["api.usage.write", "api.usage.write"]}
    async with serve(double) as server:
        made = (await server.post(f"{ROOT}/admin_api_keys", json=body)).json()
    assert made["expires_at"] == NOW + 3600
    assert made["scopes"] == ["api.usage.write"]


async def test_keys_are_listed_in_either_order_without_deleted_ones(
    serve: Serve, double: LedgerDouble, registry: Registry
) -> None:
    made = [registry.create_key(f"key {n}", now=NOW + n)[0].id for n in range(5)]
    async with serve(double) as server:
        (own,) = {key["id"] for key in await listed(server, "admin_api_keys")} - set(made)
        await server.request("DELETE", f"{ROOT}/admin_api_keys/{made[1]}")
        kept = [id_ for id_ in made if id_ != made[1]]
        for parameters in ({}, {"order": "asc"}, {"order": "desc"}):
            for limit in (1, 2, 100):
                keys = await listed(server, "admin_api_keys", limit=limit, **parameters)
                ids = [key["id"] for key in keys if key["id"] != own]
                assert ids == (kept[::-1] if parameters.get("order") == "desc" else kept)
        # A deleted key still says where a page goes on.
        page = (await server.get(f"{ROOT}/admin_api_keys", params={"after": made[1]})).json()
        assert [key["id"] for key in page["data"]] == made[2:]
        problem(await server.get(f"{ROOT}/admin_api_keys/{made[1]}"), 404)
        problem(await server.request("DELETE", f"{ROOT}/admin_api_keys/{made[1]}"), 404)


async def test_a_field_given_twice_is_refused(serve: Serve, double: LedgerDouble, registry: Registry) -> None:
    """Else a key could have other scopes than whoever looked over the request has read."""
    body = b'{"name": "n", "scopes": ["api.usage.read"], "sc\\u006fpes": ["api.management"]}'
    async with serve(double) as server:
        response = await server.post(f"{ROOT}/admin_api_keys", content=body)
        message = problem(response, 400, param="scopes", code="duplicate_field")["message"]
        assert message == """Field given twice: 'scopes', as ["api.usage.read"] and as ["api.management"]."""
        response = await server.post("/v1/reprice", content=b'{"apply": false, "apply": true, "reason": "r"}')
        assert "as false and as true" in problem(response, 400, param="apply", code="duplicate_field")["message"]
    assert len(registry.list_keys().data) == 1


@pytest.mark.parametrize(
    ("body", "param", "code", "words"),
    [
        ({}, "name", "missing_field", "Missing required field: 'name', a string."),
        ({"name": None}, "name", "invalid_type", "expected a string, got null"),
        ({"name": 5}, "name", "invalid_type", "expected a string, got 5"),
        ({"name": ""}, "name", "invalid_value", "1 to 256 characters, got ''"),
        ({"name": "x" * 257}, "name", "invalid_value", "1 to 256 characters"),
        ({"name": "a\0b"}, "name", "invalid_value", "NUL"),
        ({"name": "n", "nmae": 1}, "nmae", "unknown_field", "Unknown field: 'nmae'. Did you mean 'name'?"),
        ({"name": "n", "zzz": 1}, "zzz", "unknown_field", "Unknown field: 'zzz'. Allowed are: 'name', "),
        ({"name": "n", "expires_in_seconds": 0}, "expires_in_seconds", "invalid_value", "1 to 31536000, got 0"),
        ({"name": "n", "expires_in_seconds": 31536001}, "expires_in_seconds", "invalid_value", "got 31536001"),
        ({"name": "n", "expires_in_seconds": 1.5}, "expires_in_seconds", "invalid_type", "an integer, got 1.5"),
        ({"name": "n", "expires_in_seconds": True}, "expires_in_seconds", "invalid_type", "an integer, got true"),
        ({"name": "n", "expires_in_seconds": "60"}, "expires_in_seconds", "invalid_type", "got '60'"),
        ({"name": "n", "scopes": []}, "scopes", "invalid_value", "at least one of 'api.usage.read', "),
        ({"name": "n", "scopes": ["api.usage"]}, "scopes", "invalid_value", '["api.usage"]'),
        ({"name": "n", "scopes": "api.usage.read"}, "scopes", "invalid_type", "an array"),
        ([], None, "invalid_type", "not a JSON object"),
        ("name", None, "invalid_type", "not a JSON object"),
    ],
)
async def test_a_new_key_that_cannot_be_is_refused(
    serve: Serve, double: LedgerDouble, registry: Registry, body: Any, param: str | None, code: str, words: str
) -> None:
    async with serve(double) as server:
        response = await server.post(f"{ROOT}/admin_api_keys", json=body)
    assert words in problem(response, 400, param=param, code=code)["message"]
    assert len(registry.list_keys().data) == 1


@pytest.mark.parametrize(
    "body", [{"name": "x"}, {"name": "x" * 256}, {"name": "n", "expires_in_seconds": 1}, {"name": "🎈" * 256}]
)
async def test_a_new_key_at_the_limits_is_made(serve: Serve, double: LedgerDouble, body: dict[str, Any]) -> None:
    async with serve(double) as server:
        assert (await server.post(f"{ROOT}/admin_api_keys", json=body)).status_code == 200
        body |= {"expires_in_seconds": 31536000}
        assert (await server.post(f"{ROOT}/admin_api_keys", json=body)).status_code == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"\xff", "invalid_json"),
        (b'{"name":"\xff"}', "invalid_json"),
        (b'{"name":' + b"[" * 50_000, "invalid_json"),
        (b"[1]", "invalid_type"),
    ],
)
async def test_a_body_that_is_no_object_is_refused(serve: Serve, double: LedgerDouble, body: bytes, code: str) -> None:
    async with serve(double) as server:
        error = problem(await server.post(f"{ROOT}/projects", content=body), 400, code=code)
    assert ("empty" in error["message"]) == (body == b"")
