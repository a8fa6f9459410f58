"""The operator's own prices, found by the names that they hold for.

A price for a name holds for all names that mean the same on the day: other spellings, names that stand for it, and the
name that it stands for itself. One for `in-house-*` holds for every name that begins so. Of several the more exact one
comes first: the very name before another name of the model, and any name before a wild card, the longest first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from usageledger.pricing.cards import Override, Subject
from usageledger.pricing.names import Name, own_name, tier_names
from usageledger.pricing.price_file import ANY

Rank = tuple[int, int]


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
        override = replace(override, provider=provider, model=model, tier=_tier(provider, override.tier))
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
        for place, (provider, name) in enumerate(names):
            for override in self._exact.get((kind, (provider, name)), ()):
                found.setdefault(id(override), ((1, -place), override))
            for length, by_start in self._wild.get((kind, provider), {}).items():
                for override in by_start.get((name or "")[:length], ()):
                    found.setdefault(id(override), ((0, length), override))
        ranked = sorted(found.values(), key=lambda each: (each[0], each[1].exactness, each[1].start))
        return [override for _, override in ranked]

    def of(self, at: Subject, names: Sequence[Name]) -> list[Override]:
        """The prices of a subject on its day, in any band: of each case the latest, the more exact ones last."""
        if not self:
            return []
        latest: dict[tuple[object, ...], Override] = {}
        for override in self.about(at.kind, names):
            if override.tier == _tier(override.provider, at.tier) and override.applies(at):
                latest.pop(override.about, None)  # so that the last one stands last
                latest[override.about] = override
        return [override for override in latest.values() if override.rate is not None]


def _tier(provider: str, tier: str) -> str:
    return min(tier_names(provider, tier))


NO_OWN_PRICES: Final = OwnPrices()
