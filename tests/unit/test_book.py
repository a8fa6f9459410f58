"""What the price book says, and above all what it does not say."""

from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from genai_prices.data_snapshot import DataSnapshot
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)
from msgspec import structs

from usageledger.pricing import Override, Subject
from usageledger.pricing.book import PriceBook
from usageledger.pricing.builtin_prices import BUILTIN_PRICES
from usageledger.pricing.cards import PARTS_OF_KIND

DAY = 86_400
MAY_5 = int(datetime(2026, 5, 5, tzinfo=UTC).timestamp())
M = 10**12  # one USD for a million tokens, by the token
SUBJECT = Subject(MAY_5, "completions", "acme", "m")


def book(*prices: ConditionalPrice, variants: list[PriceVariant] | None = None, **standard: Decimal) -> PriceBook:
    """A book of one provider, `acme`, with one model, `m`."""
    known: ModelPrice | list[ConditionalPrice] = list(prices) if prices else ModelPrice(**standard)
    model = ModelInfo(id="m", match=ClauseEquals("m"), prices=known, price_variants=variants)
    acme = Provider(id="acme", name="Acme", api_pattern="acme", models=[model])
    return PriceBook(DataSnapshot([acme], from_auto_update=False), builtin=())


def usd(text: str) -> Decimal:
    return Decimal(text)


def test_modalities_and_what_stands_in_for_them() -> None:
    rates = book(input_mtok=usd("2"), cache_read_mtok=usd("1"), output_mtok=usd("8")).prices(SUBJECT).rates
    assert rates["input_text_tokens"] == rates["input_audio_tokens"] == rates["input_image_tokens"] == 2 * M
    assert rates["input_cached_text_tokens"] == rates["input_cached_audio_tokens"] == M
    assert rates["output_text_tokens"] == rates["output_audio_tokens"] == 8 * M
    assert rates["input_cache_write_30m_tokens"] == 2 * M
    assert "num_model_requests" not in rates


def test_cached_audio_is_not_guessed() -> None:
    """With a price for cached text and one for fresh audio, that of cached audio could be either."""
    prices: dict[str, Any] = {"input_mtok": usd("2"), "cache_read_mtok": usd("1"), "input_audio_mtok": usd("30")}
    assert "input_cached_audio_tokens" not in book(**prices).prices(SUBJECT).rates
    both = book(**prices, cache_audio_read_mtok=usd("3")).prices(SUBJECT).rates
    assert (both["input_cached_audio_tokens"], both["input_audio_tokens"]) == (3 * M, 30 * M)


def test_output_that_is_partly_charged_otherwise_is_not_guessed() -> None:
    rates = book(input_mtok=usd("2"), output_mtok=usd("8"), output_reasoning_mtok=usd("3")).prices(SUBJECT).rates
    assert "output_text_tokens" not in rates
    assert rates["input_text_tokens"] == 2 * M


TIERS = [
    PriceVariant({"processing": "batch"}, ModelPrice(input_mtok=usd("1")), StartDateConstraint(date(2026, 5, 5))),
    PriceVariant({"service_tier": "flex"}, ModelPrice(input_mtok=usd("1.5"))),
    PriceVariant({"service_tier": "scale"}, ModelPrice()),
]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, 2 * M),
        ({"service_tier": "default"}, 2 * M),
        ({"service_tier": "flex"}, 3 * M // 2),
        ({"batch": True}, M),
        ({"batch": True, "service_tier": "default"}, M),
        ({"batch": True, "day": MAY_5 - DAY}, None),
        ({"service_tier": "priority"}, None),
        ({"service_tier": "scale"}, None),
        ({"service_tier": "auto"}, None),
        ({"batch": True, "service_tier": "flex"}, None),
        ({"model": "n"}, None),
        ({"provider": "other"}, None),
        ({"model": None}, None),
    ],
)
def test_the_standard_price_is_for_the_standard_tier_only(changed: dict[str, object], expected: int | None) -> None:
    made = book(variants=TIERS, input_mtok=usd("2"))
    assert made.prices(structs.replace(SUBJECT, **changed)).rates.get("input_text_tokens") == expected


