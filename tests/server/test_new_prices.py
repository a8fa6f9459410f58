"""A running server takes up public prices that were taken meanwhile, for cards to come."""

from typing import Any

import pytest
from msgspec import structs
from tests.server.support import NOW, Clock, Serve, event
from tests.support.price_rows import row

from usageledger.buckets import iso_day
from usageledger.ledger import Ledger
from usageledger.pricing import UNITS_PER_USD, Override
from usageledger.pricing.book import PriceBook
from usageledger.pricing.price_file import PriceFile, shipped, written
from usageledger.rating import current_book
from usageledger.registry import Registry

pytestmark = pytest.mark.anyio

CARDS = "/v1/rate_cards"
DAY = 86_400
TODAY = NOW - NOW % DAY
M = 10**6


def later(price: str, releases: int) -> PriceFile:
    """A file so many releases after the shipped one, whose only row is a price of the model `new`."""
    priced = row("input_text_tokens", price, provider="openai", model="new")
    return structs.replace(shipped(), serial=shipped().serial + releases, rows=(priced,))


def take(registry: Registry, file: PriceFile) -> None:
    registry.price_files.take(file, written(file), now=NOW)


async def test_cards_to_come_have_the_new_prices(
    serve: Serve, ledger: Ledger, registry: Registry, clock: Clock
) -> None:
    async with serve(ledger) as server:

        async def send(number: int, seconds: int) -> None:
            sent = event(number, model="new", input_tokens=M, timestamp=NOW + seconds)
            assert (await server.post("/v1/events", json=sent)).json()["accepted"] == 1

        await send(1, 0)
        take(registry, later("3", 1))
        await send(2, -DAY)
        clock.now += 60
        await send(3, -2 * DAY)
        take(registry, later("4", 2))
        await send(4, -3 * DAY)
        clock.now += 60
        await send(5, -4 * DAY)
        await send(6, -2 * DAY)
        asked = {"start_time": TODAY - 9 * DAY, "end_time": TODAY + DAY}
        cards = (await server.get(CARDS, params=asked)).json()["data"]
        lacking = (await server.get("/v1/unpriced", params=asked)).json()["data"]
    prices = {card["first_day"]: (card["amount"]["value"], card["last_day"]) for card in cards}
    assert prices == {TODAY - 3 * DAY: (9, TODAY - 2 * DAY), TODAY - 4 * DAY: (4, TODAY - 4 * DAY)}
    assert [(each["first_time"], each["last_time"]) for each in lacking] == [(NOW - DAY, NOW)]


