"""Chromium in front of a real server with a small ledger."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright
from tests.browser.ledger import fill
from tests.support.server_process import RunningServer, running
from tests.support.services.programs import program

from usageledger.registry import open_registry
from usageledger.server.http.auth import PAGE_HEADER
from usageledger.settings import Settings

# As root there is no sandbox; and nothing of the browser's own may go out.
FLAGS = [
    *("--no-sandbox", "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
]
WAIT_MS = 20_000

MakeKey = Callable[..., tuple[str, str]]


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker(pytest.mark.external)


# To the end of a module and no longer: its event loop would be in the way of asynchronous tests.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium"), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with the usage of `ledger.fill`."""
    folder = tmp_path_factory.mktemp("site")
    with running(folder) as server:
        fill(server)
        yield server


@pytest.fixture
def key(site: RunningServer) -> MakeKey:
    """`key("api.usage.read")`: the id and the value of a new key with these scopes."""

    def make(*scopes: str) -> tuple[str, str]:
        made = httpx.post(
            f"{site.url}/v1/organization/admin_api_keys",
            json={"name": "viewer", "scopes": list(scopes) or ["api.usage.read"]},
            headers=site.headers,
        ).json()
        return made["id"], made["value"]

    return make


class Visitor:
    """A person at a browser; whatever the browser complains about is kept."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.url = url
        self.complaints: list[str] = []
        context.set_default_timeout(WAIT_MS)
        context.on("console", self._heard)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.page: Page = context.new_page()

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def sign_in(self, key: str) -> None:
        """Without the form, which has tests of its own."""
        answer = httpx.post(f"{self.url}/dashboard/session", json={"key": key}, headers={PAGE_HEADER: "1"})
        assert answer.status_code == 200, answer.text
        cookies = [{"name": name, "value": value, "url": self.url} for name, value in answer.cookies.items()]
        self.context.add_cookies(cookies)  # type: ignore[arg-type]

    def go(self, path: str) -> Page:
        """Opens a view and waits until it shows what it has."""
        self.page.goto(self.url + path)
        return self.settled()

    def settled(self) -> Page:
        """Waits until nothing is being loaded."""
        expect(self.page.locator("main h1")).to_be_visible(timeout=WAIT_MS)
        expect(self.page.locator("[aria-busy], .skeleton")).to_have_count(0, timeout=WAIT_MS)
        return self.page

    def rows(self) -> list[list[str]]:
        """The texts of the table's body, cell by cell."""
        return self.page.eval_on_selector_all(
            "table.data tbody tr", "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))"
        )


Visit = Callable[..., Visitor]


@pytest.fixture
def visit(chromium: Browser, site: RunningServer) -> Iterator[Visit]:
    """`visit()`: a person who is signed in with every scope; at the end no browser may have complained."""
    visitors: list[tuple[Visitor, tuple[str, ...]]] = []

    def enter(
        url: str = site.url, key: str | None = site.key, expected: tuple[str, ...] = (), **options: Any
    ) -> Visitor:
        size = {"width": 1400, "height": 900}
        visitor = Visitor(chromium.new_context(**{"viewport": size, "accept_downloads": True, **options}), url)
        visitors.append((visitor, expected))
        if key:
            visitor.sign_in(key)
        return visitor

    yield enter
    for visitor, expected in visitors:
        visitor.context.close()
        assert [each for each in visitor.complaints if not any(part in each for part in expected)] == []


def violations(page: Page) -> list[str]:
    """What axe-core finds, in words. Its script comes by the debugger, as the page's own policy allows none."""
    if not page.evaluate("typeof window.axe === 'object'"):
        page.evaluate(program("axe-core").read_text("utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


@contextmanager
def empty_site(folder: Path) -> Iterator[RunningServer]:
    """A server that has no usage yet."""
    with running(folder) as server:
        yield server


def api(site: RunningServer, path: str, **parameters: Any) -> Any:
    """The API's answer, its numbers as they are written."""
    answer = httpx.get(f"{site.url}{path}", params=parameters, headers=site.headers)
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text, parse_float=str)


def expire(data: Path) -> None:
    """Ends every session, as time would."""
    with open_registry(Settings(data=data).registry_url) as registry, registry._database.write() as connection:
        connection.exec_driver_sql("DELETE FROM sessions")
