"""Making a key and putting an end to one."""

import httpx
from playwright.sync_api import expect
from tests.browser.conftest import MakeKey, Visit, violations
from tests.support.server_process import RunningServer


def test_a_key_is_made_shown_once_and_revoked(visit: Visit, site: RunningServer) -> None:
    visitor = visit(permissions=["clipboard-read", "clipboard-write"])
    page = visitor.go("/keys")
    page.get_by_role("button", name="Create a key").click()
    dialog = page.get_by_role("dialog", name="Create a key")
    expect(dialog.get_by_label("Name")).to_be_focused()
    assert violations(page) == []
    dialog.get_by_label("Name").fill("grafana <b>")
    dialog.get_by_label("Read usage and costs").uncheck()
    dialog.get_by_role("button", name="Create", exact=True).click()
    expect(dialog.get_by_role("alert")).to_have_text("A key needs at least one scope.")
    dialog.get_by_label("Send events").check()
    dialog.get_by_label("It expires").select_option("In 30 days")
    dialog.get_by_role("button", name="Create", exact=True).click()
    shown = page.get_by_role("dialog", name="The key “grafana <b>”")
    value = shown.locator("code").inner_text()
    assert violations(page) == []
    shown.get_by_role("button", name="Copy").click()
    expect(shown.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == value
    header = {"authorization": f"Bearer {value}"}
    assert httpx.post(f"{site.url}/v1/events", json=[], headers=header).status_code == 200
    shown.get_by_role("button", name="Done").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    row = page.get_by_role("row").filter(has_text="grafana <b>")
    expect(row).to_contain_text("usage.write")
    assert value not in page.content()
    row.get_by_role("button", name="Revoke grafana <b>").click()
    sure = page.get_by_role("dialog", name="Revoke “grafana <b>”?")
    assert violations(page) == []
    sure.get_by_role("button", name="Keep it").click()
    expect(sure).to_be_hidden()
    assert httpx.post(f"{site.url}/v1/events", json=[], headers=header).status_code == 200
    row.get_by_role("button", name="Revoke grafana <b>").click()
    sure.get_by_role("button", name="Revoke", exact=True).click()
    expect(row).to_have_count(0)
    assert httpx.post(f"{site.url}/v1/events", json=[], headers=header).status_code == 401


def test_revoking_ones_own_key_signs_out(visit: Visit, key: MakeKey) -> None:
    key_id, value = key("api.usage.read", "api.management")
    visitor = visit(key=value, expected=("401",))
    page = visitor.go("/keys")
    own = page.get_by_role("row").filter(has_text="yours")
    expect(own).to_contain_text("viewer")
    own.get_by_role("button", name="Revoke").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("you will be signed out")
    dialog.get_by_role("button", name="Revoke", exact=True).click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert key_id


def test_who_may_not_manage_is_told_so_at_the_address_itself(visit: Visit, key: MakeKey) -> None:
    visitor = visit(key=key("api.usage.read")[1], expected=("403",))
    page = visitor.go("/keys")
    expect(page.get_by_role("alert")).to_contain_text("Missing scopes: api.management")
