"""Spend: what the month has cost against limits, and limits that are set, changed and removed."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import expect
from tests.browser.conftest import Visit, empty_site, violations
from tests.browser.test_sources import UGLY, too_wide
from tests.browser.test_views import FORMS
from tests.support.server_process import RunningServer

NOW = int(time.time())
NONE = "\N{EN DASH}"
WHOLE = {"provider": "openai", "model": "gpt-4o", "kind": "completions"}


@pytest.fixture
def other_site(tmp_path: Path) -> Iterator[RunningServer]:
    with empty_site(tmp_path) as server:
        yield server


def post(site: RunningServer, path: str, body: Any) -> Any:
    answer = httpx.post(f"{site.url}/v1/{path}", json=body, headers=site.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def use(site: RunningServer, project: str | None, output_tokens: int, **fields: Any) -> None:
    """Records output at 10 USD a million."""
    event = {
        "id": f"{(project or '')[:9]} {output_tokens}",
        "timestamp": NOW,
        "input_tokens": 0,
        "output_tokens": output_tokens,
    }
    named = {} if project is None else {"project_id": project}
    answer = post(site, "events", [WHOLE | event | named | fields])
    assert answer["accepted"] == 1


def test_limits_are_set_changed_and_removed(visit: Visit, other_site: RunningServer) -> None:
    use(other_site, "proj_a", 1_250_000)
    visitor = visit(other_site.url, other_site.key)
    page = visitor.go("/spend")
    expect(page.get_by_text("No limits are set")).to_be_visible()
    assert [row[:4] for row in visitor.rows()] == [["Organization", "$12.50", NONE, NONE]]
    page.get_by_role("button", name="Set a limit").click()
    dialog = page.get_by_role("dialog", name="Set a limit")
    dialog.get_by_label("Whose").select_option("proj_a")
    for wrong in ("", "5.001", "-1", "x"):
        dialog.get_by_label("USD in a month").fill(wrong)
        dialog.get_by_role("button", name="Set", exact=True).click()
        expect(dialog).to_be_visible()
    dialog.get_by_label("USD in a month").fill("50.5")
    dialog.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_role("row")).to_have_count(3)
    post(
        other_site, "reservations", {"id": "r", "project_id": "proj_a", "amount": {"value": "0.75", "currency": "usd"}}
    )
    visitor.go("/spend")
    rows = {row[0]: row[1:6] for row in visitor.rows()}
    assert rows["proj_a"] == ["$12.50", "25%", "$50.50", "$0.75", "$37.25"]
    page.get_by_role("button", name="Change the limit of proj_a").click()
    dialog = page.get_by_role("dialog", name="The limit of proj_a")
    expect(dialog.get_by_label("USD in a month")).to_have_value("50.5")
    assert violations(page) == []
    dialog.get_by_label("USD in a month").fill("12.5")
    dialog.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_text("limit reached")).to_be_visible()
    page.get_by_role("button", name="Change the limit of proj_a").click()
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("No limits are set")).to_be_visible()


def test_who_may_only_read(visit: Visit, other_site: RunningServer) -> None:
    reader = post(other_site, "organization/admin_api_keys", {"name": "reader", "scopes": ["api.usage.read"]})
    page = visit(other_site.url, reader["value"]).go("/spend")
    expect(page.get_by_text("A key with api.management sets them.")).to_be_visible()
    expect(page.get_by_role("button", name="Set a limit")).to_have_count(0)


@pytest.mark.parametrize("form", FORMS)
def test_ugly_names_and_amounts(visit: Visit, other_site: RunningServer, form: str) -> None:
    """Of the largest and the smallest amounts, in each form of the screen; nothing has to be scrolled sideways."""
    amounts = [1, 10**15, 7, 123_456_789, 10**9]
    for project, tokens in zip(UGLY, amounts, strict=True):
        use(other_site, project, tokens)
        path = f"{other_site.url}/v1/organization/projects/{quote(project, safe='')}/spend_limit"
        body = {"threshold_amount": 2**53 - 1 if tokens > 10**9 else 1, "currency": "USD", "interval": "month"}
        assert httpx.post(path, json=body, headers=other_site.headers).status_code == 200
    use(other_site, "unpriced", 5, model="of-nobody")
    visitor = visit(other_site.url, other_site.key, **FORMS[form])
    page = visitor.go("/spend")
    expect(page.get_by_role("row")).to_have_count(len(UGLY) + 2)
    expect(page.get_by_role("link", name="1", exact=True)).to_have_attribute("href", "/unpriced")
    assert too_wide(visitor) <= 0
    assert violations(page) == []
