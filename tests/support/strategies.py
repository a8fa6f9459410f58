"""Hypothesis strategies for events and questions, built from METERS: a new row is tested on arrival."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st
from tests.support.model import WIDTHS, Usage, next_day
from tests.support.samples import FORMS, TODAY, counted, has_parts, wire

from usageledger.meter import Dimension, Meter
from usageledger.meters import DIMENSIONS, METERS

DAY = 86400
START = TODAY - 3 * DAY  # the days in which generated events happen
END = TODAY

# Few names, so that events meet in groups; awkward ones, so that nothing is cut, quoted or sorted wrongly.
NAMES = ("a", "b", "B", "a,b", "é", "☃", "\U0001f600", "'; --", "null", " ")
IDS = ("1", "2", "3", "4", "ü", "'", "\U0001f600")
LARGEST = 2**53 - 1

kinds = st.sampled_from([meter.kind for meter in METERS])
meters = st.sampled_from(METERS)
# The largest parts make a total of the largest count that an event may have.
counts = st.integers(0, 9) | st.integers(0, 10**6) | st.sampled_from([0, 1, LARGEST // 9])


def _instants() -> st.SearchStrategy[int]:
    """Times near each other and near the edges of minutes, hours and days."""
    edges = st.builds(
        lambda base, width, many, off: base + width * many + off,
        st.sampled_from([START, START + DAY]),
        st.sampled_from(sorted(WIDTHS.values())),
        st.integers(0, 3),
        st.integers(-1, 1),
    )
    return edges.filter(lambda at: START <= at < END) | st.integers(START, END - 1)


instants = _instants()


def values(dimension: Dimension) -> st.SearchStrategy[Any]:
    """What an event may carry in a dimension; None where it does not."""
    if dimension.flag:
        return st.sampled_from([None, True, False])
    if dimension.values:
        return st.sampled_from([None, *dimension.values, *dimension.others])
    return st.sampled_from([None, *NAMES])


VALUES = {name: values(dimension) for name, dimension in DIMENSIONS.items()}


@st.composite
def usages(draw: st.DrawFn, kinds: st.SearchStrategy[str] = kinds) -> Usage:
    """Any event that could be sent."""
    kind = draw(kinds)
    meter = next(meter for meter in METERS if meter.kind == kind)
    count = counts if has_parts(meter) else counts | st.just(LARGEST - 1)
    return Usage(
        kind=kind,
        id=draw(st.sampled_from(IDS)),
        timestamp=draw(instants),
        dimensions={d.name: draw(VALUES[d.name]) for d in meter.dimensions},
        counts={name: draw(count) for name in counted(kind)},
        provider=draw(st.sampled_from(["openai", "other"])),
    )


@st.composite
def histories(draw: st.DrawFn, most: int = 30) -> list[Usage]:
    """Events of few kinds in any order, some of them sent again, some again with other numbers."""
    few = st.sampled_from(draw(st.lists(kinds, min_size=1, max_size=3, unique=True)))
    sent = draw(st.lists(usages(few), min_size=1, max_size=most))
    again = draw(st.lists(st.sampled_from(sent), max_size=6))
    other = [each.but(counts={n: c + 1 for n, c in each.counts.items()}) for each in draw(_some(sent))]
    return draw(st.permutations([*sent, *again, *other]))


def _some(sent: list[Usage]) -> st.SearchStrategy[list[Usage]]:
    return st.lists(st.sampled_from(sent), max_size=3)


@st.composite
def batches(draw: st.DrawFn, history: list[Usage]) -> list[list[Usage]]:
    """A history cut into batches of any size."""
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(history) - 1)), max_size=5)))
    edges = [0, *cuts, len(history)]
    return [history[a:b] for a, b in pairwise(edges) if a < b]


def wires(usage: Usage) -> st.SearchStrategy[dict[str, Any]]:
    """An event on the wire, in any of the ways that mean the same."""
    return st.sampled_from(FORMS).map(lambda form: wire(usage, form))


def limits(width: str) -> st.SearchStrategy[int]:
    """How many buckets a page may have."""
    return st.integers(1, most_buckets(width))


def most_buckets(width: str) -> int:
    return 1 if width == "all" else 31


@st.composite
def windows(draw: st.DrawFn, width: str, buckets: int = 40, near: Sequence[Usage] = ()) -> tuple[int, int]:
    """A window that touches few buckets; its ends are aligned or not, and close to events or not."""
    seconds = min(WIDTHS[width], DAY)
    edges = [usage.timestamp + off for usage in near for off in (0, 1, -60, -1800, -3 * 3600)]
    start = (
        draw(st.sampled_from(edges))
        if len(edges) > 0 and draw(st.booleans())
        else draw(st.integers(START - DAY, END + DAY))
    )
    if draw(st.booleans()):
        start -= start % seconds
    end = start + draw(st.integers(1, buckets)) * seconds
    inside = [edge for edge in edges if start < edge < end]
    if len(inside) > 0 and draw(st.booleans()):
        return start, draw(st.sampled_from(inside))
    return start, end if draw(st.booleans()) else draw(st.integers(start + 1, end))


@dataclass(frozen=True)
class Place:
    """A time zone, and a time at which its clocks change in some way, or do not; Unix seconds."""

    zone: str
    at: int

    def moved(self, history: Sequence[Usage]) -> list[Usage]:
        """A history around that time."""
        return [usage.but(timestamp=usage.timestamp - START - DAY + self.at) for usage in history]


PLACES = [
    Place(zone, int(datetime.fromisoformat(at).timestamp()))
    for zone, at in (
        ("Europe/Berlin", "2026-03-29T01:00:00Z"),  # a day of 23 hours
        ("Europe/Berlin", "2025-10-26T01:00:00Z"),  # a day of 25 hours
        ("Europe/London", "2026-03-29T01:00:00Z"),  # days of UTC before
        ("Africa/Casablanca", "2026-02-15T02:00:00Z"),  # clocks go back for a month
        ("Asia/Kathmandu", "1985-12-31T18:30:00Z"),  # from 5:30 to 5:45 hours, and a day of 23.75
        ("Australia/Lord_Howe", "2025-10-04T15:30:00Z"),  # a day of 23.5 hours
        ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),  # a day of 24.5 hours
        ("Pacific/Apia", "2011-12-30T10:00:00Z"),  # December 30 is skipped
        ("America/Sao_Paulo", "2018-11-04T03:00:00Z"),  # there is no midnight
        ("America/St_Johns", "2006-10-29T02:31:00Z"),  # a minute after midnight, back to the day before
        ("Antarctica/Casey", "2010-03-04T15:00:00Z"),  # the same by three hours
        ("Africa/Monrovia", "1972-01-07T00:44:30Z"),  # offsets with seconds
        ("America/New_York", "2026-05-05T04:00:00Z"),  # nothing happens
        ("UTC", "2026-05-05T00:00:00Z"),
    )
]
places = st.sampled_from(PLACES)


@st.composite
def local_windows(draw: st.DrawFn, place: Place, near: Sequence[Usage] = ()) -> tuple[int, int]:
    """A window of few days there; its ends are at midnight or not, and close to events or not."""
    edges = [usage.timestamp + off for usage in near for off in (0, 1, -1800)]
    edge = st.sampled_from([place.at, *edges])
    instant = st.integers(-5 * DAY, 5 * DAY).map(lambda off: place.at + off) | edge
    one, other = (draw(instant | instant.map(lambda at: next_day(at, place.zone))) for _ in range(2))
    return min(one, other), max(one, other, min(one, other) + 1)


@st.composite
def filters(draw: st.DrawFn, meter: Meter) -> dict[str, list[Any]]:
    """Dimension → the values selected by; few filters, and values that events carry."""
    chosen = draw(st.sets(st.sampled_from([d.name for d in meter.filters]), max_size=2))
    found: dict[str, list[Any]] = {}
    for name in sorted(chosen):
        one = VALUES[name].filter(lambda value: value is not None)
        most = 1 if DIMENSIONS[name].flag else 3
        found[name] = draw(st.lists(one, min_size=1, max_size=most, unique=True))
    return found


def groupings(meter: Meter) -> st.SearchStrategy[list[str]]:
    """Any grouping, in the meter's order."""
    names = [d.name for d in meter.groupings]
    return st.sets(st.sampled_from(names)).map(lambda chosen: [name for name in names if name in chosen])


def parameters(found: dict[str, list[Any]]) -> dict[str, Any]:
    """Filters by the names of their parameters."""
    return {
        str(DIMENSIONS[name].filter): values[0] if DIMENSIONS[name].flag else values for name, values in found.items()
    }
