"""The seconds at which responses count: every server has the same."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from usageledger.registry import Registry, open_registry
from usageledger.registry.claims import CLOCKS_APART_SECONDS
from usageledger.registry.schema import claims

NOW = 1_750_000_000
APART = 48 * 3600


def claim(registry: Registry, *responses: tuple[str, int], now: int = NOW) -> list[int]:
    return registry.claims.claim(responses, now=now).seconds


def held(registry: Registry) -> list[int]:
    with registry._database.read() as connection:
        return sorted(connection.scalars(select(claims.c.second)))


def test_the_first_second_stands_for_48_hours(url: str, registry: Registry) -> None:
    assert claim(registry, ("response:r", NOW)) == [NOW]
    with open_registry(url) as other:
        assert claim(other, ("response:r", NOW + 5), ("response:s", NOW + 5)) == [NOW, NOW + 5]
        assert claim(other, ("response:r", NOW - APART), ("response:r", NOW + APART)) == [NOW, NOW]
        assert claim(other, ("response:r", NOW - APART - 1)) == [NOW - APART - 1]
    assert claim(registry, ("response:r", NOW + 1), ("response:r", NOW - APART)) == [NOW, NOW - APART - 1]
    assert held(registry) == [NOW - APART - 1, NOW, NOW + 5]


def test_of_one_commit_the_first_stands(registry: Registry) -> None:
    seconds = [NOW + 9, NOW, NOW + 9 + APART, NOW + 10 + APART, NOW + 9 + APART]
    assert claim(registry, *(("response:r", second) for second in seconds)) == [
        NOW + 9,
        NOW + 9,
        NOW + 9,
        NOW + 10 + APART,
        NOW + 10 + APART,
    ]


def test_many_at_once(registry: Registry) -> None:
    many = [(f"response:{n}", NOW + n) for n in range(2_000)]
    assert claim(registry, *many) == [second for _, second in many]
    assert claim(registry, *((name, second + 60) for name, second in many)) == [second for _, second in many]


def test_servers_that_claim_at_once_agree(url: str, registry: Registry) -> None:
    """Each has seconds of its own for the same responses, in another order."""
    together = threading.Barrier(4)

    def run(number: int) -> dict[str, int]:
        names = [f"response:{n}" for n in range(300)][:: 1 if number % 2 else -1]
        with open_registry(url) as mine:
            together.wait()
            found: dict[str, int] = {}
            for start in range(0, 300, 50):
                some = names[start : start + 50]
                found |= zip(some, claim(mine, *((name, NOW + number) for name in some)), strict=True)
        return found

    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(run, range(4))
    assert all(found == first for found in others)
    assert len(held(registry)) == 300


def test_claims_are_removed_when_nobody_needs_them(registry: Registry) -> None:
    claim(registry, ("response:now", NOW), ("response:late", NOW - 30 * APART))
    claim(registry, ("response:next", NOW + APART), now=NOW + APART)
    assert held(registry) == [NOW - 30 * APART, NOW, NOW + APART], "a server may be about to keep the late one"
    claim(registry, ("response:next", NOW + APART), now=NOW + APART + 1)
    assert held(registry) == [NOW, NOW + APART]
    claim(registry, ("response:next", NOW + APART), now=NOW + 2 * APART)
    assert held(registry) == [NOW, NOW + APART], "one that comes 48 hours late is still within 48 hours of it"
    claim(registry, ("response:next", NOW + APART), now=NOW + 2 * APART + 1)
    assert held(registry) == [NOW + APART]


def test_from_when_on_all_are_known(registry: Registry) -> None:
    def known_from(now: int) -> int:
        return registry.claims.claim([(f"response:{now}", now)], now=now).known_from - CLOCKS_APART_SECONDS

    assert known_from(NOW) == NOW, "others may have kept responses before there were claims"
    assert known_from(NOW + 5) == NOW
    assert known_from(NOW + APART) == NOW
    assert known_from(NOW + 2 * APART) == NOW
    assert known_from(NOW + 2 * APART + 9) == NOW + APART, "those before were removed"


SENT = st.lists(st.lists(st.tuples(st.sampled_from("rs"), st.integers(0, 6), st.sampled_from([-1, 0, 1])), max_size=5))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=SENT)
def test_any_history_is_as_by_the_model(path: Path, sent: Sequence[Sequence[tuple[str, int, int]]]) -> None:
    registry = open_registry(f"sqlite:///{path}")
    with registry._database.write() as connection:
        connection.execute(claims.delete())
    model: list[tuple[str, int]] = []
    for some in sent:
        asked = [(f"response:{name}", NOW + halves * APART // 2 + off) for name, halves, off in some]
        expected = []
        for name, second in asked:
            near = [at for other, at in model if other == name and abs(at - second) <= APART]
            expected.append(min(near, key=lambda at: (abs(at - second), at)) if near else second)
            if not near:
                model.append((name, second))
        assert claim(registry, *asked) == expected
    registry.close()
