"""`python -m tools.dashboard_pictures`: every view of the dashboard, on made-up usage, into docs/images/dashboard.

Needs Chromium (Debian's package chromium) and the development dependencies. Pictures are WebP, each below 150 KB.
"""

import argparse
import base64
import json
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.support.otlp_bodies import CAPTURED, captured
from tests.support.services.programs import program

IMAGES = Path(__file__).parents[1] / "docs/images/dashboard"
PICTURE_BYTES_MAX = 150_000
FLAGS = ["--no-sandbox", "--headless", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
VIEWS = {
    "sign-in": None,
    "overview": "/",
    "costs": "/costs",
    "rates": "/costs?rates=gpt-6-astra%2C+input",
    "usage": "/usage/completions?group_by=project_id",
    "filter": "/usage/completions?group_by=model",
    "sources": "/sources",
    "unpriced": "/unpriced",
    "keys": "/keys",
}
FORMS = {
    "light": ("light", 1400, 900),
    "dark": ("dark", 1400, 900),
    "phone": ("light", 390, 844),
}


def main() -> None:
    """Starts `usageledger demo`, visits every view in every form, and writes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=400_000, help="how many events the pictures are of")
    parser.add_argument("--views", nargs="*", default=list(VIEWS), choices=list(VIEWS), help="only these")
    given = parser.parse_args()
    IMAGES.mkdir(exist_ok=True)
    with demo(given.events) as (url, key), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium"), args=FLAGS)
        for form in FORMS:
            for name in given.views:
                picture(browser, url, key, name, form)
        browser.close()


@contextmanager
def demo(events: int) -> Generator[tuple[str, str]]:
    """A server with two months of made-up usage, so that the last month is whole: its address and a key."""
    command = [sys.executable, "-m", "usageledger", "demo", "--days", "62", "--events", str(events), "--port", "0"]
    process = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        send_captured(said["address"], said["admin_key"])
        yield said["address"], said["admin_key"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def send_captured(url: str, key: str) -> None:
    """Sends what real emitters sent, so that there are sources to show."""
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=60) as client:
        for label in sorted(path.name for path in CAPTURED.iterdir() if path.is_dir()):
            for otlp_signal, body in captured(label):
                client.post(f"/v1/{otlp_signal}", json=body).raise_for_status()
        for path in sorted(CAPTURED.glob("litellm-*.json")):
            headers = {"content-type": "application/json", "user-agent": "litellm/1.110.2"}
            client.post("/v1/sources/litellm", content=path.read_bytes(), headers=headers).raise_for_status()


def picture(browser: Browser, url: str, key: str, name: str, form: str) -> None:
    """One view in one form; what is longer than the screen is cut at 1,600 pixels."""
    scheme, width, height = FORMS[form]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        device_scale_factor=2 if form == "phone" else 1,
    )
    page = context.new_page()
    path = VIEWS[name]
    page.goto(url + (path or "/"))
    if path:
        page.get_by_label("Key", exact=True).fill(key)
        page.keyboard.press("Enter")
        expect(page.locator(".nav")).to_have_count(1, timeout=60_000)
        expect(page.locator("[aria-busy], .skeleton")).to_have_count(0, timeout=60_000)
    if name == "filter":
        page.get_by_role("button", name="Filter by Project").click()
        page.locator(":popover-open").get_by_role("checkbox").nth(2).check()
        expect(page.locator("[aria-busy]")).to_have_count(0)
    page.wait_for_timeout(600)
    data = webp(page)
    target = IMAGES / f"{name}-{form}.webp"
    if len(data) > PICTURE_BYTES_MAX:
        sys.exit(f"{target.name} has {len(data)} bytes; at most {PICTURE_BYTES_MAX} are allowed")
    target.write_bytes(data)
    print(f"{target.name}: {len(data) / 1000:.0f} KB")
    context.close()


def webp(page: Page) -> bytes:
    """The page as the browser paints it."""
    session = page.context.new_cdp_session(page)
    answer = session.send("Page.captureScreenshot", {"format": "webp", "quality": 82})
    return base64.b64decode(answer["data"])


if __name__ == "__main__":
    main()
