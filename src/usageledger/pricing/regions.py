"""Factors of regions: what a vendor charges more where it may process a request in one region only."""

from collections.abc import Iterable, Sequence

from msgspec import structs

from usageledger.buckets import iso_day
from usageledger.pricing.cards import Source
from usageledger.pricing.price_file import ANY, USABLE, Factor, holds

ANYWHERE = "global"  # where the vendor chooses: its list price


class Regions:
    """The factors of models in regions."""

    def __init__(self, factors: Iterable[Factor]) -> None:
        self._by_place: dict[tuple[str, str, str], list[Factor]] = {}
        for factor in factors:
            if factor.confidence in USABLE:
                self._by_place.setdefault((factor.provider, factor.model, factor.region), []).append(factor)

    def factor(self, provider: str, names: Sequence[str], region: str, day: int) -> Factor | None:
        """The factor of a model with these names, in a region, on a UTC day (its first second)."""
        at = iso_day(day)
        places = [(provider, name, place) for place in (region, ANY) for name in names]
        known = (factor for place in places for factor in self._by_place.get(place, ()))
        return next((factor for factor in known if holds(factor, at)), None)


def by_factor(source: Source, factor: Factor) -> Source:
    """The source of a price times a factor: both, while both hold."""
    later = factor if factor.start > (source.start or "") else source
    return structs.replace(
        source,
        text=f"{source.text} × {factor.factor} ({factor.source})",  # noqa: RUF001 - a times sign
        start=later.start,
        start_is=later.start_is,
        end=min((end for end in (source.end, factor.end) if end), default=None),
        confidence="medium" if "medium" in (source.confidence, factor.confidence) else source.confidence,
    )
