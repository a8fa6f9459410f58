"""What the price book says, and above all what it does not say."""

import tracemalloc
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest
from msgspec.structs import replace
from tests.support.price_rows import book, factor, row

from usageledger.pricing import UNITS_PER_USD, Override, Reason, Subject
from usageledger.pricing.book import PriceBook
from usageledger.pricing.own_prices import OwnPrices
from usageledger.pricing.price_file import Alias, Hours

DAY = 86_400
M = UNITS_PER_USD // 10**6  # one USD for a million tokens, by the token


def day(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


MAY_5 = day("2026-05-05")
SUBJECT = Subject(MAY_5, "completions", "acme", "m")
INPUT = row("input_text_tokens", "2")


def reason(made: PriceBook, part: str = "input_text_tokens", **changed: Any) -> str | None:
    """The code for which a part has no price; None where it has one."""
    prices = made.prices(replace(SUBJECT, **changed))
    assert (part in prices.rates) == (part not in prices.reasons)
    return prices.reasons[part].code if part in prices.reasons else None


def test_a_part_is_priced_by_its_own_row_only() -> None:
    prices = book(INPUT, row("output_text_tokens", "8")).prices(SUBJECT)
    assert prices.rates == {"input_text_tokens": 2 * M, "output_text_tokens": 8 * M}
    assert prices.reasons.keys() == set(SUBJECT.parts) - prices.rates.keys()
    assert {prices.reasons[part].code for part in ("input_audio_tokens", "input_cached_text_tokens")} == {"no_row"}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, 2 * M),
        ({"service_tier": "default"}, 2 * M),
        ({"service_tier": "flex"}, 3 * M // 2),
        ({"batch": True}, M),
        ({"batch": True, "service_tier": "default"}, M),
        ({"service_tier": "batch"}, M),
        ({"batch": True, "day": MAY_5 - DAY}, "before_first_seen"),
        ({"service_tier": "priority"}, "no_variant"),
        ({"service_tier": "auto"}, "no_variant"),
        ({"batch": True, "service_tier": "flex"}, "no_variant"),
        ({"model": "n"}, "no_alias"),
        ({"provider": "other"}, "no_alias"),
        ({"model": None}, "no_row"),
        ({"kind": "embeddings"}, 2 * M),
        ({"kind": "decisions"}, "no_row"),
    ],
)
def test_the_standard_price_is_for_the_standard_tier_only(changed: dict[str, Any], expected: int | str) -> None:
    batch = row("input_text_tokens", "1", tier="batch", start="2026-05-05")
    made = book(INPUT, batch, row("input_text_tokens", "1.5", tier="flex"))
    found = made.prices(replace(SUBJECT, **changed))
    assert found.rates.get("input_text_tokens", reason(made, **changed)) == expected


