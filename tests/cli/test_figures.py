"""Numbers as text: exact, in columns, and drawn."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from usageledger.cli.terminal.figures import (
    LEVELS,
    PLAIN_LEVELS,
    Number,
    add,
    aligned,
    bar,
    digits,
    sensible,
    share,
    sparkline,
)

AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=-(10**12), max_value=10**12)
ODD = st.sampled_from([Decimal("0E-6176"), Decimal("1E+6144"), Decimal("1E-6176"), Decimal("5E3")])
NUMBERS = st.one_of(st.integers(0, 2**80), AMOUNTS, ODD)
SIZES = NUMBERS.filter(lambda number: number >= 0)


@given(st.lists(NUMBERS))
def test_sums_are_exact(numbers: list[Number]) -> None:
    total = add(numbers)
    assert Fraction(total) == sum(map(Fraction, numbers), Fraction())
    assert isinstance(total, int) or any(isinstance(number, Decimal) for number in numbers)


@given(NUMBERS, st.integers(0, 3))
def test_all_digits_are_shown(number: Number, least: int) -> None:
    text = digits(number, least_places=least)
    assert Decimal(text.replace(",", "")) == number
    assert "E" not in text
    whole, _, fraction = text.partition(".")
    assert all(len(group) == 3 for group in whole.lstrip("-").split(",")[1:])
    assert len(fraction) >= (least if isinstance(number, Decimal) else 0)
    assert not fraction.endswith("0") or len(fraction) == least


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (1234567, "1,234,567"),
        (Decimal("0E-6176"), "0.00"),
        (Decimal("1E+3"), "1,000.00"),
        (Decimal("12.5"), "12.50"),
        (Decimal("0.000125"), "0.000125"),
        (Decimal("-3.10"), "-3.10"),
    ],
)
def test_digits(number: Number, text: str) -> None:
    assert digits(number, least_places=2) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1234567, "1,234,567"),
        (Decimal("1234567.000000000001"), "1,234,567"),
        (Decimal("12.345678"), "12.35"),
        (Decimal("1.23456789"), "1.235"),
        (Decimal("0.000123456789"), "0.0001235"),
        (Decimal("0.5"), "0.5"),
        (Decimal("5E3"), "5,000"),
        (Decimal("0E-6176"), "0"),
    ],
)
def test_digits_that_count(number: Number, text: str) -> None:
    assert digits(sensible(number)) == text


@given(NUMBERS)
def test_rounding_for_people_is_near(number: Number) -> None:
    assert abs(Fraction(sensible(number)) - Fraction(number)) <= abs(Fraction(number)) / 1000


@given(st.lists(st.one_of(st.none(), NUMBERS), min_size=1))
def test_points_stand_below_each_other(numbers: list[Number | None]) -> None:
    texts = aligned(numbers)
    width = max(map(len, texts))
    ends = {
        len(text.rjust(width).partition(".")[0].rstrip())
        for text, number in zip(texts, numbers, strict=True)
        if number is not None
    }
    assert len(ends) <= 1
    assert [text.strip() for text in texts] == ["" if number is None else digits(number) for number in numbers]


@given(st.integers(0, 10**12), st.integers(1, 10**12))
def test_shares(part: int, rest: int) -> None:
    text = share(part, part + rest)
    exact = Fraction(part * 100, part + rest)
    if text == "<0.1 %":
        assert 0 < exact < Fraction(1, 20)
    else:
        assert abs(Fraction(text.removesuffix(" %")) - exact) <= Fraction(1, 20)
        assert part == 0 or text != "0.0 %"


def test_shares_of_nothing() -> None:
    assert share(0, 0) == ""
    assert share(Decimal(1), Decimal(-1)) == ""


@given(SIZES, SIZES, st.integers(1, 60), st.booleans())
@example(Decimal("2618754918.225119351767302141"), 0, 3, False)  # 24 times it needs 30 digits
def test_bars(number: Number, other: Number, width: int, plain: bool) -> None:
    largest = max(number, other)
    drawn = bar(number, largest, width, plain=plain)
    assert len(drawn) <= width
    assert bool(drawn) == (number > 0)
    assert not plain or set(drawn) <= {"#"}
    if number == largest and number > 0:
        assert drawn == ("#" if plain else "█") * width
    elif number > 0 and not plain:
        eighths = 8 * (len(drawn) - 1) + 8 - "█▉▊▋▌▍▎▏".index(drawn[-1])
        assert abs(eighths - Fraction(number) * width * 8 / Fraction(largest)) <= 1


def test_a_bar_of_less_than_nothing() -> None:
    assert bar(Decimal(-1), Decimal(5), 10, plain=False) == ""


@given(st.lists(st.integers(0, 10**9)), st.integers(1, 80), st.booleans(), st.booleans())
def test_sparklines(series: list[int], width: int, gauge: bool, plain: bool) -> None:
    drawn = sparkline(series, width, gauge=gauge, plain=plain)
    levels = PLAIN_LEVELS if plain else LEVELS
    assert len(drawn) == min(width, len(series))
    assert set(drawn) <= {" ", *levels}
    assert any(series) == (levels[-1] in drawn)
    if len(series) <= width:
        assert [mark == " " for mark in drawn] == [number == 0 for number in series]
        marks = [(" " + levels).index(mark) for _, mark in sorted(zip(series, drawn, strict=True))]
        assert marks == sorted(marks)


def test_a_long_series_is_drawn_in_stretches() -> None:
    assert sparkline([1, 1, 0, 0, 4, 4], 3, gauge=False, plain=False) == "▃ █"
    assert sparkline([4, 4, 0, 0, 8, 1], 3, gauge=True, plain=True) == "+ @"
