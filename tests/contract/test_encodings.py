"""Pages put together of what is kept compressed, read by the clients that people have."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator

import httpx
import pytest
from openai import OpenAI
from tests.support import large_page
from tests.support.server_process import RunningServer, running
from tests.support.services.programs import program

from usageledger import UsageAPI

FETCH = """
const [url, key] = process.argv.slice(2);
const answer = await fetch(url, {headers: {authorization: `Bearer ${key}`}});
console.error(answer.headers.get("content-encoding"));
process.stdout.write(await answer.text());
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, bytes]]:
    """A server, and the bytes of `large_page.ADDRESS`."""
    with running(tmp_path_factory.mktemp("large")) as server:
        plain = large_page.fill(server)
        assert [len(bucket["results"]) for bucket in json.loads(plain)["data"]] == list(large_page.PROJECTS)
        yield server, plain


def test_httpx(page: tuple[RunningServer, bytes]) -> None:
    server, plain = page
    for accepted in (None, "gzip, deflate", "zstd"):
        headers = server.headers | ({"accept-encoding": accepted} if accepted else {})
        with httpx.Client(headers=headers) as client:
            for _ in range(3):
                answer = client.get(server.url + large_page.ADDRESS)
                assert answer.headers["content-encoding"] == ("gzip" if accepted == "gzip, deflate" else "zstd")
                assert answer.content == plain


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_httpx_whatever_the_network_hands_it(page: tuple[RunningServer, bytes], encoding: str, size: int) -> None:
    """Where a read ends is the network's choice, and httpx fails where a second frame begins with a read."""
    server, plain = page
    with httpx.stream(
        "GET", server.url + large_page.ADDRESS, headers=server.headers | {"accept-encoding": encoding}
    ) as got:
        sent = b"".join(got.iter_raw())
    cut = httpx.Response(
        200, headers={"content-encoding": encoding}, content=(sent[n : n + size] for n in range(0, len(sent), size))
    )
    assert b"".join(cut.iter_bytes()) == plain


@pytest.mark.parametrize("accepted", [None, "gzip, deflate"])
def test_the_official_client(page: tuple[RunningServer, bytes], accepted: str | None) -> None:
    server, plain = page
    headers = {"accept-encoding": accepted} if accepted else {}
    with OpenAI(base_url=f"{server.url}/v1", admin_api_key=server.key, default_headers=headers) as client:
        asked = client.admin.organization.usage.with_raw_response.embeddings(**large_page.WINDOW)
    assert asked.headers["content-encoding"] == ("gzip" if accepted else "zstd")
    assert [bucket.to_dict() for bucket in asked.parse().data] == json.loads(plain)["data"]


def test_ours(page: tuple[RunningServer, bytes]) -> None:
    server, plain = page
    with UsageAPI(server.key, f"{server.url}/v1") as client:
        asked = client.usage_embeddings(**large_page.WINDOW)
    counted = [[result.input_tokens for result in bucket.results] for bucket in asked.data]
    assert counted == [[r["input_tokens"] for r in bucket["results"]] for bucket in json.loads(plain)["data"]]


@pytest.mark.external
@pytest.mark.parametrize("encoding", ["zstd", "gzip", "identity"])
def test_curl(page: tuple[RunningServer, bytes], encoding: str) -> None:
    server, plain = page
    choice = ["--header", f"Accept-Encoding: {encoding}"] if encoding != "zstd" else []
    command = [str(program("curl")), "-sf", "--compressed", *choice, "-H", f"Authorization: Bearer {server.key}"]
    command += ["-w", "%{stderr}%header{content-encoding}", server.url + large_page.ADDRESS]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert done.stderr.decode() == ("" if encoding == "identity" else encoding)
    assert done.stdout == plain


@pytest.mark.external
def test_fetch_of_node(page: tuple[RunningServer, bytes]) -> None:
    server, plain = page
    command = [str(program("node")), "--input-type=module", "-", server.url + large_page.ADDRESS, server.key]
    done = subprocess.run(command, input=FETCH.encode(), capture_output=True, check=True, timeout=60)
    assert done.stderr.decode().strip() in ("gzip", "zstd")  # the newer ones understand zstd
    assert done.stdout == plain


def test_one_that_accepts_nothing(page: tuple[RunningServer, bytes]) -> None:
    server, plain = page
    request = urllib.request.Request(server.url + large_page.ADDRESS, headers=server.headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.headers["content-encoding"] is None
        assert answer.read() == plain
