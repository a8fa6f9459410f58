"""Rate cards, explanations and repricing over HTTP, and that a repricing is shown before it holds."""

import json
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace
from tests.server.support import NOW, Clock, Serve, event
from tests.support import price_rows
from tests.support.problems import problem

from usageledger.ledger import Ledger
from usageledger.pricing import UNITS_PER_USD, Override, Prices, Source, Subject
from usageledger.registry import Registry

pytestmark = pytest.mark.anyio

COSTS, CARDS, EXPLAIN, REPRICE = "/v1/organization/costs", "/v1/rate_cards", "/v1/explain", "/v1/reprice"
DAY = 86_400
TODAY = NOW - NOW % DAY
WINDOW = {"start_time": TODAY, "end_time": TODAY + DAY}
MODEL = "text-embedding-3-small"  # 0.02 USD for a million tokens
M = 10**6
PRICE = Override(
    "embeddings", "openai", MODEL, "input_text_tokens", "standard", TODAY, UNITS_PER_USD // 10**6, note="contract"
)


def usd(value: float) -> dict[str, Any]:
    return {"value": value, "currency": "usd"}


def known(number: int = 1, tokens: int = 50 * M, **fields: Any) -> dict[str, Any]:
    return event(number, model=MODEL, input_tokens=tokens, **fields)


def amounts(response: Any) -> list[Decimal]:
    """Every amount of an answer, with all its digits."""
    found: list[Decimal] = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if "currency" in made:
            found.append(Decimal(made["value"]))
        return made

    json.loads(response.text, parse_float=Decimal, object_pairs_hook=note)
    return found


async def amount(server: Any, **given: Any) -> float:
    response = await server.get(COSTS, params={**WINDOW, **given})
    return sum(result["amount"]["value"] for bucket in response.json()["data"] for result in bucket["results"])


async def reprice(server: Any, **given: Any) -> dict[str, Any]:
    response = await server.post(REPRICE, json=given)
    assert response.status_code == 200, response.text
    return response.json()


# --- rate cards --------------------------------------------------------------------------------------------------


