"""Proof of usage: the invariants that can be checked on a ledger at rest.

The engine looks at its own tables: values, identities, rollups, facets. All else is asked as a client would ask it:
answers are compared with answers, groups with the whole, a filter with its group, widths and pages with each other.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from usageledger.buckets import LATEST_TIME, floor, iso
from usageledger.errors import InvalidRequestError
from usageledger.ledger import lookups
from usageledger.ledger.proof import inspection
from usageledger.ledger.proof.inspection import STRETCH_ROWS
from usageledger.ledger.protocol import Ledger
from usageledger.meter import Meter
from usageledger.meters import METERS
from usageledger.questions.aggregate import Aggregate
from usageledger.questions.query import Filter, Query

HOUR, DAY, EVER = 3_600, 86_400, LATEST_TIME + 1
INT64_MAX = 2**63 - 1
DIFFERENCES_MAX = 3  # differences put into words
DAYS_AT_ONCE_MAX = 366  # days compared at once
RESULTS_MAX = 500_000  # results of one question
QUERY_SECONDS = 600

# Start of a span of time → what each measure adds up to in it.
Totals = dict[int, dict[str, int]]
Compare = Callable[[int, int], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of a proof: of what it reads at once, and of what it compares.

    Attributes:
        results_max: of one question.
        sample_days: days of each kind compared minute by minute, and by all dimensions at once.
        stretch_rows: rows compared with their sums at once, so that memory does not grow with the ledger.
    """

    results_max: int = RESULTS_MAX
    sample_days: int = 7
    stretch_rows: int = STRETCH_ROWS


BOUNDS = Bounds()


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check: `detail` names the things compared, or the fault."""

    name: str
    ok: bool
    detail: str


def verify(ledger: Ledger, bounds: Bounds = BOUNDS) -> Iterator[Finding]:
    """Checks that events are well formed and count once, and that all sums of them agree; a finding for each check."""
    with ledger.snapshot() as snapshot:
        events = counted(lookups.count(snapshot), "event")
        yield finding("events are well formed", inspection.malformed(snapshot, DIFFERENCES_MAX), events)
        yield finding("every event counts once", inspection.doubled(snapshot, DIFFERENCES_MAX), events)
        doubled = inspection.responses_doubled(snapshot, DIFFERENCES_MAX)
        yield finding("every response counts once in 48 hours", doubled, events)
        if ledger.rollups:
            differences = inspection.rollup_differences(snapshot, DIFFERENCES_MAX, bounds.stretch_rows)
            yield finding("rollups equal the events", differences, "every day, hour and quarter")
            differences = inspection.facet_differences(snapshot, DIFFERENCES_MAX, bounds.stretch_rows)
            yield finding("facets equal the events", differences, "every day, kind and dimension")
    kinds = list(_kinds_used(ledger, bounds))
    days = counted(len({day for kind in kinds for day in kind.days}), "day")
    days += f", {counted(len(kinds), 'kind')} of usage"
    sample = f"up to {bounds.sample_days} days of each kind"
    for name, compare, compared in (
        ("groups sum to the whole", _by_groups, f"{days}; by all dimensions at once on {sample}"),
        ("a filter selects its group", _by_filters, f"{days}; two values of every filter"),
        ("widths agree", _by_widths, f"{days}; by the minute on {sample}"),
        ("pages concatenate", _by_pages, f"{days}; windows that start and end anywhere"),
    ):
        differences = list(islice((words for kind in kinds for words in compare(kind)), DIFFERENCES_MAX))
        yield finding(name, differences, compared, [words for kind in kinds for words in kind.left_out])
        for kind in kinds:
            kind.left_out.clear()


def counted(number: int, noun: str) -> str:
    """`1 event`, `12,000 events`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def finding(name: str, wrong: Sequence[str], compared: str, left_out: Iterable[str] = ()) -> Finding:
    """Says what came of a check: what is `wrong`, or else what was compared; and what was `left_out`, and why."""
    days = list(dict.fromkeys(left_out))
    others = f" and {len(days) - DIFFERENCES_MAX:,} more" if len(days) > DIFFERENCES_MAX else ""
    more = f"; left out: {', '.join(days[:DIFFERENCES_MAX])}{others}" if days else ""
    return Finding(name, not wrong, ("; ".join(wrong) if wrong else compared) + more)


