"""What the bodies of several requests hold together: who is refused, who is not, and that nothing is held for ever."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from tests.server.support import event
from tests.server.test_errors import problem

from usageledger.server.bodies import FREE_BYTES

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


async def test_large_bodies_wait_for_each_other_and_small_ones_for_none(serve, double):
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


async def test_a_lone_body_is_read_however_large(serve, double):
    async with serve(double, max_bodies_bytes=0) as server:
        for number in range(3):
            assert (await server.post(URL, content=large(number))).json()["accepted"] == 1


@pytest.mark.parametrize("end", ["leaves", "is refused", "sends too much"])
async def test_what_was_held_is_free_again(serve, double, end):
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
