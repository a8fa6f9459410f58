"""Rate cards for events as they come in, and the prices that costs are answered by."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Any

import numpy as np
import pyarrow as pa

from usageledger.buckets import LATEST_TIME
from usageledger.ledger.protocol import PriceTable
from usageledger.ledger.statements.cost_sums import PRICES
from usageledger.meters import DAY_SECONDS
from usageledger.parts import CACHE_WRITE, CACHED, UNCACHED
from usageledger.pricing import Override, Prices, Subject
from usageledger.pricing.book import PriceBook
from usageledger.pricing.cards import PARTS
from usageledger.pricing.money import RATE_STEP
from usageledger.registry import GIVEN, CardPrices, RateCards

MOST_WARNINGS = 200  # names that are made up anew each time must not fill the log
MOST_OFFERS = 100_000  # combinations remembered with their cards
LARGEST_KEY = 2**40
CARDS_AT_ONCE = 10_000  # made rows of at once
ROWS_KEPT_MAX = 500_000  # of prices; about 50 MB
INPUT = (*UNCACHED, *CACHED, *CACHE_WRITE)

logger = logging.getLogger("usageledger.pricing")

# The stored columns that a price depends on, beside the time, in the order of `Subject`.
KEYS = ("kind", "provider", "model", "service_tier", "batch", "size", "quality", "context_level")

ONE_PRICE: tuple[tuple[int, ...], tuple[int, ...]] = (0,), (0,)  # the seconds and bands of most offers

Ids = np.ndarray[Any, np.dtype[np.int64]]
Combination = tuple[Any, ...]  # the start of a day, then the values of `KEYS`

# The cards of a subject, one for each time of day and context band where they differ: the seconds of the day at which
# prices change, ascending from 0; the numbers of input tokens above which another price holds, ascending from 0; and
# for each of these seconds, and in it for each of these numbers, the `rate_id`. Plain tuples of numbers are nothing to
# Python's collector, and there are many of them.
Offer = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


class CardGiver:
    """Gives events their rate cards. For one thread at a time."""

    def __init__(self, rate_cards: RateCards, book: PriceBook) -> None:
        self._rate_cards = rate_cards
        self._book = book
        self._offers: dict[Combination, Offer] = {}
        self._unpriced: set[tuple[str, str, str | None]] = set()

    def cards(self, rows: pa.Table) -> Ids:
        """The `rate_id` of each row (`columns.SCHEMA`), in the registry when this returns.

        Raises:
            RegistryError: a new card could not be stored.
        """
        first, inverse = _distinct(rows)
        offers = self._known(_combinations(rows, first))
        rate_ids: Ids = np.array([ids[0] for _, _, ids in offers], np.int64)[inverse]
        several = np.array([len(ids) > 1 for _, _, ids in offers])
        if several.any():
            tokens = np.add.reduce([rows[column].to_numpy() for column in INPUT])
            seconds = rows["ts"].to_numpy() % DAY_SECONDS
            for number in np.nonzero(several)[0].tolist():
                (cuts, bands, ids), places = offers[number], np.nonzero(inverse == number)[0]
                at = np.searchsorted(cuts, seconds[places], side="right") - 1
                band = np.maximum(np.searchsorted(bands, tokens[places], side="left") - 1, 0)
                rate_ids[places] = np.array(ids)[at * len(bands) + band]
        return rate_ids

    def _known(self, combinations: list[Combination]) -> list[Offer]:
        missing = [combination for combination in combinations if combination not in self._offers]
        if missing:
            if len(self._offers) > MOST_OFFERS:
                self._offers.clear()
                missing = combinations
            shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
            rate_ids = iter(self._rate_cards.give(self._offered(missing, shapes)))
            for combination, (seconds, bands) in zip(missing, shapes, strict=True):
                self._offers[combination] = seconds, bands, tuple(islice(rate_ids, len(seconds) * len(bands)))
        return [self._offers[combination] for combination in combinations]

    def _offered(
        self, combinations: list[Combination], shapes: list[tuple[tuple[int, ...], tuple[int, ...]]]
    ) -> Iterator[tuple[Subject, Prices]]:
        """What the book offers to each, one after the other; adds the seconds and bands of each to `shapes`."""
        own: dict[tuple[str, str, str | None], list[Override]] = {}
        for override in self._rate_cards.overrides():
            own.setdefault((override.kind, override.provider, override.model), []).append(override)
        for combination in combinations:
            subject = _subject(combination)
            offers = self._book.offers(subject, own.get((subject.kind, subject.provider, subject.model), ()))
            if len(offers) == 1:
                shapes.append(ONE_PRICE)
            else:
                seconds = tuple(dict.fromkeys(at.second for at, _ in offers))
                shapes.append((seconds, tuple(dict.fromkeys(at.band for at, _ in offers))))
            if not any(prices.rates for _, prices in offers):
                self._warn(subject)
            yield from offers

    def _warn(self, subject: Subject) -> None:
        """Logs once that there is no price for a model, or for the tier of it that came first."""
        known_as = (subject.kind, subject.provider, subject.model)
        if known_as in self._unpriced or len(self._unpriced) == MOST_WARNINGS:
            return
        self._unpriced.add(known_as)
        model = "no model" if subject.model is None else repr(subject.model)
        logger.warning("no price for %s of %r: %s, tier %r", subject.kind, subject.provider, model, subject.tier)
        if len(self._unpriced) == MOST_WARNINGS:
            logger.warning("no price for many models: GET /v1/unpriced lists them")


def _distinct(rows: pa.Table) -> tuple[Ids, Ids]:
    """The first row of each distinct combination of `KEYS` and day, and for each row which combination it is."""
    key: Ids = rows["ts"].to_numpy() // DAY_SECONDS
    key = np.unique(key, return_inverse=True)[1]
    size = int(key.max()) + 1
    for name in KEYS:
        encoded = rows[name].combine_chunks().dictionary_encode(null_encoding="encode")
        distinct = len(encoded.dictionary)
        if distinct > 1:
            if size * distinct > LARGEST_KEY:
                key = np.unique(key, return_inverse=True)[1]
                size = int(key.max()) + 1
            key = key * distinct + encoded.indices.to_numpy()
            size *= distinct
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    return first, inverse


def _combinations(rows: pa.Table, places: Ids) -> list[Combination]:
    """The day, then the values of `KEYS`, of the rows at these places."""
    chosen = rows.select(["ts", *KEYS]).take(places)
    seconds = chosen["ts"].to_numpy()
    columns: list[list[Any]] = [chosen[name].to_pylist() for name in KEYS]
    return list(zip((seconds - seconds % DAY_SECONDS).tolist(), *columns, strict=True))


def _subject(combination: Combination) -> Subject:
    day, kind, provider, model, service_tier, batch, *others = combination
    return Subject(day, kind, provider, model, service_tier, bool(batch), *others)


class PriceTables:
    """What rate cards say, as tables of days; follows the registry. Safe to use from many threads.

    Attributes:
        rate_cards: the registry's.
    """

    def __init__(self, rate_cards: RateCards) -> None:
        self.rate_cards = rate_cards
        self._lock = threading.Lock()
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

    def _read(self, days: list[int], after: int, revision: int) -> dict[int, pa.Table]:
        """The prices of each of these days that were written after a number, up to the one that is known."""
        pieces: dict[int, list[pa.Table]] = {day: [PRICES.empty_table()] for day in days}
        said = self.rate_cards.priced(days, after=after, upto=self._number, revision=revision)
        while some := list(islice(said, CARDS_AT_ONCE)):
            some.sort(key=lambda card: card.subject.day)
            for day, cards in groupby(some, lambda card: card.subject.day):
                pieces[day].append(price_table(cards))
        return {day: pa.concat_tables(tables).combine_chunks() for day, tables in pieces.items()}

    def _forget(self) -> None:
        """Keeps no more than `ROWS_KEPT_MAX` rows."""
        rows = sum(table.num_rows for table in self._kept.values())
        while rows > ROWS_KEPT_MAX:
            rows -= self._kept.popitem(last=False)[1].num_rows


def price_table(said: Iterable[CardPrices]) -> pa.Table:
    """The rows (`costs.PRICES`) of cards: one for each part that one prices."""
    rows = [
        (card.card_id, part, *divmod(rate, RATE_STEP), card.subject.line_item(part), PARTS[part].unit)
        for card in said
        for part, rate in card.prices.rates.items()
    ]
    columns = zip(*rows, strict=True) if rows else ((),) * len(PRICES)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, PRICES, strict=True)]
    return pa.Table.from_arrays(arrays, schema=PRICES)
