"""Sources: what sends, what of it is not counted and why, and how to begin."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect
from tests.browser.conftest import Visit, Visitor, api, empty_site, violations
from tests.browser.test_views import FORMS
from tests.support.documentation import blocks
from tests.support.server_process import RunningServer

from usageledger.registry import open_registry
from usageledger.settings import Settings
from usageledger.sources.explanations import REASONS
from usageledger.sources.readings import Note, Reason

NOW = int(time.time())
AGENT = ("com.anthropic.claude_code.events", "2.1.197")
RECIPES = {
    "Claude Code": "docs/coding-agents.md",
    "OpenTelemetry": "docs/opentelemetry.md",
    "LiteLLM": "docs/litellm.md",
}
UGLY = ("x" * 128, "🚀" * 64, "مرحبا بالعالم " * 9, "\u202eevil", "a <b>bold</b> & `code`")

Counts = dict[tuple[tuple[str, str], str], tuple[int, str]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def other_site(data: Path) -> Iterator[RunningServer]:
    with empty_site(data) as server:
        yield server


def fill(data: Path, counts: Counts, now: int = NOW) -> None:
    with open_registry(Settings(data=data).registry_url) as registry:
        registry.source_counts.add(counts, now=now)


def many() -> Counts:
    """Sixty emitters, each with more counted than the one before, and every reason and note in turn."""
    items = [item.value for item in (*Reason, *Note)]
    counts: Counts = {}
    for number in range(60):
        emitter = (f"emitter {number:02}", f"1.{number}")
        counts |= {(emitter, "counted"): (10**6 + number, "id"), (emitter, "sent_again"): (number, "id")}
        counts[emitter, items[number % len(items)]] = (1000 + number, f"span-{number}")
    return counts


def ugly() -> Counts:
    return {
        ((name, name[:64]), item): (2**53 + 1, name * 2)
        for name in UGLY
        for item in ("counted", "sent_again", *Reason, *Note)
    }


def too_wide(visitor: Visitor) -> int:
    return int(visitor.page.evaluate("document.documentElement.scrollWidth - innerWidth"))


@pytest.mark.parametrize("form", FORMS)
def test_nothing_yet_says_how_to_begin(visit: Visit, other_site: RunningServer, form: str) -> None:
    visitor = visit(other_site.url, other_site.key, permissions=["clipboard-read", "clipboard-write"], **FORMS[form])
    page = visitor.go("/sources")
    expect(page.get_by_text("Nothing was sent yet")).to_be_visible()
    expect(page.get_by_role("button", name="Connect another")).to_have_count(0)
    for title, documented in RECIPES.items():
        settings = next(block.text for block in blocks(documented) if "http://ledger:8080" in block.text)
        recipe = page.locator(".snippet").filter(has=page.get_by_role("heading", name=title))
        recipe.get_by_role("button", name="Copy").click()
        expect(recipe.get_by_role("button", name="Copied")).to_be_visible()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == settings.strip().replace("http://ledger:8080", other_site.url)
    assert violations(page) == []
    assert too_wide(visitor) <= 0


def test_what_came_is_listed_at_the_next_look(visit: Visit, other_site: RunningServer) -> None:
    visitor = visit(other_site.url, other_site.key)
    page = visitor.page
    page.clock.install()
    visitor.go("/")
    page.get_by_role("link", name="Sources").click()
    visitor.settled()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sources")
    expect(page.get_by_text("Nothing was sent yet")).to_be_visible()
    chat = {"id": "chatcmpl-AbCdEf0123456789", "object": "chat.completion", "created": NOW - 60, "model": "gpt-4o"}
    for usage in (None, {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}):
        answer = httpx.post(
            f"{other_site.url}/v1/sources/openai", json=chat | {"usage": usage}, headers=other_site.headers
        )
        assert answer.status_code == 200, answer.text
    page.clock.run_for(31_000)
    expect(page.get_by_role("row")).to_have_count(2)
    assert visitor.rows()[0][:3] == ["openai answers", "1", "1 no usage"]


def test_a_reason_in_full_by_keyboard(visit: Visit, other_site: RunningServer, data: Path) -> None:
    fill(
        data,
        {
            (AGENT, "counted"): (12_034, "req_1"),
            (AGENT, "no_usage"): (7, "req_011CSHo"),
            (AGENT, "estimated"): (3, "e"),
        },
    )
    visitor = visit(other_site.url, other_site.key, permissions=["clipboard-read", "clipboard-write"])
    page = visitor.go("/sources")
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=" ".join(AGENT)))
    expect(row.get_by_role("button")).to_have_text(["7 no usage", "3 estimated"])
    reason = row.get_by_role("button", name="7 no usage")
    reason.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="No usage")
    meaning, remedy = REASONS[Reason.NO_USAGE]
    for text in (meaning, remedy.replace("`", ""), *AGENT, "7 of them, the last on"):
        expect(dialog).to_contain_text(text)
    assert violations(page) == []
    dialog.get_by_role("button", name="Copy").click()
    expect(dialog.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "req_011CSHo"
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(reason).to_be_focused()


@pytest.mark.parametrize("form", FORMS)
def test_many_emitters(visit: Visit, other_site: RunningServer, data: Path, form: str) -> None:
    fill(data, many())
    visitor = visit(other_site.url, other_site.key, **FORMS[form])
    page = visitor.go("/sources")
    assert len(visitor.rows()) == 50
    assert violations(page) == []
    assert too_wide(visitor) <= 0
    page.get_by_role("button", name="Show all 60 rows").click()
    told = {each["emitter"]: each for each in api(other_site, "/v1/sources")["data"]}
    assert len(visitor.rows()) == len(told) == 60
    for name, counted, left, noted, again, _ in visitor.rows():
        source = told[name.partition("\n")[0]]
        assert (counted, again) == (f"{source['counted']:,}", f"{source['sent_again']:,}")
        for shown, tallies in ((left, source["not_counted"]), (noted, source["notes"])):
            assert shown.splitlines() == [f"{t['count']:,} {t['reason'].replace('_', ' ')}" for t in tallies]
    page.get_by_role("button", name="Counted", exact=True).click()
    assert [row[1] for row in visitor.rows()] == [f"{10**6 + number:,}" for number in reversed(range(60))]


@pytest.mark.parametrize("form", FORMS)
def test_ugly_names(visit: Visit, other_site: RunningServer, data: Path, form: str) -> None:
    fill(data, ugly())
    visitor = visit(other_site.url, other_site.key, **FORMS[form])
    page = visitor.go("/sources")
    assert sorted(page.locator("th > bdi").all_text_contents()) == sorted(UGLY)
    assert {row[1] for row in visitor.rows()} == {f"{2**53 + 1:,}"}
    assert violations(page) == []
    assert too_wide(visitor) <= 0
    page.get_by_role("button", name="refused").first.click()
    assert violations(page) == []
    assert too_wide(visitor) <= 0


def test_counts_that_grow_leave_the_focus_where_it_is(visit: Visit, other_site: RunningServer, data: Path) -> None:
    fill(data, {(AGENT, "refused"): (1, "a"), (AGENT, "no_usage"): (7, "b")})
    visitor = visit(other_site.url, other_site.key)
    page = visitor.page
    page.clock.install()
    visitor.go("/sources")
    page.get_by_role("button", name="1 refused").focus()
    fill(data, {(AGENT, "refused"): (4, "c")})
    page.clock.run_for(31_000)
    expect(page.get_by_role("button", name="5 refused")).to_be_focused()


def test_another_source_is_connected_and_the_view_takes_its_dialog_along(
    visit: Visit, other_site: RunningServer, data: Path
) -> None:
    fill(data, {(AGENT, "counted"): (1, "a")})
    visitor = visit(other_site.url, other_site.key)
    page = visitor.go("/sources")
    page.get_by_role("button", name="Connect another").click()
    dialog = page.get_by_role("dialog", name="Connect another source")
    expect(dialog.get_by_role("heading", level=3)).to_have_text(list(RECIPES))
    assert violations(page) == []
    dialog.get_by_role("link", name="a key with the scope api.usage.write").click()
    visitor.settled()
    expect(page.get_by_role("heading", level=1)).to_have_text("Keys")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_who_may_only_read_is_led_to_no_keys(visit: Visit, other_site: RunningServer) -> None:
    made: Any = httpx.post(
        f"{other_site.url}/v1/organization/admin_api_keys",
        json={"name": "viewer", "scopes": ["api.usage.read"]},
        headers=other_site.headers,
    ).json()
    page = visit(other_site.url, made["value"]).go("/sources")
    expect(page.get_by_text("a key with the scope api.usage.write")).to_be_visible()
    expect(page.locator("main").get_by_role("link")).to_have_count(0)


def test_a_reason_without_an_example(visit: Visit, other_site: RunningServer, data: Path) -> None:
    fill(data, {(AGENT, "other_numbers"): (2, "")})
    page = visit(other_site.url, other_site.key).go("/sources")
    page.get_by_role("button", name="2 other numbers").click()
    dialog = page.get_by_role("dialog", name="Other numbers")
    expect(dialog.get_by_role("heading", level=3)).to_have_text(["What can be done", "From"])
    expect(dialog.get_by_role("button")).to_have_count(1)
