"""Rows of the price list of `genai-prices`, read strictly: `genai_list.py` says what of it counts."""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from genai_prices.data_snapshot import DataSnapshot, get_snapshot
from genai_prices.types import (
    ClauseEquals,
    ClauseOr,
    MatchLogic,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from usageledger.meters import METERS
from usageledger.parts import Price
from usageledger.pricing.price_file import Row

HOUR = 3_600
# The end of a key → the stored units that its price is for.
_PER = {"mtok": 10**6, "mchars": 10**6, "kcount": 1_000, "hours": HOUR}
_PRICED_APART = ("moderations", "decisions")  # not at the prices of the model's other usage
# Its list of a provider's models for one kind → the provider and the kind.
_LISTS_OF_KINDS = {"openai-decisions": ("openai", "decisions")}
# Providers whose prices for cache writes are for this lifetime; Claude's are for 5 minutes wherever they are sold.
_LIFETIMES = {"openai": "30m", "azure": "30m"}
# Providers that bill a request's first seconds in any case, which a sum of seconds cannot tell.
_LEAST_SECONDS = frozenset({"groq"})
# Models whose output is not text, so that `output_mtok` is the price of another part.
_NOT_TEXT = ("image", "tts", "audio", "speech", "realtime", "live")
# Output that is partly charged otherwise, by a count that events do not carry.
_SPLIT_OUTPUT = frozenset({"output_reasoning_mtok", "output_citation_mtok"})
_IMPORTED = "Imported from OpenRouter"  # then a price is not the vendor's


def providers(snapshot: DataSnapshot | None) -> list[str]:
    """The providers that have a list, in a snapshot or the installed package."""
    return [each.id for each in (snapshot or get_snapshot()).providers if each.id not in _LISTS_OF_KINDS]


def rows(provider: str, published: str, source: str, snapshot: DataSnapshot | None) -> list[Row]:
    """The rows of a provider's models, under each name that the list spells out for one model only."""
    lists = {provider: None} | {listed: kind for listed, (of, kind) in _LISTS_OF_KINDS.items() if of == provider}
    return [
        row
        for listed in (snapshot or get_snapshot()).providers
        if listed.id in lists
        for name, model in _named(listed)
        for row in _rows((provider, name), lists[listed.id], model, published, source)
    ]


def _named(listed: Provider) -> Iterator[tuple[str, ModelInfo]]:
    """Yields names in small letters with their models; a name of two models is none's."""
    found: dict[str, ModelInfo | None] = {}
    for model in listed.models:
        if _IMPORTED in (model.price_comments or ""):
            continue
        own = {model.id.lower()} if model.match.is_match(model.id.lower()) else set()
        for name in own | set(_equal(model.match)):
            found[name] = None if name in found else model
    yield from ((name, model) for name, model in found.items() if model)


def _equal(match: MatchLogic) -> Iterator[str]:
    """Yields the names that a clause spells out."""
    if isinstance(match, ClauseEquals):
        yield match.equals.lower()
    for clause in match.or_ if isinstance(match, ClauseOr) else ():
        yield from _equal(clause)


def _rows(named: tuple[str, str], kind: str | None, model: ModelInfo, published: str, source: str) -> Iterator[Row]:
    provider, name = named
    for tier, first, last, prices in _terms(model, published):
        said = {key: price for key, price in vars(prices).items() if price is not None}
        for of_kind, part, key in _keys(provider, kind, name, said):
            for above, usd in _bands(said[key]):
                yield Row(
                    provider=provider,
                    model=name,
                    kind=of_kind,
                    part=part,
                    tier=tier,
                    price=f"{usd:f}",
                    per=_PER[key.rpartition("_")[2]],
                    above=above,
                    start=first,
                    end=last,
                    start_is="first_seen",
                    confidence="medium",
                    source=source,
                    origin="observed",
                )


def _terms(model: ModelInfo, published: str) -> Iterator[tuple[str, str, str | None, ModelPrice]]:
    """Yields tiers, the days from and until which prices hold (ISO), and these."""
    dated = (
        [(None, model.prices)]
        if isinstance(model.prices, ModelPrice)
        else [(p.constraint, p.prices) for p in model.prices]
    )
    terms = [("standard", constraint, prices) for constraint, prices in dated]
    terms += [(tier, each.constraint, each.prices) for each in model.price_variants or () if (tier := _tier(each))]
    # A price by the time of day holds on days that the list cannot say: that needs a row of the price file.
    timed = {tier for tier, constraint, _ in terms if isinstance(constraint, TimeOfDateConstraint)}
    for tier, constraint, prices in terms:
        start = _start(constraint)
        end = min((at for of, each, _ in terms if of == tier and (at := _start(each)) > start), default=None)
        if tier not in timed and (end is None or published < end):
            yield tier, max(published, start), end, prices


def _start(constraint: StartDateConstraint | TimeOfDateConstraint | None) -> str:
    return constraint.start_date.isoformat() if isinstance(constraint, StartDateConstraint) else ""


def _tier(variant: PriceVariant) -> str | None:
    """The tier that a variant is exactly about, if it is about nothing else."""
    if len(variant.when) != 1:
        return None
    ((what, value),) = variant.when.items()
    return str(value) if what in ("service_tier", "speed") else "batch" if value == "batch" else None


def _keys(provider: str, kind: str | None, name: str, said: Mapping[str, object]) -> Iterator[tuple[str, str, str]]:
    """Yields kinds, parts and the keys of the list that price exactly them."""
    for meter in METERS:
        if meter.priced_as is None and (meter.kind == kind if kind else meter.kind not in _PRICED_APART):
            for part, price in meter.prices.items():
                if key := _key(part, price, said, provider, name):
                    yield meter.kind, part, key


def _key(part: str, price: Price, said: Mapping[str, object], provider: str, name: str) -> str | None:
    """The key of the list that prices exactly this part of a model."""
    keys = [key for key in price.listed if key in said]
    if not keys or (part == "seconds" and provider in _LEAST_SECONDS):
        return None
    if part.startswith("output_") and (
        _SPLIT_OUTPUT & said.keys() or (keys[0] == "output_mtok" and any(word in name for word in _NOT_TEXT))
    ):
        return None
    if keys[0] == "cache_write_mtok":
        lifetime = _LIFETIMES.get(provider, "5m" if "claude" in name else "other")
        return keys[0] if part == f"input_cache_write_{lifetime}_tokens" else None
    return keys[0]


def _bands(price: Decimal | TieredPrices) -> list[tuple[int, Decimal]]:
    if isinstance(price, Decimal):
        return [(0, price)]
    return [(0, price.base), *((tier.start, tier.price) for tier in price.tiers)]
