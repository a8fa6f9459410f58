"""Money as integers of 10⁻¹⁸ USD: sums of them are exact, whatever their order."""

from decimal import ROUND_HALF_EVEN, Context, Decimal

UNITS_PER_USD = 10**18
PLACES = 18
RATE_MAX = 10**6 * UNITS_PER_USD  # of one unit of usage
RATE_STEP = 10**12  # a rate in two halves of 64 bits: times any count, each of them fits into 128

# Enough for every price and every sum, so that no step but the last rounds.
_EXACT = Context(prec=100)


def to_rate(usd: Decimal, per: int, times: Decimal = Decimal(1)) -> int:
    """The price of one unit in 10⁻¹⁸ USD, where `per` units cost `usd`, and this one `times` as much.

    A price that has no end in decimals (0.111 USD an hour, by the second) is rounded here, once, half to even: all
    costs are exact multiples of it.

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


def decimal_text(value: int, places: int = PLACES) -> str:
    """`value` times 10 to the power of minus `places`: all its digits, no exponent, no zeros at the end."""
    sign, digits = ("-" if value < 0 else ""), str(abs(value)).rjust(places + 1, "0")
    whole, fraction = digits[:-places], digits[-places:].rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"
