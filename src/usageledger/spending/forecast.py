"""The forecast of a month's spend, from its complete days and the last ones before it."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median_low

from usageledger.buckets import DAY_SECONDS
from usageledger.spending.months import Month

DAYS = 7  # complete ones, which the days to come are taken to be like
DAYS_NEEDED = 2  # of the month: before its third day nothing is forecast


@dataclass(frozen=True, slots=True)
class Forecast:
    """Spend at the month's end in 10⁻¹⁸/9 USD, and what it would be with only low or only high days from now on."""

    amount: int
    low: int
    high: int


def forecast(spent: int, by_day: Mapping[int, int], month: Month, now: int) -> Forecast | None:
    """Adds the median of the last seven complete UTC days for today and each day to come to what those before it cost.

    Args:
        spent: so far, today included; the forecast is not below it.
        by_day: start of a day (Unix seconds) → its cost; of days without any there is nothing.
        month: that `now` is in.
        now: Unix seconds.
    """
    today = now - now % DAY_SECONDS
    if today < month.start + DAYS_NEEDED * DAY_SECONDS:
        return None
    days = sorted(by_day.get(today - back * DAY_SECONDS, 0) for back in range(1, DAYS + 1))
    before = sum(amount for day, amount in by_day.items() if month.start <= day < today)
    left = (month.end - today) // DAY_SECONDS
    amount, low, high = (max(spent, before + left * each) for each in (median_low(days), days[0], days[-1]))
    return Forecast(amount, low, high)
