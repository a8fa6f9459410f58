"""Changing what a view shows: range, width, grouping, filters, measures, zoom, zone, order; and taking it elsewhere."""

import csv
import io
import json
import os
import re
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Route, expect
from tests.browser.conftest import MakeKey, Visit, Visitor, api
from tests.support.server_process import RunningServer

from usageledger.meter import Meter
from usageledger.meters import COSTS, METER_BY_KIND

DAY = 86_400


def pick(page: Page, button: str, *choices: str) -> None:
    """Opens a panel, ticks or presses the choices, closes it."""
    page.get_by_role("button", name=re.compile(f"^{button}")).click()
    panel = page.locator(":popover-open")
    for choice in choices:
        found = panel.get_by_label(choice, exact=True).or_(panel.get_by_role("button", name=choice, exact=True))
        found.first.click()
    page.keyboard.press("Escape")


def state(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query, keep_blank_values=True)


def total(visitor: Visitor, column: int = 1) -> str:
    return visitor.page.locator("table.data tfoot tr > *").nth(column).inner_text().replace(",", "")


def tokens(site: RunningServer, **parameters: Any) -> str:
    (bucket,) = api(site, "/v1/organization/usage/completions", bucket_width="all", **parameters)["data"]
    return str(bucket["results"][0]["input_tokens"])


def today() -> int:
    return int(time.time()) // DAY * DAY