# --- what there is to compare ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of usage that a ledger has, and the days (their starts) on which it has some."""

    ledger: Ledger
    meter: Meter
    bounds: Bounds
    days: tuple[int, ...] = ()
    left_out: list[str] = field(default_factory=list)

    @property
    def sums(self) -> list[str]:
        """The measures whose values add up over time."""
        return [measure.name for measure in self.meter.reported if measure.adds == "sum"]

    @property
    def sample(self) -> list[int]:
        """Some of the days, evenly spread, the first and the last among them."""
        places = np.linspace(0, len(self.days) - 1, min(self.bounds.sample_days, len(self.days)))
        return [self.days[round(place)] for place in places.tolist()]

    def everywhere(self, compare: Compare) -> Iterator[str]:
        """Yields the differences that `compare` finds on all days, many at once, without days that have no usage."""
        days: list[int] = []
        for day in self.days:
            if days and day >= days[0] + DAYS_AT_ONCE_MAX * DAY:
                yield from self.on(days, compare)
                days = []
            days.append(day)
        yield from self.on(days, compare)

    def on(self, days: Sequence[int], compare: Compare) -> Iterator[str]:
        """Yields the differences that `compare` finds on `days`, in smaller parts if an answer is too large."""
        try:
            found = list(compare(days[0], days[-1] + DAY))
        except InvalidRequestError as error:
            if len(days) == 1:
                self.left_out.append(f"{self.meter.kind} on {iso(days[0])[:10]} ({error.code})")
                return
            middle = len(days) // 2
            yield from self.on(days[:middle], compare)
            yield from self.on(days[middle:], compare)
        else:
            yield from (f"{self.meter.kind} {words}" for words in found)

    def ask(
        self, start: int, end: int, width: str = "1d", *, filters: tuple[Filter, ...] = (), by: tuple[str, ...] = ()
    ) -> Aggregate:
        """The answer for a window in one page, however long."""
        return self.answer(self.query(start, end, width, filters=filters, by=by))

    def query(
        self, start: int, end: int, width: str, *, filters: tuple[Filter, ...] = (), by: tuple[str, ...] = ()
    ) -> Query:
        """The question for a window in one page."""
        return Query(
            meter=self.meter,
            start_time=start,
            end_time=end,
            open_ended=False,
            width=self.meter.width(width),
            filters=filters,
            group_by=by,
            limit=end - start,
            page_start=start,
        )

    def answer(self, query: Query) -> Aggregate:
        """The answer to one page."""
        return self.ledger.aggregate(query, max_seconds=QUERY_SECONDS, max_results=self.bounds.results_max)

    def totals(self, aggregate: Aggregate, seconds: int) -> Totals:
        """The measures of an answer added up by spans of `seconds`."""
        if not aggregate.starts:
            return {}
        starts = np.array(aggregate.starts, np.int64)
        spans, first = np.unique(starts - starts % seconds, return_index=True)
        columns = {m.name: _sums(aggregate.columns[m.name], first) for m in self.meter.reported}
        return {
            span: dict(zip(columns, values, strict=True))
            for span, *values in zip(spans.tolist(), *columns.values(), strict=True)
        }


def _sums(values: Sequence[int], first: Any) -> list[int]:
    """The exact sums of the stretches of `values` that begin at `first`."""
    fits = max(values) <= INT64_MAX // len(values)
    sums: list[int] = np.add.reduceat(np.array(values, np.int64 if fits else object), first).tolist()
    return sums


def _kinds_used(ledger: Ledger, bounds: Bounds) -> Iterator[Kind]:
    with ledger.snapshot() as snapshot:
        span = lookups.span(snapshot)
    if span is None:
        return
    first, last = floor(max(span[0], 0), DAY), min(span[1], LATEST_TIME)
    for meter in METERS:
        kind = Kind(ledger, meter, bounds)
        if days := tuple(_days_used(kind, first, floor(last, DAY) + DAY)):
            yield replace(kind, days=days)


def _days_used(kind: Kind, start: int, end: int) -> list[int]:
    """The days that have usage by the day or by the hour: the two need not agree here."""
    return sorted({floor(at, DAY) for width in ("1d", "1h") for at in _starts(kind, start, end, width)})


