"""Projects, users and admin API keys: objects, pages, what is refused, and ids of any characters."""

from typing import Any
from urllib.parse import quote

import pytest
from tests.server.support import NOW, Server
from tests.server.test_auth import bearer
from tests.server.test_errors import problem

from usageledger.registry import SCOPES, Registry

pytestmark = pytest.mark.anyio

ROOT = "/v1/organization"
LISTS = {"projects": {"include_archived": "true"}, "users": {"emails": "a@b.c"}, "admin_api_keys": {"order": "desc"}}
ODD_IDS = ["a/b", "/", "ü €", "100%", "a?b#c", "a b", "..", "a\nb\n", "'; --", "a+b", "%2F", "x" * 256, "a/../b"]


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


async def test_a_project_is_made_read_and_renamed(serve, double, clock):
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
        "residency": None,
    }
    assert made["id"].startswith("proj_")
    assert renamed == same == read == made | {"name": "Search"}


async def test_archived_projects_are_listed_when_asked_for(serve, double, registry: Registry):
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
    serve, double, registry: Registry, path, field, value
):
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


# --- users -------------------------------------------------------------------------------------------------------


async def test_a_user_has_every_field_of_the_official_api(serve, double, registry: Registry):
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


@pytest.mark.parametrize(
    "query", ["emails=a@x,b@x", "emails=a@x&emails=b@x", "emails[]=a@x&emails%5B%5D=b@x", "emails[]=a@x&emails=b@x,c@x"]
)
async def test_emails_come_in_every_encoding_of_lists(serve, double, registry: Registry, monkeypatch, query):
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


async def test_an_email_in_brackets_may_hold_a_comma(serve, double, registry: Registry, monkeypatch):
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
async def test_the_number_of_emails_has_a_limit(serve, double, count, status):
    async with serve(double) as server:
        response = await server.get(f"{ROOT}/users", params={"emails": ",".join(["a@b"] * count)})
    assert response.status_code == status
    if status == 400:
        assert "1001" in problem(response, 400, param="emails")["message"]


# --- keys --------------------------------------------------------------------------------------------------------


async def test_a_key_is_made_and_its_value_shown_once(serve, double, clock):
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


async def test_a_key_may_expire_and_have_fewer_scopes(serve, double):
    body = {"name": "ci", "expires_in_seconds": 3600, "scopes": ["api.usage.write", "api.usage.write"]}
    async with serve(double) as server:
        made = (await server.post(f"{ROOT}/admin_api_keys", json=body)).json()
    assert made["expires_at"] == NOW + 3600
    assert made["scopes"] == ["api.usage.write"]


async def test_keys_are_listed_in_either_order_without_deleted_ones(serve, double, registry: Registry):
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
async def test_a_new_key_that_cannot_be_is_refused(serve, double, registry: Registry, body, param, code, words):
    async with serve(double) as server:
        response = await server.post(f"{ROOT}/admin_api_keys", json=body)
    assert words in problem(response, 400, param=param, code=code)["message"]
    assert len(registry.list_keys().data) == 1


@pytest.mark.parametrize(
    "body", [{"name": "x"}, {"name": "x" * 256}, {"name": "n", "expires_in_seconds": 1}, {"name": "🎈" * 256}]
)
async def test_a_new_key_at_the_limits_is_made(serve, double, body):
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
        (b'{"name":' + b"[" * 100_000, "invalid_json"),
        (b"[1]", "invalid_type"),
    ],
)
async def test_a_body_that_is_no_object_is_refused(serve, double, body, code):
    async with serve(double) as server:
        error = problem(await server.post(f"{ROOT}/projects", content=body), 400, code=code)
    assert ("empty" in error["message"]) == (body == b"")


