"""Servers that share a ledger: a response that several are told of at once, at other seconds, counts once."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.server.support import NOW, Clock, MakeKey, Server, event, lifespan
from tests.support.engines import ONE_NODE
from tests.support.ledger_contents import cards_used, count, doubled, responses_doubled
from tests.support.ledger_contents import event as stored
from tests.support.metric_bodies import metric, point
from tests.support.services.postgresql import new_database

from usageledger.errors import LedgerUnavailableError
from usageledger.ledger import open_ledger
from usageledger.ledger.clickhouse import ClickHouseLedger
from usageledger.registry import Registry, open_registry
from usageledger.registry.claims import CLOCKS_APART_SECONDS
from usageledger.server.app import create_app
from usageledger.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.external]

URL = "/v1/events"
APART = 48 * 3600
DAY = 86_400


@pytest.fixture
def registry() -> Iterator[Registry]:
    with open_registry(new_database()) as opened:
        yield opened


@pytest.fixture
def ledgers(tmp_path: Path) -> Iterator[list[ClickHouseLedger]]:
    ONE_NODE.prepare(tmp_path)
    with ExitStack() as stack:
        opened = [stack.enter_context(closing(open_ledger(ONE_NODE.url(tmp_path)))) for _ in range(2)]
        assert all(isinstance(each, ClickHouseLedger) for each in opened)
        yield opened  # type: ignore[misc]  # the same


@asynccontextmanager
async def served(ledger: ClickHouseLedger, registry: Registry, clock: Clock, key: MakeKey, folder: Path) -> Any:
    app = create_app(Settings(data=folder), ledger, registry, clock)
    server = Server(app, key())
    async with lifespan(app), server.client:
        yield server


def response(number: int, second: int, **fields: Any) -> dict[str, Any]:
    return event(f"{number}", timestamp=second, **fields) | {"id": f"response:{number}"}


async def test_two_servers_at_once_at_other_seconds(
    ledgers: list[ClickHouseLedger],
    registry: Registry,
    clock: Clock,
    key: MakeKey,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both have looked for the responses before either inserts them; one of the two seconds is of another day."""
    looked = threading.Barrier(2)
    for ledger in ledgers:
        insert = ledger._insert

        def late(rows: pa.Table, precedence: int, insert: Any = insert) -> None:
            looked.wait(30)
            insert(rows, precedence)

        monkeypatch.setattr(ledger, "_insert", late)
    midnight = NOW - NOW % DAY
    ways = [[response(n, midnight + off, model=model) for n in range(50)] for off, model in ((-2, "m"), (2, "n"))]
    async with (
        served(ledgers[0], registry, clock, key, tmp_path) as one,
        served(ledgers[1], registry, clock, key, tmp_path) as other,
    ):
        told = await asyncio.gather(one.post(URL, json=ways[0]), other.post(URL, json=ways[1]))
        assert [answer.json()["accepted"] for answer in told] == [50, 50], "each looked before the other inserted"
        monkeypatch.undo()
        assert (count(ledgers[0]), doubled(ledgers[0], 0), responses_doubled(ledgers[0])) == (50, [], [])
        days = {use.subject.day for use in cards_used(ledgers[0]) for _ in range(use.events)}
        (second,) = {
            second for n in range(50) for second in (-2, 2) if stored(ledgers[0], f"response:{n}", midnight + second)
        }
        assert days == {midnight + (0 if second > 0 else -DAY)}, "the rate card is of the day at which it is kept"
        others = 0
        for server, way in ((other, ways[0]), (one, ways[1])):
            again = (await server.post(URL, json=way)).json()
            assert (again["duplicates"], again["rejected"]) == (50, 0)
            assert again.get("same_response", 0) in (0, 50)
            others += again.get("same_response", 0) == 50
        assert others >= 1, "of one way are the seconds, of one the models"
    assert count(ledgers[0]) == 50


