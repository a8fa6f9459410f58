"""What a query reads: the coarsest sums that fit, finer ones at the edges, events where nothing else will do."""

from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.model import WIDTHS, next_day
from tests.support.samples import DAY, ask
from tests.support.strategies import (
    END,
    START,
    Place,
    filters,
    groupings,
    local_windows,
    meters,
    most_buckets,
    parameters,
    places,
    windows,
)

from usageledger.buckets import Run
from usageledger.errors import InvalidRequestError
from usageledger.ledger.schema import EVER, FAMILIES
from usageledger.ledger.statements.dialect import DUCKDB
from usageledger.ledger.statements.usage_sums import Coverage, Held, Source, aggregate, sources
from usageledger.meter import Meter
from usageledger.meters import METERS
from usageledger.questions.query import Query

HOUR, QUARTER, MINUTE = 3600, 900, 60
FAMILY = {rollup.table: family for family in FAMILIES for rollup in family.rollups}
SECONDS = {rollup.table: rollup.seconds for family in FAMILIES for rollup in family.rollups} | {"events": 1}
MODELS, KEYS = 7, 5  # the last commits that the families hold
ALL = Coverage({"models": Held(MODELS, EVER), "keys": Held(KEYS, EVER)})


def read(width: str, start: int, end: int, coverage: Coverage = ALL, **parameters: object) -> list[Source]:
    return sources_of(
        ask("completions", START + start, START + end, width, limit=most_buckets(width), **parameters), coverage
    )


def sources_of(query: Query, coverage: Coverage = ALL) -> list[Source]:
    """What is read for all of a page."""
    return [source for run in query.runs for source in sources(query, run, coverage)]


def source(table: str, start: int, end: int, after: int | None = None) -> Source:
    return Source(table, START + start, START + end, after)


def test_whole_days_come_from_the_sums_of_days() -> None:
    assert read("1d", 0, 3 * DAY) == [source("rollup_1d", 0, 3 * DAY), source("events", 0, 3 * DAY, MODELS)]


def test_the_edges_come_from_finer_sums() -> None:
    assert read("1d", HOUR - QUARTER, 3 * DAY - HOUR) == [
        source("rollup_1d", DAY, 2 * DAY),
        source("rollup_1h", HOUR, DAY),
        source("rollup_15m", HOUR - QUARTER, HOUR),
        source("rollup_1h", 2 * DAY, 3 * DAY - HOUR),
        source("events", HOUR - QUARTER, 3 * DAY - HOUR, MODELS),
    ]


def test_minutes_at_the_edges_come_from_events() -> None:
    assert read("1d", 1, 2 * DAY - 1) == [
        source("rollup_1h", HOUR, 2 * DAY - HOUR),
        source("rollup_15m", QUARTER, HOUR),
        source("events", 1, QUARTER),
        source("rollup_15m", 2 * DAY - HOUR, 2 * DAY - QUARTER),
        source("events", 2 * DAY - QUARTER, 2 * DAY - 1),
        source("events", QUARTER, 2 * DAY - QUARTER, MODELS),
    ]


def test_a_window_inside_an_hour() -> None:
    assert read("1d", QUARTER, HOUR) == [source("rollup_15m", QUARTER, HOUR), source("events", QUARTER, HOUR, MODELS)]
    assert read("1d", HOUR + 1, HOUR + 2) == [source("events", HOUR + 1, HOUR + 2)]
    assert read("1d", HOUR - 1, HOUR + 1) == [source("events", HOUR - 1, HOUR + 1)]


def test_hours_do_not_read_days_and_minutes_read_events() -> None:
    assert read("1h", 0, DAY) == [source("rollup_1h", 0, DAY), source("events", 0, DAY, MODELS)]
    assert read("1h", 5, QUARTER) == [source("events", 5, QUARTER)]
    assert read("1m", 0, 1800) == [source("events", 0, 1800)]


BY_KEY: list[dict[str, Any]] = [{"group_by": ["user_id"]}, {"group_by": ["api_key_id", "model"]}, {"user_ids": ["u"]}]


@pytest.mark.parametrize("chosen", BY_KEY)
def test_users_and_keys_have_sums_of_days(chosen: dict[str, Any]) -> None:
    assert read("1d", HOUR, 3 * DAY, **chosen) == [
        source("rollup_keys_1d", DAY, 3 * DAY),
        source("events", HOUR, DAY),
        source("events", DAY, 3 * DAY, KEYS),
    ]
    assert read("1h", 0, DAY, **chosen) == [source("events", 0, DAY)]


