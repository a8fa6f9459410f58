"""The price book: the price of a subject that is known, from the operator or a public list, or the reason why none is.

Layers, the first that says anything of a name and a part decides: the operator's own prices; the price file, dated and
with sources; the installed `genai-prices`, for names that the file lacks. A price is known where exactly one row is for
that very name, part and tier, and the day, and what the event says meets its conditions. Nothing else is taken for it:
not the price of another part, tier, band, model or time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from msgspec import structs

from usageledger.meters import METER_BY_KIND
from usageledger.parts import CACHE_WRITE, TOKEN_PARTS
from usageledger.pricing import names
from usageledger.pricing.cards import STANDARD_TIERS, Override, Prices, Reason, Source, Subject
from usageledger.pricing.genai_list import PACKAGE, GenaiList, package_name
from usageledger.pricing.listed_prices import CONDITIONS, ListedModel, ListedPrice, seconds_of
from usageledger.pricing.money import to_rate
from usageledger.pricing.price_file import ANY, USABLE, PriceFile, Row, shipped
from usageledger.pricing.regions import ANYWHERE, Regions, by_factor

NAMES_KEPT_MAX = 10_000  # of models, with what is known of them
# Tiers that are two names of one: OpenAI renamed `priority` on 2026-07-30.
_SAME_TIERS: Final = {("openai", "priority"): "fast", ("openai", "fast"): "priority"}
OUT_OF_TIME = ("before_first_seen", "gap", "past_support")  # then another row may be for the time


@dataclass(frozen=True, slots=True)
class Resolved:
    """A name, and the rows that are for it.

    Attributes:
        path: the name and what it stands for that day, as prices name them.
        model: the rows of the last one; None where no list has it.
        any_model: the rows of the provider that are for any model.
    """

    provider: str
    path: tuple[str, ...]
    model: ListedModel | None
    any_model: ListedModel | None

    @property
    def words(self) -> str | None:
        """`gpt-4o → gpt-4o-2024-08-06`, where the name stands for another."""
        return " → ".join(self.path) if len(self.path) > 1 else None


class PriceBook:
    """Resolves subjects to prices; the same book and overrides always give the same answer.

    Args:
        listed: the price list that knows names which `prices` lacks; None for that of the installed package.

    Attributes:
        name: its serial and the package of `listed`.
    """

    def __init__(self, prices: PriceFile | None = None, listed: GenaiList | None = None) -> None:
        file = prices or shipped()
        published = file.lists.get(PACKAGE, {}).get(package_name().partition(" ")[2])
        self._listed = listed or GenaiList(published)
        self._aliases = names.Aliases(file.aliases)
        self._regions = Regions(file.factors)
        self._confirmed = seconds_of(file.confirmed_through)
        self._rows: dict[tuple[str, str | None], list[Row]] = {}
        for row in file.rows:
            self._rows.setdefault((row.provider, row.model), []).append(row)
        self._vendors = sorted({provider for provider, _ in self._rows})
        self._list_rows: dict[str, dict[str, list[Row]]] = {}
        self._model = lru_cache(NAMES_KEPT_MAX)(self._find_model)
        self._shared: dict[tuple[object, ...], list[tuple[int, int, Prices]]] = {}
        self.name = f"prices {file.serial} of {file.made}, {package_name()}"

    def offers(self, subject: Subject, overrides: Iterable[Override] = ()) -> list[tuple[Subject, Prices]]:
        """The prices of `subject` in each of its context bands and times of day, the lowest ones first.

        Args:
            subject: with `band` and `second` 0.
            overrides: the operator's prices, oldest first.
        """
        known = [override for override in overrides if override.applies(structs.replace(subject, band=override.band))]
        resolved = self.resolve(subject)
        if known:
            found = self._offers(subject, resolved, known)
        else:
            # Names of one model share what it costs, and those of none that they cost nothing known.
            about = structs.replace(subject, model=None, provider=resolved.provider)
            key = (about, resolved.path if resolved.model else subject.model is None)
            shared = self._shared.get(key)
            if shared is None:
                if len(self._shared) >= NAMES_KEPT_MAX:
                    self._shared.clear()
                shared = self._shared[key] = self._offers(subject, resolved, ())
            found = shared
        if len(found) == 1:
            return [(subject, found[0][2])]
        return [(_at(subject, second, band), prices) for second, band, prices in found]

    def _offers(
        self, subject: Subject, resolved: Resolved, overrides: Sequence[Override]
    ) -> list[tuple[int, int, Prices]]:
        """Second of the day, band and prices, the lowest ones first."""
        kind, tiers = _kind(subject), _tiers(resolved.provider, subject)
        models = [model for model in (resolved.model, resolved.any_model) if model]
        seconds = {0}.union(*(model.cuts(kind, subject.day) for model in models))
        bands = {0, *(override.band for override in overrides)}.union(
            *(model.bands(subject, kind, tiers) for model in models)
        )
        return [
            (second, band, self._prices(structs.replace(subject, second=second, band=band), resolved, overrides))
            for second in sorted(seconds)
            for band in sorted(bands)
        ]

    def subjects(self, subject: Subject, overrides: Iterable[Override] = ()) -> list[Subject]:
        """Subjects of the same day, kind, provider and model that prices may tell apart: tiers, sizes, qualities."""
        known = [structs.replace(override.subject, day=subject.day, band=0) for override in overrides]
        whose = (subject.kind, subject.provider, subject.model)
        same = [each for each in known if (each.kind, each.provider, each.model) == whose]
        # Whatever the standard tier is called, its price is one.
        same = [structs.replace(s, service_tier=None) if s.service_tier in STANDARD_TIERS else s for s in same]
        resolved = self.resolve(subject)
        for price in resolved.model.prices if resolved.model else ():
            if price.row.kind == _kind(subject):
                batch = price.row.tier == "batch"
                tier = None if batch or price.row.tier == "standard" else price.row.tier
                said: dict[str, Any] = dict(price.conditions)
                same.append(structs.replace(subject, service_tier=tier, batch=batch, **said))
        return list(dict.fromkeys([subject, *same]))

    def knows(self, subject: Subject) -> bool:
        """Tell whether a list has a row for the subject's kind and model, by this name."""
        model = self.resolve(subject).model
        return model is not None and any(price.row.kind == _kind(subject) for price in model.prices)

    def providers(self, kind: str, model: str, day: int) -> list[str]:
        """The providers whose list has a model of this name."""
        others = [*self._vendors, *self._listed.providers()]
        return [each for each in dict.fromkeys(others) if self.knows(Subject(day, kind, each, model))]

    def prices(self, subject: Subject, overrides: Iterable[Override] = ()) -> Prices:
        """The prices of one band and time of day of a subject, and for each part without one the reason."""
        return self._prices(subject, self.resolve(subject), overrides)

    # --- names ---------------------------------------------------------------------------------------------------

    def resolve(self, subject: Subject) -> Resolved:
        """The rows that are for the subject's model on its day."""
        provider = names.provider_name(subject.provider)
        any_model = self._model(provider, ANY)
        if subject.model is None:
            model = self._model(provider, None)
            return Resolved(provider, (), model, any_model)
        provider, name = names.model_name(provider, subject.model)
        if provider == names.ROUTER:
            vendors = [vendor for vendor in self._vendors if (vendor, name) in self._rows]
            provider = vendors[0] if len(vendors) == 1 else provider
        any_model = self._model(provider, ANY)
        base = names.fine_tuned_base(name)
        path = self._aliases.path(provider, name, datetime.fromtimestamp(subject.day, UTC).strftime("%Y-%m-%d"))
        exact = self._model(provider, name)
        for place, each in enumerate(path):
            model = self._model(provider, each)
            if model and model.covers(subject.day):
                return Resolved(provider, tuple(path[: place + 1]), model, any_model)
        if exact is None and base is not None and (model := self._model(provider, base)):
            return Resolved(provider, (name, base), model, any_model)
        return Resolved(provider, (name,), exact, any_model)

    def _find_model(self, provider: str, name: str | None) -> ListedModel | None:
        rows = self._rows.get((provider, name))
        if rows is None and name is not None:
            if provider not in self._list_rows:
                by_name: dict[str, list[Row]] = {}
                for row in self._listed.rows(provider):
                    by_name.setdefault(str(row.model), []).append(row)
                self._list_rows[provider] = by_name
            rows = self._list_rows[provider].get(name)
        return ListedModel(rows) if rows else None

    # --- prices --------------------------------------------------------------------------------------------------

    def _prices(self, subject: Subject, resolved: Resolved, overrides: Iterable[Override]) -> Prices:
        rates: dict[str, int] = {}
        sources: dict[str, Source] = {}
        reasons: dict[str, Reason] = {}
        for override in _own(subject, overrides):
            rates[override.part], sources[override.part] = override.rate or 0, _operators(override)
        for part in subject.parts:
            if part not in rates:
                found = self._known(subject, part, resolved)
                made = found if isinstance(found, Reason) else self._priced(found, subject, part, resolved)
                if isinstance(made, Reason):
                    reasons[part] = made
                else:
                    rates[part], sources[part] = made
        return Prices(MappingProxyType(rates), MappingProxyType(sources), MappingProxyType(reasons))

    def _known(self, subject: Subject, part: str, resolved: Resolved) -> ListedPrice | Reason:
        kind, tiers = _kind(subject), _tiers(resolved.provider, subject)
        models = [model.of(kind, part) for model in (resolved.model, resolved.any_model) if model]
        if not any(models):
            return _absent(subject, part, resolved)
        found: list[Reason] = []
        for of_tier in ([p for p in prices if p.row.tier == tier] for prices in models for tier in tiers):
            if of_tier:
                each = _fitting(subject, of_tier)
                if not isinstance(each, Reason):
                    return each
                found.append(each)
                if each.code not in OUT_OF_TIME:
                    break
        return next(iter(found), Reason("no_variant", f"no price for the tier {subject.tier!r}"))

    def _priced(
        self, price: ListedPrice, subject: Subject, part: str, resolved: Resolved
    ) -> tuple[int, Source] | Reason:
        """The rate of a subject by a price that fits it, times its minutes and the factor of its region."""
        row, times = price.row, Decimal(1)
        source = Source(
            text=row.source,
            layer=row.origin,
            start=row.start,
            start_is=row.start_is,
            end=row.end,
            confidence=row.confidence,
            provisional=price.open and subject.day > self._confirmed,
            resolved_from=resolved.words,
        )
        if row.minutes_min is not None:
            if subject.session_minutes is None:
                return Reason("ambiguous:session_minutes", "session_minutes is not said: the price is by the minute")
            times = Decimal(max(row.minutes_min, int(subject.session_minutes)))
        region = (subject.region or ANYWHERE).lower()
        if region != ANYWHERE and part in TOKEN_PARTS:
            factor = self._regions.factor(resolved.provider, resolved.path, region, subject.day)
            if factor is None:
                return Reason("no_region", f"no source says by how much it costs more in the region {region!r}")
            times *= Decimal(factor.factor)
            source = by_factor(source, factor)
        return (price.rate if times == 1 else to_rate(Decimal(row.price), row.per, times)), source


