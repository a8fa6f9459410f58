"""Answers compressed where the client asks for it: the same bytes, whatever their size and however they are sent."""

import json
import zlib
from typing import Any

import pytest
import zstandard
from tests.server.support import NOW, Serve, event

from usageledger.ledger import Ledger
from usageledger.server.http.compression import COMPRESSED_BYTES_MIN, chosen

pytestmark = pytest.mark.anyio

DAY = 86_400
PAGE = f"/v1/organization/usage/embeddings?start_time={NOW - NOW % DAY}&end_time={NOW}&group_by=model"
DAYS = f"start_time={NOW - NOW % DAY - 4 * DAY}&end_time={NOW}"
USAGE, NONE = (f"/v1/organization/usage/{kind}?{DAYS}&group_by=project_id" for kind in ("embeddings", "images"))
COSTS = f"/v1/organization/costs?{DAYS}&group_by=project_id,line_item"


def unzstd(body: bytes) -> bytes:
    """One frame and nothing behind it."""
    frame = zstandard.ZstdDecompressor().decompressobj()
    plain = frame.decompress(body)
    assert (frame.eof, frame.unused_data) == (True, b"")
    return plain


def gunzip(body: bytes) -> bytes:
    """One member and nothing behind it."""
    member = zlib.decompressobj(31)
    plain = member.decompress(body)
    assert (member.eof, member.unused_data) == (True, b"")
    return plain


UNPACK = {"gzip": gunzip, "zstd": unzstd}


async def raw(server: Any, url: str, accepted: str) -> tuple[Any, bytes]:
    """The headers and the body as they came."""
    async with server.client.stream("GET", url, headers={"accept-encoding": accepted}) as response:
        assert response.status_code == 200
        return response.headers, b"".join([piece async for piece in response.aiter_raw()])


@pytest.mark.parametrize("models", [1, 20, 3000])
@pytest.mark.parametrize("encoding", UNPACK)
async def test_the_same_bytes(serve: Serve, ledger: Ledger, encoding: str, models: int) -> None:
    async with serve(ledger) as server:
        await server.post("/v1/events", json=[event(n, model=f"model {n}") for n in range(models)])
        headers, plain = await raw(server, PAGE, "identity")
        assert "content-encoding" not in headers
        packed_headers, packed = await raw(server, PAGE, encoding)
    assert headers["vary"] == packed_headers["vary"] == "Accept-Encoding"
    if len(plain) < COMPRESSED_BYTES_MIN:
        assert (models, "content-encoding" in packed_headers, packed) == (1, False, plain)
        return
    assert packed_headers["content-encoding"] == encoding
    assert len(packed) < len(plain) / 3
    assert packed_headers["content-length"] == str(len(packed))
    assert UNPACK[encoding](packed) == plain


@pytest.mark.parametrize("cache_bytes", [0, 5_000, 1 << 26], ids=["not kept", "partly kept", "kept"])
@pytest.mark.parametrize("page", [USAGE, COSTS, NONE], ids=["usage", "costs", "none"])
async def test_pages_of_large_small_and_empty_buckets(
    serve: Serve, ledger: Ledger, page: str, cache_bytes: int
) -> None:
    """In whatever order the encodings are asked for, and whether they were before."""
    projects = {4: 0, 3: 100, 2: 0, 1: 3, 0: 900}  # by days before today
    fields: dict[str, Any] = {"model": "text-embedding-3-small", "input_tokens": 10**6}
    events = [
        event(f"{day}-{n}", timestamp=NOW - 60 - day * DAY, project_id=f"project {n}", **fields)
        for day, count in projects.items()
        for n in range(count)
    ]
    bodies = set()
    async with serve(ledger, cache_bytes=cache_bytes) as server:
        assert (await server.post("/v1/events", json=events)).json()["accepted"] == 1003
        for encoding in ("gzip", "zstd", "identity", "zstd", "gzip", "identity"):
            headers, body = await raw(server, page, encoding)
            assert headers["content-length"] == str(len(body))
            given = headers.get("content-encoding", "identity")
            assert given == ("identity" if page == NONE else encoding)
            bodies.add(UNPACK.get(given, bytes)(body))
            head = await server.client.head(page, headers={"accept-encoding": encoding})
            for name in ("content-length", "content-encoding", "content-type", "vary"):
                assert head.headers.get(name) == headers.get(name)
    (plain,) = bodies
    counts = [len(bucket["results"]) for bucket in json.loads(plain)["data"]]
    assert counts == ([0] * 5 if page == NONE else list(projects.values()))


async def test_an_error_is_compressed_too(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        response = await server.get(PAGE + "&models=" + "x" * 5000 + "&limit=99", headers={"accept-encoding": "gzip"})
        assert response.status_code == 400
        response = await server.get("/openapi.json", headers={"accept-encoding": "zstd"})
    assert response.headers["content-encoding"] == "zstd"
    assert response.json()["openapi"] == "3.1.0"


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("", None),
        ("identity", None),
        ("br, deflate", None),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("gzip;q=0.5,zstd ; q=0.7", "zstd"),
        ("zstd;q=0, gzip", "gzip"),
        ("gzip;q=0", None),
        ("*", "zstd"),
        ("*;q=0", None),
        ("*;q=0.1, zstd;q=0", "gzip"),
        ("gzip;q=much", None),
        ("gzip;level=9", "gzip"),
        (";;,,=", None),
    ],
)
def test_what_is_chosen(accepted: str, encoding: str | None) -> None:
    assert chosen(accepted) == encoding
