"""Times as people write them."""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usageledger.cli.terminal.output import CommandError
from usageledger.cli.terminal.times import parse_moment

NOW = int(datetime(2026, 11, 25, 10, 20, 30, tzinfo=UTC).timestamp())
BERLIN = ZoneInfo("Europe/Berlin")


def read(text: str, zone: tzinfo = UTC, now: int = NOW) -> datetime:
    return datetime.fromtimestamp(parse_moment("--start", text, zone=zone, now=now), UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2026-11-25T10:20:30"),
        ("today", "2026-11-25T00:00:00"),
        ("yesterday", "2026-11-24T00:00:00"),
        ("7d", "2026-11-18T00:00:00"),
        ("2w", "2026-11-11T00:00:00"),
        ("12h", "2026-11-24T22:00:00"),
        ("90m", "2026-11-25T08:50:00"),
        ("2026-11", "2026-11-01T00:00:00"),
        ("2026", "2026-01-01T00:00:00"),
        ("this-month", "2026-11-01T00:00:00"),
        ("last-month", "2026-10-01T00:00:00"),
        ("2026-11-03", "2026-11-03T00:00:00"),
        ("20261103", "2026-11-03T00:00:00"),
        ("2026-11-03T09:30", "2026-11-03T09:30:00"),
        (" 2026-11-03 09:30:15 ", "2026-11-03T09:30:15"),
        ("2026-11-03T09:30+02:00", "2026-11-03T07:30:00"),
        ("2026-11-03T09:30Z", "2026-11-03T09:30:00"),
        ("1730419200", "2024-11-01T00:00:00"),
        ("730419200", "1993-02-22T22:13:20"),
    ],
)
def test_forms(text: str, expected: str) -> None:
    assert read(text).replace(tzinfo=None).isoformat() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("today", "2026-11-24T23:00:00"),
        ("2026-07-01", "2026-06-30T22:00:00"),
        ("2026-11-03T09:30", "2026-11-03T08:30:00"),
        ("2026-11-03T09:30Z", "2026-11-03T09:30:00"),
        ("60d", "2026-09-25T22:00:00"),  # a midnight of summer time
        ("last-month", "2026-09-30T22:00:00"),
        ("2026", "2025-12-31T23:00:00"),
        ("12h", "2026-11-24T22:00:00"),
    ],
)
def test_days_are_those_of_the_zone(text: str, expected: str) -> None:
    assert read(text, BERLIN).replace(tzinfo=None).isoformat() == expected


@given(st.integers(0, 4_000_000_000), st.integers(1, 3000), st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]))
def test_so_many_days_ago_is_a_midnight(now: int, days: int, name: str) -> None:
    zone = ZoneInfo(name)
    today = datetime.fromtimestamp(now, zone).date()
    if (today - timedelta(days=days)).year < 1971:
        return
    found = read(f"{days}d", zone, now).astimezone(zone)
    assert found.date() == today - timedelta(days=days)
    assert (found.hour, found.minute, found.second) == (0, 0, 0)


@given(st.integers(10**8, 253_402_300_799))
def test_seconds_stand_for_themselves(seconds: int) -> None:
    assert parse_moment("--end", str(seconds), zone=BERLIN, now=NOW) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "7",
        "0d",
        "-7d",
        "7 d",
        "7y",
        "9999999d",
        "202",
        "20261",
        "2026-13",
        "2026-02-30",
        "1e9",
        "253402300800",
    ],
)
def test_anything_else_is_named(text: str) -> None:
    with pytest.raises(CommandError, match=r"--start: expected a time such as 7d, .* got ") as caught:
        read(text)
    assert repr(text) in str(caught.value)
    assert caught.value.exit_code == 2


def test_milliseconds_are_guessed_at() -> None:
    with pytest.raises(CommandError, match="Is it in milliseconds"):
        read("1730419200000")
