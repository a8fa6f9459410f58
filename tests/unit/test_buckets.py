"""Windows and buckets, and the recorded answers that show how the official server cuts them."""

import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.model import local_date, next_day
from tests.support.strategies import Place, local_windows, places

from usageledger.buckets import (
    LATEST_LOCAL_TIME,
    LATEST_TIME,
    Bucket,
    Run,
    count_buckets,
    floor,
    iso,
    local_day,
    runs_of_days,
    split,
    split_days,
    widen,
    zones,
)

RECORDED = Path(__file__).parent.parent / "contract" / "data" / "recorded"
DAY = 86400

widths = st.sampled_from([60, 3600, DAY])
times = st.integers(0, 4 * DAY) | st.integers(0, LATEST_TIME)


@pytest.mark.parametrize(
    ("seconds", "width", "expected"),
    [(0, 60, 0), (59, 60, 0), (60, 60, 60), (61, 60, 60), (DAY - 1, DAY, 0), (DAY, DAY, DAY), (7199, 3600, 3600)],
)
def test_floor(seconds: int, width: int, expected: int) -> None:
    assert floor(seconds, width) == expected


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 0, 0),
        (5, 4, 0),
        (0, 1, 1),
        (0, 60, 1),
        (0, 61, 2),
        (59, 60, 1),
        (59, 61, 2),
        (60, 120, 1),
        (60, 121, 2),
        (1, 179, 3),
    ],
)
def test_count_buckets(start: int, end: int, expected: int) -> None:
    assert count_buckets(start, end, 60) == expected


def test_split_clamps_the_first_and_the_last_bucket() -> None:
    assert split(30, 150, 60, 10) == (Bucket(30, 60), Bucket(60, 120), Bucket(120, 150))


def test_split_of_a_window_inside_one_bucket() -> None:
    assert split(70, 80, 60, 10) == (Bucket(70, 80),)


def test_split_stops_at_the_limit_with_a_whole_bucket() -> None:
    assert split(30, 150, 60, 2) == (Bucket(30, 60), Bucket(60, 120))


def test_split_of_an_empty_window() -> None:
    assert split(60, 60, 60, 10) == ()
    assert split(61, 60, 60, 10) == ()


@given(times, st.integers(0, 400 * 60), st.sampled_from([60, 3600, DAY]))
def test_buckets_tile_the_window(start: int, length: int, width: int) -> None:
    end = start + length
    buckets = split(start, end, width, 10**9)
    assert len(buckets) == count_buckets(start, end, width)
    covered = [second for bucket in buckets for second in (bucket.start, bucket.end)]
    assert covered == sorted(covered)
    if length:
        assert (covered[0], covered[-1]) == (start, end)
    assert covered[1:-1:2] == covered[2::2]
    for bucket in buckets:
        assert bucket.start < bucket.end
        assert (bucket.end - 1) // width == bucket.start // width
    assert all(edge % width == 0 for edge in covered[1:-1])


@given(times, st.integers(1, 400 * 60), widths, st.integers(1, 50))
def test_pages_of_buckets_concatenate(start: int, length: int, width: int, limit: int) -> None:
    end = start + length
    pages: list[Bucket] = []
    at = start
    while at < end:
        page = split(at, end, width, limit)
        assert 1 <= len(page) <= limit
        pages += page
        at = page[-1].end
    assert tuple(pages) == split(start, end, width, 10**9)


@given(st.integers(0, LATEST_TIME))
def test_iso_is_utc_to_the_second_with_its_offset(seconds: int) -> None:
    text = iso(seconds)
    assert len(text) == len("2026-06-06T00:00:00+00:00")
    assert text.endswith("+00:00")
    assert datetime.fromisoformat(text).timestamp() == seconds


def test_iso_writes_what_the_api_writes() -> None:
    recorded = json.loads((RECORDED / "costs_live_2026-06.json").read_text())["empty"]["data"]
    for bucket in recorded:
        assert iso(bucket["start_time"]) == bucket["start_time_iso"]
        assert iso(bucket["end_time"]) == bucket["end_time_iso"]


def test_latest_time_is_the_last_second_that_can_be_written() -> None:
    assert iso(LATEST_TIME) == "9999-12-31T23:59:59+00:00"
    assert datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp() == LATEST_TIME
    with pytest.raises(ValueError, match="year"):
        iso(LATEST_TIME + 1)


