"""Rate cards: their subjects, their prices, and the names of their line items.

A card is about one `Subject` on one UTC day: whatever the vendor's price depends on. It says a price for each part of
usage that has one, in 10⁻¹⁸/9 USD a unit. What it says never changes; a correction is a further revision.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from msgspec import Struct, structs

from usageledger.buckets import iso_day
from usageledger.meter import Meter
from usageledger.meters import GAUGES, METER_BY_KIND, METERS
from usageledger.parts import Price
from usageledger.pricing.money import UNITS
from usageledger.pricing.price_file import ANY

# Tiers that vendors bill at the standard price; `auto` is what was asked for, not what was served.
STANDARD_TIERS = (None, "default", "standard", "on_demand")


def prices_of_columns() -> dict[str, Price]:
    """Stored column → how it is charged, which every kind that has it says alike but for its words and list keys."""
    found: dict[str, tuple[Price | None, str]] = {}
    for meter in METERS:
        for part in (part for measure in meter.measures for part in measure.stored):
            price, kind = found.setdefault(part.name, (part.price, meter.kind))
            if _alike(price) != _alike(part.price):
                raise ValueError(f"{part.name}: {kind} say {price}, {meter.kind} say {part.price}")
    return {name: price for name, (price, _) in found.items() if price}


def _alike(price: Price | None) -> Price | None:
    return price and replace(price, line_item="", listed=())


PARTS: dict[str, Price] = prices_of_columns()
PARTS_OF_KIND: dict[str, tuple[str, ...]] = {meter.kind: tuple(meter.prices) for meter in METERS}


def charged_size() -> tuple[Meter, str]:
    """The kind and the column whose size is charged by the hour, for the largest that each store had in it."""
    found = [(meter, column) for meter in METERS for column in meter.prices if column in GAUGES]
    if len(found) != 1:
        named = ", ".join(f"{column} of {meter.kind}" for meter, column in found)
        raise ValueError(f"statements of costs charge one size by the hour, and METERS have {len(found)}: {named}")
    return found[0]


STORES, STORED_PART = charged_size()
LIFETIME = "lifetime"


class Case(Struct, frozen=True, gc=False, kw_only=True):
    """Fields of events that prices may depend on, beside model and tier. One more is a line here."""

    size: str | None = None
    quality: str | None = None
    context_level: str | None = None
    tool: str | None = None
    memory_gb: str | None = None
    session_minutes: str | None = None
    region: str | None = None

    @property
    def case(self) -> dict[str, str]:
        """The fields that say something, and what."""
        return {name: value for name in CASES if (value := getattr(self, name)) is not None}

    @property
    def case_words(self) -> list[str]:
        """The case for a person: `16 GB`, `region us`."""
        return [_CASE_WORDS.get(name, "{}").format(value) for name, value in self.case.items()]


CASES: tuple[str, ...] = Case.__struct_fields__
# Of those whose value alone says little.
_CASE_WORDS = {"memory_gb": "{} GB", "session_minutes": "{} minutes", "region": "region {}"}


class Subject(Case, frozen=True, gc=False):
    """Everything that a price depends on. Texts are those of events; times are Unix seconds.

    Attributes:
        day: the start of the UTC day.
        band: the card is for events with more input tokens than this, up to the next band.
        second: the card is for the time of day from this second on, up to the next one.
        project: of a card of a project that has own prices for this; None for all other projects.
    """

    day: int
    kind: str
    provider: str
    model: str | None = None
    service_tier: str | None = None
    batch: bool = False
    band: int = 0
    second: int = 0
    project: str | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The stored counts that usage of this kind may be charged for."""
        return PARTS_OF_KIND[self.kind]

    @property
    def tier(self) -> str:
        """`standard`, `batch`, or the service tier."""
        if self.service_tier in STANDARD_TIERS:
            return "batch" if self.batch else "standard"
        return f"{self.service_tier} batch" if self.batch else str(self.service_tier)

    def line_item(self, part: str) -> str:
        """The line item of a part: `gpt-4o-2024-08-06, cached input`, `gpt-5, output (batch)`."""
        price = METER_BY_KIND[self.kind].prices[part]
        words = " ".join(filter(None, (price.line_item, *(getattr(self, name) for name in price.details))))
        if self.tier != "standard":
            words += f" ({self.tier})"
        return f"{self.model}, {words}" if self.model and "model" in _dimensions(self.kind) else words

    def words(self) -> str:
        """The subject for a person: `openai gpt-5, completions, batch, 2026-10-14, above 272,000 input tokens`."""
        day = iso_day(self.day)
        named = [f"{self.provider} {self.model}" if self.model else self.provider, self.kind, self.tier]
        named += [*self.case_words, day]
        if self.project:
            named.append(f"project {self.project}")
        if self.band:
            named.append(f"above {self.band:,} input tokens")
        if self.second:
            named.append(f"from {self.second // 3600:02}:{self.second % 3600 // 60:02} UTC")
        return ", ".join(named)


# Fields that an event may leave out although its price depends on them; the lifetime is one of cache writes.
DEFAULTS: tuple[str, ...] = (*CASES, LIFETIME)


def of_tier(tier: str) -> tuple[str | None, bool]:
    """(`service_tier`, `batch`) of a `Subject.tier`."""
    batch = tier == "batch" or tier.endswith(" batch")
    service_tier = tier[: -len("batch")].rstrip() if batch else tier
    return (None if service_tier in ("", "standard") else service_tier), batch


def _dimensions(kind: str) -> tuple[str, ...]:
    return tuple(dimension.name for dimension in METER_BY_KIND[kind].dimensions)


