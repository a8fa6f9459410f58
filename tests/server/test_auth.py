"""Who may do what: every route without a key, with a wrong one, and with one that lacks the scope."""

import asyncio
import gc
import re
import threading
import tracemalloc
from collections.abc import Iterator
from functools import partial

import httpx
import pytest
from tests.server.support import NOW, Clock, MakeKey, Serve, Server, Slowly, event, is_of_the_dashboard
from tests.support.ledger_double import LedgerDouble
from tests.support.problems import problem

from usageledger.errors import RegistryError
from usageledger.registry import SCOPES, AdminKey, Registry
from usageledger.server.api.otlp import OTLP_PATHS
from usageledger.server.dashboard.assets import PAGES
from usageledger.server.endpoints import ENDPOINTS
from usageledger.server.http.auth import PAGE_HEADER, SESSION_COOKIE, Authenticator
from usageledger.server.http.requests import SECURITY_HEADERS

pytestmark = pytest.mark.anyio

PUBLIC = {"/healthz", "/readyz", "/openapi.json"}
NEEDS = {
    "/v1/events": {"POST": {"api.usage.write"}},
    "/v1/traces": {"POST": {"api.usage.write"}, "PUT": {"api.usage.write"}},
    "/v1/logs": {"POST": {"api.usage.write"}},
    "/v1/metrics": {"POST": {"api.usage.write"}},
    "/v1/spend": {"GET": {"api.usage.read"}},
    "/v1/spend_alert_firings": {"GET": {"api.usage.read", "api.management"}},
    "/v1/reservations": {"GET": {"api.usage.read"}, "POST": {"api.usage.write"}},
    "/v1/webhook_endpoints": {m: {"api.management"} for m in ("GET", "POST", "DELETE")},
    "/v1/sources": {"GET": {"api.usage.read"}, "POST": {"api.usage.write"}},
    "/v1/meters": {"GET": {"api.usage.read"}},
    "/v1/organization/usage/": {"GET": {"api.usage.read"}},
    "/v1/organization/costs": {"GET": {"api.usage.read"}},
    "/v1/unpriced": {"GET": {"api.usage.read"}},
    "/v1/rate_cards": {"GET": {"api.usage.read"}},
    "/v1/explain": {"GET": {"api.usage.read"}},
    "/v1/reprice": {"POST": {"api.management"}},
    "/v1/facets": {"GET": {"api.usage.read"}},
    "/v1/organization/projects": {
        "GET": {"api.usage.read", "api.management"},
        "POST": {"api.management"},
        "DELETE": {"api.management"},
    },
    "/v1/organization/spend_": {
        "GET": {"api.usage.read", "api.management"},
        "POST": {"api.management"},
        "DELETE": {"api.management"},
    },
    "/v1/backup": {"POST": {"api.management"}},
    "/v1/organization/audit_logs": {"GET": {"api.management"}},
    "/v1/organization/users": {"GET": {"api.usage.read", "api.management"}, "POST": {"api.management"}},
    "/v1/organization/admin_api_keys": {m: {"api.management"} for m in ("GET", "POST", "DELETE")},
}
METERS_URL = "/v1/meters"


def filled_in(path: str) -> str:
    """The path with an `x` for each id."""
    return re.sub(r"\{[^}]+\}", "x", path)


def addresses() -> Iterator[tuple[str, str]]:
    """Every method and path of the table of endpoints, `HEAD` too, ids filled in."""
    for endpoint in ENDPOINTS:
        for method in ("GET", "HEAD") if endpoint.method == "GET" else (endpoint.method,):
            yield method, filled_in(endpoint.path)


def every_address(server: Server) -> Iterator[tuple[str, str]]:
    """Every method and path of the routes, the dashboard's among them, `HEAD` too, ids filled in."""
    for route in server.routes:
        for method in sorted(route.methods or ()):
            yield method, filled_in(route.path)


def needed(method: str, path: str) -> set[str]:
    """The scopes of which a request needs one."""
    start = max((start for start in NEEDS if path.startswith(start)), key=len)
    return NEEDS[start]["GET" if method == "HEAD" else method]


def bearer(value: str) -> dict[str, str]:
    return {"authorization": f"Bearer {value}"}