def test_the_range(visit: Visit, site: RunningServer) -> None:
    visitor = visit()
    page = visitor.go("/usage/completions")
    pick(page, "Range", "Last 7 days")
    visitor.settled()
    assert state(page) == {"range": ["7d"]}
    assert total(visitor) == tokens(site, start_time=today() - 6 * DAY, end_time=today() + DAY)
    page.get_by_role("button", name="Range").click()
    page.get_by_role("textbox", name="From").fill(time.strftime("%Y-%m-%dT00:00", time.gmtime(today() - 9 * DAY)))
    page.get_by_role("textbox", name="To").fill(time.strftime("%Y-%m-%dT12:00", time.gmtime(today() - 20 * DAY)))
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("alert")).to_have_text("The end must be after the start.")
    page.get_by_role("textbox", name="To").fill(time.strftime("%Y-%m-%dT12:00", time.gmtime(today() - 3 * DAY)))
    page.get_by_role("button", name="Apply").click()
    visitor.settled()
    assert state(page) == {"start": [str(today() - 9 * DAY)], "end": [str(today() - 3 * DAY + DAY // 2)]}
    assert total(visitor) == tokens(site, start_time=today() - 9 * DAY, end_time=today() - 3 * DAY + DAY // 2)
    page.go_back()
    visitor.settled()
    expect(page.get_by_role("button", name="Range: Last 7 days")).to_be_visible()
    assert total(visitor) == tokens(site, start_time=today() - 6 * DAY, end_time=today() + DAY)


def test_width_grouping_measures_and_order(visit: Visit) -> None:
    visitor = visit()
    page = visitor.go("/usage/completions?range=7d")
    page.get_by_role("button", name="Hour", exact=True).click()
    visitor.settled()
    assert state(page)["bucket_width"] == ["1h"]
    expect(page.get_by_role("img").first).to_have_attribute("aria-label", re.compile("in 168 bars"))
    pick(page, "Group by", "Model", "Project", "Batch")
    visitor.settled()
    heads = page.locator("table.data thead th").all_inner_texts()
    assert heads[:2] == ["Project", "Batch"]
    assert {row[1] for row in visitor.rows()} == {"Batch", "Not batch"}
    pick(page, "Measures", "Input tokens", "Output tokens", "Input cached tokens")
    visitor.settled()
    assert state(page)["measures"] == ["input_cached_tokens,num_model_requests"]
    assert page.locator("table.data thead th").all_inner_texts()[2:4] == ["Input cached tokens", "Model requests"]
    for click, order in (("ascending", sorted), ("descending", lambda rows, key: sorted(rows, key=key, reverse=True))):
        page.get_by_role("button", name="Model requests", exact=True).click()
        if click == "ascending":
            page.get_by_role("button", name="Model requests", exact=True).click()
        expect(page.locator(f"th[aria-sort={click}]")).to_have_text("Model requests")
        rows = visitor.rows()
        assert rows == order(rows, key=lambda row: int(row[3].replace(",", "")))
    page.get_by_role("button", name="Project", exact=True).last.click()
    names = [row[0] for row in visitor.rows()]
    assert names == sorted(names, key=str.lower)


def test_filters_are_searched_for_and_leave_what_the_api_leaves(visit: Visit, site: RunningServer) -> None:
    visitor = visit()
    page = visitor.go("/usage/completions")
    page.get_by_role("button", name="Filter by Project").click()
    panel = page.locator(":popover-open")
    expect(panel.get_by_role("checkbox")).to_have_count(3)
    panel.get_by_role("searchbox").fill("supp")
    expect(panel.get_by_role("checkbox")).to_have_count(1)
    panel.get_by_label("Support bot").check()
    panel.get_by_role("searchbox").fill("")
    panel.get_by_label("Search", exact=True).check()
    page.keyboard.press("Escape")
    visitor.settled()
    assert state(page)["project_ids"] == ["proj_support", "proj_search"]
    window = {"start_time": today() - 29 * DAY, "end_time": today() + DAY}
    chosen = {"project_ids": "proj_support,proj_search"}
    assert total(visitor) == tokens(site, **window, **chosen)
    page.get_by_role("button", name="Filter by Batch").click()
    page.get_by_role("radio", name="Not batch").check()
    page.keyboard.press("Escape")
    visitor.settled()
    assert total(visitor) == tokens(site, **window, **chosen, batch="false")
    expect(page.get_by_role("button", name="Filter by Project: Support bot, Search")).to_be_visible()
    page.get_by_role("link", name="Only gpt-4.1").click()
    visitor.settled()
    assert [row[0] for row in visitor.rows()] == ["gpt-4.1"]
    page.get_by_role("button", name="Filter by Project").click()
    page.get_by_role("button", name="Clear").click()
    page.keyboard.press("Escape")
    visitor.settled()
    assert total(visitor) == tokens(site, **window, batch="false", models="gpt-4.1")


def test_line_items_can_be_filtered_by_though_they_have_commas(visit: Visit) -> None:
    visitor = visit()
    page = visitor.go("/costs")
    page.get_by_role("button", name="Filter by Line item").click()
    page.get_by_role("searchbox").fill("gpt-4.1, IN")
    page.locator(":popover-open").get_by_label("gpt-4.1, input", exact=True).check()
    page.keyboard.press("Escape")
    visitor.settled()
    assert [row[0] for row in visitor.rows()] == ["gpt-4.1, input"]


def test_drawing_on_the_chart_zooms(visit: Visit, site: RunningServer) -> None:
    visitor = visit()
    page = visitor.go("/usage/completions?measures=input_tokens")
    box = page.locator(".chart canvas").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 120, steps=4)
    expect(page.locator(".zoom-band")).to_be_visible()
    page.mouse.up()
    expect(page.locator(".zoom-band")).to_be_hidden()
    visitor.settled()
    start, end = (int(state(page)[name][0]) for name in ("start", "end"))
    assert start % DAY == end % DAY == 0
    assert 2 <= (end - start) // DAY <= 5
    assert today() - 20 * DAY < start < today() - 12 * DAY
    assert total(visitor) == tokens(site, start_time=start, end_time=end)
    page.get_by_role("button", name="Reset zoom").click()
    visitor.settled()
    assert "start" not in state(page)


def test_a_finger_scrolls_and_does_not_zoom(visit: Visit) -> None:
    visitor = visit(viewport={"width": 390, "height": 844}, has_touch=True)
    page = visitor.go("/usage/completions?measures=input_tokens")
    page.locator(".chart canvas").tap()
    assert state(page) == {"measures": ["input_tokens"]}


def test_a_link_shares_the_view(visit: Visit, key: MakeKey) -> None:
    first = visit()
    page = first.go("/costs?range=7d&group_by=project_id,model&models=gpt-4.1&models=in-house-7b&sort=model")
    second = visit(key=key("api.usage.read")[1])
    second.go(urlsplit(page.url).path + "?" + urlsplit(page.url).query)
    assert second.rows() == first.rows() != []
    assert second.page.get_by_role("button", name="Range: Last 7 days").is_visible()


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/Los_Angeles"])
def test_days_of_a_time_zone(visit: Visit, site: RunningServer, zone: str) -> None:
    visitor = visit()
    page = visitor.go("/usage/completions?range=7d")
    page.get_by_role("button", name="Time zone").click()
    page.get_by_role("searchbox").fill(zone.split("/")[1].replace("_", " "))
    page.locator(":popover-open").get_by_role("button", name=zone.replace("_", " ")).click()
    visitor.settled()
    assert state(page)["timezone"] == [zone]
    os.environ["TZ"] = zone
    time.tzset()
    try:
        local = time.localtime()
        start = int(time.mktime((local.tm_year, local.tm_mon, local.tm_mday - 6, 0, 0, 0, 0, 0, -1)))
    finally:
        del os.environ["TZ"]
        time.tzset()
    assert total(visitor) == tokens(site, start_time=start)
    with page.expect_response(
        lambda response: "bucket_width=1d" in response.url and "group_by" in response.url
    ) as caught:
        page.reload()
    assert parse_qs(urlsplit(caught.value.url).query)["timezone"] == [zone]
    days = caught.value.json()["data"]
    assert (days[0]["start_time"], len(days)) == (start, 7)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
@pytest.mark.parametrize("width", ["1h", "1d"])
def test_costs_of_a_range_are_those_of_its_buckets(visit: Visit, site: RunningServer, width: str, zone: str) -> None:
    """By the day both are of whole days, by the hour of the hours of the range; so are the prices behind an amount."""
    visitor = visit()
    noon = today() - 2 * DAY - DAY // 2
    with visitor.page.expect_response(lambda response: "bucket_width=all" in response.url) as caught:
        page = visitor.go(f"/costs?start={noon}&end={noon + DAY}&bucket_width={width}&timezone={zone}")
    (whole,) = caught.value.json()["data"]
    days = {"timezone": zone} if width == "1d" else {}
    asked = {"start_time": noon, "end_time": noon + DAY, "bucket_width": width, "limit": 100, **days}
    buckets = api(site, "/v1/organization/costs", **asked)["data"]
    assert (whole["start_time"], whole["end_time"]) == (buckets[0]["start_time"], buckets[-1]["end_time"])
    assert len(buckets) == {"1h": 24, "1d": 2}[width]
    item = "gpt-4.1, input"
    with page.expect_response(lambda response: "/v1/rate_cards" in response.url) as caught:
        page.get_by_role("link", name=f"the prices of {item}").click()
    (charged,) = [r["amount"]["value"] for r in whole["results"] if r["line_item"] == item]
    assert sum(Decimal(str(card["amount"]["value"])) for card in caught.value.json()["data"]) == Decimal(str(charged))


def test_the_csv_holds_no_formula(visit: Visit) -> None:
    names = [*(f"{sign}1+1" for sign in "=+-@\t\r"), "a=1", "'=1"]

    def renamed(route: Route) -> None:
        page = route.fetch().json()
        for bucket in page["data"]:
            results = bucket["results"][:1] * len(names)
            bucket["results"] = [result | {"model": name} for result, name in zip(results, names, strict=False)]
        route.fulfill(json=page)

    visitor = visit()
    visitor.page.route("**/v1/organization/usage/completions*", renamed)
    page = visitor.go("/usage/completions?range=90d&group_by=model")
    with page.expect_download() as caught:
        page.get_by_role("button", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(caught.value.path()).read_bytes().decode(), newline="")))
    assert {row["model"] for row in rows} == {*(f"'{name}" for name in names[:6]), *names[6:]}
    assert all(row["input_tokens"].isdecimal() for row in rows)


@pytest.mark.parametrize(
    ("meter", "query", "by"),
    [
        (METER_BY_KIND["completions"], "range=90d&group_by=model,project_id", ["model", "project_id"]),
        (METER_BY_KIND["vector_stores"], "range=7d&group_by=", []),
        (COSTS, "range=7d&group_by=line_item,user_id", ["line_item", "user_id"]),
    ],
    ids=["completions", "vector_stores", "costs"],
)
def test_the_csv_has_the_numbers_of_the_api(
    visit: Visit, site: RunningServer, meter: Meter, query: str, by: list[str]
) -> None:
    visitor = visit()
    page = visitor.go(f"{meter.path.removeprefix('/organization')}?{query}")
    with page.expect_download() as caught:
        page.get_by_role("button", name="CSV").click()
    assert caught.value.suggested_filename.startswith(f"usageledger-{meter.kind}-")
    rows = list(csv.DictReader(io.StringIO(Path(caught.value.path()).read_bytes().decode())))
    days = int(re.findall(r"range=(\d+)d", query)[0])
    parameters = {"start_time": today() - (days - 1) * DAY, "end_time": today() + DAY, "group_by": by, "limit": 31}
    wanted = []
    token: dict[str, str] | None = {}
    while token is not None:
        answer = api(site, f"/v1{meter.path}", **(token or parameters))
        wanted += [(bucket, result) for bucket in answer["data"] for result in bucket["results"]]
        token = {"page": answer["next_page"]} if answer["next_page"] else None
    assert len(rows) == len(wanted) > 0
    for row, (bucket, result) in zip(rows, wanted, strict=True):
        assert row["start_time"] == str(bucket["start_time"])
        for name in by:
            assert row[name] == (result[name] or "")
        if meter is COSTS:
            assert row["amount"] == str(result["amount"]["value"])
            assert (row["quantity"], row["quantity_unit"]) == (str(result["quantity"]), result["quantity_unit"])
        else:
            measure = meter.measures[0].name
            assert row[measure] == str(result[measure])
    if "project_id" in by:
        assert {row["project_name"] for row in rows} == {"Search", "Support bot", "proj_lab"}


def test_a_chart_can_be_had_as_a_picture(visit: Visit) -> None:
    visitor = visit()
    page = visitor.go("/usage/images")
    with page.expect_download() as caught:
        page.get_by_role("button", name="Download Images as PNG").click()
    assert caught.value.suggested_filename == "usageledger-images-images.png"
    picture = Path(caught.value.path()).read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 5000


@pytest.mark.parametrize(
    "path", ["/usage/completions?range=7d&models=gpt-4o-2024-08-06&batch=true", "/costs?range=7d&models=gpt-4.1"]
)
def test_the_api_call_behind_a_view_can_be_run(visit: Visit, site: RunningServer, path: str) -> None:
    visitor = visit(permissions=["clipboard-read", "clipboard-write"])
    page = visitor.go(path)
    page.get_by_role("button", name="API call").click()
    copied = []
    for title in ("curl", "Python"):
        section = page.locator(".snippet", has=page.get_by_role("heading", name=title))
        section.get_by_role("button", name="Copy").click()
        expect(section.get_by_role("button", name="Copied")).to_be_visible()
        copied.append(page.evaluate("navigator.clipboard.readText()"))
    environment = {**os.environ, "USAGELEDGER_ADMIN_KEY": site.key}
    answer = subprocess.run(
        ["bash", "-c", copied[0]], env=environment, capture_output=True, check=True, text=True
    ).stdout
    results = [(bucket["start_time"], result) for bucket in json.loads(answer)["data"] for result in bucket["results"]]
    assert results
    shown = subprocess.run(
        [sys.executable, "-c", copied[1]], env=environment, capture_output=True, check=True, text=True
    )
    assert [int(line.split(" ", 1)[0]) for line in shown.stdout.splitlines()] == [start for start, _ in results]
