"""The state of spend: of each scope what its month has cost, is held, is left, and may become."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from usageledger.buckets import DAY_SECONDS
from usageledger.ledger import Ledger
from usageledger.ledger.price_table import PriceTable
from usageledger.pricing import Prices
from usageledger.rating.price_tables import PriceTables, price_table
from usageledger.registry import CardPrices
from usageledger.spending.forecast import DAYS, Forecast, forecast
from usageledger.spending.hold_file import Settled
from usageledger.spending.months import Month, month_of
from usageledger.spending.spend import (
    MAX_SECONDS,
    ORGANIZATION,
    RESULTS_MAX,
    costs_of_days,
    prices_of,
    question,
    scopes_of,
)
from usageledger.spending.spending import Spending

REQUESTS = ("num_model_requests", "num_requests", "num_sessions")  # the first that a kind has counts its requests
ByDay = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class ScopeSpend:
    """The spend of a scope in the month that is now; amounts in 10⁻¹⁸/9 USD.

    Attributes:
        scope: a project, or `ORGANIZATION`.
        spent: recorded, exactly.
        held: by reservations that have not ended.
        limit: None where it has none.
        forecast: None in the first two days of a month.
        unpriced_requests: the cost of at least a part of each is not known, and is not in `spent`.
        settled: of events that had a hold; None where there are no reservations.
    """

    scope: str
    month: Month
    spent: int
    held: int
    limit: int | None
    forecast: Forecast | None
    unpriced_requests: int
    settled: Settled | None

    @property
    def available(self) -> int | None:
        """The rest that may be reserved; None without a limit."""
        return None if self.limit is None else self.limit - self.spent - self.held

    @property
    def is_enforcing(self) -> bool:
        """True if recorded spend has reached the limit. Holds do not count, since they may be released."""
        return self.limit is not None and self.spent >= self.limit


def report(
    ledger: Ledger,
    prices: PriceTables,
    limits: Mapping[str, int | None],
    spending: Spending | None,
    now: int,
) -> list[ScopeSpend]:
    """Reports these scopes; raises as `Ledger.costs` does.

    Args:
        ledger: with the events.
        prices: of them.
        limits: scopes to report on → the amount of a month.
        spending: None where nothing is held.
        now: Unix seconds.
    """
    month = month_of(now)
    costs = _costs(ledger, prices, month, now, limits)
    unpriced = unpriced_requests(ledger, prices, month)
    found = []
    for scope, limit in limits.items():
        by_day = costs[scope]
        spent = sum(amount for day, amount in by_day.items() if day >= month.start)
        found.append(
            ScopeSpend(
                scope,
                month,
                spent,
                spending.reservations.held(scope) if spending else 0,
                limit,
                forecast(spent, by_day, month, now),
                sum(unpriced.values()) if scope == ORGANIZATION else unpriced.get(scope, 0),
                spending.reservations.settled(month.start, scope) if spending else None,
            )
        )
    return found


def _costs(
    ledger: Ledger, prices: PriceTables, month: Month, now: int, scopes: Collection[str]
) -> dict[str, dict[int, int]]:
    """Scope → day → its cost, of the month and of the days before it that a forecast looks at."""
    start = min(month.start, now - now % DAY_SECONDS - DAYS * DAY_SECONDS)
    answer = costs_of_days(ledger, prices, question(start, month.end, "project_id"))
    found: dict[str, dict[int, int]] = {scope: {} for scope in scopes}
    rows = zip(answer.starts, *(answer.columns.get(name, ()) for name in ("project_id", "amount")), strict=True)
    for day, project, amount in rows:
        for scope in scopes_of(project):
            if scope in found:
                found[scope][day] = found[scope].get(day, 0) + amount
    return found


def unpriced_requests(ledger: Ledger, prices: PriceTables, month: Month) -> dict[str | None, int]:
    """Project → how many requests of the month have a part without a price."""
    query = question(month.start, month.end, "project_id").whole
    table = prices_of(prices, query)
    unpriced = ledger.unpriced(replace(query, group_by=()), table, max_seconds=MAX_SECONDS, max_results=RESULTS_MAX)
    cards = [_a_unit_each(card) for card in prices.rate_cards.at({each.rate_id for each in unpriced}).values()]
    if not cards:
        return {}
    counting = PriceTable(price_table(cards), max(card.card_id for card in cards))
    answer = ledger.costs(query, lambda: counting, max_seconds=MAX_SECONDS, max_results=RESULTS_MAX)
    return dict(zip(*(answer.columns.get(name, ()) for name in ("project_id", "amount")), strict=True))


def _a_unit_each(card: CardPrices) -> CardPrices:
    """A card by which the amount is the number of requests."""
    counted = next((part for part in REQUESTS if part in card.subject.parts), None)
    return replace(card, prices=Prices({} if counted is None else {counted: 1}))
