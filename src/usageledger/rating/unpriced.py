"""Usage that has no price or an unconfirmed one: how many rate cards of a page do, and what has none."""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from msgspec import structs

from usageledger.buckets import DAY_SECONDS
from usageledger.ledger import Ledger
from usageledger.ledger.lookups import times_of_cards
from usageledger.ledger.price_table import CardCount, Unpriced
from usageledger.pricing import Reason, Subject
from usageledger.pricing.book import PriceBook
from usageledger.pricing.own_prices import OwnPrices
from usageledger.questions.query import Query
from usageledger.rating.charges import Charge
from usageledger.rating.price_tables import PriceTables

PRICED_SINCE = Reason("priced_since", "a price is known now: a repricing lets it hold")
CARDS_LISTED_MAX = 10_000  # cards and parts in a list
COUNTS_KEPT_MAX = 1_000


class CardCounts:
    """Counts of a page's rate cards without a price which they need, or with a provisional one.

    They are remembered while nothing changes; the page that was asked for longest ago is forgotten first. Safe to use
    from many threads.

    Args:
        kept_max: pages whose counts are remembered.
    """

    def __init__(
        self, ledger: Ledger, prices: PriceTables, *, max_seconds: float, kept_max: int = COUNTS_KEPT_MAX
    ) -> None:
        self._ledger = ledger
        self._prices = prices
        self._max_seconds = max_seconds
        self._kept_max = kept_max
        self._lock = threading.Lock()  # guards _kept; the ledger is asked without it
        self._kept: OrderedDict[tuple[object, ...], tuple[int, CardCount]] = OrderedDict()

    def count(self, query: Query, revision: int, confirmed_through: int) -> CardCount:
        """Count them by the prices after a repricing; raises as `Ledger.count_cards` does."""
        key = (query.page_start, query.page_end, query.filters_digest, revision, confirmed_through)
        # Read before the ledger is asked: what comes in meanwhile makes the count older than it is, never newer.
        version = self._ledger.version(query.page_start, query.page_end)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and kept[0] == version:
                self._kept.move_to_end(key)
                return kept[1]
        table = partial(self._prices.window, query.page_start, query.page_end, revision)
        found = self._ledger.count_cards(query, table, confirmed_through, max_seconds=self._max_seconds)
        if version is not None:
            with self._lock:
                self._kept[key] = version, found
                self._kept.move_to_end(key)
                while len(self._kept) > self._kept_max:
                    self._kept.popitem(last=False)
        return found


@dataclass(frozen=True, slots=True)
class UnpricedUsage:
    """Usage of one subject that has no price.

    Attributes:
        subject: with `day`, `band` and `second` 0.
        charges: one for each part, without an amount, by the first of its cards.
        first_time, last_time: Unix seconds of its first and last event; of dropped ones, those of their days.
    """

    subject: Subject
    charges: list[Charge]
    first_time: int
    last_time: int


def unpriced_usage(
    ledger: Ledger, prices: PriceTables, query: Query, *, max_seconds: float, listed_max: int = CARDS_LISTED_MAX
) -> list[UnpricedUsage]:
    """List what of a window has no price today, by subject; raises as `Ledger.unpriced` does."""
    table = partial(prices.window, query.page_start, query.page_end, prices.revision())
    found = ledger.unpriced(query, table, max_seconds=max_seconds, max_results=listed_max)
    cards = prices.rate_cards.at({each.rate_id for each in found})
    # Of events that were dropped the day is known, from their cards.
    days = {rate_id: card.subject.day for rate_id, card in cards.items()}
    times = {rate_id: (day, day + DAY_SECONDS - 1) for rate_id, day in days.items()}
    if found:
        with ledger.snapshot() as snapshot:
            times |= times_of_cards(snapshot, sorted(times), query.start_time, query.end_time)
    groups: dict[Subject, list[Unpriced]] = {}
    for each in found:
        # The same but for the time, the band and the project, which its price depends on as well.
        subject = structs.replace(cards[each.rate_id].subject, day=0, band=0, second=0, project=None)
        groups.setdefault(subject, []).append(each)
    return [
        UnpricedUsage(
            subject,
            [
                Charge(cards[members[0].rate_id], part, quantity, amount=None)
                for part, quantity in _quantities(members).items()
            ],
            min(times[each.rate_id][0] for each in members),
            max(times[each.rate_id][1] for each in members),
        )
        for subject, members in groups.items()
    ]


def _quantities(members: list[Unpriced]) -> dict[str, int]:
    """Add up what there is of each part."""
    quantities: dict[str, int] = {}
    for each in members:
        quantities[each.part] = quantities.get(each.part, 0) + each.quantity
    return quantities


def reasons(book: PriceBook, own: OwnPrices, charges: Iterable[Charge]) -> list[tuple[Charge, Reason]]:
    """Pair charges that have no price with the reason, by the price book of today."""
    return [(each, book.prices(each.card.subject, own).reasons.get(each.part, PRICED_SINCE)) for each in charges]
