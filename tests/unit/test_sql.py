"""What a query reads: the coarsest sums that fit, finer ones at the edges, events where nothing else will do."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.events_strategy import (
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
from tests.model import WIDTHS, next_day
from tests.samples import DAY, ask

from usageledger.buckets import Run
from usageledger.ledger.schema import DELTAS, ROLLUP_DIMENSIONS, ROLLUPS
from usageledger.ledger.sql import Source, aggregate, sources
from usageledger.meters import METERS, Meter
from usageledger.query import Query

HOUR = 3600
SECONDS = {rollup.table: rollup.seconds for rollup in (*ROLLUPS, DELTAS)} | {"events": 1}


def read(width: str, start: int, end: int, **parameters: object) -> list[Source]:
    return sources_of(ask("completions", START + start, START + end, width, limit=most_buckets(width), **parameters))


def sources_of(query: Query) -> list[Source]:
    """What is read for all of a page."""
    return [source for run in query.runs for source in sources(query, run)]


def source(table: str, start: int, end: int) -> Source:
    return Source(table, START + start, START + end)


def test_whole_days_come_from_the_sums_of_days() -> None:
    assert read("1d", 0, 3 * DAY) == [source("rollup_1d", 0, 3 * DAY), source("deltas", 0, 3 * DAY)]


def test_hours_at_the_edges_come_from_the_sums_of_hours() -> None:
    assert read("1d", HOUR, 3 * DAY - HOUR) == [
        source("rollup_1d", DAY, 2 * DAY),
        source("rollup_1h", HOUR, DAY),
        source("rollup_1h", 2 * DAY, 3 * DAY - HOUR),
        source("deltas", HOUR, 3 * DAY - HOUR),
    ]


def test_minutes_at_the_edges_come_from_events() -> None:
    assert read("1d", 1, 3 * DAY - 1) == [
        source("rollup_1d", DAY, 2 * DAY),
        source("rollup_1h", HOUR, DAY),
        source("events", 1, HOUR),
        source("rollup_1h", 2 * DAY, 3 * DAY - HOUR),
        source("events", 3 * DAY - HOUR, 3 * DAY - 1),
        source("deltas", HOUR, 3 * DAY - HOUR),
    ]


def test_a_window_inside_a_day_or_an_hour() -> None:
    assert read("1d", HOUR, 3 * HOUR) == [source("rollup_1h", HOUR, 3 * HOUR), source("deltas", HOUR, 3 * HOUR)]
    assert read("1d", HOUR + 1, HOUR + 2) == [source("events", HOUR + 1, HOUR + 2)]
    assert read("1d", HOUR - 1, HOUR + 1) == [source("events", HOUR - 1, HOUR + 1)]


def test_hours_do_not_read_days_and_minutes_read_events() -> None:
    assert read("1h", 0, DAY) == [source("rollup_1h", 0, DAY), source("deltas", 0, DAY)]
    assert read("1h", 5, HOUR) == [source("events", 5, HOUR)]
    assert read("1m", 0, 1800) == [source("events", 0, 1800)]


@pytest.mark.parametrize(
    "chosen", [{"group_by": ["user_id"]}, {"group_by": ["api_key_id", "model"]}, {"user_ids": ["u"]}]
)
def test_what_the_sums_do_not_tell_apart_comes_from_events(chosen: dict[str, object]) -> None:
    assert read("1d", 0, 3 * DAY, **chosen) == [source("events", 0, 3 * DAY)]


def test_a_page_reads_its_own_span_only() -> None:
    query = ask("completions", START + 5, START + 20 * DAY, "1d", limit=2)
    assert {s.end for s in sources_of(query)} <= {START + DAY, START + 2 * DAY, START + HOUR}
    assert max(s.end for s in sources_of(query)) == START + 2 * DAY


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        # Whole hours from UTC: hours, on the day of 23 hours too, which is a run of its own.
        ("Europe/Berlin", "2026-03-29", [("rollup_1h", 24), ("rollup_1h", 23), ("rollup_1h", 24)]),
        # Days are those of UTC until the clocks change.
        ("Europe/London", "2026-03-29", [("rollup_1d", 24), ("rollup_1h", 23), ("rollup_1h", 24)]),
        # An offset of 10:30 hours from UTC at first, of 11 hours afterwards.
        ("Australia/Lord_Howe", "2025-10-05", [("events", 24), ("events", 23.5), ("rollup_1h", 24)]),
        ("Asia/Kathmandu", "2026-03-29", [("events", 72)]),
    ],
)
def test_days_of_a_time_zone_come_from_sums_whose_spans_fit(
    zone: str, day: str, expected: list[tuple[str, float]]
) -> None:
    changing = int(datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).timestamp())
    window = (changing - DAY, next_day(next_day(changing, zone), zone))
    found = sources_of(ask("completions", *window, timezone=zone))
    assert [(s.table, (s.end - s.start) / HOUR) for s in found if s.table != DELTAS.table] == expected
    deltas = [(s.start, s.end) for s in found if s.table == DELTAS.table]
    assert deltas == [(s.start, s.end) for s in found if s.table in SECONDS.keys() - {DELTAS.table, "events"}]


def test_utc_by_its_name_is_asked_as_utc_is() -> None:
    window = (START + 61, END - 61)
    assert aggregate(ask("images", *window, timezone="UTC"), 9) == aggregate(ask("images", *window), 9)


@given(meters, st.data())
def test_sources_cover_the_window_once(meter: Meter, data: st.DataObject) -> None:
    """Every instant is read from exactly one place, spans are whole, and no place lacks what is asked for."""
    width = data.draw(st.sampled_from(sorted(WIDTHS)))
    window = data.draw(windows(width, buckets=31))
    chosen = data.draw(filters(meter))
    group_by = data.draw(groupings(meter))
    query = ask(meter.kind, *window, width, group_by=group_by, limit=most_buckets(width), **parameters(chosen))
    covered_once(query, {*group_by, *chosen})


@given(meters, places, st.data())
def test_sources_cover_days_of_a_time_zone_once(meter: Meter, place: Place, data: st.DataObject) -> None:
    window = data.draw(local_windows(place))
    group_by = data.draw(groupings(meter))
    query = ask(meter.kind, *window, group_by=group_by, limit=31, timezone=place.zone)
    covered_once(query, {*group_by})
    for run in query.runs:
        inside = [bucket for bucket in query.buckets if run.start <= bucket.start < run.end]
        for at in (second for bucket in inside for second in (bucket.start, bucket.end - 1)):
            start = at - (at - run.origin) % run.width
            assert start in {query.whole_start(bucket) for bucket in inside if bucket.start <= at < bucket.end}


def covered_once(query: Query, asked: set[str]) -> None:
    for run in query.runs:
        covered_by(sources(query, run), run, asked)
    edges = [edge for run in query.runs for edge in (run.start, run.end)]
    assert (edges[0], edges[-1]) == (query.buckets[0].start, query.buckets[-1].end)
    assert edges[1:-1:2] == edges[2::2]


def covered_by(found: list[Source], run: Run, asked: set[str]) -> None:
    kept = sorted((s for s in found if s.table != DELTAS.table), key=lambda s: s.start)
    edges = [edge for each in kept for edge in (each.start, each.end)]
    assert (edges[0], edges[-1]) == (run.start, run.end)
    assert edges == sorted(edges)
    assert edges[1:-1:2] == edges[2::2]
    for each in found:
        assert each.start < each.end
        assert each.start % SECONDS[each.table] == each.end % SECONDS[each.table] == 0
        if each.table != "events":
            assert asked <= set(ROLLUP_DIMENSIONS)
            assert run.width % SECONDS[each.table] == run.origin % SECONDS[each.table] == 0
    # What is still on its way to the rollups is read wherever they are.
    sums = [s for s in kept if s.table != "events"]
    deltas = [(s.start, s.end) for s in found if s.table == DELTAS.table]
    assert deltas == ([(min(s.start for s in sums), max(s.end for s in sums))] if sums else [])


@given(meters, st.data())
def test_every_value_of_a_request_is_bound(meter: Meter, data: st.DataObject) -> None:
    width = data.draw(st.sampled_from(sorted(WIDTHS)))
    window = data.draw(windows(width, buckets=31))
    chosen = {
        d.name: ["it's; DROP TABLE events --"] for d in meter.filters if not d.values and not d.flag and d.on_wire
    }
    query = ask(meter.kind, *window, width, limit=most_buckets(width), **parameters(chosen))
    found = aggregate(query, 10)
    assert found
    statement, arguments = found
    assert "DROP" not in statement
    assert statement.count("?") == len(arguments)
    assert arguments.count("it's; DROP TABLE events --") == len(chosen) * len(sources_of(query))
    assert arguments.count(meter.kind) == len(sources_of(query))


def test_an_empty_window_reads_nothing() -> None:
    query = ask("completions", END, END + 1)
    empty = type(query)(**{name: getattr(query, name) for name in query.__slots__} | {"page_start": END + 1})
    assert (sources_of(empty), aggregate(empty, 10)) == ([], None)


def test_there_are_no_sums_by_user_or_key() -> None:
    assert set(ROLLUP_DIMENSIONS) == {d.name for m in METERS for d in m.dimensions} - {"user_id", "api_key_id"}
