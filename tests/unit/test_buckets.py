"""Windows and buckets, and the recorded answers that show how the official server cuts them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usageledger.buckets import LATEST_TIME, Bucket, count_buckets, floor, iso, split

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