def test_bands_and_times_of_day() -> None:
    tiered = TieredPrices(usd("1"), [Tier(100, usd("2")), Tier(1000, usd("3"))])
    by_day = TimeOfDateConstraint(time(1, tzinfo=UTC), time(9, 30, tzinfo=UTC))
    made = book(
        ConditionalPrice(prices=ModelPrice(input_mtok=tiered)),
        ConditionalPrice(by_day, prices=ModelPrice(input_mtok=usd("5"))),
    )
    found = [(at.second, at.band, prices.rates["input_text_tokens"] // M) for at, prices in made.offers(SUBJECT)]
    nights = [(band, price) for band, price in ((0, 1), (100, 2), (1000, 3))]
    assert found == [
        *((0, *night) for night in nights),
        *((3600, band, 5) for band, _ in nights),
        *((34_200, *night) for night in nights),
    ]


def test_the_operators_prices_come_first_and_the_latest_of_them() -> None:
    made = book(input_mtok=usd("2"), output_mtok=usd("8"))
    price = Override("completions", "acme", "m", "input_text_tokens", "standard", MAY_5, 7, note="contract")
    before = replace(price, start=MAY_5 - DAY, rate=6, note="draft")
    for overrides in ([price, before], [before, price]):
        prices = made.prices(SUBJECT, overrides)
        assert prices.rates["input_text_tokens"] == 7
        assert prices.sources["input_text_tokens"] == "operator: contract"
        assert prices.rates["output_text_tokens"] == 8 * M
    assert made.prices(structs.replace(SUBJECT, day=MAY_5 - DAY), [before, price]).rates["input_text_tokens"] == 6
    corrected = replace(price, rate=9)
    assert made.prices(SUBJECT, [price, corrected]).rates["input_text_tokens"] == 9
    for other in (
        {"part": "num_requests"},
        {"tier": "batch"},
        {"kind": "decisions"},
        {"model": "n"},
        {"provider": "x"},
        {"band": 10},
    ):
        assert made.prices(SUBJECT, [replace(price, **other)]).rates["input_text_tokens"] == 2 * M


def test_a_band_of_the_operators_own() -> None:
    price = Override("completions", "acme", "m", "input_text_tokens", "standard", MAY_5, 7, band=50)
    offers = book(input_mtok=usd("2")).offers(SUBJECT, [price])
    assert [(at.band, prices.rates["input_text_tokens"]) for at, prices in offers] == [(0, 2 * M), (50, 7)]


def test_a_price_of_the_operators_ends() -> None:
    """`rate` None goes back to what lists say, or to nothing where they say nothing."""
    made = book(input_mtok=usd("2"))
    price = Override("completions", "acme", "m", "input_text_tokens", "standard", MAY_5 - DAY, 7)
    ended = replace(price, start=MAY_5, rate=None)
    for overrides in ([price, ended], [ended, price]):
        assert made.prices(structs.replace(SUBJECT, day=MAY_5 - DAY), overrides).rates["input_text_tokens"] == 7
        assert made.prices(SUBJECT, overrides).rates["input_text_tokens"] == 2 * M
    output = replace(price, part="output_text_tokens")
    assert "output_text_tokens" not in made.prices(SUBJECT, [output, replace(output, rate=None)]).rates
    # A band's end leaves the price for all bands.
    band = replace(price, band=50, rate=9)
    above = structs.replace(SUBJECT, band=50)
    assert made.prices(above, [price, band]).rates["input_text_tokens"] == 9
    assert made.prices(above, [price, band, replace(band, rate=None)]).rates["input_text_tokens"] == 7


def test_the_more_exact_price_comes_first() -> None:
    made = PriceBook()
    every = Override("images", "openai", "dall-e-3", "images", "standard", MAY_5 - DAY, 5)
    large = replace(every, size="1792x1024", rate=6)
    hd = replace(large, quality="hd", rate=7, start=MAY_5 - 2 * DAY)
    subject = Subject(MAY_5, "images", "openai", "dall-e-3", size="1792x1024", quality="hd")
    for overrides in permutations([every, large, hd]):
        assert made.prices(subject, overrides).rates["images"] == 7
        assert made.prices(structs.replace(subject, quality="standard"), overrides).rates["images"] == 6
        assert made.prices(structs.replace(subject, size="1024x1024"), overrides).rates["images"] == 5


def test_every_entry_of_the_builtin_prices_says_its_source() -> None:
    for entry in BUILTIN_PRICES:
        assert entry.source.startswith("https://")
        assert entry.start <= (entry.end or entry.checked) <= entry.checked
        assert entry.part in PARTS_OF_KIND[entry.kind]


def test_images_that_are_charged_by_their_tokens_have_no_price_a_piece() -> None:
    subject = Subject(MAY_5, "images", "openai", "gpt-image-1", size="1024x1024", quality="high")
    assert PriceBook().prices(subject).rates == {}