@pytest.mark.parametrize(("provider", "known"), [("openai", True), ("acme", False)])
def test_priority_and_fast_are_two_names_of_one_tier_of_openai(provider: str, *, known: bool) -> None:
    made = book(row("input_text_tokens", "4", provider=provider, tier="priority"))
    for tier in ("priority", "fast"):
        at = replace(SUBJECT, provider=provider, service_tier=tier)
        assert ("input_text_tokens" in made.prices(at).rates) == (known or tier == "priority")


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2025-03-31", "before_first_seen"),
        ("2025-04-01", 3),
        ("2025-05-31", 3),
        ("2025-06-01", "gap"),
        ("2025-06-30", "gap"),
        ("2025-07-01", 4),
        ("2025-08-31", 4),
        ("2025-09-01", "past_support"),
    ],
)
def test_a_price_is_known_for_the_days_that_a_source_covers(at: str, expected: int | str) -> None:
    made = book(
        row("input_text_tokens", "3", start="2025-04-01", start_is="first_seen", end="2025-06-01"),
        row("input_text_tokens", "4", start="2025-07-01", last_seen="2025-08-31"),
    )
    rate = made.prices(replace(SUBJECT, day=day(at))).rates.get("input_text_tokens")
    assert (rate and rate // M) or reason(made, day=day(at)) == expected
    assert rate is None or rate == expected * M


def test_a_price_is_provisional_after_the_last_day_that_was_confirmed() -> None:
    made = book(INPUT, row("output_text_tokens", "8", end="2027-01-01"), confirmed_through="2026-05-04")
    sources = made.prices(SUBJECT).sources
    assert (sources["input_text_tokens"].provisional, sources["output_text_tokens"].provisional) == (True, False)
    yesterday = replace(SUBJECT, day=MAY_5 - DAY)
    assert not made.prices(yesterday).sources["input_text_tokens"].provisional


def test_bands() -> None:
    made = book(INPUT, row("input_text_tokens", "4", above=100), row("output_text_tokens", "8"))
    found = [(at.band, dict(prices.rates)) for at, prices in made.offers(SUBJECT)]
    assert reason(made, "output_text_tokens", band=100) == "no_row"
    assert found == [
        (0, {"input_text_tokens": 2 * M, "output_text_tokens": 8 * M}),
        (100, {"input_text_tokens": 4 * M}),
    ]


def test_a_band_that_was_seen_later_is_not_known_before() -> None:
    """The price below the band is not that above it."""
    made = book(INPUT, row("input_text_tokens", "4", above=100, start="2026-05-05", start_is="first_seen"))
    assert reason(made, day=MAY_5 - DAY, band=100) == "before_first_seen"
    assert reason(made, day=MAY_5 - DAY) is None
    assert [at.band for at, _ in made.offers(replace(SUBJECT, day=MAY_5 - DAY))] == [0, 100]
    introduced = book(INPUT, row("input_text_tokens", "4", above=100, start="2026-05-05", start_is="announced"))
    assert reason(introduced, day=MAY_5 - DAY, band=100) is None


def test_a_band_that_the_lists_dropped_is_not_charged_as_a_lower_one() -> None:
    dropped = book(INPUT, row("input_text_tokens", "4", above=100, last_seen="2026-05-03"))
    assert [(at.band, dict(prices.rates)) for at, prices in dropped.offers(SUBJECT)] == [
        (0, {"input_text_tokens": 2 * M}),
        (100, {}),
    ]
    assert reason(dropped, band=100) == "past_support"
    retired = book(INPUT, row("input_text_tokens", "4", above=100, end="2026-05-04"))
    assert [(at.band, dict(prices.rates)) for at, prices in retired.offers(SUBJECT)] == [
        (0, {"input_text_tokens": 2 * M})
    ]


def test_times_of_the_week_and_of_a_change() -> None:
    """2026-05-08 is a Friday."""
    peak = row("input_text_tokens", "4", hours=(Hours(("01:00-09:30",), (1, 2, 3, 4, 5)),), start="2026-05-07T12:00Z")
    rest = (Hours(("00:00-01:00", "09:30-24:00"), (1, 2, 3, 4, 5)), Hours(("00:00-24:00",), (6, 7)))
    off = row("input_text_tokens", "1", hours=rest, start="2026-05-07T12:00Z")
    made = book(row("input_text_tokens", "3", end="2026-05-07T12:00Z"), peak, off)

    def found(text: str) -> list[tuple[int, int]]:
        offers = made.offers(replace(SUBJECT, day=day(text)))
        return [(at.second, prices.rates["input_text_tokens"] // M) for at, prices in offers]

    assert found("2026-05-06") == [(0, 3)]
    assert found("2026-05-07") == [(0, 3), (3600, 3), (34_200, 3), (43_200, 1)]
    assert found("2026-05-08") == [(0, 1), (3600, 4), (34_200, 1)]
    assert found("2026-05-09") == [(0, 1)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"size": "small", "quality": "hd"}, 5),
        ({"size": "small", "quality": "standard"}, 4),
        ({"size": "large", "quality": "hd"}, "no_row"),
        ({"size": "small"}, "ambiguous:quality"),
        ({"quality": "hd"}, "ambiguous:size"),
    ],
)
def test_what_an_event_does_not_say_is_not_assumed(given: dict[str, Any], expected: int | str) -> None:
    about: dict[str, Any] = {"kind": "images", "size": "small", "per": 1}
    made = book(row("images", "4", quality="standard", **about), row("images", "5", quality="hd", **about))
    prices = made.prices(replace(SUBJECT, kind="images", **given))
    found = prices.rates["images"] // UNITS_PER_USD if "images" in prices.rates else prices.reasons["images"].code
    assert found == expected


