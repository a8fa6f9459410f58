"""Lists by pages, ids of any characters, and what is refused of both."""

import threading
from typing import Any
from urllib.parse import quote

import pytest
from tests.server.support import NOW, Serve
from tests.server.test_organization import ROOT, listed
from tests.support.ledger_double import LedgerDouble
from tests.support.problems import problem

from usageledger.registry import Registry

pytestmark = pytest.mark.anyio

LISTS = {"projects": {"include_archived": "true"}, "users": {"emails": "a@b.c"}, "admin_api_keys": {"order": "desc"}}
ODD_IDS = [
    "a/b",
    "/",
    "ü €",
    "100%",
    "a?b#c",
    "a b",
    "..",
    "a\nb\n",
    "'; --",
    "a+b",
    "%2F",
    "a%2Fb",
    "x" * 256,
    "/" * 256,
    "a/../b",
]


@pytest.mark.parametrize("what", LISTS)
async def test_lists_have_twenty_entries_by_default_or_as_many_as_are_asked_for(
    serve: Serve, double: LedgerDouble, registry: Registry, what: str
) -> None:
    names = [f"n{number:03}" for number in range(130)]
    if what == "admin_api_keys":
        for name in names:
            registry.create_key(name, now=NOW + 1)
    else:
        registry.note_seen(names, names, now=NOW)
    async with serve(double) as server:
        default = (await server.get(f"{ROOT}/{what}")).json()
        most = (await server.get(f"{ROOT}/{what}", params={"limit": 100})).json()
        whole = (await server.get(f"{ROOT}/{what}", params={"limit": 180})).json()  # which a client asks for
        every = await listed(server, what, limit=7)
    assert (len(default["data"]), default["has_more"]) == (20, True)
    assert (len(most["data"]), most["has_more"]) == (100, True)
    assert len({entry["id"] for entry in every}) == len(every) == (131 if what == "admin_api_keys" else 130)
    assert every[:100] == most["data"]
    assert (whole["data"], whole["has_more"]) == (every, False)


@pytest.mark.parametrize("what", LISTS)
@pytest.mark.parametrize(
    ("query", "param", "code", "words"),
    [
        ("limit=0", "limit", "invalid_value", "from 1 to 1000, got 0"),
        ("limit=1001", "limit", "invalid_value", "from 1 to 1000, got 1001"),
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
        ("before=nobody", "before", "invalid_value", "Invalid 'before': before must be the id of the first entry"),
        ("after=", "after", "invalid_value", "''"),
        ("after=a%00b", "after", "invalid_value", "NUL"),
    ],
)
async def test_a_list_that_cannot_be_asked_for_is_refused(
    serve: Serve, double: LedgerDouble, what: str, query: str, param: str, code: str, words: str
) -> None:
    async with serve(double) as server:
        response = await server.get(f"{ROOT}/{what}?{query}")
    error = problem(response, 400, param=param, code=code)
    assert words in error["message"]
    assert len(error["message"]) < 500


@pytest.mark.parametrize(("what", "others"), [("projects", "'include_archived'"), ("users", "'emails'")])
async def test_a_list_without_an_order_says_so(serve: Serve, double: LedgerDouble, what: str, others: str) -> None:
    """As the official ones are: they come in one order."""
    async with serve(double) as server:
        for value in ("desc", "asc", "x" * 300):
            response = await server.get(f"{ROOT}/{what}", params={"order": value})
            error = problem(response, 400, param="order", code="unknown_parameter")
            allowed = f"'limit', 'after', 'before', {others}"
            assert error["message"] == (
                f"Unknown parameter: 'order', given as '{value[:100]}'. Allowed are: {allowed}."
            )


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
async def test_other_parameters_of_lists_name_what_is_allowed(
    serve: Serve, double: LedgerDouble, path: str, param: str
) -> None:
    async with serve(double) as server:
        problem(await server.get(f"{ROOT}/{path}"), 400, param=param, code="invalid_value")


@pytest.mark.parametrize("what", LISTS)
async def test_a_parameter_of_one_list_is_unknown_to_the_others(serve: Serve, double: LedgerDouble, what: str) -> None:
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
async def test_what_takes_no_parameters_refuses_them(
    serve: Serve, double: LedgerDouble, registry: Registry, method: str, path: str
) -> None:
    registry.note_seen(["p"], ["u"], now=NOW)
    async with serve(double) as server:
        response = await server.request(method, f"{ROOT}/{path}?force=true")
    problem(response, 400, param="force", code="unknown_parameter")
    assert registry.get_project("p") == registry.list_projects().data[0]


@pytest.mark.parametrize("odd", ODD_IDS)
async def test_ids_of_any_characters(serve: Serve, double: LedgerDouble, registry: Registry, odd: str) -> None:
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


BELOW = [
    "groups",
    "groups?limit=5",
    "roles",
    "data_retention/now",
    "certificates/activate",
]


