"""A slow and obvious model of the API: what a ledger has to answer, worked out with plain loops over plain dicts.

It shares nothing with the code under test but the table of meters, from which it takes the names of things, never how
they add up. An event is known here by its truth, disjoint counts, not by the numbers that were sent.
"""

from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from usageledger.meter import Meter
from usageledger.meters import METER_BY_KIND

WIDTHS = {"1m": 60, "1h": 3600, "1d": 86400, "all": 10**12}  # "all" is longer than time is
OTHER_CACHE_WRITE = "input_cache_write_other_tokens"


@dataclass(frozen=True)
class Usage:
    """What really happened: one event.

    Attributes:
        dimensions: every dimension of the kind; None for one that the event does not carry.
        counts: disjoint parts for kinds with tokens in parts, else the measures themselves.
    """

    kind: str
    id: str
    timestamp: int
    dimensions: dict[str, Any]
    counts: dict[str, int]
    provider: str = "openai"

    @property
    def identity(self) -> tuple[str, int]:
        return self.id, self.timestamp

    def but(self, **changes: Any) -> "Usage":
        return replace(self, **changes)


def measured(name: str, counts: Mapping[str, int]) -> int:
    """What an event counts for a measure; the names of parts say which totals they belong to."""
    if name in counts:
        return counts[name]
    if name == "input_uncached_tokens":
        return counts["input_text_tokens"] + counts["input_audio_tokens"] + counts["input_image_tokens"]
    prefix = name.removesuffix("tokens")  # "input_", "output_", "input_cached_", "input_cache_write_"
    return sum(count for part, count in counts.items() if part.startswith(prefix))


@dataclass
class Model:
    """Every event that was kept, by its identity."""

    kept: dict[tuple[str, int], Usage] = field(default_factory=dict)

    def add(self, usage: Usage) -> str:
        """Keeps an event once: `accepted`, `duplicate`, `same_response` or `conflict`."""
        if usage.id.startswith("response:"):
            return self._add_response(usage)
        if usage.identity not in self.kept:
            self.kept[usage.identity] = usage
            return "accepted"
        return "duplicate" if self.kept[usage.identity] == usage else "conflict"

    def _add_response(self, usage: Usage) -> str:
        """Keeps a response that is more than 48 hours from every other with its id."""
        kept = [k for k in self.kept.values() if k.id == usage.id and abs(k.timestamp - usage.timestamp) <= 48 * 3600]
        if not kept:
            self.kept[usage.identity] = usage
            return "accepted"
        nearest = min(kept, key=lambda k: (abs(k.timestamp - usage.timestamp), k.timestamp))
        if nearest == usage:
            return "duplicate"
        return "same_response" if (nearest.kind, nearest.counts) == (usage.kind, usage.counts) else "conflict"

    def buckets(
        self,
        kind: str,
        window: tuple[int, int],
        width: str,
        *,
        filters: Mapping[str, Sequence[Any]] | None = None,
        group_by: Sequence[str] = (),
        zone: str | None = None,
    ) -> list[dict[str, Any]]:
        """Every bucket of a window (its start inclusive, its end exclusive), as the API shows them."""
        found = []
        seconds = WIDTHS[width]
        clock = ZoneInfo(zone) if zone else UTC
        left, end = window
        chosen = [
            usage
            for usage in self.kept.values()
            if usage.kind == kind
            and left <= usage.timestamp < end
            and all(usage.dimensions[name] in values for name, values in (filters or {}).items())
        ]
        while left < end:
            right = min(end, next_day(left, zone) if zone else (left // seconds + 1) * seconds)
            inside = [usage for usage in chosen if left <= usage.timestamp < right]
            found.append(
                {
                    "object": "bucket",
                    "start_time": left,
                    "end_time": right,
                    "start_time_iso": iso(left, clock),
                    "end_time_iso": iso(right, clock),
                    "results": results(METER_BY_KIND[kind], inside, group_by),
                }
            )
            left = right
        return found


def local_date(at: int, zone: str) -> date:
    """The latest date that clocks have shown by then: some go back over midnight, by no more than five hours."""
    return max(datetime.fromtimestamp(seen, ZoneInfo(zone)).date() for seen in range(at - 5 * 3600, at + 1, 60))


@cache
def next_day(at: int, zone: str) -> int:
    """The first second that is on a later date than `at`."""
    ahead = range(at, at + 3 * 86400)
    return ahead[bisect(ahead, local_date(at, zone), key=lambda seconds: local_date(seconds, zone))]


def iso(seconds: int, clock: tzinfo) -> str:
    """The time as a clock shows it; RFC 3339 has no seconds in offsets, so that the nearest minute stands for them."""
    offset = datetime.fromtimestamp(seconds, clock).utcoffset() or timedelta()
    return datetime.fromtimestamp(seconds, timezone(timedelta(minutes=round(offset.total_seconds() / 60)))).isoformat()


def results(meter: Meter, usages: Sequence[Usage], group_by: Sequence[str]) -> list[dict[str, Any]]:
    """The results of one bucket, a group after the other, null last."""
    groups: dict[tuple[Any, ...], list[Usage]] = {}
    for usage in usages:
        groups.setdefault(tuple(usage.dimensions[name] for name in group_by), []).append(usage)
    found = []
    for key in sorted(groups, key=lambda key: [(value is None, value if value is not None else 0) for value in key]):
        values = dict(zip(group_by, key, strict=True))
        found.append(
            {
                "object": meter.object,
                **{m.name: added(m.name, groups[key], gauge=m.adds == "gauge") for m in meter.reported},
                **{d.name: values.get(d.name) for d in meter.groupings},
            }
        )
    return found


def added(name: str, usages: Sequence[Usage], *, gauge: bool) -> int:
    """A measure of many events: their sum, or for a size the sum over stores of the largest one seen."""
    if not gauge:
        return sum(measured(name, usage.counts) for usage in usages)
    largest: dict[tuple[Any, ...], int] = {}
    for usage in usages:
        store = tuple(usage.dimensions.values())
        largest[store] = max(largest.get(store, 0), measured(name, usage.counts))
    return sum(largest.values())
