"""Signing in and out, as a person does it."""

import httpx
import pytest
from playwright.sync_api import expect
from tests.browser.conftest import MakeKey, Visit, violations
from tests.support.server_process import RunningServer

REFUSED = ("401", "403")  # the browser's own lines about such answers


def test_a_wrong_key_is_refused_and_a_right_one_let_in(visit: Visit, site: RunningServer) -> None:
    visitor = visit(key=None, expected=REFUSED)
    page = visitor.page
    page.goto(f"{site.url}/usage/completions?group_by=project_id")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_label("Key", exact=True)).to_be_focused()
    assert violations(page) == []
    page.get_by_label("Key", exact=True).fill("sk-admin-of-somebody-else")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Incorrect API key provided: sk-admin")
    assert violations(page) == []
    page.get_by_label("Key", exact=True).fill(site.key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Completions")
    visitor.settled()
    assert page.url.endswith("/usage/completions?group_by=project_id"), "where one wanted to go"
    assert {row[0] for row in visitor.rows()} == {"Search", "Support bot", "proj_lab"}
    (cookie,) = visitor.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert page.evaluate("document.cookie") == ""
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0


def test_a_key_that_may_not_read_is_told_so(visit: Visit, key: MakeKey) -> None:
    visitor = visit(key=None, expected=REFUSED)
    visitor.page.goto(visitor.url)
    visitor.page.get_by_label("Key", exact=True).fill(key("api.usage.write")[1])
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.get_by_role("alert")).to_contain_text("Missing scopes: api.usage.read")


def test_signing_out_ends_the_session(visit: Visit, site: RunningServer) -> None:
    visitor = visit()
    page = visitor.go("/costs")
    (cookie,) = visitor.context.cookies()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert visitor.context.cookies() == []
    kept = {"cookie": f"{cookie['name']}={cookie['value']}", "x-usageledger-dashboard": "1"}
    assert httpx.get(f"{site.url}/v1/meters", headers=kept).status_code == 401
    page.reload()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_session_that_has_ended_asks_again_and_goes_on_where_one_was(
    visit: Visit, site: RunningServer, key: MakeKey
) -> None:
    key_id, value = key("api.usage.read")
    visitor = visit(key=value, expected=REFUSED)
    page = visitor.go("/usage/embeddings?range=7d")
    httpx.delete(f"{site.url}/v1/organization/admin_api_keys/{key_id}", headers=site.headers)
    page.get_by_role("button", name="Hour", exact=True).click()
    expect(page.get_by_role("status")).to_have_text("Your session has ended: sign in again.")
    assert violations(page) == []
    page.get_by_label("Key", exact=True).fill(site.key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Embeddings")
    visitor.settled()
    expect(page.get_by_role("button", name="Hour", exact=True)).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("scopes", [("api.usage.read",), ("api.usage.read", "api.management")])
def test_keys_are_offered_to_who_may_manage_them(visit: Visit, key: MakeKey, scopes: tuple[str, ...]) -> None:
    visitor = visit(key=key(*scopes)[1])
    page = visitor.go("/")
    assert page.get_by_role("link", name="Keys").count() == ("api.management" in scopes)
