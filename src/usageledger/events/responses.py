"""Events of vendors' responses, which are told by their ids: when two of them are one."""

from collections.abc import Iterable

from usageledger.events.typed_events import RESPONSE_PREFIX, RESPONSE_SECONDS


def is_response(event_id: str) -> bool:
    """Returns true if an id is that of a response."""
    return event_id.startswith(RESPONSE_PREFIX)


def nearest(second: int, seconds: Iterable[int]) -> int | None:
    """The second that is nearest to one, of two the earlier; None where all are too far away to be of one response."""
    found = min(seconds, key=lambda each: (abs(each - second), each), default=None)
    return None if found is None or abs(found - second) > RESPONSE_SECONDS else found
