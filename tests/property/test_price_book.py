"""The kinds of wrong prices, on made-up books and on the shipped one: nothing is taken for what it is not."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any

import pytest
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from tests.support.effort import EFFORT
from tests.support.price_rows import NO_LIST, book, row

from usageledger.buckets import DAY_SECONDS
from usageledger.meters import METER_BY_KIND
from usageledger.pricing import UNITS_PER_USD, Subject, to_rate
from usageledger.pricing.book import PriceBook
from usageledger.pricing.cards import of_tier
from usageledger.pricing.hosted import all_rows, rows_by_name
from usageledger.pricing.listed_prices import CONDITIONS, ListedPrice, seconds_of
from usageledger.pricing.listed_prices import listed as compiled
from usageledger.pricing.names import fine_tuned_base
from usageledger.pricing.price_file import ANY, USABLE, Row, shipped

pytestmark = pytest.mark.timeout(600 * EFFORT)

M = UNITS_PER_USD // 10**6
PARTS = ("input_text_tokens", "input_cached_text_tokens", "input_audio_tokens", "output_text_tokens")
PRIMES = [n for n in range(2, 2_000) if all(n % d for d in range(2, int(n**0.5) + 1))]
EVERY = [
    (model, part, tier, above)
    for model in "mn"
    for part in PARTS
    for tier in ("standard", "batch")
    for above in (0, 100)
]
SUBJECT = Subject(seconds_of("2026-11-18"), "completions", "acme", "m")


def subject_of(listed: Row, day: int, **changed: Any) -> Subject:
    """An event's subject that a row is about, with all that its conditions ask for."""
    service_tier, batch = of_tier(listed.tier)
    said = {name: getattr(listed, name) for name in CONDITIONS if hasattr(SUBJECT, name)}
    about = {"service_tier": service_tier, "batch": batch, "band": listed.above} | said
    model = None if listed.model == ANY else listed.model
    return Subject(day, listed.kind, listed.provider, model, **(about | changed))