def test_what_a_family_does_not_hold_yet_comes_from_another_one_or_from_events() -> None:
    half = Coverage({"models": Held(MODELS, START + DAY), "keys": Held(KEYS, START + 2 * DAY)})
    assert read("1d", 0, 3 * DAY, half) == [
        source("rollup_1d", 0, DAY),
        source("rollup_keys_1d", DAY, 2 * DAY),
        source("events", 2 * DAY, 3 * DAY),
        source("events", DAY, 2 * DAY, KEYS),
        source("events", 0, DAY, MODELS),
    ]
    nothing = Coverage({"models": Held(0, 0), "keys": Held(0, 0)})
    assert read("1d", 0, 3 * DAY, nothing) == [source("events", 0, 3 * DAY)]


# --- dropped events ----------------------------------------------------------------------------------------------

DROPPED = Coverage(ALL.held, events_from=START + 10 * DAY)


def test_sums_of_dropped_events_are_read() -> None:
    asked: list[tuple[str, int, dict[str, Any]]] = [("1d", QUARTER, {}), ("1h", HOUR, {})]
    for width, start, chosen in (*asked, *(("1d", 0, chosen) for chosen in BY_KEY)):
        assert read(width, start, DAY, DROPPED, **chosen) == read(width, start, DAY, **chosen)


@pytest.mark.parametrize(
    ("width", "start", "end", "chosen"),
    [
        ("1m", 0, DAY, {}),
        ("1m", 10 * DAY - MINUTE, 10 * DAY + MINUTE, {}),
        ("1d", 1, DAY, {}),
        ("1d", 0, DAY - 1, {}),
        ("1h", 0, DAY, BY_KEY[0]),
        ("1d", HOUR, DAY, BY_KEY[0]),
    ],
)
def test_what_only_dropped_events_could_tell_is_refused(
    width: str, start: int, end: int, chosen: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequestError, match=r"^The events before \d+ \(2026-.*were dropped") as caught:
        read(width, start, end, DROPPED, **chosen)
    assert caught.value.code == "events_dropped"


def test_what_comes_after_dropped_events_is_read_as_ever() -> None:
    assert read("1m", 10 * DAY, 10 * DAY + MINUTE, DROPPED) == [source("events", 10 * DAY, 10 * DAY + MINUTE)]


# --- days of a time zone ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        # Whole hours from UTC: hours, on the day of 23 hours too, which is a run of its own.
        ("Europe/Berlin", "2026-03-29", [("rollup_1h", 24), ("rollup_1h", 23), ("rollup_1h", 24)]),
        # Days are those of UTC until the clocks change.
        ("Europe/London", "2026-03-29", [("rollup_1d", 24), ("rollup_1h", 23), ("rollup_1h", 24)]),
        # An offset of 10:30 hours from UTC at first, of 11 hours afterwards.
        ("Australia/Lord_Howe", "2025-10-05", [("rollup_15m", 24), ("rollup_15m", 23.5), ("rollup_1h", 24)]),
        ("Asia/Kathmandu", "2026-03-29", [("rollup_15m", 72)]),
    ],
)
def test_days_of_a_time_zone_come_from_sums_whose_spans_fit(
    zone: str, day: str, expected: list[tuple[str, float]]
) -> None:
    changing = int(datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).timestamp())
    window = (changing - DAY, next_day(next_day(changing, zone), zone))
    found = sources_of(ask("completions", *window, timezone=zone))
    sums = [s for s in found if s.after is None]
    assert [(s.table, (s.end - s.start) / HOUR) for s in sums] == expected
    assert [(s.start, s.end) for s in found if s.after == MODELS] == [(s.start, s.end) for s in sums]


def test_utc_by_its_name_is_asked_as_utc_is() -> None:
    window = (START + 61, END - 61)
    assert aggregate(ask("images", *window, timezone="UTC"), ALL, 9, DUCKDB) == aggregate(
        ask("images", *window), ALL, 9, DUCKDB
    )


# --- any question ------------------------------------------------------------------------------------------------


def test_a_page_reads_its_own_span_only() -> None:
    query = ask("completions", START + 5, START + 20 * DAY, "1d", limit=2)
    assert max(s.end for s in sources_of(query)) == START + 2 * DAY


@st.composite
def coverages(draw: st.DrawFn) -> Coverage:
    days = st.integers(-1, 40).map(lambda day: START + day * DAY) | st.just(EVER)
    return Coverage({family.name: Held(draw(st.integers(0, 9)), draw(days)) for family in FAMILIES})


