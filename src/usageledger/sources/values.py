"""Values as others write them: counts, times and ids."""

import binascii
import re
from base64 import b64decode
from datetime import datetime

from usageledger.buckets import LATEST_TIME
from usageledger.events.typed_events import COUNT_MAX

NANOSECONDS = 1_000_000_000
_DIGITS_MAX = len(str(COUNT_MAX))
_SHOWN_MAX = 40  # characters of a value that is no count
# Ollama's OpenAI-compatible answers are numbered at random: their ids come again.
_NOT_UNIQUE = re.compile(r"(?:chat)?cmpl-[0-9]{1,3}")

# LiteLLM wraps ids of OpenAI's Responses, for its clients as well as for its logs.
_WRAPPED = "resp_"
_WRAPPED_MAX = 4_096  # characters of a wrapped id
_INSIDE = re.compile(r"litellm:.*;response_id:(.+)", re.DOTALL)


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


def vendors_id(response_id: str) -> str:
    """Gives the vendor's id of a response that LiteLLM wrapped (`resp_` and base64); any other id as it is."""
    if not response_id.startswith(_WRAPPED) or len(response_id) > _WRAPPED_MAX:
        return response_id
    try:
        inside = _INSIDE.fullmatch(b64decode(response_id.removeprefix(_WRAPPED), validate=True).decode())
    except (binascii.Error, ValueError):
        return response_id
    return inside[1] if inside else response_id
