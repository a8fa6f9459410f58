"""A running server takes up public prices that were taken meanwhile, for cards to come."""

import pytest
from msgspec import structs
from tests.server.support import NOW, Clock, Serve, event
from tests.support.price_rows import row

from usageledger.ledger import Ledger
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


def test_only_the_book_in_use_is_built(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[PriceFile | None] = []

    def building(file: PriceFile | None = None) -> PriceBook:
        built.append(file)
        return PriceBook(file)

    monkeypatch.setattr(current_book, "PriceBook", building)
    file = later("3", 1)
    take(registry, file)
    assert current_book.CurrentBook(registry.price_files, lambda: NOW)().name.startswith(f"prices {file.serial} ")
    assert [each and each.serial for each in built] == [file.serial]