async def test_a_file_that_a_later_version_took_changes_nothing(
    serve: Serve, ledger: Ledger, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    unknown = structs.replace(later("3", 1), format=2)
    take(registry, unknown)
    async with serve(ledger) as server:
        sent = event(1, model="gpt-4o-2024-08-06", kind="completions", input_tokens=M, output_tokens=0)
        assert (await server.post("/v1/events", json=sent)).json()["accepted"] == 1
        asked = {"start_time": TODAY, "end_time": TODAY + DAY}
        (card,) = (await server.get(CARDS, params=asked)).json()["data"]
    assert card["amount"]["value"] == 2.5
    assert f"stay in use: prices {shipped().serial + 1} cannot be read: format 2 is not known" in caplog.text


# --- provisional prices ------------------------------------------------------------------------------------------

COSTS, HEADER = "/v1/organization/costs", "x-usageledger-provisional"


def confirmed(through: int, releases: int = 1) -> PriceFile:
    """As `later`, of lists that were compared with its prices last on the day of this time."""
    file = later("3", releases)
    ended = row("output_text_tokens", "9", provider="openai", model="new", kind="completions", end="2100-01-01")
    chat = row("input_text_tokens", "3", provider="openai", model="new", kind="completions")
    return structs.replace(file, confirmed_through=iso_day(through), rows=(*file.rows, chat, ended))


async def test_the_header_counts_cards_with_prices_that_nobody_confirmed(
    serve: Serve, ledger: Ledger, registry: Registry, clock: Clock
) -> None:
    take(registry, confirmed(TODAY - DAY))
    async with serve(ledger) as server:
        sent = [event(n, model="new", timestamp=NOW - n * DAY, input_tokens=M) for n in range(3)]
        sent.append(event("c", model="new", timestamp=NOW, kind="completions", input_tokens=1, output_tokens=1))
        await server.post("/v1/events", json=[*sent, event("m", model="mystery", timestamp=NOW)])

        async def counted(start: int = TODAY - 2 * DAY, end: int = TODAY + DAY, **given: str) -> str | None:
            asked: dict[str, int | str] = {"start_time": start, "end_time": end, **given}
            answers = [await server.get(COSTS, params=asked) for _ in range(2)]  # from the ledger, and from the cache
            assert answers[0].headers.get(HEADER) == answers[1].headers.get(HEADER)
            return answers[0].headers.get(HEADER)

        async def told() -> bool:
            about = await server.get("/v1/explain", params={"id": "e0", "timestamp": NOW})
            cards = (await server.get(CARDS, params={"start_time": TODAY, "end_time": TODAY + DAY})).json()["data"]
            (card,) = [card for card in cards if card["kind"] == "embeddings"]
            assert card["provisional"] == about.json()["lines"][0]["provisional"]
            return card["provisional"]

        assert await counted() == "2"
        assert await counted(end=TODAY) is None
        assert await counted(models="mystery") is None
        assert await counted(line_items="new, output") is None, "a price with an end needs no confirmation"
        assert await counted(line_items="new, input") == "2"
        assert await told() is True
        take(registry, confirmed(TODAY, 2))
        clock.now += 60
        assert await counted() is None
        assert await told() is False


@pytest.mark.parametrize("strict", [True, False])
async def test_strict_days_end_45_days_after_the_last_comparison(
    serve: Serve, ledger: Ledger, registry: Registry, strict: bool
) -> None:
    take(registry, confirmed(TODAY - 46 * DAY))
    registry.rate_cards.set_prices(
        [Override("embeddings", "openai", "mine", "input_text_tokens", "standard", 0, UNITS_PER_USD // M)], now=NOW
    )
    async with serve(ledger, strict_days=strict) as server:
        sent = [event(n, model="new", timestamp=NOW - n * DAY, input_tokens=M) for n in range(2)]
        chat = event("c", model="new", timestamp=NOW, kind="completions", input_tokens=0, output_tokens=M)
        await server.post("/v1/events", json=[*sent, chat, event("m", model="mine", timestamp=NOW, input_tokens=M)])
        asked = {"start_time": TODAY - DAY, "end_time": TODAY + DAY}
        answer = await server.get(COSTS, params={**asked, "bucket_width": "all"})
        lacking = (await server.get("/v1/unpriced", params=asked)).json()["data"]
    (result,) = answer.json()["data"][0]["results"]
    assert (result["amount"]["value"], answer.headers[HEADER]) == ((3 + 9 + 1, "1") if strict else (3 + 3 + 9 + 1, "2"))
    reasons = [(each["first_time"], part["reason"], part["message"]) for each in lacking for part in each["quantities"]]
    words = f"no list was compared with it after {iso_day(TODAY - 46 * DAY)}"
    assert reasons == ([(NOW, "past_support", words)] if strict else [])


def test_only_the_book_in_use_is_built(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[PriceFile | None] = []

    def building(file: PriceFile | None = None, **given: Any) -> PriceBook:
        built.append(file)
        return PriceBook(file, **given)

    monkeypatch.setattr(current_book, "PriceBook", building)
    file = later("3", 1)
    take(registry, file)
    assert current_book.CurrentBook(registry.price_files, lambda: NOW)().name.startswith(f"prices {file.serial} ")
    assert [each and each.serial for each in built] == [file.serial]
