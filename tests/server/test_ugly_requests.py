"""Headers and query strings that nobody should send, on every route: an answer or a refusal, never our failure."""

import asyncio
import logging
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from tests.server.support import Serve, Server
from tests.server.test_auth import every_address
from tests.support.ledger_double import LedgerDouble
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from usageledger.server.http.auth import PAGE_HEADER, SESSION_COOKIE

pytestmark = pytest.mark.anyio

Headers = list[tuple[bytes, bytes]]
VALUES = (
    *(b"", b",", b";", b"=", b":", b"//", b"http://[", b"[::1", b"]:80", b"null", b"*", b"-1", b"1e999", b"nan"),
    *(b"%", b"%ff%00", b"\xff\xfe\x80", "ü€".encode(), b'"', b'"\\777\\"', b"9" * 5000, b"a=" * 2000, b"\tx\t"),
    *(b"http://x:99999999", b"::ffff:1.2.3.4%eth0", b"1.2.3.4:x", b"text/\xe9; charset=\xff"),
)  # fmt: skip
NAMES = (
    *(b"host", b"origin", b"referer", b"cookie", b"authorization", b"content-type", b"content-encoding", b"accept"),
    *(b"accept-encoding", b"accept-language", b"range", b"if-none-match", b"if-modified-since", b"user-agent"),
    *(b"x-forwarded-for", b"x-forwarded-proto", b"forwarded", b"x-request-id", b"traceparent", b"content-length"),
    *(b"sec-fetch-site", PAGE_HEADER.encode()),
)  # fmt: skip
FORMS = {  # where a value is ugly only in its place
    b"accept-encoding": b"gzip;q=%s, zstd;q=%s",
    b"authorization": b"Bearer %s",
    b"content-type": b"application/json; charset=%s",
    b"cookie": SESSION_COOKIE.encode() + b"=%s",
    b"x-forwarded-for": b"%s, 127.0.0.1",
    b"origin": b"https://%s",
}
QUERIES = (b"%s", b"%s=1", b"start_time=%s", b"page=%s", b"limit=%s", b"after=%s", b"group_by=%s", b"timezone=%s")
FROM_A_PAGE: Headers = [(b"cookie", b"%s=x" % SESSION_COOKIE.encode()), (PAGE_HEADER.encode(), b"1")]


async def ask(app: Any, address: tuple[str, str], headers: Headers, query: bytes = b"", body: bytes = b"{}") -> None:
    """Asks, and checks that there is an answer which is no failure of ours."""
    method, path = address
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query,
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }

    received = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return received.pop() if received else await asyncio.Future()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    assert sent[0]["status"] < 500, (address, headers, query, sent)


def ugly(name: bytes) -> Iterator[bytes]:
    """The values of a header."""
    for value in VALUES:
        yield value
        if form := FORMS.get(name):
            yield form.replace(b"%s", value)


def with_key(server: Server) -> Headers:
    return [(b"host", b"ledger.test"), (b"authorization", server.client.headers["authorization"].encode())]


async def test_ugly_headers(serve: Serve, double: LedgerDouble, caplog: pytest.LogCaptureFixture) -> None:
    """Each header with each value on some of the routes, each route with all at once: with a key, and without."""
    async with serve(double, wrong_keys_per_minute=0) as server:
        app = ProxyHeadersMiddleware(server.app, "127.0.0.1")
        for name in NAMES:
            for value in ugly(name):
                own = [header for header in with_key(server) if header[0] != name]
                for address in (("POST", "/dashboard/session"), ("POST", "/v1/events"), ("GET", "/v1/meters")):
                    await ask(app, address, [*own, (name, value)])
                    await ask(app, address, [*FROM_A_PAGE, (name, value)])
        for value in VALUES:
            together = [(name, value) for name in NAMES if name != b"authorization"]
            for address in every_address(server):
                await ask(app, address, [*with_key(server), *together])
                await ask(app, address, [*FROM_A_PAGE, *together])
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_ugly_query_strings(serve: Serve, double: LedgerDouble, caplog: pytest.LogCaptureFixture) -> None:
    async with serve(double) as server:
        addresses = [*every_address(server)]
        for number, (query, value) in enumerate(product(QUERIES, VALUES)):
            for address in addresses[number % 5 :: 5]:
                await ask(server.app, address, with_key(server), query.replace(b"%s", value))
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("origin", ["http://[", "http://ledger.test:99999999", "ledger.test", "//ledger.test", "null"])
async def test_an_origin_that_cannot_be_read_is_not_ours(serve: Serve, double: LedgerDouble, origin: str) -> None:
    async with serve(double) as server:
        headers = {"origin": origin, PAGE_HEADER: "1", "cookie": f"{SESSION_COOKIE}=x", "authorization": ""}
        answer = await server.post("/dashboard/session", json={"key": "x"}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "foreign_page")
