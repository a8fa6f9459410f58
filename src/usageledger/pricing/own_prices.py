"""The operator's own prices, found by the names that they hold for.

A price for a name holds for all names that mean the same on the day: other spellings, names that stand for it, and the
name that it stands for itself. One for `in-house-*` holds for every name that begins so. Of several the more exact one
comes first: the very name before another name of the model, and any name before a wild card, the longest first.
Prices come before discounts, which are percentages off what lists say.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from typing import Final

from msgspec import structs

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
    """

    prices: Sequence[Override] = ()
    discount: Override | None = None

    def __bool__(self) -> bool:
        return bool(self.prices or self.discount)


class OwnPrices:
    """The operator's prices, oldest first."""

    def __init__(self, overrides: Iterable[Override] = ()) -> None:
        self._exact: dict[tuple[str, Name], list[Override]] = {}
        # By the number of letters before the star, so that a name is cut and looked up, however many there are.
        self._wild: dict[tuple[str, str], dict[int, dict[str, list[Override]]]] = {}
        for override in overrides:
            self.add(override)

    def __bool__(self) -> bool:
        return bool(self._exact or self._wild)

    def add(self, override: Override) -> None:
        """Adds a price that was set after all others."""
        provider, model = own_name(override.provider, override.model)
        override = structs.replace(override, provider=provider, model=model, tier=_tier(provider, override.tier))
        if model is None or not model.endswith(ANY):
            self._exact.setdefault((override.kind, (provider, model)), []).append(override)
        else:
            start = model.removesuffix(ANY)
            by_length = self._wild.setdefault((override.kind, provider), {})
            by_length.setdefault(len(start), {}).setdefault(start, []).append(override)

    def about(self, kind: str, names: Sequence[Name]) -> list[Override]:
        """The prices of usage with any of these names, of all times, tiers and cases; the more exact ones last.

        Args:
            kind: the kind of usage.
            names: the very name first, then others of the model, the nearer ones before.
        """
        found: dict[int, tuple[Rank, Override]] = {}
        for (place, (provider, name)), of in product(enumerate(names), (ANY, kind)):
            for override in self._exact.get((of, (provider, name)), ()):
                found.setdefault(id(override), ((1, -place), override))
            for length, by_start in self._wild.get((of, provider), {}).items():
                for override in by_start.get((name or "")[:length], ()):
                    found.setdefault(id(override), ((0, length), override))
        ranked = sorted(found.values(), key=lambda each: (each[0], each[1].exactness, each[1].start))
        return [override for _, override in ranked]

    def of(self, at: Subject, names: Sequence[Name]) -> Held:
        """Look up what holds for a subject on its day: of each case the latest."""
        if not self:
            return NOTHING
        latest: dict[tuple[object, ...], Override] = {}
        for override in self.about(at.kind, names):
            if override.tier in (ANY, _tier(override.provider, at.tier)) and override.applies(at):
                latest.pop(override.about, None)  # so that the last one stands last
                latest[override.about] = override
        prices = [override for override in latest.values() if override.rate is not None]
        discounts = [override for override in latest.values() if override.percent is not None]
        return Held(prices, discounts[-1] if discounts else None)


def operator_source(override: Override) -> Source:
    """The source of a price of the operator's, and the first part of that of a price after a discount."""
    start, words = iso(override.start), override.note
    if override.percent is not None:
        words = f"{percent_words(override)} since {start}{f' ({words})' if words else ''}"
    return Source(f"operator: {words}".strip(": "), layer="operator", start=start)


def percent_words(discount: Override) -> str:
    """`12 % off the list`, `10 % on top of the list of openai`."""
    percent, of = Decimal(discount.percent or 0), f" of {discount.like}" if discount.like else ""
    if not percent:
        return f"as the list{of}"
    return f"{abs(percent):f} % {'off' if percent < 0 else 'on top of'} the list{of}"


def iso(day: int) -> str:
    """The UTC day that begins at a second, as `2026-11-01`."""
    return datetime.fromtimestamp(day, UTC).strftime("%Y-%m-%d")


def _tier(provider: str, tier: str) -> str:
    return min(tier_names(provider, tier))


NOTHING: Final = Held()
NO_OWN_PRICES: Final = OwnPrices()
