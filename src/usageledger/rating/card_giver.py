"""Rate cards for events as they come in."""

import logging
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import structs

from usageledger.buckets import DAY_SECONDS
from usageledger.parts import CACHE_WRITE, CACHED, UNCACHED
from usageledger.pricing import Prices, Subject
from usageledger.pricing.book import PriceBook
from usageledger.pricing.own_prices import OwnPrices
from usageledger.registry import RateCards

WARNINGS_MAX = 200  # names that are made up anew each time must not fill the log
OFFERS_KEPT_MAX = 100_000  # combinations remembered with their cards
KEY_MAX = 2**40
INPUT = (*UNCACHED, *CACHED, *CACHE_WRITE)

logger = logging.getLogger("usageledger.pricing")

# The stored columns that a price depends on, beside the time, in the order of `Subject`.
KEYS = ("kind", "provider", "model", "service_tier", "batch", "size", "quality", "context_level")

ONE_PRICE: tuple[tuple[int, ...], tuple[int, ...]] = (0,), (0,)  # the seconds and bands of most offers

Ids = np.ndarray[Any, np.dtype[np.int64]]
Combination = tuple[Any, ...]  # a project with own prices or None, the start of a day, then the values of `KEYS`

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
        self._projects: frozenset[str] = frozenset()  # with own prices, when a card was given last
        self._unpriced: set[tuple[str, str, str | None]] = set()

    def cards(self, rows: pa.Table) -> Ids:
        """The `rate_id` of each row (`columns.SCHEMA`), in the registry when this returns.

        Raises:
            RegistryError: a new card could not be stored.
        """
        combinations, inverse = self._combinations(rows)
        if any(combination not in self._offers for combination in combinations):
            own = OwnPrices(self._rate_cards.overrides())
            if own.projects != self._projects:
                self._projects = own.projects
                combinations, inverse = self._combinations(rows)
            self._give(combinations, own)
        offers = [self._offers[combination] for combination in combinations]
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

    def _combinations(self, rows: pa.Table) -> tuple[list[Combination], Ids]:
        """The distinct combinations of `KEYS` and day, and for each row which it is.

        Projects without own prices are left out: they share their cards.
        """
        keys: tuple[str, ...] = KEYS
        if self._projects:
            keys = ("project_id", *KEYS)
            known = pc.is_in(rows["project_id"], pa.array(self._projects))
            projects = pc.if_else(known, rows["project_id"], None)
            rows = rows.set_column(rows.column_names.index("project_id"), "project_id", projects)
        first, inverse = _distinct(rows, keys)
        return _combinations(rows, first, keys), inverse

    def _give(self, combinations: list[Combination], own: OwnPrices) -> None:
        """Gives cards to the combinations that have none yet."""
        missing = [combination for combination in combinations if combination not in self._offers]
        if len(self._offers) > OFFERS_KEPT_MAX:
            self._offers.clear()
            missing = combinations
        shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
        rate_ids = iter(self._rate_cards.give(self._offered(missing, own, shapes)))
        for combination, (seconds, bands) in zip(missing, shapes, strict=True):
            self._offers[combination] = seconds, bands, tuple(islice(rate_ids, len(seconds) * len(bands)))

    def _offered(
        self,
        combinations: list[Combination],
        own: OwnPrices,
        shapes: list[tuple[tuple[int, ...], tuple[int, ...]]],
    ) -> Iterator[tuple[Subject, Prices]]:
        """Yields the offers of the book to each in turn; adds the seconds and bands of each to `shapes`."""
        for combination in combinations:
            subject = _subject(combination)
            offers = self._book.offers(subject, own)
            if len(offers) == 1:
                shapes.append(ONE_PRICE)
            else:
                seconds = tuple(dict.fromkeys(at.second for at, _ in offers))
                shapes.append((seconds, tuple(dict.fromkeys(at.band for at, _ in offers))))
            if len(self._unpriced) < WARNINGS_MAX and not any(prices.rates for _, prices in offers):
                self._warn(subject)
            yield from offers

    def _warn(self, subject: Subject) -> None:
        """Logs once that there is no price for a model, or for the tier of it that came first."""
        known_as = (subject.kind, subject.provider, subject.model)
        if known_as in self._unpriced:
            return
        self._unpriced.add(known_as)
        model = "no model" if subject.model is None else repr(subject.model)
        logger.warning("no price for %s of %r: %s, tier %r", subject.kind, subject.provider, model, subject.tier)
        if len(self._unpriced) == WARNINGS_MAX:
            logger.warning("no price for many models: GET /v1/unpriced lists them")


def _distinct(rows: pa.Table, keys: tuple[str, ...]) -> tuple[Ids, Ids]:
    """The first row of each distinct combination of `keys` and day, and for each row which combination it is."""
    key: Ids = rows["ts"].to_numpy() // DAY_SECONDS
    key = np.unique(key, return_inverse=True)[1]
    size = int(key.max()) + 1
    for name in keys:
        encoded = rows[name].combine_chunks().dictionary_encode(null_encoding="encode")
        distinct = len(encoded.dictionary)
        if distinct > 1:
            if size * distinct > KEY_MAX:
                key = np.unique(key, return_inverse=True)[1]
                size = int(key.max()) + 1
            key = key * distinct + encoded.indices.to_numpy()
            size *= distinct
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    return first, inverse


def _combinations(rows: pa.Table, places: Ids, keys: tuple[str, ...]) -> list[Combination]:
    """The combinations of the rows at these places."""
    chosen = rows.select(["ts", *keys]).take(places)
    seconds = chosen["ts"].to_numpy()
    columns: list[list[Any]] = [chosen[name].to_pylist() for name in KEYS]
    projects = chosen["project_id"].to_pylist() if "project_id" in keys else [None] * len(places)
    return list(zip(projects, (seconds - seconds % DAY_SECONDS).tolist(), *columns, strict=True))


def _subject(combination: Combination) -> Subject:
    project, day, kind, provider, model, service_tier, batch, *others = combination
    subject = Subject(day, kind, provider, model, service_tier, bool(batch), *others)
    return subject if project is None else structs.replace(subject, project=project)
