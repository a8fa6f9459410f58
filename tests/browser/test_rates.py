"""The rate cards behind an amount: for whom they are, what they assume, and why they changed."""

import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect
from tests.browser.conftest import Visit, empty_site, violations

from usageledger.pricing.operator_prices import read_price
from usageledger.registry import open_registry
from usageledger.settings import Settings

NOW = int(time.time())
SINCE = {"from": "2026-01-01"}
PROJECT = {"part": "input", "price": "1", "model": "gpt-4.1", "project": "proj_search"}
DEFAULT = {"part": "lifetime", "price": "1h", "provider": "anthropic"}
LATER = {"part": "input", "price": "1.5", "model": "gpt-4.1", "note": "contract 4711"}


def set_prices(data: Path, *prices: dict[str, str]) -> None:
    with open_registry(Settings(data=data).registry_url) as registry:
        registry.rate_cards.set_prices([read_price(price | SINCE) for price in prices], now=NOW)


def event(name: str, **fields: Any) -> dict[str, Any]:
    about = {"kind": "completions", "id": name, "timestamp": NOW - 60, "output_tokens": 0}
    return about | {"model": "gpt-4.1", "input_tokens": 10**6, "project_id": "proj_lab"} | fields


@pytest.mark.parametrize("width", [1400, 390])
def test_a_rate_card_says_for_whom_it_is_what_it_assumes_and_why_it_changed(
    visit: Visit, tmp_path: Path, width: int
) -> None:
    with empty_site(tmp_path) as site, httpx.Client(base_url=site.url, headers=site.headers) as client:
        set_prices(tmp_path, PROJECT, DEFAULT)
        claude = {"provider": "anthropic", "model": "claude-opus-4-6", "input_cache_write_tokens": 10**6}
        sent = [event("a", project_id="proj_search"), event("b"), event("c", **claude)]
        assert client.post("/v1/events", json=sent).json()["accepted"] == 3
        client.post("/v1/organization/projects/proj_search", json={"name": "Search"})
        set_prices(tmp_path, LATER)
        assert client.post("/v1/reprice", json={"apply": True, "reason": "contract"}).json()["applied"]
        visitor = visit(site.url, site.key, viewport={"width": width, "height": 900})

        visitor.go("/costs?rates=gpt-4.1%2C+input")
        rows = visitor.page.get_by_role("dialog", name="gpt-4.1, input").locator("tbody tr")
        expect(rows).to_have_count(2)
        everyone, search = rows.nth(0), rows.nth(1)
        expect(everyone).to_contain_text("revision 1: own price")
        expect(everyone).not_to_contain_text("Project")
        expect(search).to_contain_text("Project Search")
        expect(search).not_to_contain_text("revision")
        assert violations(visitor.page) == []

        visitor.go("/costs?rates=claude-opus-4-6%2C+cache+write")
        row = visitor.page.get_by_role("dialog", name="claude-opus-4-6, cache write").locator("tbody tr")
        expect(row).to_contain_text("Your default: lifetime 1h")
        assert violations(visitor.page) == []
