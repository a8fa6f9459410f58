"""Bodies that are larger than they look: refused at the limit, in bounded memory."""

import gzip
import time
from pathlib import Path

import httpx
import pytest
import zstandard
from tests.faults.support import batch, events_told, post, resident_bytes, verified
from tests.server.process import running
from tests.server.test_errors import problem

MIB = 2**20
TEN_GB = 10 * 10**9


def ten_gigabytes(encoding: str) -> bytes:
    """Ten gigabytes of zeros, compressed: frames, or members, one after another."""
    piece = 100 * MIB
    packed = gzip.compress(bytes(piece)) if encoding == "gzip" else zstandard.compress(bytes(piece))
    return packed * (TEN_GB // piece + 1)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_ten_gigabytes_of_zeros(tmp_path: Path, encoding: str) -> None:
    body = ten_gigabytes(encoding)
    assert len(body) < 16 * MIB
    with running(tmp_path) as server:
        with httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as client:
            assert post(client, batch(0)).json()["accepted"] == 1000
            before, began = resident_bytes(server), time.monotonic()
            for _ in range(3):
                response = client.post("/v1/events", content=body, headers={"content-encoding": encoding})
                problem(response, 413, code="body_too_large")
            assert resident_bytes(server) - before < 200 * MIB
            assert time.monotonic() - began < 30  # ten gigabytes were not unpacked
            assert post(client, batch(1)).json()["accepted"] == 1000
            assert events_told(client) == 2000
        assert server.stop() == (0, "")
    assert verified(tmp_path) == 2000
