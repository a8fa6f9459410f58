"""The server's side of the dashboard: its page and files, signing in and out, and who may ask by cookie."""

import asyncio
import gzip
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.server.support import NOW, Clock, MakeKey, Serve, Server, Slowly
from tests.support.ledger_double import LedgerDouble
from tests.support.problems import problem

from usageledger.registry import Registry
from usageledger.server.dashboard.assets import PAGES, STATIC, files
from usageledger.server.dashboard.sessions import SESSION_SECONDS
from usageledger.server.http.auth import PAGE_HEADER, SESSION_COOKIE
from usageledger.settings import Settings

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
SESSION = "/dashboard/session"
METERS = "/v1/meters"
KEYS = "/v1/organization/admin_api_keys"
CACHE_SECONDS = Settings().key_cache_seconds
OWN = {PAGE_HEADER: "1", "sec-fetch-site": "same-origin", "origin": "http://ledger.test"}


def browser(server: Server, **headers: str) -> httpx.AsyncClient:
    """A browser on our own page: cookies, and no key."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(server.app), base_url="http://ledger.test", headers=OWN | headers
    )


async def sign_in(client: httpx.AsyncClient, key: str) -> httpx.Response:
    return await client.post(SESSION, json={"key": key})


# --- the page and its files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [path.replace("{kind}", "completions") for path in PAGES])
async def test_every_view_is_the_same_page(serve: Serve, double: LedgerDouble, path: str) -> None:
    async with serve(double) as server, browser(server) as client:
        first, page = await client.get("/"), await client.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.text == first.text


async def test_the_page_lets_nothing_in_from_elsewhere(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server, browser(server) as client:
        page = await client.get("/")
        script = await client.get(re.findall(r'src="([^"]+app\.js)"', page.text)[0])
    for response in (page, script):
        policy = dict(rule.strip().split(" ", 1) for rule in response.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["referrer-policy"] == "no-referrer"
    assert not re.search(r"<script(?![^>]+src=)|<style|\son\w+=|style=", page.text), "nothing inline"
    assert not re.search(r"(src|href)=\"(?!/)", page.text), "nothing from elsewhere"


async def test_files_are_kept_for_a_year_at_an_address_that_changes_with_them(
    serve: Serve, double: LedgerDouble
) -> None:
    async with serve(double) as server, browser(server) as client:
        page = await client.get("/")
        addresses = re.findall(r'(?:src|href)="(/dashboard/[^"]+)"', page.text)
        for address in addresses:
            response = await client.get(address)
            assert response.status_code == 200
            assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        old = await client.get(re.sub(r"/dashboard/\w+/", "/dashboard/0000000000000000/", addresses[0]))
        other = await client.get(addresses[0].rpartition("/")[0] + "/../assets.py")
    assert {address.split("/", 3)[3] for address in addresses} >= {
        name for name in files() if re.search(r"^\w+\.(js|css)$", name)
    }
    problem(old, 404, code="unknown_url")
    problem(other, 404, code="unknown_url")
    assert page.headers["cache-control"] == "no-cache"


async def test_a_page_that_has_not_changed_is_not_sent_again(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server, browser(server) as client:
        page = await client.get("/")
        again = await client.get("/", headers={"if-none-match": page.headers["etag"]})
        changed = await client.get("/", headers={"if-none-match": '"another"'})
    assert (again.status_code, again.content) == (304, b"")
    assert changed.status_code == 200


async def test_files_are_sent_compressed_to_who_takes_that(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server, browser(server) as client:
        address = re.findall(r'src="([^"]+echarts[^"]+)"', (await client.get("/")).text)[0]
        async with client.stream("GET", address, headers={"accept-encoding": "gzip, deflate, br, zstd"}) as zipped:
            raw = b"".join([piece async for piece in zipped.aiter_raw()])
        plain = await client.get(address, headers={"accept-encoding": "identity"})
    assert zipped.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert zipped.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert gzip.decompress(raw) == plain.content


def test_scripts_weigh_little() -> None:
    scripts = [asset for name, asset in files().items() if name.endswith(".js")]
    assert sum(len(asset.zipped or asset.body) for asset in scripts) < 500_000


def test_files_of_ours_are_short_and_vendored_ones_have_their_licence() -> None:
    ours = [path for path in STATIC.rglob("*") if path.is_file() and "vendor" not in path.parts]
    assert len(ours) > 20
    assert {path.name: lines for path in ours if (lines := len(path.read_text().splitlines())) > 400} == {}
    for folder in (STATIC / "vendor").iterdir():
        assert {"LICENSE", "NOTICE"} <= {path.name for path in folder.iterdir()}


def test_the_wheel_has_the_files(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if "/static/" in name}
    assert packed == {f"usageledger/server/dashboard/static/{name}" for name in ["index.html", *files()]}


# --- signing in --------------------------------------------------------------------------------------------------


async def test_a_key_is_exchanged_for_a_session(
    serve: Serve, double: LedgerDouble, key: MakeKey, registry: Registry
) -> None:
    value = key("api.usage.read")
    async with serve(double) as server, browser(server) as client:
        assert (await client.get(SESSION)).json() == {"object": "session", "key": None}
        problem(await client.get(METERS), 401)
        signed_in = await sign_in(client, f" {value}\n")
        current = await client.get(SESSION)
        assert (await client.get(METERS)).status_code == 200
    body = signed_in.json()
    assert body == current.json()
    assert body["key"]["scopes"] == ["api.usage.read"]
    assert value not in signed_in.text
    cookie = signed_in.headers["set-cookie"]
    assert {"HttpOnly", "Path=/", "SameSite=strict", f"Max-Age={SESSION_SECONDS}"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert signed_in.headers["cache-control"] == "no-store"
    session = client.cookies[SESSION_COOKIE]
    with registry._database.read() as connection:
        assert session not in str(connection.exec_driver_sql("SELECT * FROM sessions").all()), "only its digest is kept"


async def test_behind_tls_the_cookie_is_for_tls_alone(serve: Serve, double: LedgerDouble, key: MakeKey) -> None:
    async with serve(double) as server, browser(server, origin="https://ledger.test") as client:
        assert "Secure" in (await sign_in(client, key())).headers["set-cookie"]


async def test_a_session_ends_with_its_key(serve: Serve, double: LedgerDouble, key: MakeKey, clock: Clock) -> None:
    async with serve(double) as server, browser(server) as client:
        signed_in = await sign_in(client, key(expires_at=NOW + 100))
        assert "Max-Age=100" in signed_in.headers["set-cookie"]
        clock.now = NOW + 99
        assert (await client.get(METERS)).status_code == 200
        clock.now = NOW + 100
        problem(await client.get(METERS, headers={"cookie": f"{SESSION_COOKIE}={cookie_of(signed_in)}"}), 401)


def cookie_of(response: httpx.Response) -> str:
    return re.findall(rf"{SESSION_COOKIE}=([^;]+)", response.headers["set-cookie"])[0]


@pytest.mark.parametrize("value", ["sk-admin-of-somebody-else", "x", "schlüssel"])
async def test_a_wrong_key_is_not_let_in(serve: Serve, double: LedgerDouble, value: str) -> None:
    async with serve(double) as server, browser(server) as client:
        response = await sign_in(client, value)
        assert "set-cookie" not in response.headers
        problem(response, 401, code="invalid_api_key")
        problem(await client.get(METERS), 401)


async def test_guesses_at_signing_in_count_like_others(serve: Serve, double: LedgerDouble, key: MakeKey) -> None:
    async with serve(double, wrong_keys_per_minute=3) as server, browser(server) as client:
        statuses = [(await sign_in(client, f"sk-admin-guess-{number}")).status_code for number in range(3)]
        assert statuses == [401] * 3
        response = await sign_in(client, key())
        problem(response, 429, type="requests", code="rate_limit_exceeded", param=None)
        assert response.headers["retry-after"] == "20"
        assert "set-cookie" not in response.headers


async def test_a_key_that_may_not_read_is_not_let_in(serve: Serve, double: LedgerDouble, key: MakeKey) -> None:
    async with serve(double) as server, browser(server) as client:
        response = await sign_in(client, key("api.usage.write", "api.management"))
        assert "api.usage.read" in problem(response, 403)["message"]
        assert "set-cookie" not in response.headers


@pytest.mark.parametrize("body", [{}, {"key": 7}, {"key": ""}, {"key": "x" * 513}, {"key": "x", "name": "y"}, []])
async def test_a_body_that_is_no_key(serve: Serve, double: LedgerDouble, body: Any) -> None:
    async with serve(double) as server, browser(server) as client:
        problem(await client.post(SESSION, json=body), 400)


async def test_signing_out_ends_the_session_itself(serve: Serve, double: LedgerDouble, key: MakeKey) -> None:
    async with serve(double) as server, browser(server) as client:
        await sign_in(client, key())
        copied = {"cookie": f"{SESSION_COOKIE}={client.cookies[SESSION_COOKIE]}"}
        assert (await client.get(METERS)).status_code == 200
        out = await client.request("DELETE", SESSION)
        assert out.json() == {"object": "session.deleted", "deleted": True}
        assert SESSION_COOKIE not in client.cookies
        refused = problem(await client.get(METERS, headers=copied), 401, code="session_ended")
        assert refused["message"] == "Your session has ended: sign in again."
        assert (await client.request("DELETE", SESSION)).json()["deleted"] is False


async def test_a_session_found_just_before_it_is_signed_out_is_not_remembered(
    serve: Serve, double: LedgerDouble, key: MakeKey, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(double) as server, browser(server) as client:
        await sign_in(client, key())
        copied = {"cookie": f"{SESSION_COOKIE}={client.cookies[SESSION_COOKIE]}"}
        slowly = Slowly(registry.sessions.find_key)
        monkeypatch.setattr(registry.sessions, "find_key", slowly)
        under_way = asyncio.create_task(client.get(METERS, headers=copied))
        await slowly.found.wait()
        await client.request("DELETE", SESSION)
        slowly.go_on.set()
        assert (await under_way).status_code == 200  # it was asked before
        problem(await client.get(METERS, headers=copied), 401, code="session_ended")


async def test_another_server_on_the_same_registry_knows_the_session_and_its_end(
    serve: Serve, double: LedgerDouble, key: MakeKey, clock: Clock
) -> None:
    async with serve(double) as one, serve(double) as other, browser(one) as client, browser(other) as there:
        await sign_in(client, key())
        there.cookies = client.cookies
        assert (await there.get(METERS)).status_code == 200
        await client.request("DELETE", SESSION, headers={"cookie": f"{SESSION_COOKIE}={there.cookies[SESSION_COOKIE]}"})
        clock.now += CACHE_SECONDS
        problem(await there.get(METERS), 401, code="session_ended")


async def test_a_session_ends_after_its_time(
    serve: Serve, double: LedgerDouble, key: MakeKey, clock: Clock, registry: Registry
) -> None:
    async with serve(double) as server, browser(server) as client:
        await sign_in(client, key())
        session = {"cookie": f"{SESSION_COOKIE}={client.cookies[SESSION_COOKIE]}"}
        clock.now += SESSION_SECONDS - 1
        assert (await client.get(METERS, headers=session)).status_code == 200
        clock.now += CACHE_SECONDS
        problem(await client.get(METERS, headers=session), 401, code="session_ended")
        await sign_in(client, key())
    with registry._database.read() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM sessions").scalar() == 1, "the old one is gone"


async def test_revoking_the_key_ends_its_sessions_at_once(
    serve: Serve, double: LedgerDouble, registry: Registry
) -> None:
    made, value = registry.create_key("viewer", now=NOW)
    async with serve(double) as server, browser(server) as client:
        await sign_in(client, value)
        assert (await client.get(METERS)).status_code == 200
        await server.request("DELETE", f"{KEYS}/{made.id}")
        problem(await client.get(METERS), 401, code="session_ended")


# --- who may ask by cookie ---------------------------------------------------------------------------------------

FOREIGN = {
    "without our header": {PAGE_HEADER: None},
    "from another site": {"sec-fetch-site": "cross-site"},
    "from another port": {"sec-fetch-site": "same-site"},
    "typed in": {"sec-fetch-site": "none"},
    "from another origin": {"sec-fetch-site": None, "origin": "http://evil.test"},
    "from nowhere": {"sec-fetch-site": None, "origin": "null"},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
async def test_pages_of_others_cannot_use_the_session(
    serve: Serve, double: LedgerDouble, key: MakeKey, headers: dict[str, str | None]
) -> None:
    sent = {name: value for name, value in (OWN | headers).items() if value is not None}
    async with serve(double) as server, browser(server) as client:
        value = key()
        await sign_in(client, value)
        client.headers = httpx.Headers(sent)
        for request in (("GET", METERS), ("POST", KEYS), ("DELETE", SESSION), ("GET", SESSION)):
            problem(await client.request(*request, json={"name": "x"}), 403, code="foreign_page")
        problem(await sign_in(client, value), 403, code="foreign_page")
        client.headers = httpx.Headers(OWN)
        assert (await client.get(METERS)).status_code == 200


async def test_over_plain_http_the_origin_alone_is_enough(serve: Serve, double: LedgerDouble, key: MakeKey) -> None:
    """Browsers send `Sec-Fetch-Site` to trustworthy addresses only, and no `Origin` with GET."""
    async with serve(double) as server, browser(server) as client:
        del client.headers["sec-fetch-site"]
        assert (await sign_in(client, key())).status_code == 200
        del client.headers["origin"]
        assert (await client.get(METERS)).status_code == 200


async def test_a_key_in_the_header_goes_before_the_cookie(serve: Serve, double: LedgerDouble, key: MakeKey) -> None:
    async with serve(double) as server, browser(server) as client:
        await sign_in(client, key())
        problem(
            await client.get(METERS, headers={"authorization": "Bearer sk-admin-wrong"}), 401, code="invalid_api_key"
        )
        other = {"authorization": f"Bearer {key('api.usage.write')}"}
        problem(await client.get(METERS, headers=other), 403, code="insufficient_permissions")


async def test_a_session_is_no_key(serve: Serve, double: LedgerDouble, key: MakeKey) -> None:
    async with serve(double) as server, browser(server) as client:
        value = key()
        await sign_in(client, value)
        session = client.cookies[SESSION_COOKIE]
        client.cookies.clear()
        problem(await client.get(METERS, headers={"authorization": f"Bearer {session}"}), 401)
        problem(await client.get(METERS, headers={"cookie": f"{SESSION_COOKIE}={value}"}), 401, code="session_ended")


async def test_a_session_may_do_what_its_key_may(serve: Serve, double: LedgerDouble, key: MakeKey) -> None:
    async with serve(double) as server, browser(server) as client:
        await sign_in(client, key("api.usage.read"))
        problem(await client.post(KEYS, json={"name": "x"}), 403, code="insufficient_permissions")
        await sign_in(client, key("api.usage.read", "api.management"))
        assert (await client.post(KEYS, json={"name": "x"})).json()["value"].startswith("sk-admin-")
