"""Events that are dropped after their time, whatever the setting, the clock, a restart or the registry say later."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from typing import Any

import pytest
from tests.server.support import NOW, Clock, Server, lifespan, until
from tests.support.samples import DAY, usage, wire

from usageledger.ledger import open_ledger
from usageledger.ledger.proof.usage_proof import verify
from usageledger.registry import open_registry
from usageledger.server.app import create_app
from usageledger.settings import Settings

pytestmark = pytest.mark.anyio

TODAY = NOW - NOW % DAY
DAYS = (-40, -20, -2, -1, 0)


def events(day: int) -> list[dict[str, Any]]:
    return [wire(usage("images", f"{day} {number}", TODAY + day * DAY + number, images=10)) for number in range(100)]


@asynccontextmanager
async def served(settings: Settings, clock: Clock, days: int) -> AsyncIterator[Server]:
    """A server over the files of a folder, opened for this alone, and closed and verified at the end."""
    with open_registry(settings.registry_url) as registry, closing(open_ledger(settings.ledger_url)) as ledger:
        key = registry.create_key("test", now=int(clock.now))[1]
        app = create_app(replace(settings, retention_days=days), ledger, registry, clock)
        server = Server(app, key)
        async with lifespan(app), server.client:
            yield server
        assert [finding for finding in verify(ledger) if not finding.ok] == []


async def count(server: Server, outcome: str, day: int) -> bool:
    answer = (await server.post("/v1/events", json=events(day))).json()
    assert answer["accepted"] + answer["duplicates"] + answer["rejected"] == 100
    return bool(answer[outcome] == 100)


async def told(server: Server, first: int = DAYS[0]) -> int:
    window: dict[str, Any] = {"start_time": TODAY + first * DAY, "end_time": TODAY + DAY, "bucket_width": "all"}
    (bucket,) = (await server.get("/v1/organization/usage/images", params=window)).json()["data"]
    return sum(result["images"] for result in bucket["results"])


async def dropped(server: Server, day: int) -> bool:
    window: dict[str, Any] = {"start_time": TODAY + day * DAY, "bucket_width": "1m", "limit": 1}
    answer = await server.get("/v1/organization/usage/images", params=window)
    return answer.status_code == 400 and answer.json()["error"]["code"] == "events_dropped"


async def test_a_dropped_day_stays_closed(settings: Settings, clock: Clock) -> None:
    async with served(settings, clock, 0) as server:
        for day in DAYS:
            assert await count(server, "accepted", day)
    shutil.copy(settings.data / "registry.sqlite", settings.data / "copy")
    async with served(settings, clock, 30) as server:
        await until(lambda: dropped(server, -40))
        assert await count(server, "rejected", -40)
        assert await told(server) == 5000
    for days, restored in ((60, False), (0, False), (60, True), (50, False), (30, False)):
        if restored:
            shutil.copy(settings.data / "copy", settings.data / "registry.sqlite")
        async with served(settings, clock, days) as server:
            await asyncio.sleep(0.5)  # upkeep looks several times
            assert await count(server, "rejected", -40)
            assert await count(server, "duplicates", -20)
            assert await told(server) == 5000


async def test_a_clock_that_was_ahead_closes_no_day_of_now(settings: Settings, clock: Clock) -> None:
    """Not even where an event came by that clock: a day that nobody sent usage of on purpose is one day."""
    async with served(settings, clock, 30) as server:
        for day in DAYS:
            await count(server, "accepted", day)
        await until(lambda: dropped(server, -40))
        clock.now += 400 * DAY
        await asyncio.sleep(0.5)  # upkeep looks several times
        assert await count(server, "accepted", 400)
        await asyncio.sleep(0.5)
    clock.now -= 400 * DAY
    for _ in range(2):
        async with served(settings, clock, 30) as server:
            for day in (-20, -2, -1, 0):
                assert await count(server, "duplicates", day)
            assert await count(server, "rejected", -40)
            assert await told(server) == 5000


async def test_a_day_without_events_is_dropped_and_closed_when_it_got_some(settings: Settings, clock: Clock) -> None:
    async with served(settings, clock, 0) as server:
        for day in DAYS:
            assert await count(server, "accepted", day)
    async with served(settings, clock, 30) as server:
        await until(lambda: dropped(server, -40))
        assert await count(server, "accepted", -35)
        assert await told(server) == 6000
        clock.now += DAY
        assert await count(server, "accepted", 1)
        await until(lambda: dropped(server, -35))
        assert await count(server, "rejected", -35)
        assert await told(server) == 6000