@pytest.mark.parametrize("below", BELOW)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT"])
@pytest.mark.parametrize("whose", ["projects/p", "projects/none", "users/u", "admin_api_keys/k"])
async def test_an_address_below_another_ones_is_unknown(
    serve: Serve, double: LedgerDouble, registry: Registry, whose: str, method: str, below: str
) -> None:
    """It was taken for an id that nothing has, and its parameters and its body were refused first."""
    registry.note_seen(["p"], ["u"], now=NOW)
    async with serve(double) as server:
        for body in (None, {"role": "owner"}):
            error = problem(
                await server.request(method, f"{ROOT}/{whose}/{below}", json=body), 404, code="unknown_url", param=None
            )
            path = f"{ROOT}/{whose}/{below.partition('?')[0]}"
            assert error["message"] == (f"Unknown request URL: {method} {path}. In an id, a slash is written as %2F.")


@pytest.mark.parametrize("what", LISTS)
async def test_lists_go_back_as_well(serve: Serve, double: LedgerDouble, registry: Registry, what: str) -> None:
    for number in range(6):
        registry.create_key(f"n{number}", now=NOW - 9 + number)
    registry.note_seen([f"n{number}" for number in range(7)], [f"n{number}" for number in range(7)], now=NOW)
    async with serve(double) as server:
        ids = [entry["id"] for entry in await listed(server, what)]
        for query, expected, has_more in (
            ({"before": ids[6]}, ids[3:6], True),
            ({"before": ids[2]}, ids[:2], False),
            ({"after": ids[1], "before": ids[4]}, ids[2:4], False),
        ):
            page = (await server.get(f"{ROOT}/{what}", params={"limit": 3, **query})).json()
            assert ([entry["id"] for entry in page["data"]], page["has_more"]) == (expected, has_more), query


@pytest.mark.parametrize(
    "path", ["projects", "projects/p", "users", "users/u", "admin_api_keys", "costs", "audit_logs"]
)
async def test_a_slash_at_the_end_says_nothing(
    serve: Serve, double: LedgerDouble, registry: Registry, path: str
) -> None:
    registry.note_seen(["p", "p/"], ["u"], now=NOW)
    query = {"start_time": NOW} if path == "costs" else {}
    async with serve(double) as server:
        without, with_one = [await server.get(f"{ROOT}/{path}{end}", params=query) for end in ("", "/")]
        in_id = await server.get(f"{ROOT}/projects/p%2F")
    assert without.status_code == with_one.status_code == 200
    assert without.json() == with_one.json()
    assert in_id.json()["id"] == "p/"


async def test_an_id_with_a_slash_as_it_is_works_where_there_is_one(
    serve: Serve, double: LedgerDouble, registry: Registry
) -> None:
    """Clients that put ids into addresses as they are."""
    registry.note_seen(["p", "p/team", "a b/%"], ["a/b"], now=NOW)
    async with serve(double) as server:
        assert (await server.get(f"{ROOT}/projects/p/team")).json()["id"] == "p/team"
        assert (await server.get(f"{ROOT}/users/a/b")).json()["id"] == "a/b"
        assert (await server.get(f"{ROOT}/projects/a%20b/%25")).json()["id"] == "a b/%"
        assert (await server.post(f"{ROOT}/projects/p/team", json={"name": "n"})).json()["id"] == "p/team"
        problem(await server.get(f"{ROOT}/projects/p%2Fnone"), 404, code="not_found", param="project_id")
        problem(await server.post(f"{ROOT}/projects/p%2Fnone", content=b"no"), 400, code="invalid_json")
        problem(await server.request("DELETE", f"{ROOT}/projects/p%2Fteam"), 405)


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
async def test_404_for_what_is_not_there(
    serve: Serve, double: LedgerDouble, registry: Registry, method: str, path: str, param: str, body: dict[str, Any]
) -> None:
    async with serve(double) as server:
        response = await server.request(method, f"{ROOT}/{path}", json=body if method == "POST" else None)
    error = problem(response, 404, type="invalid_request_error", param=param, code="not_found")
    assert error["message"].startswith("No such ")
    assert len(error["message"]) < 400
    assert registry.list_projects().data == ()


@pytest.mark.parametrize("path", ["projects/a%00b", "users/a%00b", "admin_api_keys/a%00b"])
async def test_an_id_that_no_store_can_hold_is_not_looked_for(
    serve: Serve, double: LedgerDouble, registry: Registry, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    async with serve(double) as server:
        for name in ("get_project", "get_user", "get_key"):
            monkeypatch.setattr(registry, name, None)
        problem(await server.get(f"{ROOT}/{path}"), 404)


async def test_the_server_works_on_while_the_registry_is_busy(
    serve: Serve, double: LedgerDouble, registry: Registry
) -> None:
    """Calls of the registry block, so none may run on the event loop."""
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
    original = getattr(registry, name)

    def call(*given: Any, **named: Any) -> Any:
        callers.add(threading.current_thread().name)
        return original(*given, **named)

    setattr(registry, name, call)
