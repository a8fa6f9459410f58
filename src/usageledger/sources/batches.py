"""Events that sources are read into → a batch for the ledger."""

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any

import msgspec

from usageledger.events.batch import EVENT_BYTES, EventBatch
from usageledger.events.json_events import decode_texts
from usageledger.events.typed_events import STRUCTS

_ANY_STRUCT: Any = reduce(or_, STRUCTS.values())
_LIST: Any = list[_ANY_STRUCT]


def to_batch(events: Sequence[dict[str, Any]]) -> EventBatch:
    """Makes a batch of events; those with a value that is not allowed are refused, each with all that is wrong."""
    try:
        typed = [] if _have_nul(events) else msgspec.convert(events, _LIST)
    except msgspec.ValidationError:
        typed = []
    if len(typed) == len(events):
        return EventBatch(typed, range(len(typed)), size=2 * EVENT_BYTES * len(typed))
    batch = decode_texts([(index, msgspec.json.encode(event)) for index, event in enumerate(events)])
    batch.size = 2 * EVENT_BYTES * len(events)
    return batch


def _have_nul(events: Sequence[dict[str, Any]]) -> bool:
    """Returns true if one has a text that not every engine can store."""
    return any("\0" in value for event in events for value in event.values() if type(value) is str)
