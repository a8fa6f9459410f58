"""A tool that is a page of another origin: what Chromium lets it read of a server, and what not."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from tests.support.server_process import RunningServer, running

from usageledger.server.http.auth import PAGE_HEADER, SESSION_COOKIE

EVENT = {"kind": "embeddings", "id": "e1", "timestamp": 1_790_000_000, "model": "made-up", "input_tokens": 7}
COSTS = "/v1/organization/costs?start_time=1789948800&end_time=1790035200"
FETCH = """async ([url, options]) => {
    try {
        const answer = await fetch(url, options);
        const [unpriced, id] = ["x-usageledger-unpriced", "x-request-id"].map((name) => answer.headers.get(name));
        return {status: answer.status, body: await answer.text(), unpriced, id};
    } catch (error) {
        return {refused: error.name};
    }
}"""
REFUSED = {"refused": "TypeError"}


class _Tool(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as it is called there
        """Says nothing."""


@contextmanager
def tool(folder: Path) -> Iterator[str]:
    """The origin of a web server with an empty page."""
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html><title>tool</title>")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Tool, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context()
    yield context.new_page()
    context.close()


def ask(page: Page, server: RunningServer, path: str, **options: Any) -> dict[str, Any]:
    options = {"headers": {**server.headers, "content-type": "application/json"}, **options}
    found: dict[str, Any] = page.evaluate(FETCH, [server.url + path, options])
    return found


def test_pages_of_named_origins_ask_and_others_do_not(page: Page, tmp_path: Path) -> None:
    with ExitStack() as stack:
        origin, other = (stack.enter_context(tool(tmp_path / name)) for name in ("tool", "other"))
        server = stack.enter_context(running(tmp_path / "data", cors_origins=f"https://tool.example,{origin}"))
        page.goto(origin)
        body = ask(page, server, "/v1/events", method="POST", body=json.dumps(EVENT))["body"]
        assert '"accepted":1' in body
        found = ask(page, server, COSTS)
        assert (found["status"], found["unpriced"]) == (200, "1")
        assert found["id"].startswith("req_")
        assert ask(page, server, "/v1/organization/projects/none", method="DELETE")["status"] == 405
        assert ask(page, server, COSTS, headers={})["status"] == 401
        # A session is for our own pages: not with its header, and not with its cookie.
        with_header = {**server.headers, PAGE_HEADER: "1"}
        assert ask(page, server, COSTS, headers=with_header) == REFUSED
        page.context.add_cookies([{"name": SESSION_COOKIE, "value": "a", "url": server.url}])
        assert ask(page, server, COSTS, credentials="include") == REFUSED
        assert ask(page, server, "/dashboard/session", headers={}) == REFUSED
        page.goto(other)
        assert ask(page, server, COSTS) == REFUSED


def test_nothing_is_read_where_no_origin_is_named(page: Page, tmp_path: Path) -> None:
    with tool(tmp_path / "tool") as origin, running(tmp_path / "data") as server:
        page.goto(origin)
        assert ask(page, server, COSTS) == REFUSED
        assert ask(page, server, "/openapi.json", headers={}) == REFUSED


def test_every_origin_reads_where_that_is_set(page: Page, tmp_path: Path) -> None:
    with tool(tmp_path / "tool") as origin, running(tmp_path / "data", cors_origins="*") as server:
        page.goto(origin)
        assert ask(page, server, COSTS)["status"] == 200
        assert ask(page, server, COSTS, credentials="include") == REFUSED
