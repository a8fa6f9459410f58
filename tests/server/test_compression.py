"""Answers compressed where the client asks for it: the same bytes, whatever their size and however they are sent."""

import gzip
from typing import Any

import pytest
import zstandard
from tests.server.support import NOW, event

from usageledger.server.compression import SMALLEST_BYTES, chosen

pytestmark = pytest.mark.anyio

DAY = 86_400
PAGE = f"/v1/organization/usage/embeddings?start_time={NOW - NOW % DAY}&end_time={NOW}&group_by=model"
UNPACK = {"gzip": gzip.decompress, "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body)}


async def raw(server: Any, url: str, accepted: str) -> tuple[Any, bytes]:
    """The headers and the body as they came."""
    async with server.client.stream("GET", url, headers={"accept-encoding": accepted}) as response:
        assert response.status_code == 200
        return response.headers, b"".join([piece async for piece in response.aiter_raw()])


@pytest.mark.parametrize("models", [1, 20, 3000])
@pytest.mark.parametrize("encoding", UNPACK)
async def test_the_same_bytes(serve, ledger, encoding, models):
    async with serve(ledger) as server:
        await server.post("/v1/events", json=[event(n, model=f"model {n}") for n in range(models)])
        headers, plain = await raw(server, PAGE, "identity")
        assert "content-encoding" not in headers
        packed_headers, packed = await raw(server, PAGE, encoding)
    assert headers["vary"] == packed_headers["vary"] == "Accept-Encoding"
    if len(plain) < SMALLEST_BYTES:
        assert (models, "content-encoding" in packed_headers, packed) == (1, False, plain)
        return
    assert packed_headers["content-encoding"] == encoding
    assert len(packed) < len(plain) / 3
    assert packed_headers.get("content-length", str(len(packed))) == str(len(packed))
    # A page of more than one piece is compressed as it is sent, when nobody knows yet how long it will be.
    assert ("content-length" in packed_headers) == (models < 3000)
    assert UNPACK[encoding](packed) == plain


async def test_an_error_is_compressed_too(serve, ledger):
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