async def test_the_table_has_every_route_of_the_api(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        of_the_dashboard = {filled_in(route.path) for route in server.routes if is_of_the_dashboard(route)}
        routes = {(method, path) for method, path in every_address(server) if path not in of_the_dashboard}
    found = set(addresses())
    assert found == routes
    assert len({path for _, path in found}) >= 30
    assert ("DELETE", "/v1/organization/admin_api_keys/x") in found
    assert ("POST", "/v1/organization/projects/x") in found


async def test_every_route_but_the_public_ones_needs_a_key(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double, wrong_keys_per_minute=0) as server:
        for method, path in addresses():
            for headers in ({"authorization": ""}, bearer("sk-admin-of-somebody-else")):
                response = await server.request(method, path, headers=headers)
                if path in PUBLIC:
                    assert response.status_code == 200, path
                elif method == "HEAD" or path in OTLP_PATHS:  # which answer in OTLP's own form: test_otlp
                    assert response.status_code == 401
                else:
                    problem(response, 401, type="invalid_request_error", param=None, code="invalid_api_key")
                    assert response.headers["www-authenticate"] == "Bearer"


async def test_every_route_needs_its_scope(serve: Serve, double: LedgerDouble, key: MakeKey) -> None:
    keys = {scope: key(scope) for scope in SCOPES}
    async with serve(double) as server:
        for method, path in addresses():
            for scope, value in keys.items():
                response = await server.request(method, path, headers=bearer(value))
                if path in PUBLIC or scope in needed(method, path):
                    assert response.status_code not in (401, 403), (method, path, scope)
                elif method == "HEAD" or path in OTLP_PATHS:
                    assert response.status_code == 403
                else:
                    error = problem(response, 403, code="insufficient_permissions", param=None)
                    assert all(name in error["message"] for name in needed(method, path))


async def test_every_answer_brings_its_security_headers_once(serve: Serve, double: LedgerDouble, key: MakeKey) -> None:
    """Whatever the address, the dashboard's pages and files among them, and whoever asks."""
    writer = bearer(key("api.usage.write"))
    async with serve(double) as server:
        page = await server.get("/")
        script = re.findall(r'src="([^"]+app\.js)"', page.text)[0]
        for method, path in [*every_address(server), ("GET", script), ("GET", "/nowhere"), ("PATCH", "/v1/meters")]:
            for headers in ({}, {"authorization": ""}, writer):
                response = await server.request(method, path, headers=headers)
                for name, value in SECURITY_HEADERS:
                    (told,) = response.headers.get_list(name.decode())
                    if path.startswith("/v1/") or name not in (b"cache-control", b"content-security-policy"):
                        assert told == value.decode(), (method, path, name)
                    elif name == b"content-security-policy":
                        assert {"default-src 'none'", "frame-ancestors 'none'"} <= set(told.split("; "))


async def test_the_dashboard_has_no_other_addresses_than_its_page_its_files_and_its_sessions(
    serve: Serve, double: LedgerDouble
) -> None:
    """They need no key, so nothing else may be among them."""
    async with serve(double) as server:
        found = {route.path for route in server.routes if is_of_the_dashboard(route)}
    assert found == {*PAGES, "/dashboard/{digest}/{name:path}", "/dashboard/session"}


async def test_one_scope_of_several_is_enough_and_others_are_not_named(
    serve: Serve, double: LedgerDouble, key: MakeKey
) -> None:
    async with serve(double) as server:
        response = await server.get("/v1/organization/projects", headers=bearer(key("api.usage.write")))
        of_usage = await server.get(METERS_URL, headers=bearer(key("api.usage.write")))
    assert "Missing scopes: api.management or api.usage.read." in response.json()["error"]["message"]
    assert "Missing scopes: api.usage.read." in of_usage.json()["error"]["message"]


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic c2s6", "sk-admin-alone", "bearer\tx", "Token sk-admin-x"]
)
async def test_401_without_a_key(serve: Serve, double: LedgerDouble, header: str) -> None:
    async with serve(double) as server:
        error = problem(await server.get(METERS_URL, headers={"authorization": header}), 401)
        none = await server.client.send(httpx.Request("GET", "http://ledger.test/v1/meters"))
    assert "You didn't provide an API key" in error["message"]
    assert problem(none, 401) == error


