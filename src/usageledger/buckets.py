"""Windows and buckets: pure arithmetic on Unix seconds.

Source: OpenAI's Usage API. `start_time` is inclusive and `end_time` exclusive; buckets are aligned to UTC minutes,
hours and days; the first bucket is clamped to the window's start and the last to its end.

Days of a time zone are ours. Such a day begins at the first instant at which its date is read off a clock there, so it
is as long as it happens to be, and a date that clocks skip is no day.
"""

from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import cache, lru_cache
from importlib.resources import files
from itertools import groupby
from zoneinfo import ZoneInfo

HOUR_SECONDS, DAY_SECONDS = 3_600, 86_400
LATEST_TIME = 253_402_300_799  # 9999-12-31T23:59:59Z, the last second that ISO 8601 can write
LATEST_LOCAL_TIME = LATEST_TIME - 2 * DAY_SECONDS  # the day that it falls in ends within the year 9999 everywhere
DAYS_KEPT_MAX = 1_000  # with how they are written
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND, _MINUTE, _DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A span of time, Unix seconds: `start` inclusive, `end` exclusive."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Run:
    """Buckets of one width, side by side; that of a time `t` starts at `t - (t - origin) % width`.

    Attributes:
        origin: the start of one of them, not clamped to the window; Unix seconds.
        width: seconds.
        start: from where they are asked for, inclusive: inside of the first of them, or its start.
        end: up to where they are asked for, exclusive: inside of the last of them, or its end.
    """

    origin: int
    width: int
    start: int
    end: int


def floor(seconds: int, width: int) -> int:
    """The start of the aligned bucket of `width` seconds that `seconds` falls in."""
    return seconds - seconds % width


def count_buckets(start: int, end: int, width: int) -> int:
    """Counts the buckets of `width` seconds that the window from `start` to `end` touches; 0 for an empty window."""
    if end <= start:
        return 0
    return (end - 1) // width - start // width + 1


def split(start: int, end: int, width: int, limit: int) -> tuple[Bucket, ...]:
    """The first `limit` buckets of the window in ascending order, the outermost ones clamped to it."""
    first = floor(start, width)
    return tuple(
        Bucket(max(start, left), min(end, left + width))
        for left in range(first, first + width * min(limit, count_buckets(start, end, width)), width)
    )


def widen(start: int, end: int, width: int, zone: str | None = None) -> tuple[int, int]:
    """Widens the window from `start` to `end` to whole buckets of `width` seconds, a day's at most.

    In a `zone` it is widened to days there, or to buckets counted from the start of their day, where the last one of a
    day may be shorter. It stays between 0 and `LATEST_TIME`.
    """
    if zone is None:
        return floor(start, width), min(-floor(-end, width), LATEST_TIME)
    first, last = local_day(start, zone), local_day(end, zone)
    from_left, from_right = (width if width < DAY_SECONDS else day.end - day.start for day in (first, last))
    left = first.start + floor(start - first.start, from_left)
    return max(left, 0), min(last.start - floor(last.start - end, from_right), last.end)


def iso(seconds: int, zone: str | None = None) -> str:
    """`2026-06-06T00:00:00+00:00`, as the API writes `start_time_iso`; with the offset of `zone` at that time.

    An offset that has seconds is written as the nearest one that has none, of the same instant (RFC 3339, 5.8).
    """
    if zone is None:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    offset = _clock(seconds, zone).utcoffset() or timedelta()
    return (_EPOCH + seconds * _SECOND).astimezone(timezone(round(offset / _MINUTE) * _MINUTE)).isoformat()


# --- days of a time zone -----------------------------------------------------------------------------------------


@cache
def zones() -> dict[str, str]:
    """The names of the IANA time zone database, by themselves in small letters."""
    return {name.lower(): name for name in (files("tzdata") / "zones").read_text(encoding="ascii").split()}


@lru_cache(maxsize=16_384)
@lru_cache(DAYS_KEPT_MAX)
def iso_day(seconds: int) -> str:
    """The UTC day of a second, as `2026-11-01`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def local_day(seconds: int, zone: str) -> Bucket:
    """The day of `zone` that `seconds` (up to `LATEST_LOCAL_TIME`) falls in."""
    day = _clock(seconds, zone).date()
    end = _first_instant(day + _DAY, zone)
    # Where clocks were put back over midnight, the date before is read once more: the day had begun already.
    if end <= seconds:
        day, end = day + _DAY, _first_instant(day + 2 * _DAY, zone)
    return Bucket(_first_instant(day, zone), end)


def split_days(start: int, end: int, zone: str, limit: int) -> tuple[Bucket, ...]:
    """The first `limit` days of `zone` in the window, in ascending order, the outermost ones clamped to it."""
    days: list[Bucket] = []
    while start < end and len(days) < limit:
        days.append(Bucket(start, min(end, local_day(start, zone).end)))
        start = days[-1].end
    return tuple(days)


def runs_of_days(days: tuple[Bucket, ...], zone: str) -> tuple[Run, ...]:
    """Days of `zone` side by side, clamped or not, as runs of equal length."""
    whole = ((local_day(day.start, zone), day) for day in days)
    runs: list[Run] = []
    for width, pairs in groupby(whole, key=lambda pair: pair[0].end - pair[0].start):
        same = list(pairs)
        runs.append(Run(same[0][0].start, width, same[0][1].start, same[-1][1].end))
    return tuple(runs)


def _clock(seconds: int, zone: str) -> datetime:
    return (_EPOCH + seconds * _SECOND).astimezone(ZoneInfo(zone))


def _first_instant(day: date, zone: str) -> int:
    """The first second at which a clock of `zone` shows this date or a later one."""
    at_midnight = (datetime.combine(day, time(fold=fold), ZoneInfo(zone)) for fold in (0, 1))
    first, second = ((moment - _EPOCH) // _SECOND for moment in at_midnight)
    if first <= second:
        return first
    # There is no midnight, since clocks are put forward over it, at some time between the two readings of it.
    return second + bisect_left(range(second, first), day, key=lambda seconds: _clock(seconds, zone).date())
