"""Counts of rate cards that lack a price, remembered."""

from functools import partial
from typing import Any

from usageledger.ledger import Ledger
from usageledger.questions.query import Query
from usageledger.rating.price_tables import PriceTables
from usageledger.settings import Settings

COUNTS_MAX = 1_000  # pages whose counts are remembered


class UnpricedCounts:
    """Counts of a page's rate cards that lack a price which they need; remembered while nothing changes."""

    def __init__(self, ledger: Ledger, prices: PriceTables, settings: Settings) -> None:
        self._ledger = ledger
        self._prices = prices
        self._max_seconds = settings.max_query_seconds
        self._kept: dict[Any, tuple[int | None, int]] = {}

    def count(self, query: Query, revision: int) -> int:
        """Raises as `Ledger.unpriced` does."""
        key = (query.page_start, query.page_end, query.filters_digest, revision)
        version = self._ledger.version(query.page_start, query.page_end)
        kept = self._kept.get(key)
        if kept is not None and version is not None and kept[0] == version:
            return kept[1]
        found = self._ledger.unpriced_cards(
            query,
            partial(self._prices.window, query.page_start, query.page_end, revision),
            max_seconds=self._max_seconds,
        )
        if len(self._kept) >= COUNTS_MAX:
            self._kept.clear()
        self._kept[key] = version, found
        return found