class Source(Struct, frozen=True, omit_defaults=True, rename={"start": "from", "start_is": "from_is", "end": "to"}):
    """The origin of a price: who says so, and for when.

    Attributes:
        text: the public address that says so, or the operator's note.
        layer: `operator`; `curated`, a row with a source that a person checked; `observed`, a row that public lists
            showed; empty where the card was given before layers were kept.
        start: the UTC day or instant from which it holds.
        start_is: `launch`, `announced`, `vendor_rule`, or `first_seen`: before it the price is not known.
        end: the day or instant at which it no longer holds; None where no end is known.
        provisional: nobody has confirmed it for the day yet.
        resolved_from: `gpt-4o → gpt-4o-2024-08-06`, where the name stands for another.
        assumed: `lifetime 5m`, what the event does not say and a default of the operator's does.
    """

    text: str
    layer: str = ""
    start: str | None = None
    start_is: str | None = None
    end: str | None = None
    confidence: str | None = None
    provisional: bool = False
    resolved_from: str | None = None
    assumed: str | None = None


def origin(source: Source | None) -> dict[str, Any]:
    """Show where a price is from, and for when it is."""
    about = source or Source("")
    return {
        "source": about.text or None,
        "layer": about.layer or None,
        "from": about.start,
        "from_is": about.start_is,
        "to": about.end,
        "confidence": about.confidence,
        "provisional": about.provisional,
        "resolved_from": about.resolved_from,
        "assumed": about.assumed,
    }


def origin_words(source: Source) -> str:
    """The source of a price for a person: `LiteLLM; since 2025-06-10 (first seen); for gpt-4o → gpt-4o-2024-08-06`."""
    words = [source.text]
    if source.start:
        how = f" ({source.start_is.replace('_', ' ')})" if source.start_is else ""
        words.append(f"since {source.start}{how}")
    if source.end:
        words.append(f"until {source.end}")
    if source.resolved_from:
        words.append(f"for {source.resolved_from}")
    if source.assumed:
        words.append(f"with your default of {source.assumed}")
    if source.provisional:
        words.append("not confirmed for this day yet")
    return "; ".join(words)


class Reason(Struct, frozen=True):
    """The reason why a part has no price.

    Attributes:
        code: `no_alias` (no list has the name), `no_row`, `no_variant` (none for the tier), `before_first_seen`, `gap`,
            `past_support` (its lists dropped it), `disputed`, `unconfirmed`, `no_region` (no factor for the region), or
            `ambiguous:` and the field of an event that the price depends on.
    """

    code: str
    words: str


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of a card: one for each part that has one, and its source.

    Attributes:
        rates: part → 10⁻¹⁸/9 USD a unit (for `usage_bytes` a GiB-hour). A part that is absent is unpriced.
        sources: part → where its price is from.
        reasons: part → why it has no price. Of the price book only: cards do not keep it.
    """

    rates: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    sources: Mapping[str, Source] = field(default_factory=lambda: MappingProxyType({}))
    reasons: Mapping[str, Reason] = field(default_factory=lambda: MappingProxyType({}), compare=False)


def charge(part: str, quantity: int, rate: int) -> int:
    """Charges `quantity` of a part in 10⁻¹⁸/9 USD; one hour of one store to 10⁻¹⁸ USD, half of it rounded up."""
    if not PARTS[part].unit_bits:
        return quantity * rate
    whole = UNITS << PARTS[part].unit_bits
    return (quantity * rate + whole // 2) // whole * UNITS


class Override(Case, frozen=True):
    """A price of the operator's: from `start` (the first second of a UTC day) on, until a later one.

    One for exactly this case comes before one for all cases. Two of them are no prices: a discount, whose part is
    `ANY`, changes all prices of lists; a default, whose part is a field of events, says what is meant where an event
    leaves it out and its price depends on it. Their kind and tier may be `ANY` as well.

    Attributes:
        model: a name, the beginning of names and `*`, or None for usage without a model.
        tier: as `Subject.tier` says it.
        band: for events with more input tokens than this.
        rate: 10⁻¹⁸/9 USD a unit of `part`; None for what price lists say, which ends an earlier price.
        note: why, or where the price is from.
        percent: of a discount, a decimal as text: `-12` is 12 % off; None ends an earlier one.
        like: of a discount, the provider whose list counts, where it is another's.
        default: of a default, the value of the field; None ends an earlier one.
        project: the one whose usage it is for; None for all.
    """

    kind: str
    provider: str
    model: str | None
    part: str
    tier: str
    start: int
    rate: int | None
    band: int = 0
    note: str = ""
    percent: str | None = None
    like: str | None = None
    default: str | None = None
    project: str | None = None

    @property
    def subject(self) -> Subject:
        """The subject of the price, on its first day."""
        service_tier, batch = of_tier(self.tier)
        subject = Subject(
            day=self.start,
            kind=self.kind,
            provider=self.provider,
            model=self.model,
            service_tier=service_tier,
            batch=batch,
            band=self.band,
            project=self.project,
        )
        return structs.replace(subject, **self.case)

    @property
    def exactness(self) -> tuple[bool, bool, int, int]:
        """The rank among prices of a name: one for a kind or tier comes first, then a higher band, then fewer cases."""
        return self.kind != ANY, self.tier != ANY, self.band, len(self.case)

    @property
    def about(self) -> tuple[object, ...]:
        """Everything that two prices of a name and a tier share of which the later one replaces the other."""
        cases = tuple(getattr(self, name) for name in CASES)
        return self.kind, self.part, self.project, self.band, *cases

    def applies(self, subject: Subject) -> bool:
        """Returns true if it holds for the day and the case of a subject with its name and tier, whatever the band."""
        return (
            (self.part not in PARTS or self.part in subject.parts)
            and self.start <= subject.day
            and self.case.items() <= subject.case.items()
        )
