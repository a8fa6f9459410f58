"""Money as integers of 10⁻¹⁸/9 USD: sums of them are exact, whatever their order.

The ninths are there for prices by the hour: a second has 3,600 ÷ 9 = 400 of what decimals can divide.
"""

from decimal import ROUND_HALF_EVEN, Context, Decimal

PLACES = 18  # of what is shown
UNITS = 9  # in 10⁻¹⁸ USD
UNITS_PER_USD = UNITS * 10**PLACES
UNITS_PER_CENT = UNITS_PER_USD // 100
RATE_MAX = 10**6 * UNITS_PER_USD  # of one unit of usage
RATE_STEP = 10**12  # a rate in two halves of 64 bits: times any count, each of them fits into 128

# Enough for every price and every sum, so that no step but the last rounds.
_EXACT = Context(prec=100)


def to_rate(usd: Decimal, per: int, times: Decimal = Decimal(1)) -> int:
    """The price of one unit in 10⁻¹⁸/9 USD, where `per` units cost `usd`, and this one `times` as much.

    A price that has more digits (1 USD for 7 units) is rounded here, once, half to even: all costs are exact multiples
    of it.

    Raises:
        ValueError: negative, not a number, or more than a million USD a unit.
    """
    if not usd.is_finite() or usd < 0:
        raise ValueError(f"a price is 0 or more, not {usd}")
    rate = int(
        _EXACT.divide(_EXACT.multiply(_EXACT.multiply(usd, times), UNITS_PER_USD), per).quantize(
            Decimal(1), rounding=ROUND_HALF_EVEN, context=_EXACT
        )
    )
    if rate > RATE_MAX:
        raise ValueError(f"a price of {usd} USD for {per} is more than 1,000,000 USD a unit")
    return rate


def product(*factors: Decimal) -> Decimal:
    """The product of decimals, with every digit."""
    made = Decimal(1)
    for factor in factors:
        made = _EXACT.multiply(made, factor)
    return made


def decimal_text(value: int, places: int = PLACES) -> str:
    """`value` times 10 to the power of minus `places`: all its digits, no exponent, no zeros at the end."""
    sign, digits = ("-" if value < 0 else ""), str(abs(value)).rjust(places + 1, "0")
    whole, fraction = digits[:-places], digits[-places:].rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def cents_text(cents: int) -> str:
    """Cents in USD, with both digits behind the point: `1,234.50`."""
    return f"{cents // 100:,}.{cents % 100:02}"


def usd_text(units: int) -> str:
    """An amount in USD: all its digits, to 10⁻¹⁸, where a ninth is rounded half to even."""
    whole, ninths = divmod(units, UNITS)
    return decimal_text(whole + (ninths > UNITS // 2))