def test_recorded_usage_shows_clamped_buckets() -> None:
    """A real answer to a window with unaligned ends, all pages of it: our buckets are the same."""
    recorded = json.loads((RECORDED / "cookbook_usage_completions_2025-02-10.json").read_text())["data"]
    buckets = [Bucket(bucket["start_time"], bucket["end_time"]) for bucket in recorded]
    assert buckets[0].start % DAY
    assert buckets[-1].end % DAY
    assert list(split(buckets[0].start, buckets[-1].end, DAY, 1000)) == buckets


def test_recorded_costs_show_whole_days() -> None:
    recorded = json.loads((RECORDED / "cookbook_costs_2025-02-10.json").read_text())["data"]
    buckets = [Bucket(bucket["start_time"], bucket["end_time"]) for bucket in recorded]
    assert list(split(buckets[0].start, buckets[-1].end, DAY, 1000)) == buckets
    assert all(bucket.end - bucket.start == DAY for bucket in buckets)


# --- days of a time zone -----------------------------------------------------------------------------------------


def shown(zone: str, start: str, end: str) -> list[str]:
    """Where the days of a window start, and where the last one ends, as read off a clock there."""
    first, last = (int(datetime.fromisoformat(text).timestamp()) for text in (start, end))
    days = split_days(first, last, zone, 100)
    return [iso(at, zone) for at in (*(day.start for day in days), days[-1].end)]


def hours(day: str, zone: str) -> float:
    """How long the day is that this time is on."""
    found = local_day(int(datetime.fromisoformat(day).timestamp()), zone)
    return (found.end - found.start) / 3600


@pytest.mark.parametrize(
    ("zone", "noon", "expected"),
    [
        ("Europe/Berlin", "2026-03-28T12:00:00+01:00", 24),
        ("Europe/Berlin", "2026-03-29T12:00:00+02:00", 23),
        ("Europe/Berlin", "2026-10-25T12:00:00+01:00", 25),
        ("America/New_York", "2026-03-08T12:00:00-04:00", 23),
        ("Australia/Lord_Howe", "2025-10-05T12:00:00+11:00", 23.5),
        ("Australia/Lord_Howe", "2026-04-05T12:00:00+10:30", 24.5),
        ("Asia/Kathmandu", "1986-01-01T12:00:00+05:45", 23.75),
        ("Asia/Kathmandu", "2026-01-01T12:00:00+05:45", 24),
        ("Asia/Pyongyang", "2018-05-04T12:00:00+08:30", 23.5),
        ("Africa/Monrovia", "1972-01-07T12:00:00+00:00", 23 + (15 * 60 + 30) / 3600),
        ("Antarctica/Troll", "2026-03-29T12:00:00+02:00", 22),
        ("Antarctica/Casey", "2010-03-04T12:00:00+11:00", 24),
        ("Antarctica/Casey", "2010-03-05T12:00:00+08:00", 27),
        ("Antarctica/Vostok", "1994-01-31T12:00:00+07:00", 31),
        ("America/Toronto", "1919-03-30T12:00:00-05:00", 23.5),  # from 23:30 on to 0:30
        ("America/Toronto", "1919-03-31T12:00:00-04:00", 23.5),
    ],
)
def test_a_day_is_as_long_as_it_is(zone: str, noon: str, expected: float) -> None:
    assert hours(noon, zone) == pytest.approx(expected, rel=1e-12)


def test_a_day_that_is_skipped_is_no_day() -> None:
    assert shown("Pacific/Apia", "2011-12-28T12:00:00-10:00", "2012-01-01T12:00:00+14:00") == [
        "2011-12-28T12:00:00-10:00",
        "2011-12-29T00:00:00-10:00",
        "2011-12-31T00:00:00+14:00",
        "2012-01-01T00:00:00+14:00",
        "2012-01-01T12:00:00+14:00",
    ]


def test_a_day_without_a_midnight_starts_when_clocks_go_on() -> None:
    assert shown("America/Sao_Paulo", "2018-11-03T00:00:00-03:00", "2018-11-05T00:00:00-02:00") == [
        "2018-11-03T00:00:00-03:00",
        "2018-11-04T01:00:00-02:00",
        "2018-11-05T00:00:00-02:00",
    ]


def test_a_day_with_two_midnights_starts_at_the_first() -> None:
    """A minute past midnight clocks went back by an hour: to the day before, which did not begin anew."""
    assert shown("America/St_Johns", "2006-10-28T00:00:00-02:30", "2006-10-30T00:00:00-03:30") == [
        "2006-10-28T00:00:00-02:30",
        "2006-10-29T00:00:00-02:30",
        "2006-10-30T00:00:00-03:30",
    ]
    half_past_eleven = int(datetime.fromisoformat("2006-10-28T23:30:00-03:30").timestamp())
    assert iso(local_day(half_past_eleven, "America/St_Johns").start, "America/St_Johns") == "2006-10-29T00:00:00-02:30"