# --- lists and ids -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", LISTS)
async def test_lists_have_twenty_entries_by_default_and_a_hundred_at_most(serve, double, registry: Registry, what):
    names = [f"n{number:03}" for number in range(130)]
    if what == "admin_api_keys":
        for name in names:
            registry.create_key(name, now=NOW + 1)
    else:
        registry.note_seen(names, names, now=NOW)
    async with serve(double) as server:
        default = (await server.get(f"{ROOT}/{what}")).json()
        most = (await server.get(f"{ROOT}/{what}", params={"limit": 100})).json()
        every = await listed(server, what, limit=7)
    assert (len(default["data"]), default["has_more"]) == (20, True)
    assert (len(most["data"]), most["has_more"]) == (100, True)
    assert len({entry["id"] for entry in every}) == len(every) == (131 if what == "admin_api_keys" else 130)
    assert every[:100] == most["data"]


@pytest.mark.parametrize("what", LISTS)
@pytest.mark.parametrize(
    ("query", "param", "code", "words"),
    [
        ("limit=0", "limit", "invalid_value", "from 1 to 100, got 0"),
        ("limit=101", "limit", "invalid_value", "from 1 to 100, got 101"),
        ("limit=-1", "limit", "invalid_value", "got -1"),
        ("limit=ten", "limit", "invalid_type", "expected an integer, got 'ten'"),
        ("limit=", "limit", "invalid_type", "got ''"),
        ("limit=" + "9" * 5000, "limit", "invalid_type", "'999"),
        ("limit=%D9%A1", "limit", "invalid_type", "an integer"),  # a digit, but not one of JSON's
        ("limit=1&limit=1", "limit", "invalid_value", "given twice: 'limit'"),
        ("limt=1", "limt", "unknown_parameter", "Unknown parameter: 'limt'. Did you mean 'limit'?"),
        ("zzz=1", "zzz", "unknown_parameter", "Allowed are: 'limit', 'after', "),
        ("limit[]=1", "limit[]", "unknown_parameter", "'limit[]'"),
        ("after=nobody", "after", "invalid_value", "'nobody'"),
        ("after=", "after", "invalid_value", "''"),
        ("after=a%00b", "after", "invalid_value", "NUL"),
    ],
)
async def test_a_list_that_cannot_be_asked_for_is_refused(serve, double, what, query, param, code, words):
    async with serve(double) as server:
        response = await server.get(f"{ROOT}/{what}?{query}")
    error = problem(response, 400, param=param, code=code)
    assert words in error["message"]
    assert len(error["message"]) < 500


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("projects?include_archived=yes", "include_archived"),
        ("projects?include_archived=", "include_archived"),
        ("users?emails=", "emails"),
        ("users?emails=a@x,,b@x", "emails"),
        ("users?emails=%00", "emails"),
        ("admin_api_keys?order=up", "order"),
        ("admin_api_keys?order=DESC", "order"),
    ],
)
async def test_other_parameters_of_lists_name_what_is_allowed(serve, double, path, param):
    async with serve(double) as server:
        problem(await server.get(f"{ROOT}/{path}"), 400, param=param, code="invalid_value")


@pytest.mark.parametrize("what", LISTS)
async def test_a_parameter_of_one_list_is_unknown_to_the_others(serve, double, what):
    async with serve(double) as server:
        for other, parameters in LISTS.items():
            response = await server.get(f"{ROOT}/{what}", params=parameters)
            assert response.status_code == (200 if other == what else 400)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "projects"),
        ("GET", "projects/p"),
        ("POST", "projects/p"),
        ("GET", "users/u"),
        ("POST", "admin_api_keys"),
        ("GET", "admin_api_keys/k"),
        ("DELETE", "admin_api_keys/k"),
    ],
)
async def test_what_takes_no_parameters_refuses_them(serve, double, registry: Registry, method, path):
    registry.note_seen(["p"], ["u"], now=NOW)
    async with serve(double) as server:
        response = await server.request(method, f"{ROOT}/{path}?force=true")
    problem(response, 400, param="force", code="unknown_parameter")
    assert registry.get_project("p") == registry.list_projects().data[0]


