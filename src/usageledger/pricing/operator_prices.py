"""The operator's own prices as people write them → `Override`, and back.

A price is written as a price list does: `1.25` is for as many units as lists give (`Part.per`), `1.25/1k` and `0.04/1`
say it themselves, and `list` goes back to what price lists say. For the part `*` it is a discount, such as `-12%`;
for a field of events, such as `quality`, the value that is meant where an event leaves it out.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from usageledger.buckets import iso_day
from usageledger.errors import PriceError
from usageledger.events.typed_events import FIELDS
from usageledger.hints import did_you_mean
from usageledger.meters import METER_BY_KIND
from usageledger.pricing.cards import CASES, DEFAULTS, PARTS, PARTS_OF_KIND, Override, Subject, of_tier
from usageledger.pricing.money import PLACES, UNITS, decimal_text, to_rate, usd_text
from usageledger.pricing.price_file import ANY

LISTED = "list"
FREE = 100  # percent off
FAR_OFF = 10  # a price so many times the one before is probably a slip

# What a price is about, in the order of its columns.
FIELD_NAMES = ("kind", "provider", "model", "tier", "part", "price", "from", "above", *CASES, "like", "project", "note")
_PRICE = re.compile(r"(?P<usd>[0-9]{1,12}(\.[0-9]{1,24})?)(/(?P<units>[1-9][0-9]{0,11})(?P<times>[kM]?))?")
_PERCENT = re.compile(r"[+-][0-9]{1,4}(\.[0-9]{1,18})?%")
_UNIT_WORDS = {"gibibyte_hours": "GiB-hours", "duration_seconds": "seconds"}
_TIMES = {"": 1, "k": 1_000, "M": 1_000_000}


def part_name(kind: str, part: str) -> str:
    """Names a part in one word: `cached-input`, `search-calls`."""
    price = METER_BY_KIND[kind].prices[part]
    return (price.name or price.line_item).replace(" ", "-")


def parts_by_name(kind: str) -> dict[str, str]:
    """Name → part, of what usage of a kind may be charged for."""
    return {part_name(kind, part): part for part in PARTS_OF_KIND[kind]}


def unit_words(part: str, per: int) -> str:
    """`1M tokens`, `1 image`, `60 seconds`: what a price is for."""
    unit = PARTS[part].unit
    words = _UNIT_WORDS.get(unit, unit)
    count = f"{per // 10**6}M" if per % 10**6 == 0 else f"{per // 1000}k" if per % 1000 == 0 else str(per)
    return f"{count} {words if per != 1 else words.removesuffix('s')}"


def price_text(rate: int, part: str, per: int | None = None) -> str:
    """A rate in USD for as many units as price lists give, with all its digits."""
    return usd_text(rate * (per or PARTS[part].per))


def written(price: Override) -> dict[str, str]:
    """An override as `read_price` reads it; fields that say nothing are empty."""
    return {
        "kind": price.kind,
        "provider": price.provider,
        "model": price.model or "",
        "tier": price.tier,
        "part": part_name(price.kind, price.part) if price.part in PARTS else price.part,
        "price": _amount(price),
        "from": iso_day(price.start),
        "above": str(price.band or ""),
        **{name: price.case.get(name, "") for name in CASES},
        "like": price.like or "",
        "project": price.project or "",
        "note": price.note,
    }


def _amount(price: Override) -> str:
    if price.percent is not None:
        return percent_text(price.percent)
    if price.default is not None:
        return price.default
    if price.rate is None:
        return LISTED
    per = PARTS[price.part].per
    if price.rate * per % UNITS:
        per *= UNITS  # of which the price has an end
    return f"{price_text(price.rate, price.part, per)}/{per}"


def percent_text(percent: str) -> str:
    """A change as it is written: `-12%`, `+10%`."""
    return f"{percent if percent.startswith('-') else f'+{percent}'}%"


def read_price(given: Mapping[str, str]) -> Override:
    """The price that `given` (`FIELD_NAMES` → text, absent or empty for what is not said) writes down.

    Without `kind` it is about completions, without `provider` about openai, without `tier` about the standard one.
    Discounts, whose part is `*`, and defaults, whose part is a field of events, are about all where they name none.

    Raises:
        PriceError: names every field that is wrong, the value given and what is allowed.
    """
    wrong = [f"Unknown field: {n!r}.{did_you_mean(n, FIELD_NAMES)}" for n in given if n not in FIELD_NAMES]
    text = {name: given.get(name, "").strip() for name in FIELD_NAMES}
    if text["part"] in (ANY, *DEFAULTS):
        text |= {name: text[name] or ANY for name in ("kind", "model", "tier")}

    def read(name: str, reader: Callable[[str], Any]) -> Any:
        try:
            return reader(text[name])
        except ValueError as error:
            wrong.append(f"{name}: {error}")
            return None

    kind: str | None = read("kind", _kind)
    part: str | None = read("part", lambda word: _part(kind, word)) if kind else None
    rate: int | None = read("price", lambda word: _rate(part, word)) if part in PARTS else None
    percent: str | None = read("price", _percent) if part == ANY else None
    default: str | None = read("price", lambda word: _default(kind, part, word)) if part in DEFAULTS else None
    start, band = read("from", read_day), read("above", _band)
    if kind and part:
        wrong += _misplaced(kind, text)
    if wrong or kind is None or part is None:
        raise PriceError(" ".join(wrong))
    return Override(
        kind=kind,
        provider=text["provider"] or "openai",
        model=text["model"] or None,
        part=part,
        tier=_tier(text["tier"]),
        start=start,
        rate=rate,
        band=band,
        note=text["note"],
        **{name: text[name] or None for name in CASES},
        percent=percent,
        like=text["like"] or None,
        default=default,
        project=text["project"] or None,
    )


def _kind(word: str) -> str:
    kind = word or "completions"
    if kind not in METER_BY_KIND and kind != ANY:
        raise ValueError(f"there is no kind {kind!r}. Kinds are: {', '.join(METER_BY_KIND)}.")
    return kind


def _part(kind: str, word: str) -> str:
    if word in (ANY, *DEFAULTS):
        return word
    if kind == ANY:
        raise ValueError(f"prices of {word!r} are of one kind, got {ANY!r}; only a discount is for all of them.")
    names = parts_by_name(kind)
    name = word.replace(" ", "-")
    if name not in names:
        raise ValueError(f"{kind} are not charged for {word!r}. They are charged for: {', '.join(names)}.")
    return names[name]


def _rate(part: str, word: str) -> int | None:
    if word == LISTED:
        return None
    match = _PRICE.fullmatch(word)
    if match is None:
        raise ValueError(f"expected USD, USD/UNITS such as 1.25/1M, or {LISTED}, got {word!r}.")
    per = int(match["units"]) * _TIMES[match["times"]] if match["units"] else PARTS[part].per
    return to_rate(Decimal(match["usd"]), per)


def _percent(word: str) -> str | None:
    if word == LISTED:
        return None
    if not _PERCENT.fullmatch(word) or Decimal(word[:-1]) < -FREE:
        raise ValueError(f"expected a percentage such as -12% or +10%, or {LISTED}, got {word!r}.")
    return decimal_text(int(Decimal(word[:-1]).scaleb(PLACES)))


def _default(kind: str | None, name: str | None, word: str) -> str | None:
    if word == LISTED:
        return None
    field = FIELDS[str(kind)].get(str(name)) if kind != ANY else None
    if field and (problem := field.problem(word)):
        raise ValueError(f"{problem[1]}.")
    if not word:
        raise ValueError(f"expected a value of {name!r}, or {LISTED}, got nothing.")
    return word


def read_day(word: str) -> int:
    """The first second of a UTC day such as 2026-11-01. Raises ValueError."""
    try:
        day = date.fromisoformat(word)
    except ValueError:
        raise ValueError(f"expected a day such as 2026-11-01, got {word!r}.") from None
    seconds = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    if seconds < 0:
        raise ValueError(f"expected a day since 1970-01-01, got {word!r}.")
    return seconds


def _band(word: str) -> int:
    if not re.fullmatch(r"[0-9]{0,15}", word):
        raise ValueError(f"expected a number of input tokens such as 272000, got {word!r}.")
    return int(word or 0)


def _tier(word: str) -> str:
    """A tier as `Subject.tier` says it: `default` is the standard one."""
    service_tier, batch = of_tier(word)
    return Subject(0, "completions", "", service_tier=service_tier, batch=batch).tier


def _misplaced(kind: str, text: Mapping[str, str]) -> Iterator[str]:
    """Lists the fields that mean nothing for usage of this kind, and those that are missing."""
    if "*" in text["model"][:-1]:
        yield f"model: a * may stand at the end only, got {text['model']!r}."
    if text["project"] and (problem := FIELDS["completions"]["project_id"].problem(text["project"])):
        yield f"{problem[1].replace('project_id', 'project')}."
    beside = text["part"] in (ANY, *DEFAULTS)
    yield from _misplaced_beside_prices(kind, text) if beside else _misplaced_in_price(kind, text)


def _misplaced_in_price(kind: str, text: Mapping[str, str]) -> Iterator[str]:
    names = {dimension.name for dimension in METER_BY_KIND[kind].dimensions}
    if "model" in names and not text["model"]:
        yield f"model: prices of {kind} are by model, and none is given."
    for name in ("model", *CASES):
        if text[name] and name not in names:
            yield f"{name}: {kind} have none, got {text[name]!r}."
        elif text[name] and (problem := FIELDS[kind][name].problem(text[name])):
            yield f"{problem[1]}."
    service_tier, batch = of_tier(_tier(text["tier"]))
    if text["tier"] == ANY or (service_tier and "service_tier" not in names) or (batch and "batch" not in names):
        yield f"tier: {kind} have none, got {text['tier']!r}."
    if text["above"] and "input_text_tokens" not in PARTS_OF_KIND[kind]:
        yield f"above: {kind} have no input tokens, got {text['above']!r}."
    if text["like"]:
        yield f"like: only a discount, whose part is {ANY}, is on a list, got {text['like']!r}."


def _misplaced_beside_prices(kind: str, text: Mapping[str, str]) -> Iterator[str]:
    names = () if kind == ANY else [dimension.name for dimension in METER_BY_KIND[kind].dimensions]
    for name in ("size", "quality", "context_level", "above"):
        if text[name]:
            yield f"{name}: discounts and defaults are for all of them, got {text[name]!r}."
    if text["like"] and text["part"] != ANY:
        yield f"like: only a discount, whose part is {ANY}, is on a list, got {text['like']!r}."
    for name, field in (("model", "model"), ("tier", "service_tier")):
        if kind != ANY and text[name] != ANY and field not in names:
            yield f"{name}: {kind} have none, got {text[name]!r}."
    if text["model"] != ANY and (problem := FIELDS["completions"]["model"].problem(text["model"])):
        yield f"{problem[1]}."


def far_off(before: int, after: int) -> bool:
    """Returns true if a price differs so much from the one before that it needs a second look."""
    return max(before, after) > FAR_OFF * min(before, after)
