"""What a browser waits for: the first paint, the whole overview, and another grouping; and what the scripts weigh."""

import statistics
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import BrowserContext, Page, expect, sync_playwright
from tests.support.services.programs import program

from bench.measure import KEY, figure
from usageledger.server.dashboard.assets import files

FLAGS = ["--no-sandbox", "--headless", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
TIMES = 7
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
WAIT_MS = 120_000
# From the click to the frame that shows another grouping: nothing is busy, and the button is pressed.
REGROUP = """value => new Promise((resolve) => {
  const began = performance.now();
  document.querySelector(`.segments [data-value=${value}]`).click();
  const look = () => document.querySelector(".view[aria-busy]") ? requestAnimationFrame(look)
    : requestAnimationFrame(() => resolve(performance.now() - began));
  requestAnimationFrame(look);
})"""
GROUPINGS = ("project_id", "model", "user_id", "api_key_id", "line_item")


def dashboard(port: int, start: int, end: int) -> Iterator[dict[str, Any]]:
    """Figures of the overview of a window; the server's caches are filled first, the browser's are empty."""
    url = f"http://127.0.0.1:{port}/?start={start}&end={end}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium"), args=FLAGS)
        signed_in = browser.new_context()
        signed_in.set_default_timeout(WAIT_MS)
        page = signed_in.new_page()
        page.goto(url)
        page.get_by_label("Key", exact=True).fill(KEY)
        page.keyboard.press("Enter")
        _shown(page)
        state = signed_in.storage_state()
        paints, wholes = zip(*(_load(browser.new_context(storage_state=state), url) for _ in range(TIMES)), strict=True)
        yield figure("dashboard, first paint, p50", statistics.median(paints), "ms", 500)
        yield figure("  whole overview, p50", statistics.median(wholes), "ms")
        for name in GROUPINGS:
            other = "model" if name == "project_id" else "project_id"
            took = []
            for _ in range(TIMES):
                page.evaluate(REGROUP, other)
                took.append(page.evaluate(REGROUP, name))
            yield figure(f"  cost by {name}, p50", statistics.median(took), "ms", 150)
        browser.close()
    weight = sum(len(asset.zipped or asset.body) for name, asset in files().items() if name.endswith(".js"))
    yield figure("  scripts, compressed", weight / 1000, "KB", 500)


def _load(context: BrowserContext, url: str) -> tuple[float, float]:
    """Milliseconds from the request to the first paint, and until everything is there; nothing is in the cache."""
    page = context.new_page()
    page.goto(url)
    _shown(page)
    paint, whole = page.evaluate(PAINT), page.evaluate("performance.now()")
    context.close()
    return paint, whole


def _shown(page: Page) -> None:
    expect(page.locator(".top-lists article")).to_have_count(5, timeout=WAIT_MS)
    expect(page.locator("[aria-busy], .skeleton")).to_have_count(0, timeout=WAIT_MS)
