"""Exact numbers for people: sums without rounding, digits in columns, bars and sparklines."""

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact
from fractions import Fraction

Number = int | Decimal

# Enough digits for every sum of IEEE decimals; one that would still need more is an error and never rounded.
_EXACT = Context(prec=20_000, traps=[Inexact])
_ROUNDED = Context(prec=50, rounding=ROUND_HALF_EVEN)
_ALL_DIGITS = Context(prec=20_000, rounding=ROUND_HALF_EVEN)
_ONE_PLACE = Decimal("0.1")

BLOCKS = " ▏▎▍▌▋▊▉█"  # a cell in eighths, from the left
LEVELS = "▁▂▃▄▅▆▇█"  # and from below
PLAIN_LEVELS = ".:-=+*#@"  # for terminals that know ASCII only
NOTHING = " "


def add(numbers: Iterable[Number]) -> Number:
    """The exact sum: an int of ints, else a Decimal."""
    total: Number = 0
    for number in numbers:
        both_int = isinstance(total, int) and isinstance(number, int)
        total = total + number if both_int else _EXACT.add(Decimal(total), Decimal(number))
    return total


def digits(number: Number, *, least_places: int = 0) -> str:
    """All digits in groups of three: `1,234`, `12.50`, `0.000125`; no exponent, no zeros at the end."""
    if isinstance(number, int):
        return f"{number:,}"
    whole, _, fraction = f"{number:,f}".partition(".")
    fraction = fraction.rstrip("0").ljust(least_places, "0")
    return f"{whole}.{fraction}" if fraction else whole


def sensible(number: Number) -> Number:
    """The number with four digits that count, or with two places where these are more."""
    if isinstance(number, int) or not number:
        return number
    places = max(2, 3 - number.adjusted())
    rounded = number.quantize(Decimal(1).scaleb(-places), context=_ALL_DIGITS)
    return number if rounded == number else rounded


def aligned(numbers: Sequence[Number | None], *, least_places: int = 0) -> list[str]:
    """The numbers as text of which, right-aligned, all decimal points stand below each other; None is empty."""
    texts = ["" if number is None else digits(number, least_places=least_places) for number in numbers]
    tails = [len(text) - text.find(".") if "." in text else 0 for text in texts]
    longest = max(tails, default=0)
    return [text + " " * (longest - tail) if text else "" for text, tail in zip(texts, tails, strict=True)]


def share(part: Number, whole: Number) -> str:
    """`45.2 %` of the whole; `<0.1 %` where so little would be shown as nothing."""
    if whole <= 0:
        return ""
    percent = _ROUNDED.divide(_ROUNDED.multiply(Decimal(part), 100), Decimal(whole))
    if 0 < percent < _ONE_PLACE / 2:
        return "<0.1 %"
    return f"{percent.quantize(_ONE_PLACE, context=_ROUNDED)} %"


def bar(number: Number, largest: Number, width: int, *, plain: bool) -> str:
    """Draws a bar for `number` in proportion to `largest`; only 0 has no visible bar."""
    if number <= 0 or largest <= 0:
        return ""
    eighths = max(1, int(Fraction(number) / Fraction(largest) * width * 8))
    if plain:
        return "#" * max(1, eighths // 8)
    return (BLOCKS[8] * (eighths // 8) + BLOCKS[eighths % 8]).rstrip()


def sparkline(series: Sequence[Number], width: int, *, gauge: bool, plain: bool) -> str:
    """The course of a series in at most `width` characters, scaled to its largest value; nothing is a blank.

    A series that is longer is drawn in equal stretches, each by its sum, or by its largest where that is what adds up.
    """
    cells = min(width, len(series))
    stretches = [series[n * len(series) // cells : (n + 1) * len(series) // cells] for n in range(cells)]
    points = [max(stretch) if gauge else add(stretch) for stretch in stretches]
    largest = max(points, default=0)
    levels = PLAIN_LEVELS if plain else LEVELS
    return "".join(
        levels[min(len(levels) - 1, int(point * len(levels) // largest))] if point > 0 else NOTHING for point in points
    )
