"""Every view: it shows what the API answers, in every form, and axe-core finds nothing."""

import re
import time
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from tests.browser.conftest import Visit, api, empty_site, violations
from tests.browser.ledger import UNPRICED
from tests.support.server_process import RunningServer

from usageledger.meter import Meter
from usageledger.meters import COSTS, METERS

DAY = 86_400
FORMS: dict[str, Any] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}
OTHERS = ("/", "/costs", "/spend", "/sources", "/unpriced", "/keys")


def window() -> dict[str, Any]:
    """The last 30 days, today included, as the dashboard asks for them."""
    tomorrow = int(time.time()) // DAY * DAY + DAY
    return {"start_time": tomorrow - 30 * DAY, "end_time": tomorrow, "bucket_width": "all"}


def usd(text: str) -> str:
    return f"${Decimal(text).quantize(Decimal('0.01'), ROUND_HALF_UP):,}"


@pytest.mark.parametrize("meter", METERS, ids=lambda meter: meter.kind)
def test_a_page_for_every_kind_of_usage(visit: Visit, site: RunningServer, meter: Meter) -> None:
    """Made from /v1/meters alone, so that a new kind has one when it arrives."""
    visitor = visit()
    visitor.go("/")
    visitor.page.get_by_role("link", name=meter.title, exact=True).click()
    page = visitor.settled()
    expect(page.get_by_role("heading", level=1)).to_have_text(meter.title)
    by = "model" if "model" in {d.name for d in meter.groupings} else "project_id"
    measures = [m for m in meter.measures if m.required or m.name == "num_model_requests"]
    (bucket,) = api(site, f"/v1{meter.path}", **window(), group_by=by)["data"]
    results = sorted(bucket["results"], key=lambda result: -result[measures[0].name])
    assert len(visitor.rows()) == len(results) > 0
    for row, result in zip(visitor.rows(), results, strict=True):
        shown = [text.replace(",", "").removesuffix(" B") for text in row[1 : 1 + len(measures)]]
        assert shown == [str(result[m.name]) for m in measures]
    totals = page.locator("table.data tfoot tr").inner_text().replace(",", "")
    for measure in measures:
        assert str(sum(result[measure.name] for result in results)) in totals
    assert page.locator(".chart canvas").count() == len(measures)
    if len(measures) == 1:  # else the key has no numbers
        key = page.locator(".legend .number").all_inner_texts()
        assert [text.replace(",", "").removesuffix(" B") for text in key] == [str(r[measures[0].name]) for r in results]


@pytest.mark.parametrize("form", FORMS)
def test_axe_finds_nothing(visit: Visit, form: str) -> None:
    visitor = visit(**FORMS[form])
    for path in (*OTHERS, "/usage/completions", "/usage/vector_stores"):
        page = visitor.go(path)
        assert violations(page) == [], path
        width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert width <= 0, f"{path} is {width} pixels wider than the screen"


def test_axe_finds_nothing_in_what_opens(visit: Visit) -> None:
    visitor = visit()
    page = visitor.go("/costs")
    for button in ("Range", "Group by", "Time zone", "Filter by Model", "Filter by Line item"):
        page.get_by_role("button", name=button).click()
        expect(page.locator(":popover-open")).to_be_visible()
        page.wait_for_timeout(100)
        assert violations(page) == [], button
        page.keyboard.press("Escape")
    page.get_by_role("button", name="API call").click()
    assert violations(page) == []


def test_the_overview_says_what_the_api_says(visit: Visit, site: RunningServer) -> None:
    visitor = visit()
    page = visitor.go("/")
    (bucket,) = api(site, "/v1/organization/costs", **window())["data"]
    amount = bucket["results"][0]["amount"]["value"]
    expect(
        page.locator(".card", has=page.get_by_role("heading", name="Cost", exact=True)).locator(".figure")
    ).to_have_text(usd(amount))
    assert page.locator("main .card .figure[title]").last.get_attribute("title") == f"${amount}"
    now = int(time.time())
    first = now // DAY * DAY - (time.gmtime(now).tm_mday - 1) * DAY
    month = api(site, "/v1/organization/costs", start_time=first, bucket_width="all")
    spent = page.locator(".figure-card", has_text="Spend this month").locator(".figure")
    expect(spent).to_have_text(usd(month["data"][0]["results"][0]["amount"]["value"]))
    tops = page.locator(".top-lists article")
    assert tops.count() == 5
    for name, title in (("model", "Top models"), ("project_id", "Top projects"), ("user_id", "Top users")):
        results = api(site, "/v1/organization/costs", **window(), group_by=name)["data"][0]["results"]
        first = max(results, key=lambda result: Decimal(result["amount"]["value"]))
        card = tops.filter(has=page.get_by_role("heading", name=title))
        expect(card.locator("li").first).to_contain_text(usd(first["amount"]["value"]))