def _fitting(subject: Subject, prices: Sequence[ListedPrice]) -> ListedPrice | Reason:
    """The one price of a subject among those of its name, part and tier."""
    second = subject.day + subject.second
    holding = [price for price in prices if price.holds(second)]
    if not holding:
        return _out_of_time(prices, second)
    here = _of_band(subject.band, holding)
    if not here:
        return Reason("no_row", f"no price above {subject.band:,} input tokens")
    for price in prices:
        later = here[0].row.above < price.row.above <= subject.band and second < price.start
        if later and price.row.start_is == "first_seen":
            words = f"the price above {price.row.above:,} input tokens is known from {price.row.start} on"
            return Reason("before_first_seen", words)
    return _of_case(subject, here)


def _of_band(band: int, prices: Sequence[ListedPrice]) -> list[ListedPrice]:
    """The prices of the highest band that requests with more than `band` input tokens are in."""
    fit = [p for p in prices if p.row.above <= band and (p.row.up_to is None or band < p.row.up_to)]
    highest = max((price.row.above for price in fit), default=0)
    return [price for price in fit if price.row.above == highest]


def _of_case(subject: Subject, prices: Sequence[ListedPrice]) -> ListedPrice | Reason:
    """The price whose conditions an event meets, if what it says leaves no doubt."""
    said = {name: getattr(subject, name) for name in CONDITIONS}
    possible = [price for price in prices if all(said[name] in (value, None) for name, value in price.conditions)]
    missing = next((n for price in possible for n, _ in price.conditions if said[n] is None), None)
    if missing:
        values = sorted({str(value) for price in prices for name, value in price.conditions if name == missing})
        return Reason(f"ambiguous:{missing}", f"{missing} is not said: the price depends on it ({', '.join(values)})")
    if not possible:
        words = ", ".join(f"{name} {value}" for name, value in said.items() if value is not None)
        return Reason("no_row", f"no price for {words}")
    exact = max(len(price.conditions) for price in possible)
    fit = [price for price in possible if len(price.conditions) == exact]
    candidates = ", ".join(sorted({f"{price.row.price} ({price.row.source})" for price in fit}))
    if any(price.row.confidence == "disputed" for price in fit) or len({price.rate for price in fit}) > 1:
        return Reason("disputed", f"sources disagree: {candidates}")
    usable = [price for price in fit if price.row.confidence in USABLE]
    return usable[0] if usable else Reason("unconfirmed", f"not confirmed to be the vendor's: {candidates}")


