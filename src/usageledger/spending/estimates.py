"""The most that a request can cost, by the prices that its event will get."""

from collections.abc import Callable, Mapping

from usageledger.meters import METER_BY_KIND
from usageledger.pricing import Override, Prices, Subject
from usageledger.pricing.book import PriceBook
from usageledger.pricing.cards import PARTS, STORED_PART
from usageledger.pricing.own_prices import OwnPrices

INPUT_TOKENS = "input_tokens"
SUBJECTS_KEPT_MAX = 10_000


def estimated_measures(kind: str) -> dict[str, int | None]:
    """The numbers that an estimate for a kind of usage is made of, and what each is where nobody says it."""
    return {
        measure.name: measure.default
        for measure in METER_BY_KIND[kind].measures
        if (measure.required or measure.default is not None) and STORED_PART not in measure.columns
    }


class Estimator:
    """Estimates by the prices of now, which it remembers until it looks again. For many threads.

    Args:
        book: gives lists.
        overrides: reads the operator's prices.
    """

    def __init__(self, book: Callable[[], PriceBook], overrides: Callable[[], list[Override]]) -> None:
        self._book = book
        self._overrides = overrides
        self._known = _Known(book(), overrides())

    def look(self) -> None:
        """Takes up other prices. Raises RegistryError."""
        known = _Known(self._book(), self._overrides())
        if (known.book, known.overrides) != (self._known.book, self._known.overrides):
            self._known = known

    def estimate(self, subject: Subject, quantities: Mapping[str, int]) -> int | str:
        """The most that these quantities can cost, in 10⁻¹⁸/9 USD, or the part that has no price.

        Each unit is charged at the highest price of those that it may turn out to have: input tokens may be new, read
        from the cache or written to it, of text, audio or image; the time of day may change before the request is over.
        Prices for more input tokens than there are do not count.

        Args:
            subject: the request, with `band` and `second` 0.
            quantities: measure (`estimated_measures`) → how much of it.
        """
        size = quantities.get(INPUT_TOKENS, 0)
        offers = [prices for at, prices in self._known.offers(subject) if not at.band or size > at.band]
        columns = {measure.name: measure.columns for measure in METER_BY_KIND[subject.kind].measures}
        amount = 0
        for name, quantity in quantities.items():
            parts = [part for part in columns[name] if part in PARTS]
            rates = [prices.rates[part] for prices in offers for part in parts if part in prices.rates]
            needed = [part for part in parts if not PARTS[part].optional]
            if quantity and needed and not rates:
                return needed[0]
            amount += quantity * max(rates, default=0)
        return amount


class _Known:
    """Prices as of one look, and what they are for subjects that were asked for."""

    def __init__(self, book: PriceBook, overrides: list[Override]) -> None:
        self.book = book
        self.overrides = overrides
        self._own = OwnPrices(overrides)
        self._offers: dict[Subject, list[tuple[Subject, Prices]]] = {}

    def offers(self, subject: Subject) -> list[tuple[Subject, Prices]]:
        found = self._offers.get(subject)
        if found is None:
            if len(self._offers) >= SUBJECTS_KEPT_MAX:
                self._offers = {}
            found = self._offers[subject] = self.book.offers(subject, self._own)
        return found
