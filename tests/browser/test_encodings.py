"""What a browser makes of a page that is put together of what the server keeps compressed."""

from pathlib import Path

from tests.browser.conftest import Visit, empty_site
from tests.support import large_page

from usageledger.server.http.auth import PAGE_HEADER

FETCH = """async ([address, header]) => {
  const answer = await fetch(address, {headers: {[header]: "1"}});
  return [answer.headers.get("content-encoding"), await answer.text()];
}"""


def test_a_page_of_several_buckets(visit: Visit, tmp_path: Path) -> None:
    with empty_site(tmp_path) as server:
        plain = large_page.fill(server).decode()
        page = visit(server.url, server.key).go("/")
        for _ in range(2):
            assert page.evaluate(FETCH, [large_page.ADDRESS, PAGE_HEADER]) == ["zstd", plain]