def test_unpriced_usage_is_announced_and_listed(visit: Visit, site: RunningServer) -> None:
    visitor = visit()
    page = visitor.go("/")
    page.get_by_role("link", name="See what it is").click()
    visitor.settled()
    expect(page.get_by_role("heading", level=1)).to_have_text("Unpriced")
    entries = api(site, "/v1/unpriced", start_time=window()["start_time"])["data"]
    assert len(visitor.rows()) == len(entries)
    whys = {row[0].partition("\n")[0]: row[5] for row in visitor.rows()}
    assert whys[UNPRICED] == "no price list of openai has this name"


def test_costs_lead_from_an_amount_to_the_prices_that_made_it(visit: Visit, site: RunningServer) -> None:
    visitor = visit()
    page = visitor.go("/costs")
    (bucket,) = api(site, "/v1/organization/costs", **window(), group_by="line_item")["data"]
    by_item = {result["line_item"]: result for result in bucket["results"]}
    assert {row[0] for row in visitor.rows()} == set(by_item)
    item = "gpt-4.1, input"
    row = next(row for row in visitor.rows() if row[0] == item)
    assert row[1] == f"{by_item[item]['quantity']:,} tokens"
    assert row[2] == "$2.00 / 1M tokens"
    page.get_by_role("link", name=f"the prices of {item}").click()
    dialog = page.get_by_role("dialog", name=item)
    expect(dialog.get_by_role("rowheader").first).to_contain_text("openai")
    expect(dialog.locator("tbody tr").first).to_contain_text("$2.00 / 1M tokens")
    expect(dialog.locator("tbody tr").first).to_contain_text("curated, since 2025-04-14 (launch)")
    expect(dialog.locator("tfoot")).to_contain_text(page.locator("a.rate-link", has_text="$").first.inner_text()[:1])
    assert violations(page) == []
    shared = page.url
    dialog.get_by_role("button", name="Close").click()
    expect(page).to_have_url(f"{site.url}/costs")
    page.goto(shared)
    expect(page.get_by_role("dialog", name=item).locator("tbody tr").first).to_be_visible()


def test_a_name_that_the_registry_does_not_know_is_its_id(visit: Visit) -> None:
    visitor = visit()
    visitor.go("/usage/completions?group_by=project_id,user_id")
    names = {row[0] for row in visitor.rows()}
    users = {row[1] for row in visitor.rows()}
    assert names == {"Search", "Support bot", "proj_lab"}
    assert users == {"No user", *(f"user_{number}" for number in range(5))}


def test_a_ledger_without_usage_says_how_to_begin(visit: Visit, tmp_path: Path) -> None:
    with empty_site(tmp_path) as server:
        visitor = visit(server.url, server.key)
        page = visitor.go("/")
        expect(page.get_by_text("No costs yet")).to_be_visible()
        expect(page.locator("pre")).to_contain_text("/v1/events")
        expect(page.get_by_role("link", name="point what you already run")).to_have_attribute("href", "/sources")
        assert violations(page) == []
        for path, text in (
            ("/costs", "No costs here"),
            ("/usage/images", "No images here"),
            ("/unpriced", "Everything has a price"),
            ("/sources", "Nothing was sent yet"),
        ):
            visitor.go(path)
            expect(page.get_by_text(text)).to_be_visible()
            assert violations(page) == []


@pytest.mark.parametrize("path", ["/usage/completions", "/costs"])
def test_the_keyboard_reaches_everything(visit: Visit, path: str) -> None:
    visitor = visit()
    page = visitor.go(path)
    page.evaluate("document.activeElement.blur()")
    reached: set[str] = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText.trim()"
            )
        )
    assert {"Skip to content", "Overview", "Costs", "Day", "Hour", "CSV", "API call", "Sign out"} <= reached
    assert any(name.startswith("Range:") for name in reached)
    assert any(name.startswith("Filter by Model") for name in reached)
    page.get_by_role("button", name="Group by").focus()
    page.keyboard.press("Enter")
    expect(page.locator(":popover-open input").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect(page).to_have_url(re.compile("group_by="))
    page.keyboard.press("Escape")
    visitor.settled()
    expect(page.get_by_role("button", name="Group by")).to_be_focused()


def test_costs_are_a_row_of_the_table_of_meters(site: RunningServer) -> None:
    kinds = {meter["kind"]: meter for meter in api(site, "/v1/meters")["data"]}
    assert kinds["costs"]["path"] == f"/v1{COSTS.path}"
