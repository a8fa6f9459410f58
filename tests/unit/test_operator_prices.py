"""The operator's prices as text: every form of a price, every refusal, and that what is written is read again."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usageledger.errors import PriceError
from usageledger.events.typed_events import FIELDS
from usageledger.meters import METER_BY_KIND, METERS
from usageledger.pricing import UNITS_PER_USD, Override
from usageledger.pricing.cards import CASES, PARTS, PARTS_OF_KIND
from usageledger.pricing.money import UNITS
from usageledger.pricing.operator_prices import (
    FIELD_NAMES,
    far_off,
    part_name,
    parts_by_name,
    price_text,
    read_price,
    unit_words,
    written,
)

DAY = 86_400
NOVEMBER = 1_793_491_200  # 2026-11-01
USD = UNITS_PER_USD


def price(**given: str) -> Override:
    return read_price({"model": "m", "part": "input", "price": "1.25", "from": "2026-11-01"} | given)


def test_what_is_not_said_is_the_usual() -> None:
    assert price() == Override(
        kind="completions",
        provider="openai",
        model="m",
        part="input_text_tokens",
        tier="standard",
        start=NOVEMBER,
        rate=5 * USD // 4 // 10**6,
    )


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1.25", 5 * USD // 4 // 10**6),
        ("1.25/1M", 5 * USD // 4 // 10**6),
        ("1.25/1000000", 5 * USD // 4 // 10**6),
        ("1.25/1k", 5 * USD // 4 // 10**3),
        ("1.25/1", 5 * USD // 4),
        ("0", 0),
        ("1/3", USD // 3),
        ("1/7", USD // 7),
        ("list", None),
    ],
)
def test_prices(text: str, rate: int | None) -> None:
    assert price(price=text).rate == rate


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1,25", "1.", ".5", "1e3", "1/0", "1/1G", "1/", "NaN", "1 USD", "LIST"]
)
def test_what_is_no_price(text: str) -> None:
    with pytest.raises(PriceError, match=r"^price: expected USD, USD/UNITS such as 1.25/1M, or list, got "):
        price(price=text)


def test_a_price_beyond_reason() -> None:
    assert price(price="1000000/1").rate == 10**6 * USD
    with pytest.raises(PriceError, match="more than 1,000,000 USD a unit"):
        price(price="1000000.000001/1")


@pytest.mark.parametrize(
    ("kind", "fields", "rate"),
    [
        ("images", {"part": "images", "price": "0.04"}, USD // 25),
        ("audio_transcriptions", {"part": "transcription", "price": "0.006"}, USD // 10_000),
        ("audio_speeches", {"part": "speech", "price": "15"}, 15 * USD // 10**6),
        ("web_search_calls", {"part": "search-calls", "price": "10"}, USD // 100),
        ("file_search_calls", {"part": "search-calls", "price": "2.5", "model": ""}, USD // 400),
        ("vector_stores", {"part": "vector-store-storage", "price": "0.1/24", "model": ""}, USD // 240),
        (
            "code_interpreter_sessions",
            {"part": "code-interpreter-sessions", "price": "0.03", "model": ""},
            3 * USD // 100,
        ),
        ("completions", {"part": "requests", "price": "5"}, USD // 200),
    ],
)
def test_a_price_is_for_as_many_units_as_lists_give(kind: str, fields: dict[str, str], rate: int) -> None:
    assert price(kind=kind, **fields).rate == rate


@pytest.mark.parametrize(
    ("tier", "read"),
    [
        ("", "standard"),
        ("standard", "standard"),
        ("default", "standard"),
        ("batch", "batch"),
        ("default batch", "batch"),
        ("flex", "flex"),
        ("priority batch", "priority batch"),
        ("mybatch", "mybatch"),
    ],
)
def test_tiers(tier: str, read: str) -> None:
    made = price(tier=tier)
    assert made.tier == read
    assert made.subject.tier == read
    assert made.applies(made.subject)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"kind": "completion"}, "kind: there is no kind 'completion'. Kinds are: completions, embeddings,"),
        (
            {"part": "inputs"},
            "part: completions are not charged for 'inputs'. They are charged for: input, audio-input,",
        ),
        ({"kind": "embeddings", "part": "output"}, "part: embeddings are not charged for 'output'"),
        ({"from": "1.11.2026"}, "from: expected a day such as 2026-11-01, got '1.11.2026'."),
        ({"from": "1969-12-31"}, "from: expected a day since 1970-01-01, got '1969-12-31'."),
        ({"above": "200k"}, "above: expected a number of input tokens such as 272000, got '200k'."),
        ({"model": ""}, "model: prices of completions are by model, and none is given."),
        ({"model": "x" * 257}, "Invalid 'model': expected 1 to 256 characters"),
        ({"size": "1x1"}, "size: completions have none, got '1x1'."),
        ({"kind": "images", "part": "images", "size": "big"}, "Invalid 'size': expected one of '256x256'"),
        ({"kind": "web_search_calls", "part": "search-calls", "context_level": "huge"}, "Invalid 'context_level'"),
        ({"kind": "vector_stores", "part": "vector-store-storage"}, "model: vector_stores have none, got 'm'."),
        ({"kind": "moderations", "tier": "batch"}, "tier: moderations have none, got 'batch'."),
        ({"kind": "embeddings", "tier": "flex"}, "tier: embeddings have none, got 'flex'."),
        ({"kind": "images", "part": "images", "above": "5"}, "above: images have no input tokens, got '5'."),
        ({"modle": "m"}, "Unknown field: 'modle'. Did you mean 'model'?"),
    ],
)
def test_what_is_refused(given: dict[str, str], words: str) -> None:
    with pytest.raises(PriceError) as refused:
        price(**given)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("text", "percent"),
    [("-12%", "-12"), ("+10%", "10"), ("-0%", "0"), ("-12.50%", "-12.5"), ("-100%", "-100"), ("list", None)],
)
def test_discounts(text: str, percent: str | None) -> None:
    made = read_price({"part": "*", "price": text, "provider": "azure", "from": "2026-11-01", "like": "openai"})
    expected = Override("*", "azure", "*", "*", "*", NOVEMBER, None, percent=percent, like="openai")
    assert made == expected


def test_defaults() -> None:
    made = read_price({"part": "quality", "price": "hd", "kind": "images", "from": "2026-11-01", "project": "p"})
    expected = Override("images", "openai", "*", "quality", "*", NOVEMBER, None, default="hd", project="p")
    assert made == expected
    assert read_price(written(made)) == made
    ended = read_price({"part": "lifetime", "price": "list", "from": "2026-11-01", "provider": "anthropic"})
    assert (ended.kind, ended.default, ended.percent, ended.rate) == ("*", None, None, None)
    with pytest.raises(PriceError, match="price: Invalid 'context_level': expected"):
        read_price({"part": "context_level", "price": "x", "kind": "web_search_calls", "from": "2026-11-01"})
    with pytest.raises(PriceError, match="price: expected a value of 'lifetime', or list, got nothing"):
        read_price({"part": "lifetime", "from": "2026-11-01", "size": "auto", "like": "x"})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"project": "x" * 257}, "Invalid 'project': expected 1 to 256 characters"),
        ({"price": "12%"}, "price: expected a percentage such as -12% or +10%, or list, got '12%'."),
        ({"price": "-100.1%"}, "price: expected a percentage"),
        ({"price": "1.25"}, "price: expected a percentage"),
        ({"above": "5"}, "above: discounts and defaults are for all of them, got '5'."),
        ({"kind": "vector_stores", "model": "m"}, "model: vector_stores have none, got 'm'."),
        ({"kind": "images", "tier": "batch"}, "tier: images have none, got 'batch'."),
        ({"model": "x*y"}, "model: a * may stand at the end only, got 'x*y'."),
        ({"part": "input", "price": "1", "model": "m", "like": "x"}, "like: only a discount"),
        ({"part": "input", "price": "1", "model": "m", "kind": "*"}, "prices of 'input' are of one kind, got '*'"),
        ({"part": "input", "price": "1", "model": "m", "tier": "*"}, "tier: completions have none, got '*'."),
        ({"part": "input", "price": "-12%", "model": "m"}, "price: expected USD"),
    ],
)
def test_what_is_refused_of_a_discount(given: dict[str, str], words: str) -> None:
    with pytest.raises(PriceError) as refused:
        read_price({"part": "*", "price": "-12%", "from": "2026-11-01"} | given)
    assert words in str(refused.value)


def test_everything_that_is_wrong_is_named() -> None:
    with pytest.raises(PriceError) as refused:
        price(price="free", **{"from": "soon"}, above="x", tpyo="")
    assert [name for name in ("price:", "from:", "above:", "'tpyo'") if name not in str(refused.value)] == []


def test_every_part_has_a_name_of_its_own_in_its_kind() -> None:
    for meter in METERS:
        names = parts_by_name(meter.kind)
        assert set(names.values()) == set(PARTS_OF_KIND[meter.kind])
        assert all(name == name.lower() and " " not in name for name in names)
        for name, part in names.items():
            assert part_name(meter.kind, part) == name


@pytest.mark.parametrize(
    ("part", "per", "words"),
    [
        ("input_text_tokens", 10**6, "1M tokens"),
        ("num_requests", 1000, "1k calls"),
        ("images", 1, "1 image"),
        ("seconds", 60, "60 seconds"),
        ("usage_bytes", 1, "1 GiB-hour"),
        ("num_sessions", 1, "1 session"),
    ],
)
def test_units_in_words(part: str, per: int, words: str) -> None:
    assert PARTS[part].per == per
    assert unit_words(part, per) == words


def test_a_price_as_text_has_all_its_digits() -> None:
    assert price_text(5 * USD // 4 // 10**6, "input_text_tokens") == "1.25"
    assert price_text(UNITS, "input_text_tokens") == "0.000000000001"
    assert price_text(USD // 10_000, "seconds") == "0.006"


@pytest.mark.parametrize(
    ("before", "after", "far"),
    [
        (1, 1, False),
        (1, 10, False),
        (1, 11, True),
        (10, 1, False),
        (11, 1, True),
        (0, 0, False),
        (0, 1, True),
        (5, 0, True),
    ],
)
def test_a_price_far_off(before: int, after: int, far: bool) -> None:
    assert far_off(before, after) is far


@st.composite
def overrides(draw: st.DrawFn) -> Override:
    """Any price that can be set."""
    kind = draw(st.sampled_from([meter.kind for meter in METERS]))
    part = draw(st.sampled_from(PARTS_OF_KIND[kind]))
    names = {dimension.name for dimension in METER_BY_KIND[kind].dimensions}
    word = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=20).filter(str.strip)
    tiers = ["standard", *(["batch"] if "batch" in names else [])]
    tiers += ["flex", "flex batch"] if "service_tier" in names else []
    fixed: dict[str, Any] = {}
    for name in CASES:
        values = list(FIELDS[kind][name].rule.split("'")[1::2]) if name in names else []
        choices = st.sampled_from(values) if values else word.map(str.strip)
        fixed[name] = draw(st.none() | choices) if name in names else None
    units = draw(st.integers(0, 10**15))
    return Override(
        kind=kind,
        provider=draw(word).strip(),
        model=draw(word.map(str.strip).filter(lambda text: "*" not in text[:-1])) if "model" in names else None,
        part=part,
        tier=draw(st.sampled_from(tiers)),
        start=draw(st.integers(0, date.max.toordinal() - date(1970, 1, 1).toordinal())) * DAY,
        rate=draw(st.none() | st.just(units)),
        project=draw(st.none() | word.map(str.strip)),
        band=draw(st.integers(0, 10**9)) if "input_text_tokens" in PARTS_OF_KIND[kind] else 0,
        note=draw(st.text(max_size=9)).strip(),
        **fixed,
    )


@st.composite
def discounts(draw: st.DrawFn) -> Override:
    """Any discount that can be set."""
    percent = draw(st.none() | st.decimals("-100", "9999", places=9).map(lambda d: f"{d.normalize() + 0:f}"))
    return Override(
        kind=draw(st.sampled_from(["*", "completions"])),
        provider=draw(st.sampled_from(["openai", "Azure"])),
        model=draw(st.sampled_from(["*", "gpt-5", "gpt-*"])),
        part="*",
        tier=draw(st.sampled_from(["*", "batch", "flex batch"])),
        start=draw(st.integers(0, 30_000)) * DAY,
        rate=None,
        percent=percent,
        like=draw(st.sampled_from([None, "openai"])),
        project=draw(st.sampled_from([None, "proj_a"])),
    )


@given(overrides() | discounts())
def test_what_is_written_is_read_again(made: Override) -> None:
    fields = written(made)
    assert tuple(fields) == FIELD_NAMES
    assert read_price(fields) == made
