"""The prices of one model, ready to be looked up: a row of the price file or of a list with its times as seconds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from usageledger.buckets import DAY_SECONDS
from usageledger.pricing.cards import CASES, Reason, Subject
from usageledger.pricing.money import to_rate
from usageledger.pricing.price_file import USABLE, Alias, Factor, Hours, Row

# The fields of a row that an event must say the same of.
CONDITIONS = tuple(name for name in CASES if name in Row.__struct_fields__)
ENDLESS = 2**62
THURSDAY = 4  # 1970-01-01
DAYS_OF_WEEK = 7


@dataclass(frozen=True, slots=True)
class ListedPrice:
    """A row, and when it holds, in Unix seconds.

    Attributes:
        rate: 10⁻¹⁸/9 USD a unit.
        end: the first second at which it does not hold.
        open: nothing says an end, and its lists still have it.
        conditions: (field, value) that an event must have.
        spans: the days of the week (1 is Monday), the first second and the one after the last, of the day.
    """

    row: Row
    rate: int
    start: int
    end: int
    open: bool
    conditions: tuple[tuple[str, str], ...]
    spans: tuple[tuple[tuple[int, ...], int, int], ...]

    def holds(self, second: int) -> bool:
        """Tell whether it is the price of this second, of events that meet its conditions."""
        if not self.start <= second < self.end:
            return False
        weekday, of_day = weekday_of(second), second % DAY_SECONDS
        return not self.spans or any(weekday in days and first <= of_day < last for days, first, last in self.spans)

    def cuts(self, day: int) -> Iterable[int]:
        """Yields the seconds of a day at which it may begin or end to hold."""
        yield from (at - day for at in (self.start, self.end) if day < at < day + DAY_SECONDS)
        if self.start < day + DAY_SECONDS and day < self.end:
            weekday = weekday_of(day)
            for days, first, last in self.spans:
                if weekday in days:
                    yield from (at for at in (first, last) if 0 < at < DAY_SECONDS)


def weekday_of(second: int) -> int:
    """The day of the week of a UTC second; 1 is Monday."""
    return (second // DAY_SECONDS + THURSDAY - 1) % DAYS_OF_WEEK + 1


class ListedModel:
    """The rows of one name of one provider, by kind, part and tier."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.prices = [listed(row) for row in rows]
        self._by_part: dict[tuple[str, str], list[ListedPrice]] = {}
        for price in self.prices:
            self._by_part.setdefault((price.row.kind, price.row.part), []).append(price)

    def covers(self, day: int) -> bool:
        """Tell whether any price of it holds on a UTC day."""
        return any(price.start < day + DAY_SECONDS and day < price.end for price in self.prices)

    def of(self, kind: str, part: str) -> Sequence[ListedPrice]:
        """The prices of a part, of all tiers and times."""
        return self._by_part.get((kind, part), ())

    def cuts(self, kind: str, day: int) -> set[int]:
        """The seconds of a day at which a price begins or ends to hold."""
        return {cut for price in self.prices if price.row.kind == kind for cut in price.cuts(day)}

    def bands(self, kind: str, start: int, end: int) -> set[int]:
        """The numbers of input tokens above which other prices of any part and tier hold between two seconds, or may.

        A band that a list showed only later may have been there before, and one that lists dropped may be there still.
        """
        return {
            price.row.above
            for price in self.prices
            if price.row.kind == kind
            and (start < price.end or price.row.last_seen)
            and (price.start < end or price.row.start_is == "first_seen")
        }


def fitting(subject: Subject, prices: Sequence[ListedPrice], band: int) -> ListedPrice | Reason:
    """The one price of a subject among those of its name, part and tier; the others of the model begin at `band`."""
    second = subject.day + subject.second
    of_band = [price for price in prices if price.row.above == band]
    if not of_band:
        return Reason("no_row", f"no price above {band:,} input tokens, where the model has others")
    holding = [price for price in of_band if price.holds(second)]
    return _of_case(subject, holding) if holding else _out_of_time(of_band, second)


def _of_case(subject: Subject, prices: Sequence[ListedPrice]) -> ListedPrice | Reason:
    """The price whose conditions an event meets, if what it says leaves no doubt."""
    said = {name: getattr(subject, name) for name in CONDITIONS}
    possible = [price for price in prices if all(said[name] in (value, None) for name, value in price.conditions)]
    missing = next((n for price in possible for n, _ in price.conditions if said[n] is None), None)
    if missing:
        values = sorted({str(value) for price in prices for name, value in price.conditions if name == missing})
        return Reason(f"ambiguous:{missing}", f"{missing} is not said: the price depends on it ({', '.join(values)})")
    if not possible:
        words = ", ".join(f"{name} {value}" for name, value in said.items() if value is not None)
        return Reason("no_row", f"no price for {words}")
    exact = max(len(price.conditions) for price in possible)
    fit = [price for price in possible if len(price.conditions) == exact]
    candidates = ", ".join(sorted({f"{price.row.price} ({price.row.source})" for price in fit}))
    if any(price.row.confidence == "disputed" for price in fit) or len({price.rate for price in fit}) > 1:
        return Reason("disputed", f"sources disagree: {candidates}")
    usable = [price for price in fit if price.row.confidence in USABLE]
    return usable[0] if usable else Reason("unconfirmed", f"not confirmed to be the vendor's: {candidates}")


def _out_of_time(prices: Sequence[ListedPrice], second: int) -> Reason:
    """The reason why none of a part's prices holds at a second."""
    first = min(prices, key=lambda price: price.start)
    if second < first.start:
        return Reason("before_first_seen", f"the price is known from {first.row.start} on")
    if any(second < price.start for price in prices):
        return Reason("gap", "no source says what it was then")
    last = max(prices, key=lambda price: price.end)
    if last.row.last_seen:
        return Reason("past_support", f"no list has had a price since {last.row.last_seen}")
    return Reason("gap", f"the price ended on {last.row.end}, and no source says the next one")


def listed(row: Row) -> ListedPrice:
    """Makes a row ready to be looked up."""
    start, end = times(row)
    said = ((name, getattr(row, name)) for name in CONDITIONS)
    return ListedPrice(
        row,
        to_rate(Decimal(row.price), row.per),
        start,
        end,
        end == ENDLESS,
        tuple((name, value) for name, value in said if value is not None),
        tuple(span for hours in row.hours for span in _spans(hours)),
    )


def times(said: Row | Alias | Factor) -> tuple[int, int]:
    """The first second of which it says something, and the one after the last."""
    last_seen = None if isinstance(said, Alias) else said.last_seen
    end = seconds_of(said.end) if said.end else ENDLESS
    return seconds_of(said.start), seconds_of(last_seen) + DAY_SECONDS if last_seen else end


def _spans(hours: Hours) -> Iterable[tuple[tuple[int, ...], int, int]]:
    for span in hours.hours:
        first, last = (60 * (60 * int(at[:2]) + int(at[3:])) for at in span.split("-"))
        yield hours.days, first, last


def seconds_of(text: str) -> int:
    """Unix seconds of a UTC day (`2026-09-10`) or instant (`2026-09-10T04:00Z`)."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
