"""Rate cards for events as they come in."""

import logging
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from usageledger.buckets import DAY_SECONDS
from usageledger.parts import CACHE_WRITE, CACHED, UNCACHED
from usageledger.pricing import Prices, Subject
from usageledger.pricing.book import PriceBook
from usageledger.pricing.cards import CASES
from usageledger.pricing.own_prices import OwnPrices
from usageledger.registry import RateCards

WARNING_SECONDS = 60  # between two: names that are made up anew each time must not fill the log
OFFERS_KEPT_MAX = 100_000  # combinations remembered with their cards
KEY_MAX = 2**40
FEW_ROWS = 300  # whose combinations are compared faster one by one
INPUT = (*UNCACHED, *CACHED, *CACHE_WRITE)

logger = logging.getLogger("usageledger.pricing")

# The stored columns that a price depends on, beside the time, the cases last.
KEYS = ("kind", "provider", "model", "service_tier", "batch", *CASES)

ONE_PRICE: tuple[tuple[int, ...], tuple[int, ...]] = (0,), (0,)  # the seconds and bands of most offers

Ids = np.ndarray[Any, np.dtype[np.int64]]
Combination = tuple[Any, ...]  # a project with own prices or None, the start of a day, then the values of `KEYS`

# The cards of a subject, one for each time of day and context band where they differ: the seconds of the day at which
# prices change, ascending from 0; the numbers of input tokens above which another price holds, ascending from 0; and
# for each of these seconds, and in it for each of these numbers, the `rate_id`. Plain tuples of numbers are nothing to
# Python's collector, and there are many of them.
Offer = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


class CardGiver:
    """Gives events their rate cards, and tells the log of models without a price. For one thread at a time.

    Args:
        book: gives the price book that new cards are made from.
    """

    def __init__(
        self, rate_cards: RateCards, book: Callable[[], PriceBook], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate_cards = rate_cards
        self._book = book
        self._clock = clock
        self._offers: dict[Combination, Offer] = {}
        self._unpriced: set[tuple[str, str, str | None]] = set()  # told, or to be told
        self._untold: tuple[Subject, int] | None = None  # the first of them, and how many others
        self._quiet_until = clock()
        self._projects: frozenset[str] = frozenset()  # with own prices, when a card was given last

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
        self._warn()
        rate_ids: Ids = np.array([ids[0] for _, _, ids in offers], np.int64)[inverse]
        several = np.array([len(ids) > 1 for _, _, ids in offers])
        if several.any():
            tokens = _tokens_of_request(rows)
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
        if rows.num_rows <= FEW_ROWS:
            places: dict[Combination, int] = {}
            which = [places.setdefault(each, len(places)) for each in _combinations(rows, keys)]
            return list(places), np.array(which, np.int64)
        first, inverse = _distinct(rows, keys)
        return _combinations(rows.select(["ts", *keys]).take(first), keys), inverse

    def _give(self, combinations: list[Combination], own: OwnPrices) -> None:
        """Gives cards to the combinations that have none yet."""
        missing = [combination for combination in combinations if combination not in self._offers]
        if len(self._offers) > OFFERS_KEPT_MAX:
            self._offers.clear()
            self._unpriced.clear()
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
        book = self._book()
        for combination in combinations:
            subject = _subject(combination)
            offers = book.offers(subject, own)
            if len(offers) == 1:
                shapes.append(ONE_PRICE)
            else:
                seconds = tuple(dict.fromkeys(at.second for at, _ in offers))
                shapes.append((seconds, tuple(dict.fromkeys(at.band for at, _ in offers))))
            if not any(prices.rates for _, prices in offers):
                self._note(subject)
            yield from offers

    def _note(self, subject: Subject) -> None:
        """Remembers, once, that a model has no price, or the tier of it that came first."""
        known_as = (subject.kind, subject.provider, subject.model)
        if known_as not in self._unpriced:
            self._unpriced.add(known_as)
            self._untold = (self._untold[0], self._untold[1] + 1) if self._untold else (subject, 0)

    def _warn(self) -> None:
        """Logs what has no price and was not told, in one line, a while after the last one."""
        if self._untold is None or self._clock() < self._quiet_until:
            return
        (subject, others), self._untold = self._untold, None
        self._quiet_until = self._clock() + WARNING_SECONDS
        logger.warning(
            "no price for %s of %r: %s, tier %r%s; GET /v1/unpriced lists what has none",
            subject.kind,
            subject.provider,
            "no model" if subject.model is None else repr(subject.model),
            subject.tier,
            f", and for {others} other{'s' * (others != 1)}" if others else "",
        )


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


def _combinations(rows: pa.Table, keys: tuple[str, ...]) -> list[Combination]:
    """The combination of each row."""
    seconds = rows["ts"].to_numpy()
    columns: list[list[Any]] = [rows[name].to_pylist() for name in KEYS]
    projects = rows["project_id"].to_pylist() if "project_id" in keys else [None] * len(seconds)
    return list(zip(projects, (seconds - seconds % DAY_SECONDS).tolist(), *columns, strict=True))


def _subject(combination: Combination) -> Subject:
    project, day, kind, provider, model, service_tier, batch, *said = combination
    case = dict(zip(CASES, said, strict=True))
    return Subject(day, kind, provider, model, service_tier, bool(batch), project=project, **case)


def _tokens_of_request(rows: pa.Table) -> Ids:
    """The input tokens of a request, for each event: the mean, rounded up, where it has many; 0 for none."""
    tokens = np.add.reduce([rows[column].to_numpy() for column in INPUT])
    requests = rows["num_model_requests"].to_numpy()
    return np.where(requests > 0, -(-tokens // np.maximum(requests, 1)), 0)