def day_of(price: ListedPrice) -> int:
    """A day on which a price holds from its first to its last second, or its first day."""
    day = -(-price.start // DAY_SECONDS) * DAY_SECONDS
    return day if day < price.end else price.start // DAY_SECONDS * DAY_SECONDS


# --- made-up books -----------------------------------------------------------------------------------------------


@given(chosen=st.sets(st.sampled_from(EVERY)))
def test_every_rate_is_that_of_its_own_row(chosen: set[tuple[str, str, str, int]]) -> None:
    """Each row has a prime price of its own, so that a rate tells the row that it is from."""
    primes = dict(zip(EVERY, PRIMES, strict=False))
    made = book(*(row(part, str(primes[model, part, tier, above]), model=model, tier=tier, above=above)
                  for model, part, tier, above in chosen))  # fmt: skip
    for model in "mn":
        bands = {above for name, _, _, above in chosen if name == model}
        for tier in ("standard", "batch"):
            for above in (0, 100):
                at = structs.replace(SUBJECT, model=model, batch=tier == "batch", band=above)
                own = {p: primes[model, p, tier, above] * M for p in PARTS if (model, p, tier, above) in chosen}
                if above not in bands and above:
                    own = {p: primes[model, p, tier, 0] * M for p in PARTS if (model, p, tier, 0) in chosen}
                assert made.prices(at).rates == own


@given(st.sets(st.sampled_from(EVERY), min_size=1), st.sampled_from(["standard", "batch"]), st.sampled_from([0, 100]))
def test_a_tier_and_a_band_stand_alone(chosen: set[tuple[str, str, str, int]], tier: str, above: int) -> None:
    """Seven times the prices of one tier and band moves no other."""
    rows = [row(part, "3", model=model, tier=of, above=band) for model, part, of, band in chosen]
    moved = [structs.replace(r, price="21") if (r.tier, r.above) == (tier, above) else r for r in rows]
    before, after = book(*rows), book(*moved)
    for model in "mn":
        bands = {band for name, _, _, band in chosen if name == model}
        for of in ("standard", "batch"):
            for band in bands:
                at = structs.replace(SUBJECT, model=model, batch=of == "batch", band=band)
                factor = 7 if (of, band) == (tier, above) else 1
                assert after.prices(at).rates == {p: rate * factor for p, rate in before.prices(at).rates.items()}


# --- the shipped book --------------------------------------------------------------------------------------------


@cache
def real() -> PriceBook:
    return PriceBook()


@cache
def without_list() -> PriceBook:
    return PriceBook(shipped(), NO_LIST)


@cache
def of_names() -> PriceBook:
    """The book without the rows that are for any model."""
    return PriceBook(structs.replace(shipped(), rows=tuple(ROWS)), NO_LIST)


def slow(rows: Iterable[Row], at: Subject, part: str) -> int | None:
    """The price of a subject by reading every row of its name: the obvious way, for names that stand for themselves."""
    second = at.day + at.second
    kind = METER_BY_KIND[at.kind].priced_as or at.kind
    listed = [compiled(each) for each in rows if each.kind == kind]
    bands = [
        price.row.above
        for price in listed
        if (second < price.end or price.row.last_seen) and (price.start <= second or price.row.start_is == "first_seen")
        if price.row.above <= at.band
    ]
    fitting = [
        price
        for price in listed
        if price.row.part == part
        and price.row.tier == at.tier
        and price.row.above == max(bands, default=0)
        and price.holds(second)
        and all(getattr(at, name, None) == value for name, value in price.conditions)
    ]
    if not fitting or any(price.row.confidence == "disputed" for price in fitting):
        return None
    most = max(len(price.conditions) for price in fitting)
    rates = {price.rate for price in fitting if len(price.conditions) == most and price.row.confidence in USABLE}
    return rates.pop() if len(rates) == 1 else None


ROWS = [each for each in shipped().rows if each.model and each.model != ANY]
BY_NAME: dict[tuple[str, str], list[Row]] = {}
for each in ROWS:
    BY_NAME.setdefault((each.provider, str(each.model)), []).append(each)
WITH_IMPLIED = all_rows(structs.replace(shipped(), rows=tuple(ROWS)))
WITH_IMPLIED_BY_NAME = rows_by_name(WITH_IMPLIED)
TODAY = seconds_of(shipped().made)


@settings(max_examples=200 * EFFORT)
@given(
    st.sampled_from(WITH_IMPLIED),
    st.integers(0, 1_500),
    st.sampled_from([0, 12 * 3600, DAY_SECONDS - 1]),
    st.booleans(),
)
def test_the_book_agrees_with_reading_every_row(listed: Row, ago: int, second: int, standard: bool) -> None:
    at = subject_of(listed, TODAY - ago * DAY_SECONDS, second=second)
    if standard:
        at = structs.replace(at, service_tier=None, batch=False)
    rows = WITH_IMPLIED_BY_NAME[listed.provider, str(listed.model)]
    prices = of_names().prices(at)
    if of_names().resolve(at).path != (str(listed.model),):
        return  # it stands for another name on that day
    if listed.provider == "openai" and at.tier in ("priority", "fast"):
        return  # two names of one tier: tests/unit/test_book.py
    if any(name not in dir(at) for name, _ in compiled(listed).conditions):
        return
    assert prices.rates.get(listed.part) == slow(rows, at, listed.part)


def test_a_row_that_is_taken_away_leaves_its_part_unpriced_and_no_other_part_changed() -> None:
    """Row by row: whatever would be taken for the row shows."""
    file, chance = shipped(), Random(20261127)
    usable = [each for each in ROWS if each.confidence in USABLE]
    for gone in chance.sample(usable, 250):
        rows = [each for each in BY_NAME[gone.provider, str(gone.model)] if each is not gone]
        kept = structs.replace(file, rows=tuple(rows), aliases=(), alike=())
        whole = structs.replace(kept, rows=(*rows, gone))
        at = subject_of(gone, day_of(compiled(gone)))
        before, after = (PriceBook(each, NO_LIST).prices(at) for each in (whole, kept))
        others = {part: rate for part, rate in before.rates.items() if part != gone.part}
        assert {part: rate for part, rate in after.rates.items() if part != gone.part} == others or not any(
            each.above == gone.above for each in rows
        ), gone
        if gone.part in before.rates and all(each.above != gone.above or each.part != gone.part for each in rows):
            lonely = gone.above and all(each.above != gone.above for each in rows)
            assert gone.part not in after.rates or lonely, gone


def test_parts_cost_alike_only_where_a_source_says_so() -> None:
    """A part that is priced by another one has its price exactly, and none without what the file says of them."""
    file = structs.replace(shipped(), alike=())
    alone, implied = PriceBook(file, NO_LIST), all_rows(shipped())[len(all_rows(file)) :]
    assert len(implied) > 1_500
    for listed in implied[::3]:
        about = (each for each in shipped().alike if each.provider == listed.provider and listed.model in each.models)
        said = next(each for each in about if listed.part in each.parts)
        at = subject_of(listed, day_of(compiled(listed)))
        rates = without_list().prices(at).rates
        assert rates.get(listed.part) == rates.get(said.parts[listed.part]), listed
        assert listed.part not in alone.prices(at).rates, listed


def mutations(name: str) -> list[str]:
    head, _, tail = name.rpartition("-")
    made = [
        f"{name}-x",
        f"{name}0",
        f"{name}-cyber",
        f"x-{name}",
        f"{name}-2026-02-30",
        f"{name}-20260101",
        f"{name}:free",
    ]
    made += [f"us.{name}", f"us/{name}", f"my-{name}-proxy", name.replace("-", "_") + "_", f"vendor/{name}"]
    return [*made, *([head] if head else []), *([tail] if tail else [])]


@pytest.mark.parametrize("provider", sorted({each.provider for each in all_rows(shipped())}))
def test_a_name_that_no_list_has_is_never_priced(provider: str) -> None:
    """Names that come near to known ones are unpriced, unless they are listed or stand for one that is."""
    known = {str(each.model) for each in real().rows(provider)}
    known |= set(real().aliases.names(provider))
    for name in sorted(known - {ANY, "None"}):
        for near in mutations(name):
            base = fine_tuned_base(near)
            if near in known or base in known:
                continue
            prices = real().prices(Subject(TODAY, "completions", provider, near))
            assert not prices.rates, (near, prices.sources)


def test_names_of_the_installed_list_are_priced_by_their_own_rows_only() -> None:
    for provider in get_snapshot().providers:
        for model in provider.models[::29]:
            for near in (f"{model.id}-x", f"{model.id}0", f"x{model.id}"):
                at = Subject(TODAY, "completions", provider.id, near)
                if real().resolve(at).model is None:
                    assert not real().prices(at).rates, (provider.id, near)
                else:
                    assert real().resolve(at).path[0] in near.lower(), (provider.id, near)


def test_a_lower_layer_changes_nothing_that_a_higher_one_said() -> None:
    for listed in ROWS[::5]:
        at = subject_of(listed, TODAY)
        alone, both = without_list().prices(at), real().prices(at)
        assert dict(both.rates).items() >= dict(alone.rates).items()
        if without_list().resolve(at).model:
            assert both.rates == alone.rates


def test_the_past_does_not_depend_on_the_installed_list() -> None:
    for listed in ROWS[::5]:
        at = subject_of(listed, seconds_of("2026-11-09"))
        assert real().prices(at).rates == without_list().prices(at).rates


def test_the_price_is_constant_between_the_days_that_the_rows_say() -> None:
    chance = Random(5)
    for name in chance.sample(sorted(BY_NAME), 25):
        rows = BY_NAME[name]
        listed = chance.choice(rows)
        times = {at for each in map(compiled, rows) for at in (each.start, each.end)}
        cuts = {at // DAY_SECONDS for at in times} | {
            seconds_of(day) // DAY_SECONDS
            for alias in shipped().aliases
            if (alias.provider, alias.name) == name
            for day in (alias.start, alias.end or alias.start)
        }
        if any(each.hours for each in rows):
            continue
        first = min(cuts)
        before: tuple[Any, ...] = ()
        for day in range(first - 2, TODAY // DAY_SECONDS):
            now = tuple(sorted(without_list().prices(subject_of(listed, day * DAY_SECONDS)).rates.items()))
            assert day in cuts or day - 1 in cuts or now == before, (name, day)
            assert day >= first or not now
            before = now


def differing(rows: Sequence[Row]) -> Iterable[tuple[Row, str]]:
    """Yields rows that differ in price by one condition, and its field."""
    for one in rows:
        for other in rows:
            fields = [name for name in CONDITIONS if getattr(one, name) != getattr(other, name)]
            same = ("kind", "part", "tier", "above")
            if (
                len(fields) == 1
                and one.price != other.price
                and all(getattr(one, n) == getattr(other, n) for n in same)
            ):
                a, b = compiled(one), compiled(other)
                if max(a.start, b.start) < min(a.end, b.end) and getattr(one, fields[0]) and getattr(other, fields[0]):
                    yield one, fields[0]


def test_what_an_event_leaves_out_is_not_assumed() -> None:
    found = [pair for rows in BY_NAME.values() for pair in differing([r for r in rows if r.kind != "completions"])]
    assert {field for _, field in found} >= {"size", "quality", "context_level"}
    for listed, field in found:
        at = subject_of(listed, day_of(compiled(listed)))
        if field in dir(at):
            reasons = without_list().prices(structs.replace(at, **{field: None})).reasons
            assert reasons[listed.part].code.startswith("ambiguous:"), (listed, reasons[listed.part])


def test_case_and_documented_prefixes_change_no_price() -> None:
    for listed in ROWS[::11]:
        at = subject_of(listed, TODAY)
        prefix = {"openai": "openai/", "google": "models/", "anthropic": "anthropic/"}.get(listed.provider, "")
        for name in (f" {str(listed.model).upper()} ", f"{prefix}{listed.model}"):
            assert without_list().prices(structs.replace(at, model=name)).rates == without_list().prices(at).rates


def test_parts_are_priced_or_have_a_reason() -> None:
    for listed in ROWS[::3]:
        at = subject_of(listed, TODAY)
        for _, prices in real().offers(structs.replace(at, band=0)):
            assert prices.rates.keys() | prices.reasons.keys() == set(at.parts)
            assert not prices.rates.keys() & prices.reasons.keys()
            assert prices.sources.keys() == prices.rates.keys()


def test_the_prices_of_the_file_are_exact() -> None:
    """A rate times as many units as the row says is its price, to the last digit."""
    for listed in all_rows(shipped()):
        rate = to_rate(Decimal(listed.price), listed.per)
        assert rate * listed.per == Decimal(listed.price) * UNITS_PER_USD
