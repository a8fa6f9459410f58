"""Points of counters → events of what is new in them, each in the ledger once, whoever is killed in between."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from anyio.to_thread import run_sync

from usageledger.errors import OverloadedError
from usageledger.registry.counters import Claim, Counters
from usageledger.sources.readings import Reading, Reason
from usageledger.sources.values import NANOSECONDS

TRIES_MAX = 10  # while other requests claim the same counters
Submit = Callable[[list[dict[str, Any]]], Awaitable[None]]


class CounterPoints:
    """Keeps what is new in points of counters.

    Args:
        counters: how much of each is counted.
        clock: Unix seconds.
        max_future_seconds: that the time of a point may be ahead.
    """

    def __init__(self, counters: Counters, clock: Callable[[], float], max_future_seconds: int) -> None:
        self._counters = counters
        self._clock = clock
        self._max_future_seconds = max_future_seconds

    async def keep(self, reading: Reading, submit: Submit) -> None:
        """Has the events of what is new submitted, in the ledger when it returns; notes the points that are refused.

        Raises:
            OverloadedError, LedgerUnavailableError, RegistryError: the same points may come again.
        """
        now = int(self._clock())
        latest = (now + self._max_future_seconds) * NANOSECONDS
        for point in reading.points:
            if point.at > latest:
                ahead = f"its time {point.at} is more than {self._max_future_seconds} seconds ahead of the server's"
                reading.leave(Reason.REFUSED, point.label, ahead)
        points = [point for point in reading.points if point.at <= latest]
        for _ in range(TRIES_MAX):
            growth = await run_sync(partial(self._counters.claim, points, now=now))
            for claim in growth.first:
                await self._keep(claim, submit)
            if not growth.first:
                break
        else:
            raise OverloadedError("The same counters come in many requests at once: send this again.", retry_after=1)
        for point, why in growth.refused:
            reading.leave(Reason.REFUSED, point.label, why)
        if growth.claim:
            await self._keep(growth.claim, submit)

    async def _keep(self, claim: Claim, submit: Submit) -> None:
        await submit(claim.events)
        await run_sync(self._counters.settle, claim)
