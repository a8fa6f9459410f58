"""The price book: the price of a subject that is known, from the operator or a public list, or the reason why none is.

Layers, the first that says anything of a name and a part decides: the operator's own prices; the price file, dated and
with sources; the installed `genai-prices`, for names that the file lacks. A price is known where exactly one row is for
that very name, part and tier, and the day, and what the event says meets its conditions. Nothing else is taken for it:
not the price of another part, tier, band, model or time.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from msgspec import Struct, structs

from usageledger.buckets import DAY_SECONDS, iso_day
from usageledger.meters import METER_BY_KIND
from usageledger.parts import CACHE_WRITE, TOKEN_PARTS, cache_write_of
from usageledger.pricing import names
from usageledger.pricing.cards import (
    LIFETIME,
    PARTS,
    STANDARD_TIERS,
    Override,
    Prices,
    Reason,
    Source,
    Subject,
    of_tier,
)
from usageledger.pricing.genai_list import GenaiList, package_name, published
from usageledger.pricing.hosted import rows_of
from usageledger.pricing.listed_prices import ENDLESS, ListedModel, ListedPrice, fitting, seconds_of
from usageledger.pricing.money import product, to_rate
from usageledger.pricing.own_prices import NO_OWN_PRICES, NOTHING, Held, OwnPrices, operator_source
from usageledger.pricing.price_file import ANY, Factor, PriceFile, Row, shipped
from usageledger.pricing.regions import ANYWHERE, Regions, by_factor

OFFERS_KEPT_MAX = 10_000  # of models that cost alike
PROVISIONAL_SECONDS_MAX = 45 * DAY_SECONDS  # where days are strict
OUT_OF_TIME = ("before_first_seen", "gap", "past_support")  # then another row may be for the time


class Resolved(Struct, frozen=True):
    """A name, and the rows that are for it.

    Attributes:
        path: the name and what it stands for that day, as prices name them.
        model: the rows of the last one; None where no list has it.
        any_model: the rows of the provider that are for any model.
        discount: the operator's, on the prices of these rows.
        defaults: field of events → what the operator says is meant where one leaves it out.
    """

    provider: str
    path: tuple[str, ...]
    model: ListedModel | None
    any_model: ListedModel | None
    discount: Override | None = None
    defaults: Mapping[str, str] = {}

    @property
    def models(self) -> list[ListedModel]:
        """The rows of the model, then those for any model."""
        return [model for model in (self.model, self.any_model) if model]

    @property
    def words(self) -> str | None:
        """`gpt-4o → gpt-4o-2024-08-06`, where the name stands for another."""
        return " → ".join(self.path) if len(self.path) > 1 else None


class PriceBook:
    """Resolves subjects to prices; the same book and overrides always give the same answer.

    Args:
        listed: the price list that knows names which `prices` lacks; None for that of the installed package.
        strict_days: a price is not known long after lists were compared with it last.

    Attributes:
        name: its serial and the package of `listed`.
        aliases: names that stand for others.
        confirmed_through: the last day, by its start, on which lists were compared with its prices.
    """

    def __init__(
        self, prices: PriceFile | None = None, listed: GenaiList | None = None, *, strict_days: bool = False
    ) -> None:
        file = prices or shipped()
        self._listed = listed or GenaiList(published(file))
        self.aliases = names.Aliases(file.aliases)
        self._regions = Regions(file.factors)
        self.confirmed_through = seconds_of(file.confirmed_through)
        self._known_through = self.confirmed_through + (PROVISIONAL_SECONDS_MAX if strict_days else ENDLESS)
        self._rows = rows_of(file)
        self._vendors = sorted({provider for provider, _ in self._rows})
        self._sellers = {said.provider for said in file.hosted}
        self._list_rows: dict[str, dict[str, list[Row]]] = {}  # of providers that it has
        self._models: dict[tuple[str, str | None], ListedModel] = {}  # those that were asked for
        self._shared: dict[tuple[object, ...], list[tuple[int, int, Prices]]] = {}
        self.name = f"prices {file.serial} of {file.made}, {package_name()}"

    def offers(self, subject: Subject, own: OwnPrices = NO_OWN_PRICES) -> list[tuple[Subject, Prices]]:
        """The prices of `subject`, which has `band` and `second` 0, in each of its bands and times of day, in order.

        A project without own prices for it is left out of the subjects: these are the same for all such projects.
        """
        held, resolved = self._held(subject, own)
        if subject.project is not None and not held.of_project:
            subject = structs.replace(subject, project=None)
        if held:
            found = self._offers(subject, resolved, held)
        else:
            # Names of one model share what it costs, and those of none that they cost nothing known.
            about = structs.replace(subject, model=None, provider=resolved.provider)
            key = (about, resolved.path if resolved.model else subject.model is None)
            shared = self._shared.get(key)
            if shared is None:
                if len(self._shared) >= OFFERS_KEPT_MAX:
                    self._shared.clear()
                shared = self._shared[key] = self._offers(subject, resolved, NOTHING)
            found = shared
        if len(found) == 1:
            return [(subject, found[0][2])]
        return [(_at(subject, second, band), prices) for second, band, prices in found]

    def _offers(self, subject: Subject, resolved: Resolved, held: Held) -> list[tuple[int, int, Prices]]:
        """Second of the day, band and prices, the lowest ones first."""
        kind = _kind(subject)
        seconds = {0}.union(*(model.cuts(kind, subject.day) for model in resolved.models))
        bands = {0, *(override.band for override in held.prices)}.union(
            *(model.bands(kind, subject.day, subject.day + DAY_SECONDS) for model in resolved.models)
        )
        return [
            (second, band, self._prices(structs.replace(subject, second=second, band=band), resolved, held))
            for second in sorted(seconds)
            for band in sorted(bands)
        ]

    def subjects(self, subject: Subject, own: OwnPrices = NO_OWN_PRICES) -> list[Subject]:
        """Subjects of the same day, kind, provider and model that prices may tell apart: tiers, sizes, qualities."""
        whose = {
            "day": subject.day,
            "provider": subject.provider,
            "model": subject.model,
            "band": 0,
            "project": subject.project,
        }
        known = (each for each in own.about(subject, self.names_of(subject)) if each.part in PARTS)
        same = [structs.replace(override.subject, **whose) for override in known]
        # Whatever the standard tier is called, its price is one.
        same = [structs.replace(s, service_tier=None) if s.service_tier in STANDARD_TIERS else s for s in same]
        _, resolved = self._held(subject, own)
        for price in resolved.model.prices if resolved.model else ():
            if price.row.kind == _kind(subject):
                tier, batch = of_tier(price.row.tier)
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

    def prices(self, subject: Subject, own: OwnPrices = NO_OWN_PRICES) -> Prices:
        """The prices of one band and time of day of a subject, and for each part without one the reason."""
        held, resolved = self._held(subject, own)
        return self._prices(subject, resolved, held)

    def _held(self, subject: Subject, own: OwnPrices) -> tuple[Held, Resolved]:
        """The operator's prices of a subject, and the rows that count for it beside them.

        A discount on the list of another provider says nothing of names that this one does not have.
        """
        provider, path = self._path(subject)
        held = own.of(subject, self._names(subject, provider, path)) if own else NOTHING
        resolved, discount = self._resolved(subject, provider, path), held.discount
        if discount and discount.like:
            liked = self.resolve(structs.replace(subject, provider=discount.like, model=path[0] if path else None))
            resolved, discount = (liked, discount) if liked.model else (resolved, None)
        return held, structs.replace(resolved, discount=discount, defaults=held.defaults) if held else resolved

    # --- names ---------------------------------------------------------------------------------------------------

    def names_of(self, subject: Subject) -> list[names.Name]:
        """The names for which an own price holds for the subject: its own, then others of the model, nearer ones first.

        They are what it stands for that day, the fine-tuned model's base, and the other names that stand for the same.
        """
        return self._names(subject, *self._path(subject))

    def _names(self, subject: Subject, provider: str, path: Sequence[str]) -> list[names.Name]:
        first = names.own_name(subject.provider, subject.model)
        if not path:
            return [first]
        base = names.fine_tuned_base(path[0])
        others = [
            *path,
            *([base] if base else []),
            *self.aliases.standing_for(provider, path[-1], iso_day(subject.day)),
        ]
        return list(dict.fromkeys([first, *((provider, each) for each in others)]))

    def name_of(self, provider: str, model: str) -> tuple[str, str]:
        """The provider and the model as prices name them."""
        listed, whole = names.provider_name(provider), model.strip().lower()
        if self._model(listed, whole):
            return listed, whole  # of which what looks like a prefix is a part
        provider, name = names.model_name(listed, model)
        if provider == names.ROUTER:
            vendors = [vendor for vendor in self._vendors if (vendor, name) in self._rows]
            own = [vendor for vendor in vendors if vendor not in self._sellers] or vendors
            provider = own[0] if len(own) == 1 else provider
        return provider, name

    def resolve(self, subject: Subject) -> Resolved:
        """The rows that are for the subject's model on its day."""
        return self._resolved(subject, *self._path(subject))

    def _path(self, subject: Subject) -> tuple[str, Sequence[str]]:
        """The provider as prices name it, and the name of the model with what it stands for that day."""
        if subject.model is None:
            return names.provider_name(subject.provider), ()
        provider, name = self.name_of(subject.provider, subject.model)
        return provider, self.aliases.path(provider, name, iso_day(subject.day))

    def _resolved(self, subject: Subject, provider: str, path: Sequence[str]) -> Resolved:
        any_model = self._model(provider, ANY)
        if not path:
            return Resolved(provider, (), self._model(provider, None), any_model)
        exact = self._model(provider, path[0])
        for place, each in enumerate(path):
            model = self._model(provider, each) if place else exact
            if model and model.covers(subject.day):
                return Resolved(provider, tuple(path[: place + 1]), model, any_model)
        base = names.fine_tuned_base(path[0])
        if exact is None and base is not None and (model := self._model(provider, base)):
            return Resolved(provider, (path[0], base), model, any_model)
        return Resolved(provider, (path[0],), exact, any_model)

    def rows(self, provider: str) -> list[Row]:
        """All rows of a provider, those of the installed list last."""
        of_file = [row for (of, _), rows in self._rows.items() if of == provider for row in rows]
        return [*of_file, *(row for rows in self._listed_models(provider).values() for row in rows)]

    def _model(self, provider: str, name: str | None) -> ListedModel | None:
        """The rows of a model; names that no list has are not remembered, since there may be any number of them."""
        key = provider, name
        found = self._models.get(key)
        if found is None:
            rows = self._rows.get(key)
            if rows is None and name is not None:
                rows = self._listed_models(provider).get(name)
            if rows:
                found = self._models[key] = ListedModel(rows)
        return found

    def _listed_models(self, provider: str) -> dict[str, list[Row]]:
        """The rows of the installed list, by model; a provider that it does not have is not remembered either."""
        found = self._list_rows.get(provider)
        if found is None:
            found = {}
            for row in self._listed.rows(provider):
                found.setdefault(str(row.model), []).append(row)
            if found:
                self._list_rows[provider] = found
        return found

    # --- prices --------------------------------------------------------------------------------------------------

    def _prices(self, subject: Subject, resolved: Resolved, held: Held) -> Prices:
        rates: dict[str, int] = {}
        sources: dict[str, Source] = {}
        reasons: dict[str, Reason] = {}
        for override in held.prices:
            if override.rate is not None and override.band <= subject.band:
                rates[override.part], sources[override.part] = override.rate, operator_source(override)
        for part in subject.parts:
            if part not in rates:
                found = self._listed_price(subject, part, resolved)
                if isinstance(found, Reason):
                    reasons[part] = found
                else:
                    rates[part], sources[part] = found
        return Prices(MappingProxyType(rates), MappingProxyType(sources), MappingProxyType(reasons))

    def _listed_price(self, subject: Subject, part: str, resolved: Resolved) -> tuple[int, Source] | Reason:
        """The rate of a part by lists, with the operator's defaults where it depends on what the event leaves out."""
        assumed: dict[str, str] = {}
        while isinstance(made := self._by_lists(subject, part, resolved), Reason):
            name = made.code.removeprefix("ambiguous:")
            if name not in resolved.defaults or name in assumed:
                return made
            value = assumed[name] = resolved.defaults[name]
            if name == LIFETIME:
                part = cache_write_of(value)
            else:
                subject = structs.replace(subject, **{name: value})
        words = ", ".join(f"{name} {value}" for name, value in assumed.items())
        return made[0], structs.replace(made[1], assumed=words or None)

    def _by_lists(self, subject: Subject, part: str, resolved: Resolved) -> tuple[int, Source] | Reason:
        found = self._known(subject, part, resolved)
        return found if isinstance(found, Reason) else self._priced(found, subject, part, resolved)

    def _known(self, subject: Subject, part: str, resolved: Resolved) -> ListedPrice | Reason:
        kind, tiers = _kind(subject), names.tier_names(resolved.provider, subject.tier)
        models = [model for model in resolved.models if model.of(kind, part)]
        if not models:
            return _absent(subject, part, resolved)
        found: list[Reason] = []
        second = subject.day + subject.second
        for model, tier in ((model, tier) for model in models for tier in tiers):
            of_tier = [price for price in model.of(kind, part) if price.row.tier == tier]
            if of_tier:
                bands = model.bands(kind, second, second + 1)
                each = fitting(subject, of_tier, max((band for band in bands if band <= subject.band), default=0))
                if not isinstance(each, Reason):
                    return each
                found.append(each)
                if each.code not in OUT_OF_TIME:
                    break
        return next(iter(found), Reason("no_variant", f"no price for the tier {subject.tier!r}"))

    def _factor(self, subject: Subject, resolved: Resolved, region: str) -> Factor | None:
        """The factor of a region by any of the names that are the subject's model on its day."""
        provider, path = resolved.provider, resolved.path
        same = self.aliases.standing_for(provider, path[-1], iso_day(subject.day)) if path else []
        return self._regions.factor(provider, [*path, *same], region, subject.day)

    def _priced(
        self, price: ListedPrice, subject: Subject, part: str, resolved: Resolved
    ) -> tuple[int, Source] | Reason:
        """The rate of a subject by a price that fits it: after a discount, times minutes and a region's factor."""
        row, discount, times = price.row, resolved.discount, Decimal(1)
        if discount:
            times = product(Decimal(1).scaleb(-2), Decimal(100) + Decimal(discount.percent or 0))
        source = Source(
            text=f"{operator_source(discount).text}; {row.source}" if discount else row.source,
            layer="operator" if discount else row.origin,
            start=row.start,
            start_is=row.start_is,
            end=row.end,
            confidence=row.confidence,
            provisional=price.open and subject.day > self.confirmed_through,
            resolved_from=resolved.words,
        )
        if source.provisional and subject.day > self._known_through:
            return Reason("past_support", f"no list was compared with it after {iso_day(self.confirmed_through)}")
        if row.minutes_min is not None:
            if subject.session_minutes is None:
                return Reason("ambiguous:session_minutes", "session_minutes is not said: the price is by the minute")
            times = product(times, Decimal(max(row.minutes_min, int(subject.session_minutes))))
        region = (subject.region or ANYWHERE).lower()
        if region != ANYWHERE and part in TOKEN_PARTS:
            factor = self._factor(subject, resolved, region)
            if factor is None:
                return Reason("no_region", f"no source says by how much it costs more in the region {region!r}")
            times = product(times, Decimal(factor.factor))
            source = by_factor(source, factor)
        return (price.rate if times == 1 else to_rate(Decimal(row.price), row.per, times)), source


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


def _kind(subject: Subject) -> str:
    """The kind whose rows are for usage of the subject's kind."""
    return METER_BY_KIND[subject.kind].priced_as or subject.kind


def _at(subject: Subject, second: int, band: int) -> Subject:
    return structs.replace(subject, second=second, band=band) if second or band else subject