async def test_a_price_and_what_it_made(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        await server.post("/v1/events", json=[known(1), known(2), known(3, timestamp=NOW - DAY, project_id="p")])
        window = {"start_time": TODAY - DAY, "end_time": TODAY + DAY}
        (card,) = (await server.get(CARDS, params=window)).json()["data"]
        (filtered,) = (await server.get(CARDS, params={**window, "project_ids": "p"})).json()["data"]
    assert card.pop("source").startswith("https://openai.com/blog/")
    assert card == {
        "layer": "curated",
        "from": "2024-01-25",
        "from_is": "launch",
        "to": None,
        "confidence": "high",
        "provisional": False,
        "resolved_from": None,
        "assumed": None,
        "object": "rate_card",
        "kind": "embeddings",
        "provider": "openai",
        "model": MODEL,
        "tier": "standard",
        "size": None,
        "quality": None,
        "context_level": None,
        "tool": None,
        "memory_gb": None,
        "session_minutes": None,
        "region": None,
        "above_input_tokens": 0,
        "from_second": 0,
        "project_id": None,
        "part": "input_text_tokens",
        "line_item": f"{MODEL}, input",
        "unit_price": usd(2e-8),
        "quantity": 150 * M,
        "quantity_unit": "tokens",
        "amount": usd(3),
        "revision": None,
        "cause": None,
        "first_day": TODAY - DAY,
        "last_day": TODAY,
    }
    assert (filtered["amount"], filtered["first_day"], filtered["last_day"]) == (usd(1), TODAY - DAY, TODAY - DAY)


async def test_rate_cards_as_of_a_time(serve: Serve, ledger: Ledger, registry: Registry, clock: Clock) -> None:
    async with serve(ledger) as server:
        await server.post("/v1/events", json=known())
        registry.rate_cards.set_prices([PRICE], now=NOW)
        clock.now += 100
        await reprice(server, apply=True, reason="contract")
        (card,) = (await server.get(CARDS, params=WINDOW)).json()["data"]
        (before,) = (await server.get(CARDS, params={**WINDOW, "as_of": NOW})).json()["data"]
    assert (card["unit_price"], card["amount"], card["source"]) == (usd(1e-6), usd(50), "operator: contract")
    assert (before["unit_price"], before["amount"], before["revision"]) == (usd(2e-8), usd(1), None)
    assert (card["revision"], card["cause"], before["cause"]) == (1, "own price", None)


async def test_no_usage_has_no_rate_cards(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        assert (await server.get(CARDS, params=WINDOW)).json() == {"object": "list", "data": []}


@pytest.mark.parametrize(
    ("given", "param", "words"),
    [
        ({}, None, "Missing required parameter: 'start_time'"),
        ({"start_time": 0, "group_by": "model"}, "group_by", "Unknown parameter: 'group_by'"),
        ({"start_time": 0, "model": "m"}, "model", "Did you mean 'models'?"),
    ],
)
async def test_what_rate_cards_refuse(
    serve: Serve, ledger: Ledger, given: dict[str, Any], param: str | None, words: str
) -> None:
    async with serve(ledger) as server:
        assert words in problem(await server.get(CARDS, params=given), 400, param=param)["message"]


# --- explanations ------------------------------------------------------------------------------------------------


async def explanation(server: Any, event_id: str, timestamp: int = NOW - 60) -> dict[str, Any]:
    response = await server.get(EXPLAIN, params={"id": event_id, "timestamp": timestamp})
    assert response.status_code == 200, response.text
    return response.json()


async def test_every_digit_of_an_event(serve: Serve, ledger: Ledger) -> None:
    tokens = {"input_tokens": 1000, "input_cached_tokens": 400, "output_tokens": 7}
    one = {"kind": "completions", "id": "a", "timestamp": NOW - 60, "model": "gpt-4o-2024-08-06", **tokens}
    async with serve(ledger) as server:
        await server.post("/v1/events", json=[{**one, "project_id": "p"}])
        told = await explanation(server, "a")
    assert told["event"]["project_id"] == "p"
    assert told["counts"] == {
        "input_text_tokens": 600,
        "input_cached_text_tokens": 400,
        "output_text_tokens": 7,
        "num_model_requests": 1,
    }
    assert [(line["line_item"], line["quantity"], line["unit_price"], line["amount"]) for line in told["lines"]] == [
        ("gpt-4o-2024-08-06, input", 600, usd(2.5e-6), usd(0.0015)),
        ("gpt-4o-2024-08-06, cached input", 400, usd(1.25e-6), usd(0.0005)),
        ("gpt-4o-2024-08-06, output", 7, usd(1e-5), usd(7e-5)),
    ]
    assert told["amount"] == usd(0.00207)
    assert told["unpriced"] == []
    assert told["history"] == [{"revision": None, "created_at": None, "reason": None, "amount": usd(0.00207)}]


async def test_every_revision_of_an_event(serve: Serve, ledger: Ledger, registry: Registry, clock: Clock) -> None:
    async with serve(ledger) as server:
        await server.post("/v1/events", json=known())
        registry.rate_cards.set_prices([PRICE], now=NOW)
        clock.now += 100
        await reprice(server, apply=True, reason="the contract of October")
        told = await explanation(server, "e1")
    assert told["amount"] == usd(50)
    assert [(said["reason"], said["created_at"], said["amount"]) for said in told["history"]] == [
        (None, None, usd(1)),
        ("the contract of October", NOW + 100, usd(50)),
    ]


async def test_an_event_without_a_price(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        await server.post("/v1/events", json=event(model="mystery", input_tokens=5))
        told = await explanation(server, "e1")
    assert (told["lines"], told["amount"]) == ([], usd(0))
    assert told["unpriced"] == [
        {
            "part": "input_text_tokens",
            "line_item": "mystery, input",
            "quantity": 5,
            "quantity_unit": "tokens",
            "reason": "no_alias",
            "message": "no price list of openai has this name",
        }
    ]


async def test_a_size_is_explained_by_the_largest_of_its_hour(serve: Serve, ledger: Ledger) -> None:
    hour, gib = TODAY, 2**30
    sizes = [(hour, "a", gib), (hour + 60, "a", 5 * gib), (hour + 90, "b", 9 * gib), (hour + 3600, "a", 7 * gib)]
    events = [
        {"kind": "vector_stores", "id": f"s{n}", "timestamp": at, "vector_store_id": store, "usage_bytes": size}
        for n, (at, store, size) in enumerate(sizes)
    ]
    async with serve(ledger) as server:
        await server.post("/v1/events", json=events)
        told = await explanation(server, "s0", hour)
        (whole,) = amounts(await server.get(COSTS, params=WINDOW))
        answers = [await server.get(EXPLAIN, params={"id": f"s{n}", "timestamp": sizes[n][0]}) for n in (0, 2, 3)]
    assert told["counts"] == {"usage_bytes": gib}
    assert told["lines"][0]["quantity"] == 5
    assert whole == sum(amounts(answer)[-1] for answer in answers)


@pytest.mark.parametrize(
    ("given", "status", "param", "words"),
    [
        ({"id": "e1"}, 400, "timestamp", "Missing required parameter: 'timestamp'"),
        ({"timestamp": NOW}, 400, "id", "Missing required parameter: 'id'"),
        ({"id": "x" * 129, "timestamp": NOW}, 400, "id", "expected 1 to 128 characters"),
        ({"id": "e1", "timestamp": "today"}, 400, "timestamp", "expected an integer"),
        ({"id": "e1", "timestamp": NOW}, 404, "id", f"No event has the id 'e1' and the timestamp {NOW}"),
        ({"id": "e1", "timestamp": NOW, "at": 1}, 400, "at", "Unknown parameter: 'at'"),
    ],
)
async def test_what_explain_refuses(
    serve: Serve, ledger: Ledger, given: dict[str, Any], status: int, param: str, words: str
) -> None:
    async with serve(ledger) as server:
        await server.post("/v1/events", json=known())
        assert words in problem(await server.get(EXPLAIN, params=given), status, param=param)["message"]


async def test_an_identity_given_twice(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        problem(await server.get(f"{EXPLAIN}?id=a&id=b&timestamp=1"), 400)


# --- repricing ---------------------------------------------------------------------------------------------------


async def test_a_repricing_is_shown_before_it_holds(
    serve: Serve, ledger: Ledger, registry: Registry, clock: Clock
) -> None:
    async with serve(ledger) as server:
        await server.post("/v1/events", json=[known(1), known(2, timestamp=NOW - DAY), event(3, model="mystery")])
        nothing = await reprice(server)
        assert (nothing["lines"], nothing["prices"], nothing["rate_cards"]) == ([], [], 0)
        assert nothing["total"] == {"before": usd(2), "after": usd(2), "difference": usd(0)}
        registry.rate_cards.set_prices([PRICE], now=NOW)
        shown = await reprice(server)
        assert await amount(server) == 1  # nothing has changed yet
        clock.now += 100
        applied = await reprice(server, apply=True, reason=" contract ")
        assert await amount(server) == 50
        assert await amount(server, as_of=NOW + 99) == 1
        assert await amount(server, start_time=TODAY - DAY) == 51  # the price is of today on
        again = await reprice(server, apply=True, reason="once more")
    assert (shown["applied"], shown["revision"]) == (False, None)
    assert applied["applied"]
    assert applied["revision"] == {"id": 1, "created_at": NOW + 100, "reason": " contract "}
    for key in ("causes", "lines", "prices", "total", "rate_cards", "kept"):
        assert shown[key] == applied[key]
    assert shown["total"] == {"before": usd(2), "after": usd(51), "difference": usd(49)}
    assert shown["lines"] == [
        {
            "model": MODEL,
            "line_item": f"{MODEL}, input",
            "quantity_unit": "tokens",
            "before": {"amount": usd(2), "quantity": 100 * M},
            "after": {"amount": usd(51), "quantity": 100 * M},
            "difference": usd(49),
        }
    ]
    (price,) = shown["prices"]
    assert (price["first_day"], price["last_day"]) == (TODAY, TODAY)
    assert (price["before"]["unit_price"], price["after"]["unit_price"]) == (usd(2e-8), usd(1e-6))
    assert (price["before"]["layer"], price["after"]["source"]) == ("curated", "operator: contract")
    assert (price["cause"], price["reason"]) == ("own price", None)
    assert shown["causes"] == [
        {"model": MODEL, "cause": "own price", "before": usd(1), "after": usd(50), "difference": usd(49)}
    ]
    assert (again["applied"], again["rate_cards"]) == (False, 0)
    assert [revision.reason for revision in registry.rate_cards.revisions()] == [" contract "]


async def test_usage_gets_and_loses_its_price(serve: Serve, ledger: Ledger, registry: Registry) -> None:
    own = replace(PRICE, model="in-house")
    async with serve(ledger) as server:
        await server.post("/v1/events", json=event(1, model="in-house", input_tokens=M))
        registry.rate_cards.set_prices([own], now=NOW)
        (line,) = (await reprice(server, apply=True, reason="known now"))["lines"]
        assert (line["before"], line["after"]) == (None, {"amount": usd(1), "quantity": M})
        registry.rate_cards.set_prices([replace(own, rate=None)], now=NOW)
        gone = await reprice(server, apply=True, reason="a mistake")
        assert gone["lines"][0]["after"] is None
        assert gone["prices"][0]["after"] is None
        assert gone["prices"][0]["reason"] == "no_alias"
        assert [(each["cause"], each["before"], each["after"]) for each in gone["causes"]] == [
            ("own price ended", usd(1), None)
        ]
        assert len((await server.get("/v1/unpriced")).json()["data"]) == 1


async def test_causes_add_up_to_the_difference(serve: Serve, ledger: Ledger, registry: Registry) -> None:
    """After an upgrade: what was charged by another part's price, by a wrong one, and what has none."""
    model = "gpt-4o-2024-08-06"
    day, parts = TODAY - DAY, ("input_text_tokens", "input_audio_tokens", "output_text_tokens")
    old = Prices(dict.fromkeys(parts, UNITS_PER_USD // 10**6), dict.fromkeys(parts, Source("genai-prices 0.1.4")))
    registry.rate_cards.give([(Subject(day, "completions", "openai", name), old) for name in (model, "gone")])
    counts = {"input_tokens": 3 * M, "input_audio_tokens": M, "output_tokens": M}
    sent = [{"kind": "completions", "id": name, "timestamp": day, "model": name, **counts} for name in (model, "gone")]
    async with serve(ledger) as server:
        await server.post("/v1/events", json=sent)
        shown = await reprice(server)
    assert [(each["model"], each["cause"], each["before"], each["after"]) for each in shown["causes"]] == [
        ("gone", "no price: no_alias", usd(4), None),
        (model, "another part's price: input", usd(1), None),
        (model, "list row since 2024-08-06", usd(3), usd(15)),
    ]
    assert shown["total"] == {"before": usd(8), "after": usd(15), "difference": usd(7)}
    assert sum(each["difference"]["value"] for each in shown["causes"]) == 7
    # Prices of parts that nobody used change as well.
    assert {price["cause"] for price in shown["prices"]} >= {each["cause"] for each in shown["causes"]}


async def test_one_model_and_some_days(serve: Serve, ledger: Ledger, registry: Registry) -> None:
    other = "text-embedding-3-large"
    prices = [replace(PRICE, start=0), replace(PRICE, start=0, model=other)]
    async with serve(ledger) as server:
        days = [known(n, tokens=M, timestamp=NOW - n * DAY) for n in range(3)]
        await server.post("/v1/events", json=[*days, event(9, model=other, input_tokens=M)])
        registry.rate_cards.set_prices(prices, now=NOW)
        one = await reprice(server, model=other)
        some = await reprice(server, start_time=TODAY - 2 * DAY, end_time=TODAY, model=MODEL)
    assert [line["model"] for line in one["lines"]] == [other]
    assert [price["model"] for price in one["prices"]] == [other]
    assert some["total"]["after"] == usd(2)
    assert (some["prices"][0]["first_day"], some["prices"][0]["last_day"]) == (TODAY - 2 * DAY, TODAY - DAY)


async def test_a_card_that_cannot_say_two_prices_keeps_its_own(
    serve: Serve, ledger: Ledger, registry: Registry, clock: Clock
) -> None:
    """A band that was not told apart when the events came in cannot be told apart now."""
    async with serve(ledger) as server:
        await server.post("/v1/events", json=[known(1, tokens=10), known(2, tokens=100)])
        registry.rate_cards.set_prices([replace(PRICE, band=50)], now=NOW)
        shown = await reprice(server, apply=True, reason="bands")
        assert (shown["applied"], shown["lines"], shown["rate_cards"]) == (False, [], 0)
        (words,) = shown["kept"]
        assert f"openai {MODEL}, embeddings" in words
        assert "from 50 input tokens" in words
        # Cards of the next day are given for both bands.
        clock.now += DAY
        later = [known(3, tokens=50, timestamp=NOW + DAY), known(4, tokens=51, timestamp=NOW + DAY)]
        await server.post("/v1/events", json=later)
        bands = [(await explanation(server, f"e{n}", NOW + DAY))["amount"] for n in (3, 4)]
    assert bands == [usd(1e-6), usd(51e-6)]


async def test_a_project_has_prices_of_its_own(serve: Serve, ledger: Ledger, registry: Registry, clock: Clock) -> None:
    """Its events have cards of their own from then on; those of other projects and models are shared as before."""
    async with serve(ledger) as server:
        await server.post("/v1/events", json=[known(n, tokens=M, project_id=f"p{n}") for n in (1, 2)])
        registry.rate_cards.set_prices([replace(PRICE, project="p1"), replace(PRICE, project="p3", band=50)], now=NOW)
        clock.now += DAY
        later = NOW + DAY
        sent = [known(n, tokens=M, timestamp=later, project_id=f"p{n % 4}") for n in range(4, 12)]
        await server.post("/v1/events", json=[*sent, event(12, model="other", timestamp=later, project_id="p1")])
        window = {"start_time": TODAY + DAY, "end_time": TODAY + 2 * DAY}
        answer = await server.get(COSTS, params={**window, "group_by": "project_id"})
        costs = {each["project_id"]: each["amount"]["value"] for each in answer.json()["data"][0]["results"]}
        cards = (await server.get(CARDS, params=window)).json()["data"]
        told = [(await explanation(server, f"e{n}", later))["rate_card"] for n in (4, 5, 6, 12)]
        shown = await reprice(server)
    assert costs == {"p0": 0.04, "p1": 2, "p2": 0.04, "p3": 2}
    assert {card["project_id"]: card["amount"]["value"] for card in cards} == {"p1": 2, "p3": 2, None: 0.08}
    assert [card["project_id"] for card in told] == [None, "p1", None, None]
    assert told[0]["id"] == told[2]["id"]
    assert (shown["lines"], shown["rate_cards"]) == ([], 0)
    (words,) = shown["kept"]
    assert words.startswith(f"openai {MODEL}, embeddings")
    assert "keeps its prices: p1 had no prices of their own when it was given" in words


async def test_own_prices_of_a_project_that_begin_later_let_shared_cards_be_repriced(
    serve: Serve, ledger: Ledger, registry: Registry
) -> None:
    """What projects used by one card cannot be told apart: their prices for its day end before it is repriced."""
    async with serve(ledger) as server:
        await server.post("/v1/events", json=[known(n, tokens=M, project_id=f"p{n}") for n in (1, 2)])
        registry.rate_cards.set_prices([PRICE, replace(PRICE, project="p1", rate=9)], now=NOW)
        refused = await reprice(server, apply=True, reason="contract")
        assert (refused["applied"], await amount(server)) == (False, 0.04)
        (words,) = refused["kept"]
        assert words.endswith("(PART=list --project ID ends them on this one) let it be repriced for all")
        ended = replace(PRICE, project="p1", rate=None)
        registry.rate_cards.set_prices([ended, replace(PRICE, project="p1", rate=9, start=TODAY + DAY)], now=NOW)
        done = await reprice(server, apply=True, reason="contract")
        assert (done["applied"], done["kept"], await amount(server)) == (True, [], 2)


async def test_a_newer_price_book_changes_no_past_amount_by_itself(
    serve: Serve, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only usage of days without cards gets its prices; for the past they are shown, and hold when that is wanted."""
    async with serve(ledger) as server:
        await server.post("/v1/events", json=[known(1), known(2, timestamp=NOW - DAY)])
    book = price_rows.book(price_rows.row("input_text_tokens", "0.01", provider="openai", model=MODEL))
    monkeypatch.setattr("usageledger.rating.current_book.PriceBook", lambda *_, **__: book)
    async with serve(ledger) as server:
        await server.post("/v1/events", json=[known(3), known(4, timestamp=NOW - 2 * DAY)])
        window = {"start_time": TODAY - 2 * DAY}
        assert await amount(server, **window) == 1 + 1 + 1 + 0.5
        shown = await reprice(server)
        assert await amount(server, **window) == 3.5
        assert shown["total"] == {"before": usd(3.5), "after": usd(2), "difference": usd(-1.5)}
        assert [(p["first_day"], p["last_day"]) for p in shown["prices"]] == [(TODAY - DAY, TODAY)]
        await reprice(server, apply=True, reason="the list was wrong")
        assert await amount(server, **window) == 2
        assert await amount(server, **window, as_of=NOW - 1) == 3.5


@pytest.mark.parametrize(
    ("given", "param", "words"),
    [
        ({"start_time": 5}, "start_time", "expected Unix seconds at which a UTC day begins, got 5"),
        ({"end_time": TODAY + 1}, "end_time", f"The day begins at {TODAY}"),
        ({"start_time": TODAY, "end_time": TODAY}, "end_time", "is not after"),
        ({"apply": True}, "reason", "Missing required field: 'reason'"),
        ({"apply": True, "reason": "  "}, "reason", "Missing required field: 'reason'"),
        ({"models": ["m"]}, "models", "Did you mean 'model'?"),
        ({"apply": 1}, "apply", "expected true or false"),
    ],
)
async def test_what_reprice_refuses(
    serve: Serve, ledger: Ledger, registry: Registry, given: dict[str, Any], param: str, words: str
) -> None:
    async with serve(ledger) as server:
        await server.post("/v1/events", json=known())
        assert words in problem(await server.post(REPRICE, json=given), 400, param=param)["message"]
    assert registry.rate_cards.revisions() == []
