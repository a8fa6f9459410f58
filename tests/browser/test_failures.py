"""A server that stops, refuses or is slow: what was shown stays, and the page says what is so."""

import time
from pathlib import Path

from playwright.sync_api import Route, expect
from tests.browser.conftest import Visit, violations
from tests.browser.ledger import fill
from tests.support.server_process import RunningServer, running

REFRESH = "document.dispatchEvent(new Event('visibilitychange'))"


def free_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def test_a_server_that_stops_and_comes_back(visit: Visit, tmp_path: Path) -> None:
    with running(tmp_path) as server:
        fill(server)
        visitor = visit(server.url, server.key, expected=("ERR_CONNECTION_REFUSED",))
        page = visitor.page
        page.clock.install()
        visitor.go("/usage/completions")
        rows = visitor.rows()
        assert server.stop()[0] == 0
    page.clock.run_for(31_000)
    expect(page.get_by_role("status")).to_contain_text("The server cannot be reached.")
    assert visitor.rows() == rows, "what was there stays"
    assert violations(page) == []
    page.get_by_role("button", name="Hour", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("No connection")
    assert violations(page) == []
    with running(tmp_path, key=server.key, port=free_of(server.url)):
        page.get_by_role("button", name="Try again").click()
        visitor.settled()
        assert visitor.rows() == rows
        expect(page.get_by_role("status")).to_have_text("Live")


def test_new_usage_comes_in_without_a_flicker(visit: Visit, site: RunningServer) -> None:
    visitor = visit()
    page = visitor.page
    page.clock.install()
    visitor.go("/usage/completions?range=7d&group_by=model&measures=num_model_requests")
    before = {row[0]: int(row[1].replace(",", "")) for row in visitor.rows()}
    cell = page.get_by_role("link", name="Only gpt-4.1")
    cell.focus()
    page.evaluate(
        "window.canvas = document.querySelector('.chart canvas'); window.row = document.activeElement.closest('tr')"
    )
    event = {
        "kind": "completions",
        "id": "new",
        "timestamp": int(time.time()) - 90,
        "model": "gpt-4.1",
        "project_id": "proj_lab",
    }
    answer = page.request.post(
        f"{site.url}/v1/events", data=event | {"input_tokens": 5, "output_tokens": 1}, headers=site.headers
    )
    assert answer.ok
    page.clock.run_for(31_000)
    row = page.get_by_role("row").filter(has=cell)
    expect(row).to_contain_text(f"{before['gpt-4.1'] + 1:,}")
    assert page.evaluate("document.querySelector('.chart canvas') === window.canvas && window.row.isConnected")
    expect(page.locator("main")).not_to_contain_text("Something went wrong")


def test_an_answer_that_is_refused_is_shown_with_its_reason(visit: Visit) -> None:
    visitor = visit(expected=("500",))
    page = visitor.page
    broken = '{"error": {"message": "The server had an error.", "type": "server_error", "param": null, "code": null}}'
    page.route(
        "**/v1/organization/costs*",
        lambda route: route.fulfill(status=500, body=broken, headers={"x-request-id": "req_7"}),
    )
    visitor.page.goto(f"{visitor.url}/costs")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The server answered 500")
    expect(alert).to_contain_text("Request req_7")
    page.unroute("**/v1/organization/costs*")
    alert.get_by_role("button", name="Try again").click()
    visitor.settled()
    assert visitor.rows()


def test_a_busy_server_is_asked_again(visit: Visit) -> None:
    visitor = visit(expected=("503",))
    page = visitor.page
    asked = []

    def busy(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) < 3:
            route.fulfill(status=503, body='{"error": {"message": "Busy."}}', headers={"retry-after": "1"})
        else:
            route.continue_()

    page.route("**/v1/meters", busy)
    visitor.go("/costs")
    assert len(asked) == 3


def test_while_it_loads_there_are_places_for_what_comes(visit: Visit) -> None:
    visitor = visit()
    page = visitor.page
    held: list[Route] = []
    waiting = [True]
    page.route("**/v1/organization/costs*", lambda route: held.append(route) if waiting else route.continue_())
    page.goto(f"{visitor.url}/costs")
    expect(page.locator(".skeleton").first).to_be_visible()
    expect(page.locator("[aria-busy]")).to_have_count(1)
    assert violations(page) == []
    waiting.clear()
    for route in held:
        route.continue_()
    visitor.settled()
    assert visitor.rows()


def test_an_unknown_address_is_the_servers_own_answer(visit: Visit) -> None:
    visitor = visit(expected=("404",))
    answer = visitor.page.goto(f"{visitor.url}/usage")
    assert answer
    assert answer.status == 404
