"""Money in integers of 10⁻¹⁸/9 USD: prices come in exactly, and every digit goes out."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usageledger.pricing import UNITS_PER_USD, to_rate, usd_text
from usageledger.pricing.money import UNITS


@pytest.mark.parametrize(
    ("usd", "per", "rate"),
    [
        ("2.50", 1_000_000, 22_500_000_000_000),
        ("0", 1, 0),
        ("0.36", 3600, 900_000_000_000_000),
        ("0.111", 3600, 277_500_000_000_000),  # a second of it has an end, in ninths
        ("0.05", 60, 7_500_000_000_000_000),
        ("0.10", 24, 37_500_000_000_000_000),
        ("1", 7, 1_285_714_285_714_285_714),  # ...714.29 is rounded down
        ("0.00000000000000000005", 1, 0),  # 0.45 of a unit
        ("0.000000000000000000166666666666666667", 1, 2),
        ("1000000", 1, 9 * 10**24),
    ],
)
def test_the_price_of_one_unit(usd: str, per: int, rate: int) -> None:
    assert to_rate(Decimal(usd), per) == rate


def test_a_price_times_a_factor_is_rounded_once() -> None:
    assert to_rate(Decimal("0.10"), 24, Decimal("1.1")) == 41_250_000_000_000_000
    assert to_rate(Decimal("0.123456789012345678901234"), 1, Decimal("1.1")) == 1_222_222_211_222_222_221


@pytest.mark.parametrize(
    ("usd", "words"),
    [("-1", "0 or more"), ("NaN", "0 or more"), ("Infinity", "0 or more"), ("1000000.000001", "1,000,000 USD a unit")],
)
def test_what_is_no_price(usd: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        to_rate(Decimal(usd), 1)


@pytest.mark.parametrize(
    ("units", "text"),
    [
        (0, "0"),
        (UNITS, "0.000000000000000001"),
        (UNITS // 2, "0"),
        (UNITS // 2 + 1, "0.000000000000000001"),
        (UNITS_PER_USD, "1"),
        (UNITS_PER_USD * 3 // 2, "1.5"),
        (-UNITS_PER_USD // 4, "-0.25"),
        (60 * to_rate(Decimal("0.05"), 60), "0.05"),
        (24 * to_rate(Decimal("0.10"), 24), "0.1"),
    ],
)
def test_amounts_as_text(units: int, text: str) -> None:
    assert usd_text(units) == text


@given(st.integers(-(10**40), 10**40))
def test_no_digit_is_lost_and_there_is_no_exponent(units: int) -> None:
    with localcontext(prec=100):
        assert Decimal(usd_text(units * UNITS)) * UNITS_PER_USD == units * UNITS
        assert abs(Decimal(usd_text(units)) * UNITS_PER_USD - units) < UNITS / 2
    assert set(usd_text(units)) <= set("0123456789.-")