async def test_the_scheme_is_read_in_any_case(serve: Serve, double: LedgerDouble, key: MakeKey) -> None:
    async with serve(double) as server:
        response = await server.get(METERS_URL, headers={"authorization": f"bEARER  {key()} "})
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("value", "shown"),
    [("sk-admin-1234567890fake", "sk-admin" + "*" * 11 + "fake"), ("short", "*****"), ("x" * 5000, "xxxxxxxx****")],
)
async def test_401_shows_only_the_ends_of_a_wrong_key(
    serve: Serve, double: LedgerDouble, value: str, shown: str
) -> None:
    async with serve(double) as server:
        error = problem(await server.get(METERS_URL, headers=bearer(value)), 401)
    assert f"Incorrect API key provided: {shown}" in error["message"]
    assert value not in error["message"]
    assert len(error["message"]) < 200


async def test_401_for_a_key_that_is_no_ascii(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        response = await server.get(METERS_URL, headers={b"authorization": "Bearer schlüssel-€".encode()})
    problem(response, 401)


async def test_a_key_works_until_the_second_it_expires_in(
    serve: Serve, double: LedgerDouble, key: MakeKey, clock: Clock
) -> None:
    header = bearer(key(expires_at=NOW + 100))
    async with serve(double) as server:
        clock.now = NOW + 99.9
        assert (await server.get(METERS_URL, headers=header)).status_code == 200
        clock.now = NOW + 100
        problem(await server.get(METERS_URL, headers=header), 401)


async def test_a_key_revoked_elsewhere_works_two_seconds_longer_at_most(
    serve: Serve, double: LedgerDouble, registry: Registry, clock: Clock
) -> None:
    made, value = registry.create_key("other", now=NOW)
    async with serve(double) as server:
        assert (await server.get(METERS_URL, headers=bearer(value))).status_code == 200
        registry.revoke_key(made.id, now=NOW)
        clock.now += 2
        for _ in range(3):
            problem(await server.get(METERS_URL, headers=bearer(value)), 401)


async def test_a_key_deleted_here_stops_working_at_once(serve: Serve, double: LedgerDouble, registry: Registry) -> None:
    made, value = registry.create_key("other", now=NOW)
    async with serve(double) as server:
        assert (await server.get(METERS_URL, headers=bearer(value))).status_code == 200
        deleted = await server.request("DELETE", f"/v1/organization/admin_api_keys/{made.id}")
        assert deleted.json() == {"object": "organization.admin_api_key.deleted", "id": made.id, "deleted": True}
        problem(await server.get(METERS_URL, headers=bearer(value)), 401)
        assert (await server.get(METERS_URL)).status_code == 200


async def test_a_key_found_just_before_its_deletion_is_not_remembered(
    serve: Serve, double: LedgerDouble, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, value = registry.create_key("other", now=NOW)
    async with serve(double) as server:
        await server.get(METERS_URL)  # its own key is remembered by now
        slowly = Slowly(registry.find_key)
        monkeypatch.setattr(registry, "find_key", slowly)
        under_way = asyncio.create_task(server.get(METERS_URL, headers=bearer(value)))
        await slowly.found.wait()
        await server.request("DELETE", f"/v1/organization/admin_api_keys/{made.id}")
        late = asyncio.create_task(server.get(METERS_URL, headers=bearer(value)))
        await asyncio.sleep(0.05)  # so that it finds the other one under way
        slowly.go_on.set()
        assert (await under_way).status_code == 200  # it was asked before the key was deleted
        problem(await late, 401)
        problem(await server.get(METERS_URL, headers=bearer(value)), 401)


async def test_using_a_key_is_noted(serve: Serve, double: LedgerDouble, registry: Registry, clock: Clock) -> None:
    made, value = registry.create_key("other", now=NOW)
    clock.now = NOW + 500.9
    async with serve(double) as server:
        await server.get(METERS_URL, headers=bearer(value))
    used = registry.get_key(made.id)
    assert used
    assert used.last_used_at == NOW + 500


async def test_429_when_a_key_has_used_up_its_minute(
    serve: Serve, double: LedgerDouble, clock: Clock, key: MakeKey
) -> None:
    async with serve(double, requests_per_minute=30) as server:
        for _ in range(30):
            assert (await server.get(METERS_URL)).status_code == 200
        response = await server.get(METERS_URL)
        error = problem(response, 429, type="requests", param=None, code="rate_limit_exceeded")
        assert "30 requests per minute" in error["message"]
        assert response.headers["retry-after"] == "2"  # one request comes back every two seconds
        # Other keys have a minute of their own, and what needs no key has no limit.
        assert (await server.get(METERS_URL, headers=bearer(key()))).status_code == 200
        assert (await server.get("/healthz")).status_code == 200
        clock.now += 1.9
        assert (await server.get(METERS_URL)).headers["retry-after"] == "1"
        clock.now += 0.1
        assert (await server.get(METERS_URL)).status_code == 200
        assert (await server.get(METERS_URL)).status_code == 429


async def test_a_key_saves_up_one_minute_at_most(serve: Serve, double: LedgerDouble, clock: Clock) -> None:
    async with serve(double, requests_per_minute=3) as server:
        await server.get(METERS_URL)
        clock.now += 86_400
        statuses = [(await server.get(METERS_URL)).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]


async def test_a_clock_that_goes_back_neither_gives_nor_takes(serve: Serve, double: LedgerDouble, clock: Clock) -> None:
    async with serve(double, requests_per_minute=3) as server:
        await server.get(METERS_URL)
        clock.now -= 1000
        statuses = [(await server.get(METERS_URL)).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


async def test_first_requests_of_a_key_at_once_share_its_minute(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double, requests_per_minute=4) as server:
        answers = await asyncio.gather(*(server.get(METERS_URL) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [429] * 4


async def test_without_a_limit_there_is_no_429(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        answers = [await server.get(METERS_URL) for _ in range(50)]
    assert {answer.status_code for answer in answers} == {200}


async def test_a_key_may_only_write(serve: Serve, double: LedgerDouble, key: MakeKey) -> None:
    async with serve(double) as server:
        response = await server.post("/v1/events", json=event(), headers=bearer(key("api.usage.write")))
        assert response.json()["accepted"] == 1
        problem(await server.get(METERS_URL, headers=bearer(key("api.usage.write"))), 403)


def keys_looked_up(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The values of keys that the registry is asked for, from now on."""
    found: list[str] = []
    find = registry.find_key

    def watch(value: str, *, now: int) -> AdminKey | None:
        found.append(value)
        return find(value, now=now)

    monkeypatch.setattr(registry, "find_key", watch)
    return found


async def test_more_keys_than_are_remembered_work(
    serve: Serve, double: LedgerDouble, key: MakeKey, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usageledger.server.app.Authenticator", partial(Authenticator, keys_kept_max=2))
    looked_up = keys_looked_up(registry, monkeypatch)
    values = [key() for _ in range(5)]
    async with serve(double) as server:
        for value in values * 2:
            assert (await server.get(METERS_URL, headers=bearer(value))).status_code == 200
    assert looked_up == values * 2


async def test_a_remembered_key_is_not_looked_up_again(
    serve: Serve, double: LedgerDouble, registry: Registry, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    looked_up = keys_looked_up(registry, monkeypatch)
    async with serve(double) as server:
        for _ in range(5):
            await server.get(METERS_URL)
        assert len(looked_up) == 1
        clock.now += 2
        await server.get(METERS_URL)
        assert len(looked_up) == 2
        clock.now -= 1000  # a clock that was set back must not keep keys alive
        await server.get(METERS_URL)
        assert len(looked_up) == 3


async def test_a_key_is_looked_up_by_one_request_while_others_go_on(
    serve: Serve, double: LedgerDouble, registry: Registry, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    find, looked_up = registry.find_key, asyncio.Event()
    async with serve(double) as server:
        await server.get(METERS_URL)
        loop, go_on = asyncio.get_running_loop(), threading.Event()

        def find_slowly(value: str, *, now: int) -> AdminKey | None:
            loop.call_soon_threadsafe(looked_up.set)
            assert go_on.wait(60)
            return find(value, now=now)

        monkeypatch.setattr(registry, "find_key", find_slowly)
        clock.now += 2
        first = asyncio.create_task(server.get(METERS_URL))
        await looked_up.wait()
        try:
            async with asyncio.timeout(30):
                assert [(await server.get(METERS_URL)).status_code for _ in range(3)] == [200] * 3
        finally:
            go_on.set()
        assert (await first).status_code == 200

        def fail(value: str, *, now: int) -> None:
            raise RegistryError("gone")

        monkeypatch.setattr(registry, "find_key", fail)
        clock.now += 2
        for _ in range(2):  # what could not be looked up is believed by nobody
            assert (await server.get(METERS_URL)).status_code == 503


async def test_wrong_keys_of_an_address_are_looked_at_so_often_and_no_more(
    serve: Serve, double: LedgerDouble, clock: Clock, key: MakeKey, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up = keys_looked_up(registry, monkeypatch)
    async with serve(double, wrong_keys_per_minute=6) as server:
        assert (await server.get(METERS_URL)).status_code == 200
        for number in range(6):
            problem(await server.get(METERS_URL, headers=bearer(f"sk-admin-guess-{number}")), 401)
        count = len(looked_up)
        fresh = bearer(key())
        for headers in (bearer("sk-admin-guess-7"), fresh):  # a right one gets no other answer, or it could be guessed
            response = await server.get(METERS_URL, headers=headers)
            error = problem(response, 429, type="requests", code="rate_limit_exceeded", param=None)
            assert "6 a minute" in error["message"]
            assert response.headers["retry-after"] == "10"
        assert len(looked_up) == count
        # Whoever is known already goes on, even when remembered for too long to be believed.
        clock.now += 3
        assert (await server.get(METERS_URL)).status_code == 200
        clock.now += 6.9
        assert (await server.get(METERS_URL, headers=fresh)).status_code == 429
        clock.now += 0.2
        assert (await server.get(METERS_URL, headers=fresh)).status_code == 200


async def test_right_keys_and_missing_ones_are_no_guesses(serve: Serve, double: LedgerDouble, key: MakeKey) -> None:
    async with serve(double, wrong_keys_per_minute=2) as server:
        for _ in range(5):
            assert (await server.get(METERS_URL, headers=bearer(key()))).status_code == 200
            problem(await server.get(METERS_URL, headers={"authorization": ""}), 401)
        statuses = [(await server.get(METERS_URL, headers=bearer("x" * 20))).status_code for _ in range(3)]
    assert statuses == [401, 401, 429]


async def test_sessions_that_ended_are_no_guesses(serve: Serve, double: LedgerDouble) -> None:
    """A page that is left open goes on asking."""
    asked = {PAGE_HEADER: "1", "sec-fetch-site": "same-origin", "cookie": f"{SESSION_COOKIE}=ended"}
    async with serve(double, wrong_keys_per_minute=2) as server:
        del server.client.headers["authorization"]
        for _ in range(5):
            problem(await server.get(METERS_URL, headers=asked), 401, code="session_ended")


async def test_guesses_made_at_once_count_as_well(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double, wrong_keys_per_minute=4) as server:
        answers = await asyncio.gather(*(server.get(METERS_URL, headers=bearer(f"guess {n}")) for n in range(12)))
    assert sorted(answer.status_code for answer in answers) == [401] * 4 + [429] * 8


async def test_first_requests_of_a_right_key_at_once_are_all_answered(
    serve: Serve, double: LedgerDouble, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up = keys_looked_up(registry, monkeypatch)
    async with serve(double, wrong_keys_per_minute=1) as server:
        answers = await asyncio.gather(*(server.get(METERS_URL) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(looked_up) == 1


async def test_first_requests_of_many_right_keys_at_once_are_all_answered(
    serve: Serve, double: LedgerDouble, key: MakeKey
) -> None:
    """As after a restart behind a proxy, where all of them come from one address."""
    values = [key() for _ in range(60)]
    async with serve(double, wrong_keys_per_minute=3) as server:
        for number in range(2):
            problem(await server.get(METERS_URL, headers=bearer(f"sk-admin-guess-{number}")), 401)
        answers = await asyncio.gather(*(server.get(METERS_URL, headers=bearer(value)) for value in values))
        assert {answer.status_code for answer in answers} == {200}
        guesses = [server.get(METERS_URL, headers=bearer(f"sk-admin-at-once-{number}")) for number in range(20)]
        assert sorted(answer.status_code for answer in await asyncio.gather(*guesses)) == [401] + [429] * 19


async def test_one_wrong_key_given_at_once_is_one_guess(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double, wrong_keys_per_minute=2) as server:
        wrong = [server.get(METERS_URL, headers=bearer("sk-admin-of-another-place")) for _ in range(30)]
        assert {answer.status_code for answer in await asyncio.gather(*wrong)} == {401}
        assert (await server.get(METERS_URL, headers=bearer("sk-admin-guess"))).status_code == 401
        assert (await server.get(METERS_URL, headers=bearer("sk-admin-guess"))).status_code == 429


async def test_what_the_registry_could_not_look_up_was_no_guess(
    serve: Serve, double: LedgerDouble, key: MakeKey, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = registry.find_key

    def fail(value: str, *, now: int) -> None:
        raise RegistryError("gone")

    async with serve(double, wrong_keys_per_minute=2) as server:
        monkeypatch.setattr(registry, "find_key", fail)
        for _ in range(3):
            answers = [server.get(METERS_URL, headers=bearer(value)) for value in [key(), key(), key()]]
            assert {answer.status_code for answer in await asyncio.gather(*answers)} == {503}
        monkeypatch.setattr(registry, "find_key", find)
        assert (await server.get(METERS_URL)).status_code == 200
        statuses = [await from_address(server, "127.0.0.1", f"sk-admin-guess-{n}") for n in range(3)]
    assert statuses == [401, 401, 429]


async def test_a_client_that_goes_away_takes_no_answer_from_others(
    serve: Serve, double: LedgerDouble, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(double) as server:
        slowly = Slowly(registry.find_key)
        monkeypatch.setattr(registry, "find_key", slowly)
        first, second = (asyncio.create_task(server.get(METERS_URL)) for _ in range(2))
        await slowly.found.wait()
        first.cancel()
        slowly.go_on.set()
        assert (await second).status_code == 200


@pytest.mark.parametrize(
    ("address", "same", "other"),
    [
        ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
        ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.7", "::ffff:192.0.2.8"),
    ],
)
async def test_each_address_has_guesses_of_its_own(
    serve: Serve, double: LedgerDouble, address: str, same: str, other: str
) -> None:
    async with serve(double, wrong_keys_per_minute=1) as server:
        statuses = [await from_address(server, each) for each in (address, same, other)]
    assert statuses == [401, 429, 401]


async def from_address(server: Server, address: str, value: str = "a wrong key") -> int:
    """The status of the answer to a wrong key from there."""
    transport = httpx.ASGITransport(server.app, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://ledger.test") as client:
        return (await client.get(METERS_URL, headers=bearer(value))).status_code


async def test_a_limited_number_of_addresses_is_remembered(
    serve: Serve, double: LedgerDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usageledger.server.app.Authenticator", partial(Authenticator, addresses_kept_max=2))
    async with serve(double, wrong_keys_per_minute=1) as server:
        statuses = [await from_address(server, f"192.0.2.{n}") for n in (1, 2, 1, 3, 1, 2)]
    assert statuses == [401, 401, 429, 401, 429, 401]  # the one heard of longest ago was forgotten


@pytest.mark.parametrize("address", ["unknown {:05} ", "::ffff:192.0.2.7%{:05}"])
async def test_what_a_proxy_says_is_an_address_takes_no_more_memory_than_one(
    serve: Serve, double: LedgerDouble, address: str
) -> None:
    """Whatever its length, as a zone too: only its beginning is told apart."""
    async with serve(double) as server:
        await from_address(server, address.format(0))
        tracemalloc.start()
        try:
            for number in range(1, 101):
                assert await from_address(server, address.format(number) + "x" * 60_000) == 401
            gc.collect()
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert held < 2_000_000


async def test_long_addresses_have_guesses_too(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double, wrong_keys_per_minute=1) as server:
        statuses = [await from_address(server, each + "x" * 60_000) for each in ("one ", "one ", "another ")]
    assert statuses == [401, 429, 401]
