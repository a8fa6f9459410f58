"""The most that a request can cost, by the prices that its event will get."""

from collections.abc import Mapping

from usageledger.meters import METER_BY_KIND
from usageledger.pricing import Subject
from usageledger.pricing.book import PriceBook
from usageledger.pricing.cards import PARTS, STORED_PART
from usageledger.pricing.own_prices import OwnPrices

INPUT_TOKENS = "input_tokens"


def estimated_measures(kind: str) -> dict[str, int | None]:
    """The numbers that an estimate for a kind of usage is made of, and what each is where nobody says it."""
    return {
        measure.name: measure.default
        for measure in METER_BY_KIND[kind].measures
        if (measure.required or measure.default is not None) and STORED_PART not in measure.columns
    }


def estimate(book: PriceBook, own: OwnPrices, subject: Subject, quantities: Mapping[str, int]) -> int | str:
    """The most that these quantities can cost, in 10⁻¹⁸/9 USD, or the part that has no price.

    Each unit is charged at the highest price of those that it may turn out to have: input tokens may be new, read from
    the cache or written to it, of text, audio or image; the time of day may change before the request is over. Prices
    for more input tokens than there are do not count.

    Args:
        book: lists.
        own: the operator's prices.
        subject: the request, with `band` and `second` 0.
        quantities: measure (`estimated_measures`) → how much of it.
    """
    offers = [
        prices for at, prices in book.offers(subject, own) if not at.band or quantities.get(INPUT_TOKENS, 0) > at.band
    ]
    amount = 0
    measures = {measure.name: measure for measure in METER_BY_KIND[subject.kind].measures}
    for name, quantity in quantities.items():
        parts = [part for part in measures[name].columns if part in PARTS]
        rates = [prices.rates[part] for prices in offers for part in parts if part in prices.rates]
        needed = [part for part in parts if not PARTS[part].optional]
        if quantity and needed and not rates:
            return needed[0]
        amount += quantity * max(rates, default=0)
    return amount
