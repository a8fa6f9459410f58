"""Windows and buckets: pure arithmetic on Unix seconds, UTC.

Source: OpenAI's Usage API. `start_time` is inclusive and `end_time` exclusive; buckets are aligned to UTC minutes,
hours and days; the first bucket is clamped to the window's start and the last to its end.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

LATEST_TIME = 253_402_300_799  # 9999-12-31T23:59:59Z, the last second that ISO 8601 can write


@dataclass(frozen=True, slots=True)
class Bucket:
    """A span of time, Unix seconds: `start` inclusive, `end` exclusive."""

    start: int
    end: int


def floor(seconds: int, width: int) -> int:
    """The start of the aligned bucket of `width` seconds that `seconds` falls in."""
    return seconds - seconds % width


def count_buckets(start: int, end: int, width: int) -> int:
    """How many buckets of `width` seconds the window from `start` to `end` touches; 0 for an empty window."""
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


def iso(seconds: int) -> str:
    """`2026-06-06T00:00:00+00:00`, as the API writes `start_time_iso`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()
