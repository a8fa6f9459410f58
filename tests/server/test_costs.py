"""Costs over HTTP: amounts, the header, the list of what has no price, and what is refused."""

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import count
from typing import Any

import pytest
from tests.server.support import NOW, Clock, Serve, event
from tests.support.problems import problem
from tests.support.samples import table

from usageledger.events.columns import with_cards
from usageledger.ledger import Ledger
from usageledger.pricing.book import PriceBook
from usageledger.rating.card_giver import CardGiver
from usageledger.rating.price_tables import PriceTables
from usageledger.rating.unpriced import unpriced_usage
from usageledger.registry import Registry

pytestmark = pytest.mark.anyio

COSTS, UNPRICED = "/v1/organization/costs", "/v1/unpriced"
HEADER = "x-usageledger-unpriced"
DAY = 86_400
TODAY = NOW - NOW % DAY
WINDOW = {"start_time": TODAY, "end_time": TODAY + DAY}


def known(number: int = 1, **fields: Any) -> dict[str, Any]:
    """Embeddings of a model that has a price: 0.02 USD for a million tokens."""
    return event(number, model="text-embedding-3-small", **fields)


async def amounts(server: Any, **given: Any) -> list[Any]:
    response = await server.get(COSTS, params={**WINDOW, **given})
    assert response.status_code == 200, response.text
    return [result["amount"]["value"] for bucket in response.json()["data"] for result in bucket["results"]]


