"""The cost of rows of events, exactly, by what their rate cards say; a stored size, which does not add up, has none."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from usageledger.ledger.statements.cost_sums import FLOWS
from usageledger.registry import RateCards

CARDS_KEPT_MAX = 100_000
INT64_MAX = 2**63 - 1
Ids = np.ndarray[Any, np.dtype[np.int64]]
Rates = Mapping[str, int]  # part → 10⁻¹⁸/9 USD a unit


class CardRates:
    """The rates of cards as of the last repricing, remembered. For one thread at a time."""

    def __init__(self, rate_cards: RateCards) -> None:
        self._rate_cards = rate_cards
        self._kept: dict[int, Rates] = {}

    def of(self, card_ids: Iterable[int]) -> Mapping[int, Rates]:
        """The rates of each of these cards. Raises RegistryError."""
        missing = [card_id for card_id in card_ids if card_id not in self._kept]
        if missing:
            if len(self._kept) > CARDS_KEPT_MAX:
                self._kept.clear()
                missing = list(card_ids)
            self._kept |= {card_id: card.prices.rates for card_id, card in self._rate_cards.at(missing).items()}
        return self._kept

    def forget(self) -> None:
        """Forgets them all: a repricing may have changed them."""
        self._kept.clear()


def costs_of(rows: pa.Table, groups: Ids, count: int, cards: CardRates) -> list[int]:
    """Adds up the cost of rows (`columns.SCHEMA`) in each of `count` groups, in 10⁻¹⁸/9 USD.

    Args:
        rows: events that have their rate cards.
        groups: of each row, from 0.
        count: of the groups.
        cards: give the rates.
    """
    found = [0] * count
    if not rows.num_rows:
        return found
    card_ids, card_of_row = np.unique(rows["rate_id"].to_numpy(), return_inverse=True)
    cells, cell_of_row = np.unique(groups * len(card_ids) + card_of_row, return_inverse=True)
    order = np.argsort(cell_of_row, kind="stable")
    starts = np.searchsorted(cell_of_row[order], np.arange(len(cells)))
    rates = cards.of(card_ids.tolist())
    rates_of_cell = [rates[card_id] for card_id in card_ids[cells % len(card_ids)].tolist()]
    group_of_cell = (cells // len(card_ids)).tolist()
    for part in FLOWS:
        counts = rows[part].to_numpy()
        largest = int(counts.max())
        if not largest:
            continue
        if largest > INT64_MAX // len(counts):
            counts = counts.astype(object)
        sums = np.add.reduceat(counts[order], starts)
        used = np.nonzero(sums)[0]
        for cell, quantity in zip(used.tolist(), sums[used].tolist(), strict=True):
            rate = rates_of_cell[cell].get(part)
            if rate:
                found[group_of_cell[cell]] += quantity * rate
    return found
