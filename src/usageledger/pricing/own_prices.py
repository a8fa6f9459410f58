"""The operator's own prices, found by the names that they hold for.

A price for a name holds for all names that mean the same on the day: other spellings, names that stand for it, and the
name that it stands for itself. One for `in-house-*` holds for every name that begins so. Of several the more exact one
comes first: the very name before another name of the model, and any name before a wild card, the longest first.
Prices come before discounts, which are percentages off what lists say, and those of a project before those of all.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import product
from typing import Final

from usageledger.buckets import iso_day
from usageledger.pricing.cards import Override, Source, Subject
from usageledger.pricing.names import Name, own_name, tier_names
from usageledger.pricing.price_file import ANY

Rank = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Held:
    """The operator's prices of one subject.

    Attributes:
        prices: in any band, the more exact ones last.
        discount: on what lists say, where there is one.
        defaults: field of events → what is meant where one leaves it out.
        of_project: any of them is for the subject's project alone.
    """

    prices: Sequence[Override] = ()
    discount: Override | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)
    of_project: bool = False

    def __bool__(self) -> bool:
        return bool(self.prices or self.discount or self.defaults)


@dataclass(frozen=True, slots=True)
class _Row:
    """An own price, by the name and the tier as prices spell them."""

    name: Name
    tier: str
    price: Override


class OwnPrices:
    """The operator's prices, oldest first.

    Attributes:
        projects: those that have prices of their own.
    """

    def __init__(self, overrides: Iterable[Override] = ()) -> None:
        self.projects: frozenset[str] = frozenset()
        self._exact: dict[tuple[str | None, str, Name], list[_Row]] = {}
        # By the number of letters before the star, so that a name is cut and looked up, however many there are.
        self._wild: dict[tuple[str | None, str, str], dict[int, dict[str, list[_Row]]]] = {}
        for override in overrides:
            self.add(override)

    def __bool__(self) -> bool:
        return bool(self._exact or self._wild)

    def add(self, price: Override) -> None:
        """Adds a price that was set after all others."""
        provider, model = name = own_name(price.provider, price.model)
        row = _Row(name, _tier(provider, price.tier), price)
        if price.project:
            self.projects |= {price.project}
        if model is None or not model.endswith(ANY):
            self._exact.setdefault((price.project, price.kind, name), []).append(row)
        else:
            start = model.removesuffix(ANY)
            by_length = self._wild.setdefault((price.project, price.kind, provider), {})
            by_length.setdefault(len(start), {}).setdefault(start, []).append(row)

    def about(self, at: Subject, names: Sequence[Name]) -> list[Override]:
        """The prices of the kind and the project of `at`, of all times, tiers and cases; the more exact ones last.

        Args:
            at: the subject.
            names: its very name first, then others of its model, the nearer ones before.
        """
        return [row.price for row in self._rows(at, names)]

    def of(self, at: Subject, names: Sequence[Name]) -> Held:
        """The prices that hold for a subject on its day: of each case the latest."""
        if not self:
            return NOTHING
        latest: dict[tuple[object, ...], Override] = {}
        for row in self._rows(at, names):
            if row.tier in (ANY, _tier(row.name[0], at.tier)) and row.price.applies(at):
                about = row.name, row.tier, *row.price.about
                latest.pop(about, None)  # so that the last one stands last
                latest[about] = row.price
        prices = [price for price in latest.values() if price.rate is not None]
        discounts = [price for price in latest.values() if price.percent is not None]
        defaults = {price.part: price.default for price in latest.values() if price.default is not None}
        of_project = any(price.project for price in latest.values())
        return Held(prices, discounts[-1] if discounts else None, defaults, of_project)

    def _rows(self, at: Subject, names: Sequence[Name]) -> list[_Row]:
        found: dict[int, tuple[Rank, _Row]] = {}
        projects = (None,) if at.project is None else (None, at.project)
        for (place, name), project, kind in product(enumerate(names), projects, (ANY, at.kind)):
            for row in self._exact.get((project, kind, name), ()):
                found.setdefault(id(row), ((1, -place), row))
            for length, by_start in self._wild.get((project, kind, name[0]), {}).items():
                for row in by_start.get((name[1] or "")[:length], ()):
                    found.setdefault(id(row), ((0, length), row))
        if not found:
            return []
        ranked = sorted(
            found.values(),
            key=lambda each: (each[1].price.project is not None, each[0], each[1].price.exactness, each[1].price.start),
        )
        return [row for _, row in ranked]


def operator_source(override: Override) -> Source:
    """The source of a price of the operator's, and the first part of that of a price after a discount."""
    start, words = iso_day(override.start), override.note
    if override.percent is not None:
        words = f"{percent_words(override)} since {start}{f' ({words})' if words else ''}"
    return Source(f"operator: {words}".strip(": "), layer="operator", start=start)


def percent_words(discount: Override) -> str:
    """`12 % off the list`, `10 % on top of the list of openai`."""
    percent, of = Decimal(discount.percent or 0), f" of {discount.like}" if discount.like else ""
    if not percent:
        return f"as the list{of}"
    return f"{abs(percent):f} % {'off' if percent < 0 else 'on top of'} the list{of}"


def _tier(provider: str, tier: str) -> str:
    return min(tier_names(provider, tier))


NOTHING: Final = Held()
NO_OWN_PRICES: Final = OwnPrices()
