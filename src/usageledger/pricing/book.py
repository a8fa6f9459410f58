"""The price book: what public price lists say of a subject, and what the operator says instead.

Sources, each filling what the one before leaves open: the operator's own prices, then `genai-prices` (dated prices,
context bands, prices by time of day, variants for batch and service tiers), then `builtin_prices`. What none
of them says has no price: the standard price is never taken for a batch job or for another service tier.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from types import MappingProxyType

from genai_prices.data_snapshot import DataSnapshot, get_snapshot
from genai_prices.types import ModelInfo, ModelPrice, PriceVariant, TieredPrices, TimeOfDateConstraint
from msgspec import structs

from usageledger.meters import METER_BY_KIND
from usageledger.pricing.builtin_prices import BUILTIN_PRICES, Entry
from usageledger.pricing.cards import STANDARD_TIERS, Override, Prices, Subject
from usageledger.pricing.money import to_rate
from usageledger.pricing.price_lists import PriceLists

HOUR = 3_600
NAMES_KEPT_MAX = 10_000  # of models, with what is known of them
# The end of a key of the book → the stored units that its price is for.
_PER = {"mtok": 10**6, "mchars": 10**6, "kcount": 1_000, "hours": HOUR}
# Cached audio where the book has a price for cached text and one for fresh audio, but none for both together: which
# of the two applies is not said.
_UNCLEAR: dict[str, tuple[str, frozenset[str]]] = {
    f"input_cached_{mode}_tokens": (
        f"cache_{mode}_read_mtok",
        frozenset({"cache_read_mtok", f"input_{mode}_mtok"}),
    )
    for mode in ("audio", "image")
}
# Output that is partly charged otherwise, by a count that events do not carry.
_SPLIT_OUTPUT = frozenset({"output_reasoning_mtok", "output_citation_mtok"})
# Providers that bill a request's first seconds in any case, which a sum of seconds cannot tell.
_LEAST_SECONDS = frozenset({"groq"})


class PriceBook:
    """Resolves subjects to prices; the same book and overrides always give the same answer.

    Attributes:
        name: the book's package and version.
    """

    def __init__(self, snapshot: DataSnapshot | None = None, builtin: Iterable[Entry] = BUILTIN_PRICES) -> None:
        self._lists = PriceLists(snapshot or get_snapshot())
        self._builtin: dict[tuple[str, str], list[Entry]] = {}
        for entry in builtin:
            self._builtin.setdefault((entry.kind, entry.provider), []).append(entry)
        self._named = {model for entries in self._builtin.values() for entry in entries for model in entry.models}
        self._model = lru_cache(NAMES_KEPT_MAX)(self._find_model)
        self._shared: dict[tuple[object, ...], list[tuple[int, int, Prices]]] = {}
        self.name = f"genai-prices {version('genai-prices')}"

    def offers(self, subject: Subject, overrides: Iterable[Override] = ()) -> list[tuple[Subject, Prices]]:
        """The prices of `subject` in each of its context bands and times of day, the lowest ones first.

        Args:
            subject: with `band` and `second` 0.
            overrides: the operator's prices, oldest first.
        """
        known = [override for override in overrides if override.applies(structs.replace(subject, band=override.band))]
        model = self._model(subject.kind, subject.provider, subject.model)
        if known or subject.model in self._named:
            found = self._offers(subject, model, known)
        else:
            # Names of one model share what it costs, and those of none that they cost nothing known.
            key = (
                *(subject.day, subject.kind, subject.provider, subject.service_tier, subject.batch),
                *(subject.size, subject.quality, subject.context_level, id(model)),
            )
            shared = self._shared.get(key)
            if shared is None:
                if len(self._shared) >= NAMES_KEPT_MAX:
                    self._shared.clear()
                shared = self._shared[key] = self._offers(structs.replace(subject, model=None), model, ())
            found = shared
        if len(found) == 1:
            return [(subject, found[0][2])]
        return [(_at(subject, second, band), prices) for second, band, prices in found]

    def _offers(
        self, subject: Subject, model: ModelInfo | None, overrides: Sequence[Override]
    ) -> list[tuple[int, int, Prices]]:
        """Second of the day, band and prices, the lowest ones first."""
        seconds = sorted({0, *_cuts(model)})
        bands = {0, *(band for second in seconds for band in self._bands(subject, model, second))}
        return [
            (second, band, self._prices(structs.replace(subject, second=second, band=band), model, overrides))
            for second in seconds
            for band in sorted(bands | {override.band for override in overrides})
        ]

    def subjects(self, subject: Subject, overrides: Iterable[Override] = ()) -> list[Subject]:
        """Subjects of the same day, kind, provider and model that prices may tell apart: tiers, sizes, qualities."""
        known = [structs.replace(override.subject, day=subject.day, band=0) for override in overrides]
        known += [
            structs.replace(subject, size=entry.size, quality=entry.quality)
            for entry in self._builtin.get((subject.kind, subject.provider), ())
            if subject.model in entry.models
        ]
        model = self._model(subject.kind, subject.provider, subject.model)
        for variant in (model.price_variants or ()) if model else ():
            tier = variant.when.get("service_tier") or variant.when.get("speed")
            known.append(structs.replace(subject, service_tier=tier, batch=variant.when.get("processing") == "batch"))
        whose = (subject.kind, subject.provider, subject.model)
        same = [each for each in known if (each.kind, each.provider, each.model) == whose]
        # Whatever the standard tier is called, its price is one.
        named = [structs.replace(s, service_tier=None) if s.service_tier in STANDARD_TIERS else s for s in same]
        return list(dict.fromkeys([subject, *named]))

    def providers(self, kind: str, model: str) -> list[str]:
        """The providers whose list has a model of this name."""
        return [each.id for each in self._lists.providers if self._model(kind, each.id, model)]

    def prices(self, subject: Subject, overrides: Iterable[Override] = ()) -> Prices:
        """The prices of one band and time of day of a subject; a part that nobody prices is absent."""
        return self._prices(subject, self._model(subject.kind, subject.provider, subject.model), overrides)

    def _prices(self, subject: Subject, model: ModelInfo | None, overrides: Iterable[Override]) -> Prices:
        rates: dict[str, int] = {}
        sources: dict[str, str] = {}
        latest: dict[tuple[str, Subject], Override] = {}
        for override in sorted(overrides, key=lambda o: (o.exactness, o.start)):
            if override.applies(subject):
                about = override.part, structs.replace(override.subject, day=0)
                latest.pop(about, None)  # so that the last one stands last
                latest[about] = override
        for override in latest.values():
            if override.rate is not None:
                rates[override.part], sources[override.part] = override.rate, f"operator: {override.note}".strip(": ")
        for part, rate, source in (*self._listed(subject, model), *self._overlaid(subject)):
            if part not in rates:
                rates[part], sources[part] = rate, source
        return Prices(MappingProxyType(rates), MappingProxyType(sources))

    def _find_model(self, kind: str, provider: str, model: str | None) -> ModelInfo | None:
        if model is None:
            return None
        return self._lists.find(dict(METER_BY_KIND[kind].price_lists).get(provider, provider), model)

    def _bands(self, subject: Subject, model: ModelInfo | None, second: int) -> set[int]:
        prices = _model_price(model, structs.replace(subject, second=second))
        return {tier.start for price in prices.values() if isinstance(price, TieredPrices) for tier in price.tiers}

    def _listed(self, subject: Subject, model: ModelInfo | None) -> list[tuple[str, int, str]]:
        prices = _model_price(model, subject)
        if not prices or model is None:
            return []
        source = f"{self.name}: {model.id}"
        found: list[tuple[str, int, str]] = []
        for part, price in METER_BY_KIND[subject.kind].prices.items():
            key = next((key for key in price.listed if key in prices), None)
            if key and _is_clear(part, subject, prices):
                per = _PER[key.rpartition("_")[2]]
                found.append((part, to_rate(_in_band(prices[key], subject.band), per), source))
        return found

    def _overlaid(self, subject: Subject) -> list[tuple[str, int, str]]:
        if subject.tier != "standard":
            return []
        day = datetime.fromtimestamp(subject.day, UTC).date()
        return [
            (entry.part, to_rate(entry.usd, entry.per), f"{entry.source} (checked {entry.checked})")
            for entry in self._builtin.get((subject.kind, subject.provider), ())
            if (not entry.models or subject.model in entry.models)
            and entry.start <= day
            and (entry.end is None or day < entry.end)
            and entry.size in (None, subject.size)
            and entry.quality in (None, subject.quality)
        ]


def _at(subject: Subject, second: int, band: int) -> Subject:
    return structs.replace(subject, second=second, band=band) if second or band else subject


def _cuts(model: ModelInfo | None) -> set[int]:
    """The seconds of the day at which a price of `model` begins or ends."""
    if model is None or isinstance(model.prices, ModelPrice):
        return set()
    constraints = [c.constraint for c in model.prices] + [v.constraint for v in model.price_variants or ()]
    return {
        moment.hour * HOUR + moment.minute * 60 + moment.second
        for constraint in constraints
        if isinstance(constraint, TimeOfDateConstraint)
        for moment in (constraint.start_time, constraint.end_time)
    }


def _model_price(model: ModelInfo | None, subject: Subject) -> Mapping[str, Decimal | TieredPrices]:
    """The book's key → its price for a subject; empty where the book has none for its tier."""
    if model is None:
        return {}
    at = datetime.fromtimestamp(subject.day + subject.second, UTC)
    standard = subject.service_tier in STANDARD_TIERS
    if standard and not subject.batch:
        context = {}
    elif not standard and subject.batch:
        return {}  # no list says what a batch job in another service tier costs
    else:
        variant = next((v for v in model.price_variants or () if _selects(v, subject, at)), None)
        if variant is None:
            return {}
        context = variant.when
    return {key: price for key, price in vars(model.get_prices(at, context)).items() if price is not None}


def _selects(variant: PriceVariant, subject: Subject, at: datetime) -> bool:
    wanted = (
        [{"processing": "batch"}]
        if subject.batch
        else [
            {"service_tier": subject.service_tier},
            {"speed": subject.service_tier},
        ]
    )
    active = variant.constraint is None or variant.constraint.active(at)
    return active and variant.when in wanted and bool(vars(variant.prices))


def _is_clear(part: str, subject: Subject, prices: Mapping[str, object]) -> bool:
    """Returns true if the book's prices leave no doubt about this part."""
    if part in _UNCLEAR:
        exact, either = _UNCLEAR[part]
        return exact in prices or not either <= prices.keys()
    if part.startswith("output_"):
        return not _SPLIT_OUTPUT & prices.keys()
    return not (part == "seconds" and subject.provider in _LEAST_SECONDS)


def _in_band(price: Decimal | TieredPrices, band: int) -> Decimal:
    """The price of an event with more than `band` input tokens, as far as the next band goes."""
    if isinstance(price, Decimal):
        return price
    passed = [tier.price for tier in price.tiers if tier.start <= band and band > 0]
    return passed[-1] if passed else price.base