def _out_of_time(prices: Sequence[ListedPrice], second: int) -> Reason:
    """The reason why none of a part's prices holds at a second."""
    first = min(prices, key=lambda price: price.start)
    if second < first.start:
        return Reason("before_first_seen", f"the price is known from {first.row.start} on")
    if any(second < price.start for price in prices):
        return Reason("gap", "no source says what it was then")
    last = max(prices, key=lambda price: price.end)
    if last.row.last_seen:
        return Reason("past_support", f"no list has had a price since {last.row.last_seen}")
    return Reason("gap", f"the price ended on {last.row.end}, and no source says the next one")


def _absent(subject: Subject, part: str, resolved: Resolved) -> Reason:
    if subject.model is not None and resolved.model is None:
        return Reason("no_alias", f"no price list of {resolved.provider} has this name")
    if (
        part == CACHE_WRITE[-1]
        and resolved.model
        and any(resolved.model.of(_kind(subject), each) for each in CACHE_WRITE)
    ):
        return Reason("ambiguous:lifetime", "the lifetime of the cache write is not said: the price depends on it")
    return Reason("no_row", "no price list has a price for it")


def _own(subject: Subject, overrides: Iterable[Override]) -> list[Override]:
    """The operator's prices of a subject, the more exact ones last."""
    latest: dict[tuple[str, Subject], Override] = {}
    for override in sorted(overrides, key=lambda o: (o.exactness, o.start)):
        if override.applies(subject):
            about = override.part, structs.replace(override.subject, day=0)
            latest.pop(about, None)  # so that the last one stands last
            latest[about] = override
    return [override for override in latest.values() if override.rate is not None]


def _operators(override: Override) -> Source:
    day = datetime.fromtimestamp(override.start, UTC).strftime("%Y-%m-%d")
    return Source(f"operator: {override.note}".strip(": "), layer="operator", start=day)


def _kind(subject: Subject) -> str:
    """The kind whose rows are for usage of the subject's kind."""
    return METER_BY_KIND[subject.kind].priced_as or subject.kind


def _tiers(provider: str, subject: Subject) -> Sequence[str]:
    same = _SAME_TIERS.get((provider, subject.tier))
    return (subject.tier, same) if same else (subject.tier,)


def _at(subject: Subject, second: int, band: int) -> Subject:
    return structs.replace(subject, second=second, band=band) if second or band else subject