@pytest.mark.parametrize(
    ("confidence", "expected"), [("low", "unconfirmed"), ("disputed", "disputed"), ("medium", None)]
)
def test_only_prices_that_can_be_trusted_are_charged(confidence: Any, expected: str | None) -> None:
    assert reason(book(row("input_text_tokens", "2", confidence=confidence))) == expected


def test_two_prices_of_one_thing_are_none() -> None:
    assert reason(book(INPUT, row("input_text_tokens", "3"))) == "disputed"


def test_writes_to_the_cache_depend_on_their_lifetime() -> None:
    made = book(INPUT, row("input_cache_write_30m_tokens", "3"))
    assert reason(made, "input_cache_write_other_tokens") == "ambiguous:lifetime"
    assert reason(book(INPUT), "input_cache_write_other_tokens") == "no_row"


@pytest.mark.parametrize(
    ("region", "rate", "code"),
    [
        (None, 2 * M, None),
        ("global", 2 * M, None),
        ("Global", 2 * M, None),
        ("us", 22 * M // 10, None),
        ("US", 22 * M // 10, None),
        ("eu", None, "no_region"),  # began the day after
        ("uk", None, "no_region"),  # ended the day before
        ("ap", None, "no_region"),  # disputed
    ],
)
def test_a_region_is_charged_by_its_factor_or_not_at_all(
    region: str | None, rate: int | None, code: str | None
) -> None:
    factors = (
        factor("us", "1.1", "2026-01-01"),
        factor("eu", "1.1", "2026-05-06"),
        factor("uk", "1.2", end="2026-05-05"),
        factor("ap", "1.3", confidence="disputed"),
    )
    made = book(INPUT, row("num_model_requests", "5", per=1_000), factors=factors)
    prices = made.prices(replace(SUBJECT, region=region))
    assert prices.rates.get("input_text_tokens") == rate
    assert prices.rates["num_model_requests"] == 5 * UNITS_PER_USD // 1_000
    assert prices.reasons.get("input_text_tokens", Reason("", "")).code == (code or "")


def test_a_factor_for_any_region_is_for_those_without_their_own() -> None:
    made = book(INPUT, factors=(factor("*", "1.1"), factor("us", "1.2")))
    rates = {region: made.prices(replace(SUBJECT, region=region)).rates for region in ("us", "eu", "global", None)}
    assert [rates[each]["input_text_tokens"] * 10 // M for each in rates] == [24, 22, 20, 20]


def test_a_factor_holds_for_all_names_of_the_model() -> None:
    aliases = (Alias("acme", "m", "m-2026", "2026-05-05", "s"), Alias("acme", "n", "m", "2026-05-05", "s"))
    rows = [row("input_text_tokens", "2", model=name) for name in ("m", "m-2026", "m-2025")]
    made = book(*rows, aliases=aliases, factors=(factor("us", "1.1"),))
    us = replace(SUBJECT, region="us")
    for name in ("m", "n", "m-2026"):
        assert made.prices(replace(us, model=name)).rates["input_text_tokens"] == 22 * M // 10, name
    assert reason(made, model="m-2025", region="us") == "no_region"
    assert reason(made, model="m-2026", region="us", day=MAY_5 - DAY) == "no_region"


def test_the_source_of_a_factor_stands_beside_that_of_the_price() -> None:
    factors = (factor("us", "1.1", "2026-01-01", end="2026-06-01", confidence="medium"),)
    source = book(INPUT, factors=factors).prices(replace(SUBJECT, region="us")).sources["input_text_tokens"]
    assert source.text == "https://acme.test/prices × 1.1 (https://acme.test/regions)"  # noqa: RUF001
    assert (source.start, source.start_is, source.end) == ("2026-01-01", "announced", "2026-06-01")
    assert source.confidence == "medium"


@pytest.mark.parametrize(("minutes", "billed"), [("1", 5), ("5", 5), ("6", 6), ("20", 20), ("61", 61)])
def test_a_session_by_the_minute(minutes: str, billed: int) -> None:
    kind = "code_interpreter_sessions"
    made = book(row("num_sessions", "0.03", model=None, kind=kind, per=20, memory_gb="1", minutes_min=5))
    at = replace(SUBJECT, kind=kind, model=None, memory_gb="1")
    assert made.prices(replace(at, session_minutes=minutes)).rates == {
        "num_sessions": billed * 15 * UNITS_PER_USD // 10_000
    }
    assert made.prices(at).reasons["num_sessions"].code == "ambiguous:session_minutes"
    assert made.prices(replace(at, session_minutes="7", memory_gb=None)).reasons["num_sessions"].code == (
        "ambiguous:memory_gb"
    )


def test_a_row_for_any_model_is_for_those_without_their_own() -> None:
    about = {"kind": "web_search_calls", "per": 1_000}
    any_model = row("num_requests", "10", model="*", **about)
    made = book(any_model, row("num_requests", "25", **about))
    for model, usd in (("m", 25), ("n", 10), (None, 10)):
        at = replace(SUBJECT, kind="web_search_calls", model=model)
        assert made.prices(at).rates["num_requests"] == usd * UNITS_PER_USD // 1_000


@pytest.mark.parametrize(
    ("provider", "model", "known"),
    [
        ("openai", "gpt-9", True),
        ("openai", "GPT-9", True),
        ("OpenAI", " gpt-9 ", True),
        ("openai", "openai/gpt-9", True),
        ("openai", "openai/openai/gpt-9", False),
        ("openai", "azure/gpt-9", False),
        ("openai", "gpt-9-x", False),
        ("openai", "gpt-90", False),
        ("openai", "gpt", False),
        ("openai", "gpt-9-2026-05-05", False),
        ("azure", "gpt-9", False),
        ("litellm", "openai/gpt-9", True),
        ("litellm", "gpt-9", True),
        ("litellm", "acme/gpt-9", False),
        ("openai", "gpt-latest", True),
        ("openai", "ft:gpt-9:acme::x", False),
        ("openai", "ft:gpt-8:acme:name:x", True),
        ("openai", "ft:gpt-80:acme::x", False),
        ("bedrock", "nova", True),
        ("AWS", "nova", True),
        ("bedrock", "arn:aws:bedrock:us-east-1:1:inference-profile/nova", True),
        ("bedrock", "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", False),
    ],
)
def test_a_name_is_compared_exactly(provider: str, model: str, *, known: bool) -> None:
    rows = [
        row("input_text_tokens", "2", provider=whose, model=name)
        for whose, name in (("openai", "gpt-9"), ("openai", "ft:gpt-8"), ("aws", "nova"))
    ]
    alias = Alias("openai", "gpt-latest", "gpt-9", "2026-05-01", "https://openai.test", end="2026-06-01")
    assert (reason(book(*rows, aliases=(alias,)), provider=provider, model=model) is None) is known


def test_a_name_stands_for_another_from_day_to_day() -> None:
    rows = [row("input_text_tokens", price, model=f"m-{price}") for price in ("2", "3")]
    aliases = (
        Alias("acme", "m", "m-2", "2026-05-01", "", end="2026-05-05"),
        Alias("acme", "m", "m-3", "2026-05-05", ""),
        Alias("acme", "old", "m", "2026-05-01", ""),
    )
    made = book(*rows, aliases=aliases)
    for name, at, usd in (("m", MAY_5 - DAY, 2), ("m", MAY_5, 3), ("old", MAY_5, 3)):
        prices = made.prices(replace(SUBJECT, model=name, day=at))
        assert prices.rates["input_text_tokens"] == usd * M
    assert prices.sources["input_text_tokens"].resolved_from == "old → m → m-3"
    assert reason(made, day=day("2026-04-30")) == "no_alias"


def test_the_operators_prices_come_first_and_the_latest_of_them() -> None:
    made = book(INPUT, row("output_text_tokens", "8"))
    price = Override("completions", "acme", "m", "input_text_tokens", "standard", MAY_5, 7, note="contract")
    before = replace(price, start=MAY_5 - DAY, rate=6, note="draft")
    for overrides in ([price, before], [before, price]):
        prices = made.prices(SUBJECT, OwnPrices(overrides))
        assert prices.rates["input_text_tokens"] == 7
        source = prices.sources["input_text_tokens"]
        assert (source.text, source.layer, source.start) == ("operator: contract", "operator", "2026-05-05")
        assert prices.rates["output_text_tokens"] == 8 * M
    assert made.prices(replace(SUBJECT, day=MAY_5 - DAY), OwnPrices([before, price])).rates["input_text_tokens"] == 6
    corrected = replace(price, rate=9)
    assert made.prices(SUBJECT, OwnPrices([price, corrected])).rates["input_text_tokens"] == 9
    for other in (
        {"part": "num_requests"},
        {"tier": "batch"},
        {"kind": "decisions"},
        {"model": "n"},
        {"provider": "x"},
        {"band": 10},
    ):
        assert made.prices(SUBJECT, OwnPrices([replace(price, **other)])).rates["input_text_tokens"] == 2 * M


def test_a_band_of_the_operators_own() -> None:
    price = Override("completions", "acme", "m", "input_text_tokens", "standard", MAY_5, 7, band=50)
    offers = book(INPUT).offers(SUBJECT, OwnPrices([price]))
    assert [(at.band, prices.rates["input_text_tokens"]) for at, prices in offers] == [(0, 2 * M), (50, 7)]


def test_a_price_of_the_operators_ends() -> None:
    """`rate` None goes back to what lists say, or to nothing where they say nothing."""
    made = book(INPUT)
    price = Override("completions", "acme", "m", "input_text_tokens", "standard", MAY_5 - DAY, 7)
    ended = replace(price, start=MAY_5, rate=None)
    for overrides in ([price, ended], [ended, price]):
        assert made.prices(replace(SUBJECT, day=MAY_5 - DAY), OwnPrices(overrides)).rates["input_text_tokens"] == 7
        assert made.prices(SUBJECT, OwnPrices(overrides)).rates["input_text_tokens"] == 2 * M
    output = replace(price, part="output_text_tokens")
    assert "output_text_tokens" not in made.prices(SUBJECT, OwnPrices([output, replace(output, rate=None)])).rates
    # A band's end leaves the price for all bands.
    band = replace(price, band=50, rate=9)
    above = replace(SUBJECT, band=50)
    assert made.prices(above, OwnPrices([price, band])).rates["input_text_tokens"] == 9
    assert made.prices(above, OwnPrices([price, band, replace(band, rate=None)])).rates["input_text_tokens"] == 7


def test_the_more_exact_price_comes_first() -> None:
    made = PriceBook()
    every = Override("images", "openai", "dall-e-3", "images", "standard", MAY_5 - DAY, 5)
    large = replace(every, size="1792x1024", rate=6)
    hd = replace(large, quality="hd", rate=7, start=MAY_5 - 2 * DAY)
    subject = Subject(MAY_5, "images", "openai", "dall-e-3", size="1792x1024", quality="hd")
    for overrides in permutations([every, large, hd]):
        assert made.prices(subject, OwnPrices(overrides)).rates["images"] == 7
        assert made.prices(replace(subject, quality="standard"), OwnPrices(overrides)).rates["images"] == 6
        assert made.prices(replace(subject, size="1024x1024"), OwnPrices(overrides)).rates["images"] == 5


def test_images_that_are_charged_by_their_tokens_have_no_price_a_piece() -> None:
    subject = Subject(MAY_5, "images", "openai", "gpt-image-1", size="1024x1024", quality="high")
    assert PriceBook().prices(subject).rates == {}


def test_what_looks_like_a_prefix_may_be_a_part_of_the_name() -> None:
    made = book(row("input_text_tokens", "1", provider="groq", model="groq/compound"), INPUT)
    compound = replace(SUBJECT, provider="groq", model="Groq/compound")
    assert made.prices(compound).rates == {"input_text_tokens": M}
    assert made.prices(replace(compound, model="compound")).reasons["input_text_tokens"].code == "no_alias"


def test_names_of_providers_that_no_list_has_are_not_kept() -> None:
    made, names = PriceBook(), iter(range(10_000))

    def ask(times: int) -> None:
        for _ in range(times):
            assert made.resolve(replace(SUBJECT, provider=f"provider-{next(names)}")).model is None

    ask(2_000)  # so that what keeps a limited number of names is full
    tracemalloc.start()
    try:
        ask(5_000)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 5_000 * 40
