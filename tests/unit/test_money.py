"""Money in integers of 10⁻¹⁸ USD: prices come in exactly, and every digit goes out."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usageledger.pricing import UNITS_PER_USD, decimal_text, to_rate


@pytest.mark.parametrize(
    ("usd", "per", "rate"),
    [
        ("2.50", 1_000_000, 2_500_000_000_000),
        ("0", 1, 0),
        ("0.36", 3600, 100_000_000_000_000),
        ("0.111", 3600, 30_833_333_333_333),  # ...333.33 is rounded down
        ("0.10", 24, 4_166_666_666_666_667),  # ...666.67 is rounded up
        ("0.0000000000000000005", 1, 0),  # half a unit goes to the even one
        ("0.0000000000000000015", 1, 2),
        ("1000000", 1, 10**24),
    ],
)
def test_the_price_of_one_unit(usd: str, per: int, rate: int) -> None:
    assert to_rate(Decimal(usd), per) == rate


def test_a_price_times_a_factor_is_rounded_once() -> None:
    assert to_rate(Decimal("0.10"), 24, Decimal("1.1")) == 4_583_333_333_333_333
    assert to_rate(Decimal("0.123456789012345678901234"), 1, Decimal("1.1")) == 135_802_467_913_580_247


@pytest.mark.parametrize(
    ("usd", "words"),
    [("-1", "0 or more"), ("NaN", "0 or more"), ("Infinity", "0 or more"), ("1000000.000001", "1,000,000 USD a unit")],
)
def test_what_is_no_price(usd: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        to_rate(Decimal(usd), 1)


@pytest.mark.parametrize(
    ("units", "text"),
    [(0, "0"), (1, "0.000000000000000001"), (UNITS_PER_USD, "1"), (15 * 10**17, "1.5"), (-UNITS_PER_USD // 4, "-0.25")],
)
def test_amounts_as_text(units: int, text: str) -> None:
    assert decimal_text(units) == text


@given(st.integers(-(10**40), 10**40))
def test_no_digit_is_lost_and_there_is_no_exponent(units: int) -> None:
    with localcontext(prec=100):
        assert Decimal(decimal_text(units)) * UNITS_PER_USD == units
    assert set(decimal_text(units)) <= set("0123456789.-")