def _starts(kind: Kind, start: int, end: int, width: str) -> Iterator[int]:
    try:
        yield from kind.ask(start, end, width).starts
    except InvalidRequestError:  # too many of them, or it takes too long
        if end - start <= DAY:
            yield start
            return
        middle = floor((start + end) // 2, DAY)
        yield from _starts(kind, start, middle, width)
        yield from _starts(kind, middle, end, width)


# --- the comparisons ---------------------------------------------------------------------------------------------


def _by_groups(kind: Kind) -> Iterator[str]:
    names = tuple(dimension.name for dimension in kind.meter.groupings)
    for name in names:
        yield from kind.everywhere(partial(_groups_with_whole, kind, (name,)))
    for day in kind.sample:
        yield from kind.on([day], partial(_groups_with_whole, kind, names))


def _groups_with_whole(kind: Kind, by: tuple[str, ...], start: int, end: int) -> Iterator[str]:
    groups = kind.totals(kind.ask(start, end, by=by), DAY)
    whole = kind.totals(kind.ask(start, end), DAY)
    return _unequal((f"by {', '.join(by)}", groups), ("ungrouped", whole))


def _by_filters(kind: Kind) -> Iterator[str]:
    for dimension in kind.meter.filters:
        yield from kind.everywhere(partial(_filters_with_groups, kind, dimension.name))


def _filters_with_groups(kind: Kind, name: str, start: int, end: int) -> Iterator[str]:
    groups = kind.ask(start, end, by=(name,))
    values = list(dict.fromkeys(value for value in groups.columns.get(name, ()) if value is not None))
    for value in dict.fromkeys((*values[:1], *values[-1:])):
        places = [place for place, other in enumerate(groups.columns[name]) if other == value]
        group = Aggregate(
            [groups.starts[place] for place in places],
            {m.name: [groups.columns[m.name][place] for place in places] for m in kind.meter.reported},
        )
        chosen = kind.ask(start, end, filters=((name, (value,)),))
        yield from _unequal(
            (f"only {name} {value!r}", kind.totals(chosen, DAY)), ("the same group", kind.totals(group, DAY))
        )


def _by_widths(kind: Kind) -> Iterator[str]:
    yield from kind.everywhere(partial(_fine_with_coarse, kind, "1h", "1d"))
    for day in kind.sample:
        yield from kind.on([day], partial(_fine_with_coarse, kind, "1m", "1h"))


def _fine_with_coarse(kind: Kind, fine: str, coarse: str, start: int, end: int) -> Iterator[str]:
    narrow, wide = kind.ask(start, end, fine), kind.ask(start, end, coarse)
    seconds = kind.meter.width(coarse).seconds
    added, whole = kind.totals(narrow, seconds), kind.totals(wide, seconds)
    yield from _unequal((f"in buckets of {fine}", added), (f"of {coarse}", whole), kind.sums)
    # A size is at least what it is at any time, and at most the sizes at all times together.
    for name in {measure.name for measure in kind.meter.reported} - set(kind.sums):
        largest: dict[int, int] = {}
        for at, value in zip(narrow.starts, narrow.columns.get(name, ()), strict=True):
            largest[floor(at, seconds)] = max(largest.get(floor(at, seconds), 0), value)
        for at in sorted(whole.keys() | added.keys()):
            least, most = largest.get(at, 0), added.get(at, {}).get(name, 0)
            found = whole.get(at, {}).get(name, 0)
            if not least <= found <= most:
                yield f"{name} of {iso(at)}: {found} in a bucket of {coarse}, {least} to {most} in buckets of {fine}"


def _by_pages(kind: Kind) -> Iterator[str]:
    yield from kind.everywhere(partial(_pages_with_whole, kind))
    for day in kind.sample:
        yield from kind.on([day], partial(_parts_with_whole, kind))


def _pages_with_whole(kind: Kind, start: int, end: int) -> Iterator[str]:
    """A window that is cut into pages, its ends inside of an hour."""
    query = kind.query(start + 5 * HOUR + 61, end - 5 * HOUR - 61, "1d")
    paged: Totals = {}
    following: Query | None = replace(query, limit=1 + (end - start) // DAY // 4)
    while following:
        paged |= kind.totals(kind.answer(following), DAY)
        next_start = following.next_start
        following = None if next_start is None else replace(following, page_start=next_start)
    return _unequal(("in pages", paged), ("in one page", kind.totals(kind.answer(query), DAY)))


def _parts_with_whole(kind: Kind, start: int, end: int) -> Iterator[str]:
    """A day that is cut in two inside of a minute: every event has to be on one side."""
    cut = start + 12 * HOUR + 1837
    parts = [kind.totals(kind.ask(*window), EVER).get(0, {}) for window in ((start, cut), (cut, end))]
    both = {name: sum(part.get(name, 0) for part in parts) for name in kind.sums}
    whole = kind.totals(kind.ask(start, end), EVER)
    return _unequal(("in two parts", {0: both}), ("in one", whole), kind.sums)


def _unequal(one: tuple[str, Totals], other: tuple[str, Totals], names: Sequence[str] | None = None) -> Iterator[str]:
    """Every measure that differs between two answers, in words."""
    (called, left), (called_other, right) = one, other
    for at in sorted(left.keys() | right.keys()):
        values, others = left.get(at, {}), right.get(at, {})
        for name in names if names is not None else values or others:
            if values.get(name, 0) != others.get(name, 0):
                when = f" of {iso(at)}" if at else ""
                yield f"{name}{when}: {values.get(name, 0)} {called}, {others.get(name, 0)} {called_other}"
