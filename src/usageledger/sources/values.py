"""Values as others write them: counts, times and ids."""

import re
from datetime import datetime

from usageledger.buckets import LATEST_TIME
from usageledger.events.typed_events import COUNT_MAX

_DIGITS_MAX = len(str(COUNT_MAX))
_SHOWN_MAX = 40  # characters of a value that is no count
# Ollama's OpenAI-compatible answers are numbered at random: their ids come again.
_NOT_UNIQUE = re.compile(r"(?:chat)?cmpl-[0-9]{1,3}")


def number(value: object, name: str) -> int | None:
    """Reads a count: an integer, a float without a fraction, or digits as proto3 writes them; None for null.

    Raises:
        ValueError: it is none of these; the message names it.
    """
    if value is None:
        return None
    count: int | None = None
    if isinstance(value, float) and value.is_integer():
        count = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        count = value
    elif isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _DIGITS_MAX:
        count = int(value)
    if count is None or not 0 <= count <= COUNT_MAX:
        shown = repr(value) if isinstance(value, int | float | str) else f"of type {type(value).__name__}"
        raise ValueError(f"{name} is no count: {shown[:_SHOWN_MAX]}")
    return count


def unix_time(time: object) -> int | None:
    """Gives whole Unix seconds; None for what is no time after 1970."""
    if isinstance(time, str):
        try:
            moment = datetime.fromisoformat(time)
        except ValueError:
            return None
        time = moment.timestamp() if moment.tzinfo else None
    if isinstance(time, bool) or not isinstance(time, int | float) or not 0 < time <= LATEST_TIME:
        return None
    return int(time)


def is_unique(response_id: str) -> bool:
    """Returns false for an id of a response that others may have as well."""
    return not _NOT_UNIQUE.fullmatch(response_id)
