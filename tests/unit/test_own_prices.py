"""The names for which a price of the operator's holds."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from tests.support.price_rows import book, row

from usageledger.pricing import UNITS_PER_USD, Override, Subject
from usageledger.pricing.book import PriceBook
from usageledger.pricing.known_names import default_values, is_listed, names_held
from usageledger.pricing.names import own_name
from usageledger.pricing.own_prices import OwnPrices
from usageledger.pricing.price_file import Alias

DAY = 86_400
M = UNITS_PER_USD // 10**6  # one USD for a million tokens, by the token
REAL = PriceBook()


def day(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


NOVEMBER = day("2026-11-18")


def own(model: str | None, rate: int | None = 7, **given: Any) -> Override:
    about: dict[str, Any] = {
        "kind": "completions",
        "provider": "openai",
        "part": "input_text_tokens",
        "tier": "standard",
        "start": 0,
    }
    return Override(**(about | {"model": model, "rate": rate} | given))


def rate(subject: Subject, *prices: Override, book: PriceBook = REAL) -> int | None:
    return book.prices(subject, OwnPrices(prices)).rates.get("input_text_tokens")


def at(model: str, provider: str = "openai", day: int = NOVEMBER) -> Subject:
    return Subject(day, "completions", provider, model)


@pytest.mark.parametrize("event", ["gpt-5", "gpt-5-2025-08-07", "GPT-5", " openai/gpt-5 ", "OpenAI/GPT-5-2025-08-07"])
@pytest.mark.parametrize("set_for", ["gpt-5", "gpt-5-2025-08-07", "openai/gpt-5", "Gpt-5"])
def test_a_price_holds_for_all_names_of_the_model(set_for: str, event: str) -> None:
    assert rate(at(event), own(set_for)) == 7


@pytest.mark.parametrize("event", ["gpt-5-mini", "gpt-5-2025-08-08", "gpt-5-x", "azure/gpt-5", "gpt-5-2025-08-0"])
def test_it_holds_for_no_other_name(event: str) -> None:
    assert rate(at(event), own("gpt-5")) == rate(at(event)) != 7


def test_a_price_for_a_dated_name_holds_for_the_alias_on_the_days_on_which_it_points_there() -> None:
    for text, pointed in (("2024-10-01", False), ("2024-10-02", True)):
        assert (rate(at("gpt-4o", day=day(text)), own("gpt-4o-2024-08-06")) == 7) is pointed
        assert (rate(at("gpt-4o-2024-08-06", day=day(text)), own("gpt-4o")) == 7) is pointed
        assert (rate(at("gpt-4o-2024-05-13", day=day(text)), own("gpt-4o")) == 7) is not pointed


def test_the_very_name_comes_first_whenever_it_was_set() -> None:
    prices = own("gpt-5", 1), own("gpt-5-2025-08-07", 2), own("gpt-5*", 3), own("gpt-*", 4), own("*", 5)
    for order in permutations(prices):
        assert rate(at("GPT-5"), *order) == 1
        assert rate(at("gpt-5-2025-08-07"), *order) == 2
        assert rate(at("gpt-5-unknown"), *order) == 3
        assert rate(at("gpt-6"), *order) == 4
        assert rate(at("o3"), *order) == 5
    assert rate(at("gpt-5"), own("gpt-5-2025-08-07", 2), own("gpt-5*", 3)) == 2


@pytest.mark.parametrize(("provider", "other"), [("bedrock", "aws"), ("AWS", "amazon"), ("gemini", "google")])
def test_names_of_a_provider_are_one(provider: str, other: str) -> None:
    assert rate(at("m", provider), own("m", provider=other)) == 7
    assert rate(at("m", other), own("m", provider=provider)) == 7


def test_wild_cards_of_fine_tuned_models() -> None:
    name = "ft:gpt-4o-mini-2024-07-18:acme::x"
    assert rate(at(name), own("ft:gpt-4o-mini-2024-07-18:acme:*")) == 7
    assert rate(at("ft:gpt-4o-mini-2024-07-18:other::x"), own("ft:gpt-4o-mini-2024-07-18:acme:*")) != 7
    assert rate(at(name), own("ft:gpt-4o-mini-2024-07-18")) == 7
    assert rate(at(name), own("gpt-4o-mini-2024-07-18")) != 7
    assert rate(at("ft:gpt-4o-mini-2024-07-18:acme::y"), own(name)) != 7


def test_a_price_for_what_goes_through_a_router_is_none_of_the_vendor() -> None:
    routed = at("openai/gpt-5", "litellm")
    assert rate(routed, own("gpt-5")) == 7
    assert rate(routed, own("gpt-5"), own("openai/gpt-5", 8, provider="litellm")) == 8
    assert rate(at("gpt-5"), own("openai/gpt-5", 8, provider="litellm")) != 8
    assert rate(at("gpt-5", "litellm"), own("gpt-5")) == 7


def test_a_price_ends_by_any_spelling_of_its_own_name() -> None:
    listed = rate(at("gpt-5"))
    assert rate(at("gpt-5"), own("GPT-5"), own("openai/gpt-5", None)) == listed
    assert rate(at("gpt-5"), own("gpt-5-2025-08-07"), own("gpt-5", None)) == 7
    assert rate(at("gpt-5"), own("gpt-*"), own("gpt-*", None)) == listed


def test_priority_and_fast_are_one_tier() -> None:
    for tier, other in (("priority", "fast"), ("fast", "priority")):
        subject = structs.replace(at("gpt-5"), service_tier=other)
        assert rate(subject, own("gpt-5", tier=tier)) == 7
        assert rate(subject, own("gpt-5", tier=tier), own("gpt-5", None, tier=other)) != 7
        assert rate(structs.replace(subject, provider="acme"), own("gpt-5", tier=tier, provider="acme")) is None


def test_usage_without_a_model() -> None:
    stored = Subject(NOVEMBER, "vector_stores", "openai")
    price = own(None, kind="vector_stores", part="usage_bytes")
    assert REAL.prices(stored, OwnPrices([price])).rates == {"usage_bytes": 7}


def test_names_in_lists() -> None:
    assert names_held(REAL, "openai", "GPT-5", NOVEMBER) == ["gpt-5", "gpt-5-2025-08-07"]
    assert names_held(REAL, "openai", "in-house", NOVEMBER) == []
    assert [
        name for name in names_held(REAL, "openai", "gpt-5-n*", NOVEMBER) if not name.startswith("gpt-5-nano")
    ] == []
    known = ("gpt-5", "GPT-5", "gpt-5-2*", "ft:gpt-4o-mini-2024-07-18:acme:*", "gpt-4o-mini")
    assert all(is_listed(REAL, "OpenAI", name) for name in known)
    assert not any(is_listed(REAL, "openai", name) for name in ("gpt-5-", "in-house-*", "claude-opus-4-1"))
    assert is_listed(REAL, "litellm", "openai/gpt-5")


# --- discounts ---------------------------------------------------------------------------------------------------

LISTED = book(
    row("input_text_tokens", "2"),
    row("output_text_tokens", "8", above=100),
    row("input_text_tokens", "1", tier="batch"),
    row("input_text_tokens", "3", provider="other", model="n", start="2026-05-02T12:00Z"),
    row("num_requests", "5", per=1000, kind="web_search_calls", provider="other", model="n"),
)
MAY_5 = day("2026-05-05")


def off(percent: str | None, **given: Any) -> Override:
    about: dict[str, Any] = {
        "kind": "*",
        "provider": "acme",
        "model": "*",
        "part": "*",
        "tier": "*",
        "start": 0,
        "rate": None,
    }
    return Override(**(about | {"percent": percent} | given))


def discounted(subject: Subject, *prices: Override) -> int | None:
    found = LISTED.prices(subject, OwnPrices(prices)).rates.get("input_text_tokens")
    return None if found is None else found // (M // 1_000)  # USD for a million tokens, by thousandths


def test_a_discount_is_on_the_price_of_its_part_tier_and_day() -> None:
    subject = at("m", "acme", MAY_5)
    assert discounted(subject, off("-12")) == 1760
    assert discounted(structs.replace(subject, batch=True), off("-12")) == 880
    assert discounted(structs.replace(subject, batch=True), off("-12", tier="standard")) == 1000
    assert discounted(subject, off("10")) == 2200
    assert discounted(subject, off("-12", start=MAY_5 + DAY)) == 2000
    assert discounted(structs.replace(subject, service_tier="flex"), off("-12")) is None
    assert discounted(at("unknown", "acme", MAY_5), off("-12")) is None
    offers = LISTED.offers(subject, OwnPrices([off("-50")]))
    assert [(each.band, prices.rates.get("output_text_tokens")) for each, prices in offers] == [(0, None), (100, 4 * M)]
    (source,) = {LISTED.prices(subject, OwnPrices([off("-12", note="frame")])).sources["input_text_tokens"]}
    assert source.text == "operator: 12 % off the list since 1970-01-01 (frame); https://acme.test/prices"
    assert (source.layer, source.start, source.start_is) == ("operator", "2020-01-01", "launch")


def test_prices_come_before_discounts_and_the_more_exact_discount_before_others() -> None:
    subject = at("m", "acme", MAY_5)
    fixed = own("m", 3 * M // 2, provider="acme")
    for order in permutations([fixed, off("-10"), off("-20", model="m")]):
        assert discounted(subject, *order) == 1500
    discounts = off("-10"), off("-20", kind="completions"), off("-30", model="m*"), off("-40", model="m", tier="batch")
    for order in permutations(discounts):
        assert discounted(subject, *order) == 1400
        assert discounted(structs.replace(subject, batch=True), *order) == 600
    assert discounted(subject, off("-10"), off(None)) == 2000
    assert discounted(subject, off("-10"), off("-20", start=DAY)) == 1600
    assert discounted(subject, off("-10"), off("-20", model="m"), off(None, model="m", start=DAY)) == 1800


def test_a_discount_on_the_list_of_another_provider() -> None:
    like = off("-10", like="other")
    subject = at("n", "acme", MAY_5)
    assert discounted(subject) is None
    assert discounted(subject, like) == 2700
    source = LISTED.prices(subject, OwnPrices([like])).sources["input_text_tokens"]
    assert source.text.startswith("operator: 10 % off the list of other since 1970-01-01; ")
    assert discounted(at("m", "acme", MAY_5), like) == 2000, "names that the other list lacks keep their own price"
    # The other list's changes inside of a day are those of the card.
    offers = LISTED.offers(at("n", "acme", day("2026-05-02")), OwnPrices([like]))
    assert [each.second for each, _ in offers] == [0, DAY // 2]
    search = Subject(MAY_5, "web_search_calls", "acme", "n")
    assert LISTED.prices(search, OwnPrices([like])).rates == {"num_requests": 45 * UNITS_PER_USD // 10**4}
    assert {each.batch for each in LISTED.subjects(at("m", "acme", MAY_5), OwnPrices([off("-1")]))} == {True, False}


decimals = st.decimals("0", "9999", places=6, allow_nan=False, allow_infinity=False)


@given(
    usd=decimals,
    percent=st.decimals("-100", "1000", places=4, allow_nan=False, allow_infinity=False),
    per=st.sampled_from([1, 24, 60, 1000, 3600, 10**6]),
)
def test_a_discount_is_exact(usd: Decimal, percent: Decimal, per: int) -> None:
    """A price without end is rounded once, after the discount, half to even."""
    made = book(row("input_text_tokens", f"{usd:f}", per=per))
    exact = Fraction(usd) * (100 + Fraction(percent)) / 100 * UNITS_PER_USD / per
    rate = made.prices(at("m", "acme"), OwnPrices([off(f"{percent:f}")])).rates["input_text_tokens"]
    assert rate == round(exact)


# --- projects and defaults -----------------------------------------------------------------------------------------


def test_a_project_has_prices_of_its_own() -> None:
    mine, everyone = own("gpt-*", 1, project="p"), own("gpt-5", 2)
    for order in permutations([mine, everyone, own("gpt-5", 3, project="q")]):
        assert rate(at("gpt-5"), *order) == 2
        assert rate(structs.replace(at("gpt-5"), project="p"), *order) == 1
        assert rate(structs.replace(at("gpt-5"), project="r"), *order) == 2
        made = OwnPrices(order)
        assert made.projects == {"p", "q"}
        for project, of_card in (("p", "p"), ("q", "q"), ("r", None), (None, None)):
            subject = structs.replace(at("gpt-5"), project=project)
            assert [each.project for each, _ in REAL.offers(subject, made)] == [of_card]
        other = structs.replace(at("o3"), project="p")
        assert [each.project for each, _ in REAL.offers(other, made)] == [None]
        assert [each.project for each, _ in REAL.offers(structs.replace(other, service_tier="flex"), made)] == [None]
    ended = mine, everyone, own("gpt-*", None, project="p")
    assert rate(structs.replace(at("gpt-5"), project="p"), *ended) == 2


CACHES = book(
    row("input_cache_write_30m_tokens", "2"),
    row("input_cache_write_12h_tokens", "4"),
    row("images", "3", per=1, kind="images", quality="hd"),
    row("images", "1", per=1, kind="images", quality="standard"),
    row("images", "9", per=1, kind="images", model="any"),
)


def meant(name: str, value: str | None, **given: Any) -> Override:
    about: dict[str, Any] = {"kind": "*", "provider": "acme", "model": "*", "part": name, "tier": "*", "start": 0}
    return Override(**(about | {"rate": None, "default": value} | given))


def test_a_default_says_what_an_event_leaves_out() -> None:
    image = Subject(MAY_5, "images", "acme", "m")
    assert CACHES.prices(image).reasons["images"].code == "ambiguous:quality"
    default = OwnPrices([meant("quality", "hd")])
    prices = CACHES.prices(image, default)
    assert prices.rates == {"images": 3 * UNITS_PER_USD}
    assert (prices.sources["images"].assumed, prices.sources["images"].layer) == ("quality hd", "curated")
    said = CACHES.prices(structs.replace(image, quality="standard"), default)
    assert (said.rates["images"], said.sources["images"].assumed) == (UNITS_PER_USD, None)
    clear = CACHES.prices(structs.replace(image, model="any"), default)
    assert (clear.rates["images"], clear.sources["images"].assumed) == (9 * UNITS_PER_USD, None)
    wrong = CACHES.prices(image, OwnPrices([meant("quality", "low")]))
    assert wrong.reasons["images"].code == "no_row"
    for other in ({"model": "n"}, {"kind": "completions"}, {"provider": "x"}, {"start": MAY_5 + DAY}, {"project": "p"}):
        assert CACHES.prices(image, OwnPrices([meant("quality", "hd", **other)])).rates == {}
    own_project = structs.replace(image, project="p")
    both = OwnPrices([meant("quality", "hd", project="p"), meant("quality", "standard")])
    assert [CACHES.prices(each, both).rates["images"] // UNITS_PER_USD for each in (own_project, image)] == [3, 1]
    assert CACHES.prices(image, OwnPrices([meant("quality", "hd"), meant("quality", None)])).rates == {}


def test_a_default_lifetime_of_cache_writes_and_a_discount_on_it() -> None:
    subject, part = at("m", "acme", MAY_5), "input_cache_write_other_tokens"
    assert CACHES.prices(subject).reasons[part].code == "ambiguous:lifetime"
    prices = CACHES.prices(subject, OwnPrices([meant("lifetime", "12h"), off("-50")]))
    assert prices.rates[part] == 2 * M
    assert prices.sources[part].assumed == "lifetime 12h"
    assert default_values(CACHES, "acme", "*", "lifetime") == ["12h", "30m"]
    assert default_values(CACHES, "acme", "images", "quality") == ["hd", "standard"]
    assert default_values(CACHES, "acme", "completions", "quality") == []


# --- adding an own price changes exactly the names that resolve to it ---------------------------------------------

NAMES = ["m", "m-1", "m-2", "n", "ft:m", "ft:m:acme::x"]
names = st.sampled_from([*NAMES, "M ", "acme/m-1"])
aliases = st.builds(
    Alias,
    provider=st.just("acme"),
    name=st.sampled_from(NAMES),
    resolves_to=st.sampled_from(NAMES),
    start=st.sampled_from(["2026-05-01", "2026-05-03"]),
    source=st.just(""),
    end=st.sampled_from([None, "2026-05-05"]),
)


def ends(name: str, when: str, known: list[Alias]) -> set[str]:
    """The names on the way from a name, found one step at a time."""
    way = [own_name("acme", name)[1] or ""]
    for _ in range(2):
        here = [a for a in known if a.name == way[-1] and a.start <= when and (a.end is None or when < a.end)]
        way += [here[0].resolves_to] if here else []
    return set(way)


@given(
    set_for=names, event=names, known=st.lists(aliases, max_size=2, unique_by=lambda a: a.name), when=st.integers(1, 6)
)
def test_a_price_changes_exactly_the_names_that_mean_the_same(
    set_for: str, event: str, known: list[Alias], when: int
) -> None:
    made = book(*(row("input_text_tokens", "2", model=name) for name in NAMES), aliases=tuple(known))
    subject = at(event, "acme", day(f"2026-05-0{when}"))
    iso = f"2026-05-0{when}"
    of_event, of_price = ends(event, iso, known), ends(set_for, iso, known)
    base = {"ft:m"} if event == "ft:m:acme::x" else set()
    exact = own_name("acme", set_for)[1]
    same = bool(of_event & of_price) or exact in base
    assert (rate(subject, own(set_for, provider="acme"), book=made) == 7) == same