def test_an_offset_with_seconds_is_written_as_the_nearest_without() -> None:
    """The instant stays: RFC 3339 has no seconds in an offset."""
    noon = 43_200 + 44 * 60 + 30
    assert iso(noon, "Africa/Monrovia") == "1970-01-01T12:00:30-00:44"
    assert datetime.fromisoformat(iso(noon, "Africa/Monrovia")).timestamp() == noon


@given(st.sampled_from(sorted(zones().values())), st.integers(0, 2**32) | st.integers(0, LATEST_LOCAL_TIME))
def test_the_day_of_any_time_in_any_zone(zone: str, at: int) -> None:
    day = local_day(at, zone)
    assert day.start <= at < day.end
    assert local_date(day.start, zone) == local_date(at, zone) == local_date(day.end - 1, zone)
    assert local_date(day.start - 1, zone) < local_date(at, zone) < local_date(day.end, zone)
    assert datetime.fromisoformat(iso(at, zone)).timestamp() == at


@given(places, st.data())
def test_days_around_a_change_tile_the_window(place: Place, data: st.DataObject) -> None:
    start, end = data.draw(local_windows(place))
    days = split_days(start, end, place.zone, 100)
    assert (days[0].start, days[-1].end) == (start, end)
    for day, following in pairwise(days):
        assert day.end == following.start == next_day(day.start, place.zone)
    limit = data.draw(st.integers(1, 5))
    pages: list[Bucket] = []
    while (at := pages[-1].end if pages else start) < end:
        pages += split_days(at, end, place.zone, limit)
    assert tuple(pages) == days


@given(places, st.data())
def test_a_widened_window_holds_whole_days(place: Place, data: st.DataObject) -> None:
    start, end = data.draw(local_windows(place))
    first, last = widen(start, end, DAY, place.zone)
    assert first <= start < end <= last
    assert local_day(first, place.zone).start == first
    assert local_day(last, place.zone).start == last
    assert len(split_days(first, last, place.zone, 100)) == len(split_days(start, end, place.zone, 100))


@given(places, st.data())
def test_a_window_is_widened_to_hours_since_midnight(place: Place, data: st.DataObject) -> None:
    start, end = data.draw(local_windows(place))
    first, last = widen(start, end, 3600, place.zone)
    assert start - 3600 < first <= start < end <= last < end + 3600
    for at in (first, last):
        day = local_day(at, place.zone)
        assert (at - day.start) % 3600 == 0
    days = widen(start, end, DAY, place.zone)
    assert widen(*days, 3600, place.zone) == days


def test_a_widened_window_stays_within_the_times_that_there_are() -> None:
    assert widen(0, 1, DAY, "Europe/Berlin") == (0, DAY - 3600)
    assert widen(LATEST_TIME - 1, LATEST_TIME, DAY) == (LATEST_TIME + 1 - DAY, LATEST_TIME)
    for zone in ("Etc/GMT-14", "Etc/GMT+12"):
        last = widen(LATEST_LOCAL_TIME - 1, LATEST_LOCAL_TIME, DAY, zone)[1]
        assert LATEST_LOCAL_TIME <= last <= LATEST_TIME
        assert iso(last, zone)


def test_days_of_equal_length_are_a_run() -> None:
    midnight = 1_774_738_800  # 2026-03-29T00:00:00+01:00, the start of a day of 23 hours
    days = split_days(midnight - 2 * DAY + 60, midnight + 3 * DAY, "Europe/Berlin", 100)
    after = midnight + DAY - 3600
    assert runs_of_days(days, "Europe/Berlin") == (
        Run(midnight - 2 * DAY, DAY, midnight - 2 * DAY + 60, midnight),
        Run(midnight, DAY - 3600, midnight, after),
        Run(after, DAY, after, midnight + 3 * DAY),
    )
    assert runs_of_days((), "Europe/Berlin") == ()


def test_names_are_those_of_the_database() -> None:
    assert zones()["europe/berlin"] == "Europe/Berlin"
    assert {"UTC", "America/Argentina/Buenos_Aires", "Asia/Katmandu"} <= set(zones().values())
    assert len(zones()) > 500
    assert not {name for name in zones() if name.startswith(("posix", "right", "local", "/", "."))}
    assert all(iso(0, name) for name in zones().values())
