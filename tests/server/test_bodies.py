"""What the bodies of several requests hold together: who is refused, who is not, and that nothing is held for ever."""

import asyncio
import gzip
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import zstandard
from starlette.requests import Request
from tests.server.support import Serve, event
from tests.support.ledger_double import LedgerDouble
from tests.support.problems import problem

from usageledger.errors import OverloadedError
from usageledger.server.http.request_bodies import LARGE_BODY_BYTES, Bodies
from usageledger.server.http.shared_memory import FREE_BYTES
from usageledger.settings import Settings

pytestmark = pytest.mark.anyio

URL = "/v1/events"
TOGETHER = 100_000


def large(number: int, padding: int = FREE_BYTES + TOGETHER // 2 + 1) -> bytes:
    """The body of an event, of which two are more than there may be."""
    return b" " * padding + msgspec.json.encode(event(number))


class Slow:
    """A client that sends all of a body but its last byte, and then waits."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.stalled, self.go_on = asyncio.Event(), asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body) - 1, 50_000):
            yield self._body[start : min(start + 50_000, len(self._body) - 1)]
        self.stalled.set()
        await self.go_on.wait()
        yield self._body[-1:]


async def test_large_bodies_wait_for_each_other_and_small_ones_for_none(serve: Serve, double: LedgerDouble) -> None:
    slow = Slow(large(1))
    async with serve(double, max_bodies_bytes=TOGETHER) as server:
        first = asyncio.create_task(server.post(URL, content=slow))
        await slow.stalled.wait()
        for _ in range(3):
            response = await server.post(URL, content=large(2))
            error = problem(response, 503, type="server_error", code="overloaded")
            assert str(TOGETHER) in error["message"]
            assert response.headers["retry-after"] == "1"
        for number in (3, 4):
            assert (await server.post(URL, content=large(number, padding=60_000))).json()["accepted"] == 1
        slow.go_on.set()
        assert (await first).json()["accepted"] == 1
        assert (await server.post(URL, content=large(2))).json()["accepted"] == 1
    assert double.ids == ["e3", "e4", "e1", "e2"]


async def test_a_lone_body_is_read_however_large(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double, max_bodies_bytes=0) as server:
        for number in range(3):
            assert (await server.post(URL, content=large(number))).json()["accepted"] == 1


@pytest.mark.parametrize("end", ["leaves", "is refused", "sends too much"])
async def test_what_was_held_is_free_again(serve: Serve, double: LedgerDouble, end: str) -> None:
    slow = Slow(b" " * (2_000_000 if end == "sends too much" else 200_000) + b"[")
    async with serve(double, max_bodies_bytes=TOGETHER, max_body_bytes=1_000_000) as server:
        request = asyncio.create_task(server.post(URL, content=slow))
        if end == "sends too much":
            problem(await request, 413)
        elif end == "leaves":
            await slow.stalled.wait()
            request.cancel()
        else:
            await slow.stalled.wait()
            slow.go_on.set()
            problem(await request, 400)
        slow = Slow(large(2))
        other = asyncio.create_task(server.post(URL, content=slow))
        await slow.stalled.wait()
        assert (await server.post(URL, content=large(3, padding=100_000))).json()["accepted"] == 1
        slow.go_on.set()
        assert (await other).json()["accepted"] == 1


def compressed(encoding: str, size: int) -> Request:
    """A request whose body is of so many bytes, compressed."""
    noise = random.Random(1).randbytes(size // 2)
    plain = noise + bytes(size - len(noise))
    body = gzip.compress(plain) if encoding == "gzip" else zstandard.compress(plain)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({"type": "http", "headers": [(b"content-encoding", encoding.encode())]}, receive)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@pytest.mark.parametrize("size", [FREE_BYTES + TOGETHER // 2 + 1, 4 * LARGE_BODY_BYTES])
async def test_a_body_counts_as_it_is_unpacked(settings: Settings, encoding: str, size: int) -> None:
    """On the event loop and off it; a small one is read all the same, and at the end nothing is held."""
    bodies = Bodies(replace(settings, max_bodies_bytes=TOGETHER))
    for _ in range(2):
        async with bodies.read(compressed(encoding, size)) as body:
            assert len(body) == size
            with pytest.raises(OverloadedError, match=str(TOGETHER)):
                async with bodies.read(compressed(encoding, size)):
                    pass
            async with bodies.read(compressed(encoding, FREE_BYTES // 2)) as other:
                assert len(other) == FREE_BYTES // 2