async def test_a_claim_of_a_server_that_was_killed_is_the_second_of_the_next(
    ledgers: list[ClickHouseLedger],
    registry: Registry,
    clock: Clock,
    key: MakeKey,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(*_: object) -> None:
        raise LedgerUnavailableError("away")

    monkeypatch.setattr(ledgers[0], "_insert", away)
    async with (
        served(ledgers[0], registry, clock, key, tmp_path) as one,
        served(ledgers[1], registry, clock, key, tmp_path) as other,
    ):
        assert (await one.post(URL, json=response(1, NOW - 60))).status_code == 503
        later = response(1, NOW - 50, provider="azure")
        assert (await other.post(URL, json=later)).json()["accepted"] == 1
        again = (await other.post(URL, json=[later, response(1, NOW - 60)])).json()
        assert (again["duplicates"], again["same_response"]) == (2, 2)
        conflict = (await other.post(URL, json=later | {"input_tokens": 11})).json()
        assert "input_text_tokens 10 is kept, 11 was given" in conflict["errors"][0]["message"]
        same = response(2, NOW - 50)
        told = [(await server.post(URL, json=same)).json() for server in (other, other)]
        assert [(each["accepted"], each["duplicates"], each.get("same_response")) for each in told] == [
            (1, 0, None),
            (0, 1, None),
        ]
    assert stored(ledgers[1], "response:1", NOW - 60)
    assert (count(ledgers[1]), responses_doubled(ledgers[1])) == (2, [])


async def test_responses_of_before_there_were_claims(
    ledgers: list[ClickHouseLedger], registry: Registry, clock: Clock, key: MakeKey, tmp_path: Path
) -> None:
    """The ledger is asked for the ids of 48 hours before and after, until claims are known for as long."""
    looks: list[str] = []
    async with served(ledgers[0], registry, clock, key, tmp_path) as server:
        assert (await server.post(URL, json=response(1, NOW - 60))).json()["accepted"] == 1
        with registry._database.write() as connection:
            connection.exec_driver_sql("DELETE FROM claims")
        told = (await server.post(URL, json=response(1, NOW - 60 - 100))).json()
        assert (told["duplicates"], told["same_response"]) == (1, 1)
        told = (await server.post(URL, json=response(1, NOW - 161 - APART))).json()
        assert told["accepted"] == 1

        read = ledgers[0]._connection.read

        def noted(text: str, *given: Any, **named: Any) -> Any:
            looks.append(text)
            return read(text, *given, **named)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ledgers[0]._connection, "read", noted)
            clock.now += 2 * APART
            for number in range(3):
                looks.clear()
                assert (await server.post(URL, json=response(7 + number, int(clock.now)))).json()["accepted"] == 1
                early = [text for text in looks if "BETWEEN" in text]
                assert bool(early) == (number < 2), "later ones are looked for where they were claimed alone"
                clock.now += APART / 2 + CLOCKS_APART_SECONDS + 1
    assert (count(ledgers[0]), responses_doubled(ledgers[0])) == (5, [])


async def test_many_ways_at_once(
    ledgers: list[ClickHouseLedger], registry: Registry, clock: Clock, key: MakeKey, tmp_path: Path
) -> None:
    """Requests to both servers, each response three times, at three seconds, in small batches."""
    async with (
        served(ledgers[0], registry, clock, key, tmp_path) as one,
        served(ledgers[1], registry, clock, key, tmp_path) as other,
    ):
        batches = [
            [response(n, NOW - 600 + way * 7, provider=f"p{way}") for n in range(start, start + 20)]
            for start in range(0, 200, 20)
            for way in range(3)
        ]
        sent = [(one, other)[number % 2].post(URL, json=batch) for number, batch in enumerate(batches)]
        told = [answer.json() for answer in await asyncio.gather(*sent)]
    assert all(each["rejected"] == 0 for each in told), told
    assert (count(ledgers[0]), responses_doubled(ledgers[0])) == (200, [])


async def test_a_counter_of_which_both_are_told_at_once_counts_once(
    ledgers: list[ClickHouseLedger], registry: Registry, clock: Clock, key: MakeKey, tmp_path: Path
) -> None:
    """The same totals of metrics and later ones come to both, in any order, until each is answered with 200."""
    async with (
        served(ledgers[0], registry, clock, key, tmp_path) as one,
        served(ledgers[1], registry, clock, key, tmp_path) as other,
    ):
        told = [
            metric(point("input", 10 * n, NOW - 999, NOW - 99 + n), point("output", n, NOW - 999, NOW - 99 + n))
            for n in range(1, 13)
        ]
        left = [(server, body) for body in told for server in (one, other)]
        async with asyncio.timeout(120):
            while left:
                answers = await asyncio.gather(*(server.post("/v1/metrics", json=body) for server, body in left))
                left = [each for each, answer in zip(left, answers, strict=True) if answer.status_code == 503]
        day = {"start_time": NOW - DAY, "bucket_width": "all"}
        (bucket,) = (await one.get("/v1/organization/usage/completions", params=day)).json()["data"]
        names = ("num_model_requests", "input_tokens", "output_tokens")
        assert [sum(result[name] for result in bucket["results"]) for name in names] == [1, 120, 12]
    assert doubled(ledgers[0], 0) == []
