"""Claims on counters: each growth once, whoever claims it, and none before the one before is in the ledger."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import func, select

from usageledger.registry import Registry, open_registry
from usageledger.registry.counters import Growth
from usageledger.registry.schema import counter_claims, counters
from usageledger.sources.counters import KEPT_SECONDS
from usageledger.sources.readings import CounterPoint

NOW = 1_750_000_000
SECOND = 10**9
DAY = 86_400


def point(number: int, total: int, at: int = 0, start: int = NOW - 3_600) -> CounterPoint:
    digest = number.to_bytes(16, "big")
    event = {"kind": "completions", "output_tokens": 0}
    return CounterPoint(digest, start * SECOND, (NOW + at) * SECOND, total, 0, ("input_tokens",), event, "tokens")


def claim(registry: Registry, *points: CounterPoint, now: int = NOW) -> Growth:
    return registry.counters.claim(points, now=now)


def grown(growth: Growth) -> list[int]:
    return [event["input_tokens"] for event in growth.claim.events] if growth.claim else []


def rows(registry: Registry, table: Any = counters) -> int:
    with registry._database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def test_nothing_more_is_claimed_until_the_last_claim_is_settled(url: str, registry: Registry) -> None:
    first = claim(registry, point(1, 100), point(2, 7))
    assert sorted(grown(first)) == [7, 100]
    with open_registry(url) as other:
        again = claim(other, point(1, 150, at=1))
        assert again.claim is None
        assert first.claim
        assert [(each.id, each.events) for each in again.first] == [(first.claim.id, first.claim.events)]
        assert claim(other, point(3, 5)).first == [], "it is another counter's"
        other.counters.settle(again.first[0])
        registry.counters.settle(first.claim)
        assert grown(claim(other, point(1, 150, at=1))) == [50]


def test_a_point_that_brings_nothing_makes_no_claim(registry: Registry) -> None:
    first = claim(registry, point(1, 100))
    assert first.claim
    registry.counters.settle(first.claim)
    assert rows(registry, counter_claims) == 0
    assert claim(registry, point(1, 100, at=9)) == Growth()
    assert rows(registry, counter_claims) == 0
    fell = claim(registry, point(1, 99, at=10))
    assert [why[:16] for _, why in fell.refused] == ["A total of 99 (0"]


def test_points_of_one_request_count_in_the_order_of_their_times(registry: Registry) -> None:
    growth = claim(registry, point(1, 250, at=2), point(1, 100, at=1), point(1, 250, at=2))
    assert grown(growth) == [100, 150]
    assert growth.claim
    assert [event["timestamp"] - NOW for event in growth.claim.events] == [1, 2]


def test_many_counters(registry: Registry) -> None:
    first = claim(registry, *(point(n, 5) for n in range(10_000)))
    assert sum(grown(first)) == 50_000
    assert first.claim
    registry.counters.settle(first.claim)
    assert sum(grown(claim(registry, *(point(n, 6, at=1) for n in range(10_000))))) == 10_000


def test_counters_are_forgotten_long_after_their_last_point_and_never_count_twice(registry: Registry) -> None:
    first = claim(registry, point(1, 100), point(2, 100))
    assert first.claim
    registry.counters.settle(first.claim)
    claim(registry, point(1, 100, at=2 * DAY), now=NOW + 2 * DAY)
    late = NOW + KEPT_SECONDS + 1
    assert grown(claim(registry, point(1, 110, at=KEPT_SECONDS), now=late)) == [10]
    assert rows(registry) == 1
    again = claim(registry, point(2, 100, at=KEPT_SECONDS), now=late)
    assert (again.claim, len(again.refused)) == (None, 1)


def test_servers_that_claim_at_once_count_each_growth_once(url: str, registry: Registry) -> None:
    """Each sends the same totals in an order of its own; what it claims it keeps, and then settles."""
    together = threading.Barrier(3)
    kept: set[str] = set()
    totals: dict[str, int] = {}

    def run(number: int) -> None:
        with open_registry(url) as mine:
            together.wait()
            for step in range(1, 25):
                while True:
                    growth = claim(mine, *(point(n, step * 10 + n, at=step) for n in range(3)))
                    for each in (*growth.first, *([growth.claim] if growth.claim else [])):
                        for event in each.events:
                            kept.add(event["id"])
                            assert totals.setdefault(event["id"], event["input_tokens"]) == event["input_tokens"]
                        mine.counters.settle(each)
                    if not growth.first:
                        break
            assert number < 3

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(run, range(3)))
    assert sum(totals.values()) == sum(240 + n for n in range(3))
    assert rows(registry, counter_claims) == 0
