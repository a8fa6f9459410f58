"""Times as people write them → Unix seconds."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

from usageledger.buckets import LATEST_TIME, floor
from usageledger.cli.terminal.output import CommandError

EXAMPLES = "7d, 12h, today, last-month, 2026-11-01, 2026-11, 2026, 2026-11-01T09:30 or 1730419200"
UNIT_SECONDS = {"m": 60, "h": 3600}
UNIT_DAYS = {"d": 1, "w": 7}
WORDS: dict[str, Callable[[datetime], datetime]] = {
    "today": lambda today: today,
    "yesterday": lambda today: today - timedelta(days=1),
    "this-month": lambda today: today.replace(day=1),
    "last-month": lambda today: (today.replace(day=1) - timedelta(days=1)).replace(day=1),
}
DIGITS_MIN, DIGITS_MAX = 9, 12  # of Unix seconds; fewer are a date such as 20261101, more are milliseconds


def parse_moment(option: str, text: str, *, zone: tzinfo, now: int) -> int:
    """The Unix seconds that `text` means; dates and times without an offset are those of `zone`.

    A duration means so long before now, from the start of that minute, hour or day: `7d` is the midnight seven days
    before today's. So the buckets that follow are whole ones.

    Raises:
        CommandError: names `option`, the text given and the forms there are.
    """
    try:
        seconds = _seconds(text.strip(), zone, now)
    except (ValueError, OverflowError):
        seconds = None
    if seconds is None or not 0 <= seconds <= LATEST_TIME:
        hint = " Is it in milliseconds?" if text.isdecimal() and len(text) > DIGITS_MAX else ""
        raise CommandError(f"{option}: expected a time such as {EXAMPLES}, got {text!r}.{hint}", exit_code=2)
    return seconds


def _seconds(text: str, zone: tzinfo, now: int) -> int:
    if text == "now":
        return now
    if text in WORDS:
        return int(WORDS[text](_today(zone, now)).timestamp())
    if match := re.fullmatch(r"([1-9][0-9]{0,6})([mhdw])", text):
        count, unit = int(match[1]), match[2]
        if unit in UNIT_DAYS:
            return _midnight(count * UNIT_DAYS[unit], zone, now)
        return floor(now, UNIT_SECONDS[unit]) - count * UNIT_SECONDS[unit]
    if text.isdecimal() and len(text) >= DIGITS_MIN:
        return int(text)
    if re.fullmatch(r"[0-9]{4}", text):
        text += "-01"
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}", text):
        text += "-01"
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp())


def _midnight(days: int, zone: tzinfo, now: int) -> int:
    """The start of the day so many days before today's, by the calendar of `zone`."""
    return int((_today(zone, now) - timedelta(days=days)).timestamp())


def _today(zone: tzinfo, now: int) -> datetime:
    return datetime.fromtimestamp(now, UTC).astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