@given(meters, coverages(), st.data())
def test_sources_cover_the_window_once(meter: Meter, coverage: Coverage, data: st.DataObject) -> None:
    """Every instant is read from exactly one place, spans are whole, and no place lacks what is asked for."""
    width = data.draw(st.sampled_from(sorted(WIDTHS)))
    window = data.draw(windows(width, buckets=31))
    chosen = data.draw(filters(meter))
    group_by = data.draw(groupings(meter))
    query = ask(meter.kind, *window, width, group_by=group_by, limit=most_buckets(width), **parameters(chosen))
    covered_once(query, coverage, {*group_by, *chosen})


@given(meters, places, coverages(), st.data())
def test_sources_cover_days_of_a_time_zone_once(
    meter: Meter, place: Place, coverage: Coverage, data: st.DataObject
) -> None:
    window = data.draw(local_windows(place))
    group_by = data.draw(groupings(meter))
    query = ask(meter.kind, *window, group_by=group_by, limit=31, timezone=place.zone)
    covered_once(query, coverage, {*group_by})
    for run in query.runs:
        inside = [bucket for bucket in query.buckets if run.start <= bucket.start < run.end]
        for at in (second for bucket in inside for second in (bucket.start, bucket.end - 1)):
            start = at - (at - run.origin) % run.width
            assert start in {query.whole_start(bucket) for bucket in inside if bucket.start <= at < bucket.end}


def covered_once(query: Query, coverage: Coverage, asked: set[str]) -> None:
    for run in query.runs:
        covered_by(sources(query, run, coverage), run, coverage, asked)
    edges = [edge for run in query.runs for edge in (run.start, run.end)]
    assert (edges[0], edges[-1]) == (query.buckets[0].start, query.buckets[-1].end)
    assert edges[1:-1:2] == edges[2::2]


def covered_by(found: list[Source], run: Run, coverage: Coverage, asked: set[str]) -> None:
    assert spans([s for s in found if s.after is None]) == [(run.start, run.end)]
    for each in found:
        assert each.start < each.end
        assert each.start % SECONDS[each.table] == each.end % SECONDS[each.table] == 0
        if each.table != "events":
            assert asked <= set(FAMILY[each.table].dimensions)
            assert run.width % SECONDS[each.table] == run.origin % SECONDS[each.table] == 0
            assert each.end <= coverage.held[FAMILY[each.table].name].until
    # Wherever sums are read, what later commits brought is read too, once.
    for family in FAMILIES:
        held = coverage.held[family.name].covered
        if [f for f in FAMILIES if coverage.held[f.name].covered == held] == [family]:
            sums = spans([s for s in found if FAMILY.get(s.table) == family])
            assert sums == [(s.start, s.end) for s in sorted(found, key=lambda s: s.start) if s.after == held]


def spans(sources: list[Source]) -> list[tuple[int, int]]:
    """The spans of sources, which do not overlap, made one where they touch."""
    found: list[tuple[int, int]] = []
    for each in sorted(sources, key=lambda s: s.start):
        if found and found[-1][1] == each.start:
            found[-1] = found[-1][0], each.end
        else:
            assert not found or found[-1][1] < each.start
            found.append((each.start, each.end))
    return found


@given(meters, st.data())
def test_every_value_of_a_request_is_bound(meter: Meter, data: st.DataObject) -> None:
    width = data.draw(st.sampled_from(sorted(WIDTHS)))
    window = data.draw(windows(width, buckets=31))
    chosen = {
        d.name: ["it's; DROP TABLE events --"] for d in meter.filters if not d.values and not d.flag and d.on_wire
    }
    query = ask(meter.kind, *window, width, limit=most_buckets(width), **parameters(chosen))
    found = aggregate(query, ALL, 10, DUCKDB)
    assert found
    statement, arguments = found.text, found.arguments
    assert "DROP" not in statement
    assert statement.count("?") == len(arguments)
    assert arguments.count("it's; DROP TABLE events --") == len(chosen) * len(sources_of(query))
    assert arguments.count(meter.kind) == len(sources_of(query))


def test_an_empty_window_reads_nothing() -> None:
    query = ask("completions", END, END + 1)
    empty = Query(**{name: getattr(query, name) for name in query.__slots__} | {"page_start": END + 1})
    assert (sources_of(empty), aggregate(empty, ALL, 10, DUCKDB)) == ([], None)


def test_the_families_tell_apart_what_they_should() -> None:
    every = {d.name for m in METERS for d in m.dimensions}
    assert {f.name: set(f.dimensions) for f in FAMILIES} == {"models": every - {"user_id", "api_key_id"}, "keys": every}
    for family in FAMILIES:
        seconds = [rollup.seconds for rollup in family.rollups]
        assert seconds == sorted(seconds, reverse=True)
        assert all(coarse % fine == 0 for coarse, fine in pairwise(seconds))
