"""Rate cards for events as they come in, and the prices that costs are answered by."""

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from usageledger.ledger.costs import PRICES
from usageledger.meters import DAY_SECONDS
from usageledger.parts import CACHE_WRITE, CACHED, UNCACHED
from usageledger.pricing import Subject
from usageledger.pricing.book import PriceBook
from usageledger.pricing.cards import PARTS
from usageledger.registry import CardPrices, RateCards

MOST_WARNINGS = 200  # names that are made up anew each time must not fill the log
MOST_OFFERS = 100_000  # combinations remembered with their cards
LARGEST_KEY = 2**40
INPUT = (*UNCACHED, *CACHED, *CACHE_WRITE)

logger = logging.getLogger("usageledger.pricing")

# The stored columns that a price depends on, beside the time.
KEYS = ("kind", "provider", "model", "service_tier", "batch", "size", "quality", "context_level")

Ids = np.ndarray[Any, np.dtype[np.int64]]
Combination = tuple[Any, ...]  # the start of a day, then the values of `KEYS`


@dataclass(frozen=True, slots=True)
class Offer:
    """The cards of a subject: one for each time of day and context band, where they differ.

    Attributes:
        seconds: the seconds of the day at which prices change, ascending from 0.
        bands: the numbers of input tokens above which another price holds, ascending from 0.
        rate_ids: for each of `seconds`, and each of `bands`.
    """

    seconds: tuple[int, ...]
    bands: tuple[int, ...]
    rate_ids: Ids


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
        rate_ids: Ids = np.array([offer.rate_ids[0, 0] for offer in offers], np.int64)[inverse]
        several = np.array([offer.rate_ids.size > 1 for offer in offers])
        if several.any():
            tokens = np.add.reduce([rows[column].to_numpy() for column in INPUT])
            seconds = rows["ts"].to_numpy() % DAY_SECONDS
            for number in np.nonzero(several)[0].tolist():
                offer, places = offers[number], np.nonzero(inverse == number)[0]
                at = np.searchsorted(offer.seconds, seconds[places], side="right") - 1
                band = np.maximum(np.searchsorted(offer.bands, tokens[places], side="left") - 1, 0)
                rate_ids[places] = offer.rate_ids[at, band]
        return rate_ids

    def _known(self, combinations: list[Combination]) -> list[Offer]:
        missing = [combination for combination in combinations if combination not in self._offers]
        if missing:
            if len(self._offers) > MOST_OFFERS:
                self._offers.clear()
                missing = combinations
            subjects = [_subject(*combination) for combination in missing]
            overrides = self._rate_cards.overrides()
            offered = [self._book.offers(subject, overrides) for subject in subjects]
            rate_ids = iter(self._rate_cards.give([each for offers in offered for each in offers]))
            for combination, subject, offers in zip(missing, subjects, offered, strict=True):
                seconds = tuple(dict.fromkeys(at.second for at, _ in offers))
                bands = tuple(dict.fromkeys(at.band for at, _ in offers))
                ids = np.array([next(rate_ids) for _ in offers], np.int64)
                self._offers[combination] = Offer(seconds, bands, ids.reshape(len(seconds), len(bands)))
                if not any(prices.rates for _, prices in offers):
                    self._warn(subject)
        return [self._offers[combination] for combination in combinations]

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


def _subject(day: int, *values: Any) -> Subject:
    given = dict(zip(KEYS, values, strict=True))
    return Subject(day, batch=bool(given.pop("batch")), **given)


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices of the days of a window.

    Attributes:
        stamp: what tells it from a table of other prices.
        prices: `costs.PRICES`.
    """

    stamp: tuple[int, int | None]
    prices: pa.Table


class PriceTables:
    """What rate cards say, as tables; follows the registry. Safe to use from many threads."""

    def __init__(self, rate_cards: RateCards) -> None:
        self._rate_cards = rate_cards
        self._lock = threading.Lock()
        self._number = 0
        self._said: list[CardPrices] = []  # in the order of their numbers
        self._days: Ids = np.zeros(0, np.int64)
        self._today = PRICES.empty_table()

    def window(self, start: int, end: int, as_of: int | None = None) -> PriceTable:
        """The prices of events between these times, as they were at `as_of` (Unix seconds), else as they are."""
        with self._lock:
            self._follow()
            days, table = self._days, self._today
            if as_of is not None:
                days, table = price_table(_at(self._said, self._rate_cards.revision_at(as_of)))
            chosen = (days > start - DAY_SECONDS) & (days < end)
            return PriceTable((self._number, as_of), table.filter(pa.array(chosen)))

    def is_current(self, table: PriceTable) -> bool:
        """Whether nothing was written since."""
        return self._rate_cards.newest() == table.stamp[0]

    def cards(self, rate_ids: Iterable[int], as_of: int | None = None) -> dict[int, CardPrices]:
        """The cards with these ids, as they were at `as_of` (Unix seconds), else as they are."""
        wanted = set(rate_ids)
        with self._lock:
            self._follow()
            revision = None if as_of is None else self._rate_cards.revision_at(as_of)
            return {said.card_id: said for said in _at(self._said, revision) if said.card_id in wanted}

    def all(self) -> list[CardPrices]:
        """What every card says today."""
        with self._lock:
            self._follow()
            return list(_at(self._said, None))

    def history(self, card_id: int) -> list[CardPrices]:
        """What a card said, first when it was given, then at each revision of it."""
        with self._lock:
            self._follow()
            return [said for said in self._said if said.card_id == card_id]

    def _follow(self) -> None:
        if self._rate_cards.newest() == self._number:
            return
        fresh = self._rate_cards.since(self._number)
        self._said += fresh
        self._number = fresh[-1].number
        if any(said.revision for said in fresh):
            self._days, self._today = price_table(_at(self._said, None))
        else:
            days, table = price_table(fresh)
            self._days = np.concatenate([self._days, days])
            self._today = pa.concat_tables([self._today, table]).combine_chunks()


def _at(said: Iterable[CardPrices], revision: int | None) -> Iterable[CardPrices]:
    """What each card said at a revision; None for the last one."""
    return {each.card_id: each for each in said if revision is None or each.revision <= revision}.values()


def price_table(said: Iterable[CardPrices]) -> tuple[Ids, pa.Table]:
    """The day of each row, and the rows (`costs.PRICES`): one for each part that a card prices."""
    rows = [
        (card.subject.day, card.card_id, part, Decimal(rate), card.subject.line_item(part), PARTS[part].unit)
        for card in said
        for part, rate in card.prices.rates.items()
    ]
    days, *columns = zip(*rows, strict=True) if rows else ((),) * (len(PRICES) + 1)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, PRICES, strict=True)]
    return np.array(days, np.int64), pa.Table.from_arrays(arrays, schema=PRICES)
