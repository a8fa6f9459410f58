"""A ledger with prices: events go in as they come from the wire and get their cards; costs come out as pages."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from tests.support.samples import SECRET, table

from usageledger.events.columns import with_cards
from usageledger.ledger import Ledger, Outcome
from usageledger.ledger.price_table import CardCount, Unpriced
from usageledger.meters import COSTS
from usageledger.pricing.book import PriceBook
from usageledger.questions.pages import cost_results_json, render
from usageledger.questions.query import page_token, parse
from usageledger.rating.card_giver import CardGiver
from usageledger.rating.price_tables import PriceTables
from usageledger.registry import CardPrices, open_registry

SECONDS, RESULTS = 60, 100_000
NOW = 1_798_761_600  # 2027-01-01: after every price in the book


class Priced:
    """A ledger and a registry in one folder."""

    def __init__(self, folder: Path, open_ledger: Callable[[Path], Ledger], book: Any = None) -> None:
        self.registry = open_registry(f"sqlite:///{folder}/registry.sqlite")
        self.ledger = open_ledger(folder)
        made = book or PriceBook()
        self.giver = CardGiver(self.registry.rate_cards, lambda: made)
        self.tables = PriceTables(self.registry.rate_cards)

    def cards(self) -> list[CardPrices]:
        """What every card says today."""
        return list(self.registry.rate_cards.between(0, 2**40))

    def close(self) -> None:
        self.ledger.close()
        self.registry.close()

    def send(self, events: Sequence[Mapping[str, Any]]) -> list[str]:
        """What came of each event, in the order given."""
        rows, places = table(events, latest=NOW)
        outcomes = self.ledger.append(with_cards(rows, self.giver.cards(rows))).outcomes.tolist()
        return [Outcome(outcomes[places.index(place)]).name.lower() for place in range(len(events))]

    def pages(self, start: int, end: int, **given: Any) -> list[dict[str, Any]]:
        """Every page of a question, each asked for by the token of the one before; numbers are Decimal."""
        pairs = [("start_time", str(start)), ("end_time", str(end))]
        for name, value in given.items():
            values = value if isinstance(value, list | tuple) else [value]
            pairs += [(name if not isinstance(value, list | tuple) else f"{name}[]", str(each)) for each in values]
        found: list[dict[str, Any]] = []
        while True:
            query = parse(COSTS, pairs, now=NOW, secret=SECRET)
            revision = self.tables.revision(query.as_of)
            prices = partial(self.tables.window, query.page_start, query.page_end, revision)
            aggregate = self.ledger.costs(query, prices, max_seconds=SECONDS, max_results=RESULTS)
            results = (cost_results_json(query, aggregate, bucket)[1] for bucket in query.buckets)
            body = b"".join(render(query, results, page_token(query, now=NOW, secret=SECRET)))
            found.append(msgspec.json.Decoder(float_hook=Decimal).decode(body))
            if not found[-1]["has_more"]:
                return found
            pairs = [("page", found[-1]["next_page"])]

    def buckets(self, start: int, end: int, **given: Any) -> list[dict[str, Any]]:
        return [bucket for page in self.pages(start, end, **given) for bucket in page["data"]]

    def results(self, start: int, end: int, **given: Any) -> list[dict[str, Any]]:
        return [result for bucket in self.buckets(start, end, **given) for result in bucket["results"]]

    def total(self, start: int, end: int, **given: Any) -> Decimal:
        return total(self.results(start, end, **given))

    def unpriced(self, start: int, end: int) -> list[Unpriced]:
        query = parse(COSTS, [("start_time", str(start)), ("end_time", str(end))], now=NOW, secret=SECRET)
        prices = partial(self.tables.window, start, end, self.tables.revision())
        return self.ledger.unpriced(query, prices, max_seconds=SECONDS, max_results=RESULTS)

    def counted(self, start: int, end: int, confirmed_through: int, **given: str) -> CardCount:
        pairs = [("start_time", str(start)), ("end_time", str(end)), *given.items(), ("limit", "31")]
        query = parse(COSTS, pairs, now=NOW, secret=SECRET)
        prices = partial(self.tables.window, start, end, self.tables.revision())
        return self.ledger.count_cards(query, prices, confirmed_through, max_seconds=SECONDS)


def total(results: Sequence[Mapping[str, Any]]) -> Decimal:
    return sum((Decimal(result["amount"]["value"]) for result in results), Decimal(0))
