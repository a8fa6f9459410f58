"""Prices as a table that statements join, and usage that lacks one or has one that is not confirmed."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class PriceTable:
    """The prices of rate cards, as a table.

    Attributes:
        rows: `costs.PRICES`.
        newest_card: the largest `rate_id` that was looked at; of events with a later one nothing is said.
    """

    rows: pa.Table
    newest_card: int


# Called when it is settled which events an answer sees, so that the cards of all of them are in the table.
PricesOf = Callable[[], PriceTable]


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Usage of a window that has no price.

    Attributes:
        rate_id: its card, which says nothing of `part`.
        quantity: in the units of the stored column `part`; for a size, bytes times hours.
    """

    kind: str
    rate_id: int
    part: str
    quantity: int


@dataclass(frozen=True, slots=True)
class CardCount:
    """The number of rate cards by which usage of a window has no price that it needs, or a provisional one."""

    unpriced: int
    provisional: int