async def test_an_event_is_in_the_next_answer(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        assert await amounts(server) == []
        for number in range(3):
            await server.post("/v1/events", json=known(number, input_tokens=50_000_000))
            assert await amounts(server) == [number + 1]


async def test_a_small_amount_has_no_exponent(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        await server.post("/v1/events", json=known(input_tokens=1))
        response = await server.get(COSTS, params=WINDOW)
    assert b'"amount":{"value":0.00000002,"currency":"usd"}' in response.content


async def test_the_header_says_that_something_has_no_price(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        await server.post("/v1/events", json=known())
        assert HEADER not in (await server.get(COSTS, params=WINDOW)).headers
        await server.post("/v1/events", json=[event(2, model="mystery"), event(3, model="riddle")])
        for _ in range(2):  # from the ledger, and from the cache
            assert (await server.get(COSTS, params=WINDOW)).headers[HEADER] == "2"
        before = {"start_time": TODAY - DAY, "end_time": TODAY}
        assert HEADER not in (await server.get(COSTS, params=before)).headers


async def test_what_has_no_price_is_listed_and_logged_once(
    serve: Serve, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "usageledger")
    async with serve(ledger) as server:
        assert (await server.get(UNPRICED)).json() == {"object": "list", "data": []}
        events = [event(n, model="mystery", timestamp=NOW - n * DAY, input_tokens=n) for n in range(1, 4)]
        await server.post("/v1/events", json=[*events, known(9)])
        await server.post("/v1/events", json=event(10, model="mystery", input_tokens=4))
        (entry,) = (await server.get(UNPRICED)).json()["data"]
        assert (await server.get(UNPRICED, params={"end_time": TODAY})).json()["data"][0]["quantities"][0][
            "quantity"
        ] == 6
        assert (await server.get(UNPRICED, params={"start_time": NOW + DAY})).json()["data"] == []
    assert entry == {
        "object": "unpriced",
        "kind": "embeddings",
        "provider": "openai",
        "model": "mystery",
        "service_tier": None,
        "batch": False,
        "size": None,
        "quality": None,
        "context_level": None,
        "tool": None,
        "memory_gb": None,
        "session_minutes": None,
        "region": None,
        "quantities": [
            {
                "part": "input_text_tokens",
                "line_item": "mystery, input",
                "quantity": 10,
                "quantity_unit": "tokens",
                "reason": "no_alias",
                "message": "no price list of openai has this name",
            }
        ],
        "first_time": NOW - 3 * DAY,
        "last_time": NOW - 60,
    }
    said = [record.getMessage() for record in caplog.records]
    lists = "GET /v1/unpriced lists what has none"
    assert said == [f"no price for embeddings of 'openai': 'mystery', tier 'standard'; {lists}"]
    caplog.clear()
    async with serve(ledger) as server:
        for first in (0, 300):
            await server.post("/v1/events", json=[event(n, model=f"made-up-{n}") for n in range(first, first + 300)])
    (message,) = caplog.messages
    assert re.fullmatch(
        rf"no price for embeddings of 'openai': 'made-up-\d+', tier 'standard', and for 299 others; {lists}", message
    )


async def test_more_without_a_price_than_are_listed(
    serve: Serve, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are counted all the same; a list of some of them, with sums of some of their days, would be wrong."""
    monkeypatch.setattr("usageledger.server.api.costs.unpriced_usage", partial(unpriced_usage, listed_max=3))
    async with serve(ledger) as server:
        await server.post("/v1/events", json=[event(n, model=f"made-up-{n}") for n in range(3)])
        assert len((await server.get(UNPRICED)).json()["data"]) == 3
        await server.post("/v1/events", json=event(3, model="made-up-3"))
        assert (await server.get(COSTS, params=WINDOW)).headers[HEADER] == "4"
        error = problem(await server.get(UNPRICED), 400, code="too_many_results", param="start_time")
        assert error["message"].startswith("More than 3 prices are missing")


async def test_the_window_of_a_page_decides_what_is_unpriced(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        await server.post("/v1/events", json=[known(), event(2, model="mystery", timestamp=TODAY - DAY)])
        window = {"start_time": TODAY - DAY, "end_time": TODAY + DAY, "limit": 1}
        first = await server.get(COSTS, params=window)
        second = await server.get(COSTS, params={"page": first.json()["next_page"]})
    assert (HEADER in first.headers, HEADER in second.headers) == (True, False)
    assert [len(page.json()["data"][0]["results"]) for page in (first, second)] == [0, 1]


async def test_a_whole_window_is_the_hours_that_were_asked_for(serve: Serve, ledger: Ledger) -> None:
    """Amounts, what has no price, and the prices behind them are of the same hours."""
    noon = TODAY - DAY // 2
    times = (noon - 1, noon, noon + 3599, noon + 3600)
    events = [known(n, timestamp=at, input_tokens=50_000_000 << n) for n, at in enumerate(times)]
    events += [event(n, model="mystery", timestamp=at, input_tokens=1 << n) for n, at in enumerate(times, len(times))]
    async with serve(ledger) as server:
        await server.post("/v1/events", json=events)
        for start, end in ((noon, noon + 3600), (noon + 60, noon + 61)):
            window = {"start_time": start, "end_time": end}
            page = await server.get(COSTS, params={**window, "bucket_width": "all"})
            (bucket,) = page.json()["data"]
            assert (bucket["start_time"], bucket["end_time"]) == (noon, noon + 3600)
            assert [result["amount"]["value"] for result in bucket["results"]] == [6]
            assert page.headers[HEADER] == "1"
            (unpriced,) = (await server.get(UNPRICED, params=window)).json()["data"]
            assert unpriced["quantities"][0]["quantity"] == (1 << 5) + (1 << 6)
            assert (unpriced["first_time"], unpriced["last_time"]) == times[1:3]
            (card,) = (await server.get("/v1/rate_cards", params=window)).json()["data"]
            assert card["amount"]["value"] == 6
        empty: dict[str, Any] = {"start_time": noon + 7200, "end_time": noon + 9000, "bucket_width": "all"}
        assert HEADER not in (await server.get(COSTS, params=empty)).headers


@pytest.mark.parametrize(
    ("given", "param", "words"),
    [
        ({"start_time": "x"}, "start_time", "expected an integer"),
        ({"start_time": 5, "end_time": 5}, "end_time", "is not after"),
        ({"models": "a"}, "models", "Allowed are: 'start_time', 'end_time'"),
    ],
)
async def test_what_the_list_of_unpriced_refuses(
    serve: Serve, ledger: Ledger, given: dict[str, Any], param: str, words: str
) -> None:
    async with serve(ledger) as server:
        error = problem(await server.get(UNPRICED, params=given), 400, param=param)
    assert words in error["message"]


async def test_hours_and_our_groupings(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        events = [known(1, input_tokens=50_000_000), known(2, timestamp=NOW - 3700, input_tokens=100_000_000)]
        await server.post("/v1/events", json=events)
        assert await amounts(server, bucket_width="1h") == [2, 1]
        response = await server.get(COSTS, params={**WINDOW, "group_by": ["model", "kind"]})
        (result,) = [result for bucket in response.json()["data"] for result in bucket["results"]]
        assert (result["model"], result["kind"]) == ("text-embedding-3-small", "embeddings")
        (plain,) = [r for b in (await server.get(COSTS, params=WINDOW)).json()["data"] for r in b["results"]]
        assert not {"model", "kind"} & plain.keys()


async def test_what_comes_while_prices_are_read_is_not_taken_for_unpriced(
    serve: Serve, ledger: Ledger, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often: an event that is not in the answer has its price in the next one."""
    giver, read, days = CardGiver(registry.rate_cards, cache(PriceBook)), PriceTables.window, count(1)

    def meanwhile(tables: PriceTables, *asked: Any) -> Any:
        found = read(tables, *asked)
        number = next(days)  # each has a day, and so a card, of its own
        rows = table([known(number, timestamp=NOW - number * DAY, input_tokens=50_000_000)])[0]
        with ThreadPoolExecutor(1) as others:  # no commit is made by a thread that has a snapshot open
            others.submit(ledger.append, with_cards(rows, giver.cards(rows))).result()
        return found

    window = {"start_time": TODAY - 50 * DAY, "end_time": TODAY, "limit": 50}
    async with serve(ledger) as server:
        with monkeypatch.context() as patched:
            patched.setattr(PriceTables, "window", meanwhile)
            answers = [await server.get(COSTS, params=window) for _ in range(3)]
            listed = (await server.get(UNPRICED)).json()["data"]
        assert [HEADER in answer.headers for answer in answers] == [False] * 3
        assert listed == []
        assert await amounts(server, **window) == [1] * (next(days) - 1)


async def test_a_new_revision_is_seen_at_once(serve: Serve, ledger: Ledger, registry: Registry, clock: Clock) -> None:
    async with serve(ledger) as server:
        await server.post("/v1/events", json=known(input_tokens=50_000_000))
        assert await amounts(server) == [1]
        (card,) = registry.rate_cards.between(0, 2**40)
        doubled = type(card.prices)({"input_text_tokens": 2 * card.prices.rates["input_text_tokens"]})
        registry.rate_cards.revise([(card.card_id, doubled)], "twice the price", now=NOW + 100)
        assert await amounts(server) == [2]
        assert await amounts(server, as_of=NOW + 99) == [1]
        assert await amounts(server, as_of=NOW + 100) == [2]


async def test_events_of_before_there_were_cards_are_priced_when_the_server_starts(
    serve: Serve, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "usageledger")
    ledger.append(table([known(input_tokens=50_000_000)])[0])
    async with serve(ledger) as server:
        assert await amounts(server) == [1]
    assert "gave rate cards to 1 events that were kept before there were any" in caplog.text
    caplog.clear()
    async with serve(ledger) as server:
        assert await amounts(server) == [1]
    assert "rate cards" not in caplog.text


async def test_the_latest_window(serve: Serve, ledger: Ledger) -> None:
    """Its last bucket would end in the year 10000, which ISO 8601 cannot write."""
    async with serve(ledger) as server:
        response = await server.get(COSTS, params={"start_time": 253_402_300_799})
    assert response.json()["data"][0]["end_time_iso"] == "9999-12-31T23:59:59+00:00"