@pytest.mark.parametrize("odd", ODD_IDS)
async def test_ids_of_any_characters(serve, double, registry: Registry, odd):
    registry.note_seen([odd], [odd], now=NOW)
    path = quote(odd, safe="")
    if odd in ("..", "a/../b"):
        path = path.replace(".", "%2E")
    async with serve(double) as server:
        project = (await server.get(f"{ROOT}/projects/{path}")).json()
        renamed = (await server.post(f"{ROOT}/projects/{path}", json={"name": "new"})).json()
        user = (await server.get(f"{ROOT}/users/{path}")).json()
        (in_list,) = (await server.get(f"{ROOT}/projects")).json()["data"]
        after = (await server.get(f"{ROOT}/projects", params={"after": odd})).json()
    assert project["id"] == renamed["id"] == user["id"] == in_list["id"] == odd
    assert (project["name"], renamed["name"]) == (odd, "new")
    assert after["data"] == []


@pytest.mark.parametrize(
    ("method", "path", "param"),
    [
        ("GET", "projects/none", "project_id"),
        ("POST", "projects/none", "project_id"),
        ("GET", "projects/a%00b", "project_id"),
        ("POST", "projects/a%00b", "project_id"),
        ("GET", "users/a%2Fb", "user_id"),
        ("GET", "users/%FF", "user_id"),
        ("GET", "users/" + "x" * 5000, "user_id"),
        ("GET", "admin_api_keys/none", "key_id"),
        ("DELETE", "admin_api_keys/none", "key_id"),
    ],
)
@pytest.mark.parametrize("body", [{}, {"name": "n"}])
async def test_404_for_what_is_not_there(serve, double, registry: Registry, method, path, param, body):
    async with serve(double) as server:
        response = await server.request(method, f"{ROOT}/{path}", json=body if method == "POST" else None)
    error = problem(response, 404, type="invalid_request_error", param=param, code="not_found")
    assert error["message"].startswith("No such ")
    assert len(error["message"]) < 400
    assert registry.list_projects().data == ()


@pytest.mark.parametrize("path", ["projects/a%00b", "users/a%00b", "admin_api_keys/a%00b"])
async def test_an_id_that_no_store_can_hold_is_not_looked_for(serve, double, registry: Registry, monkeypatch, path):
    async with serve(double) as server:
        for name in ("get_project", "get_user", "get_key"):
            monkeypatch.setattr(registry, name, None)
        problem(await server.get(f"{ROOT}/{path}"), 404)


async def test_the_server_works_on_while_the_registry_is_busy(serve, double, registry: Registry):
    """Calls of the registry block, so none may run on the event loop."""
    import threading

    callers: set[str] = set()
    for name in ("list_projects", "get_project", "create_project", "rename_project", "list_users", "get_user"):
        spy(registry, name, callers)
    for name in ("list_keys", "get_key", "create_key", "revoke_key", "find_key"):
        spy(registry, name, callers)
    async with serve(double) as server:
        callers.clear()
        project = (await server.post(f"{ROOT}/projects", json={"name": "n"})).json()["id"]
        key = (await server.post(f"{ROOT}/admin_api_keys", json={"name": "n"})).json()["id"]
        for path in ("projects", f"projects/{project}", "users", "users/u", "admin_api_keys", f"admin_api_keys/{key}"):
            await server.get(f"{ROOT}/{path}")
        await server.post(f"{ROOT}/projects/{project}", json={"name": "m"})
        await server.request("DELETE", f"{ROOT}/admin_api_keys/{key}")
    assert callers
    assert threading.main_thread().name not in callers


def spy(registry: Registry, name: str, callers: set[str]) -> None:
    import threading

    original = getattr(registry, name)

    def call(*given: Any, **named: Any) -> Any:
        callers.add(threading.current_thread().name)
        return original(*given, **named)

    setattr(registry, name, call)
