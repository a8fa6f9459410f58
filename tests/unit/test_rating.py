"""Charges of events, and counts of what has no price."""

from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

from usageledger.ledger.lookups import StoredEvent
from usageledger.ledger.price_table import CardCount
from usageledger.meters import MEASURE_COLUMNS
from usageledger.pricing import Prices, Source, Subject
from usageledger.questions.query import Query
from usageledger.rating.charges import charges_of_event, total
from usageledger.rating.price_tables import PriceTables
from usageledger.rating.repricing import window
from usageledger.rating.unpriced import CardCounts
from usageledger.registry import CardPrices

DAY = 86_400


def card(kind: str, rates: dict[str, int]) -> CardPrices:
    sources = dict.fromkeys(rates, Source("a list"))
    return CardPrices(
        1, 1, 0, Subject(0, kind, "acme", "m"), Prices(MappingProxyType(rates), MappingProxyType(sources))
    )


def event(largest: int | None = None, **counts: int) -> StoredEvent:
    return StoredEvent({**dict.fromkeys(MEASURE_COLUMNS, 0), **counts}, largest)


def test_an_event_is_charged_by_part() -> None:
    sent = event(input_text_tokens=1_000, output_text_tokens=20, input_cached_text_tokens=3, num_model_requests=1)
    charges = charges_of_event(sent, card("completions", {"input_text_tokens": 5, "output_text_tokens": 0}))
    assert {each.part: (each.quantity, each.amount, each.lacks_price) for each in charges} == {
        "input_text_tokens": (1_000, 5_000, False),
        "input_cached_text_tokens": (3, None, True),
        "output_text_tokens": (20, 0, False),  # a price of nothing is a price
        "num_model_requests": (1, None, False),  # free where nobody charges for it
    }
    assert total(charges) == 5_000
    (first, *_) = charges
    assert (first.line_item, first.unit, first.rate, first.source) == ("m, input", "tokens", 5, Source("a list"))


def test_a_size_is_charged_by_the_largest_of_its_hour() -> None:
    charges = charges_of_event(event(largest=2**30 + 2**29, usage_bytes=1), card("vector_stores", {"usage_bytes": 90}))
    assert [(each.part, each.quantity, each.amount) for each in charges] == [("usage_bytes", 2**30 + 2**29, 135)]


class Asked:
    """A ledger that counts what it is asked; `now` is its version."""

    def __init__(self, now: int | None = 1) -> None:
        self.now = now
        self.pages: list[int] = []

    def version(self, start: int, end: int) -> int | None:
        return self.now

    def count_cards(self, query: Query, prices: Any, confirmed_through: int, *, max_seconds: float) -> CardCount:
        self.pages.append(query.page_start // DAY)
        return CardCount(query.page_start // DAY, 0)


def counts_of(ledger: Any, **given: int) -> CardCounts:
    rate_cards: Any = None  # the ledger above asks for no prices
    return CardCounts(ledger, PriceTables(rate_cards), max_seconds=1, **given)


def day(number: int) -> Query:
    return window(number * DAY, (number + 1) * DAY, None)


def test_counts_are_remembered_until_something_changes() -> None:
    """All of them were forgotten together when there were too many."""
    ledger = Asked()
    counts = counts_of(ledger, kept_max=3)
    assert [counts.count(day(number), 0, 0).unpriced for number in (1, 2, 3, 1, 4, 1, 3)] == [1, 2, 3, 1, 4, 1, 3]
    assert ledger.pages == [1, 2, 3, 4], "the one that was asked for longest ago is forgotten"
    counts.count(day(2), 0, 0)
    counts.count(day(2), 1, 0)
    ledger.now = 2
    counts.count(day(2), 1, 0)
    counts.count(day(2), 1, DAY)
    assert ledger.pages[4:] == [2, 2, 2, 2]


def test_counts_of_a_store_that_others_write_to_are_not_kept() -> None:
    ledger = Asked(now=None)
    counts = counts_of(ledger)
    assert [counts.count(day(7), 0, 0), counts.count(day(7), 0, 0)] == [CardCount(7, 0)] * 2
    assert ledger.pages == [7, 7]
    assert not counts._kept


def test_counts_are_asked_for_by_many_threads() -> None:
    counts = counts_of(Asked(), kept_max=5)
    with ThreadPoolExecutor(8) as pool:
        numbers = [number % 11 for number in range(2_000)]
        assert list(pool.map(lambda number: counts.count(day(number), 0, 0).unpriced, numbers)) == numbers
    assert len(counts._kept) == 5
