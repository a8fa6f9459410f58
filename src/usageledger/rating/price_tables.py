"""Tables of prices that costs are answered by."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from itertools import groupby, islice

import pyarrow as pa

from usageledger.buckets import DAY_SECONDS, LATEST_TIME
from usageledger.ledger.price_table import PriceTable
from usageledger.ledger.statements.cost_sums import CONFIRMED, PRICES
from usageledger.locks import RankedLock, holding
from usageledger.pricing.cards import PARTS
from usageledger.pricing.money import RATE_STEP
from usageledger.registry import GIVEN, CardPrices, RateCards

CARDS_AT_ONCE = 10_000  # made rows of at once
ROWS_KEPT_MAX = 500_000  # of prices; about 50 MB


class PriceTables:
    """The prices of rate cards, as one table a day; follows the registry. Safe to use from many threads.

    Args:
        rows_kept_max: of the tables that are remembered, together.

    Attributes:
        rate_cards: the registry's.
    """

    def __init__(self, rate_cards: RateCards, *, rows_kept_max: int = ROWS_KEPT_MAX) -> None:
        self.rate_cards = rate_cards
        self._rows_kept_max = rows_kept_max
        self._lock = RankedLock("prices", 6)  # guards the next three
        self._number = 0  # of what was written last, as far as it is known
        self._revised: dict[int, int] = {}  # each day that has cards, and the last repricing of one
        self._kept: OrderedDict[int, pa.Table] = OrderedDict()  # what is said today; the day asked for last stands last

    def revision(self, as_of: int | None = None) -> int:
        """The last repricing, at or before `as_of` (Unix seconds) where it is given."""
        return self.rate_cards.revision_at(LATEST_TIME if as_of is None else as_of)

    def window(self, start: int, end: int, revision: int) -> PriceTable:
        """The prices of events between these times, after a repricing; of every card given before this is called."""
        with self._lock:
            newest_card = self.rate_cards.newest_card()  # first, so that what all of these say is found
            self._follow()
            days = sorted(day for day in self._revised if start - DAY_SECONDS < day < end)
            tables = {day: self._kept[day] for day in days if day in self._kept and self._revised[day] <= revision}
            tables |= self._read([day for day in days if day not in tables], 0, revision)
            for day, table in tables.items():
                if self._revised[day] <= revision:
                    self._kept[day] = table
                    self._kept.move_to_end(day)
            self._forget()
        rows = pa.concat_tables([PRICES.empty_table(), *(tables[day] for day in days)]).combine_chunks()
        return PriceTable(rows, newest_card)

    @holding("_lock")
    def _follow(self) -> None:
        """Takes up what was written since: new cards are added to their days, and repriced days are read anew."""
        newest = self.rate_cards.newest()
        if newest == self._number:
            return
        before, self._number = self._number, newest
        touched = self.rate_cards.days(before, newest)
        for day, revision in touched.items():
            self._revised[day] = max(revision, self._revised.get(day, GIVEN))
            if revision != GIVEN:
                self._kept.pop(day, None)
        for day, table in self._read([day for day in touched if day in self._kept], before, GIVEN).items():
            self._kept[day] = pa.concat_tables([self._kept[day], table]).combine_chunks()

    @holding("_lock")
    def _read(self, days: list[int], after: int, revision: int) -> dict[int, pa.Table]:
        """The prices of each of these days that were written after a number, up to the one that is known."""
        pieces: dict[int, list[pa.Table]] = {day: [PRICES.empty_table()] for day in days}
        said = self.rate_cards.priced(days, after=after, upto=self._number, revision=revision)
        while some := list(islice(said, CARDS_AT_ONCE)):
            some.sort(key=lambda card: card.subject.day)
            for day, cards in groupby(some, lambda card: card.subject.day):
                pieces[day].append(price_table(cards))
        return {day: pa.concat_tables(tables).combine_chunks() for day, tables in pieces.items()}

    @holding("_lock")
    def _forget(self) -> None:
        """Keeps no more than `rows_kept_max` rows; the days asked for longest ago are forgotten first."""
        rows = sum(table.num_rows for table in self._kept.values())
        while rows > self._rows_kept_max:
            rows -= self._kept.popitem(last=False)[1].num_rows


def _line_item(card: CardPrices, part: str) -> str:
    return card.subject.line_item(part)


def price_table(said: Iterable[CardPrices], line_item: Callable[[CardPrices, str], str] = _line_item) -> pa.Table:
    """The rows (`costs.PRICES`) of cards: one for each part that one prices, under a line item."""
    rows = [
        (
            card.card_id,
            part,
            *divmod(rate, RATE_STEP),
            line_item(card, part),
            PARTS[part].unit,
            _provisional(card, part),
        )
        for card in said
        for part, rate in card.prices.rates.items()
    ]
    columns = zip(*rows, strict=True) if rows else ((),) * len(PRICES)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, PRICES, strict=True)]
    return pa.Table.from_arrays(arrays, schema=PRICES)


def _provisional(card: CardPrices, part: str) -> int:
    source = card.prices.sources.get(part)
    return card.subject.day if source and source.provisional else CONFIRMED
