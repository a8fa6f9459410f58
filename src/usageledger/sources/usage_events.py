"""Usage that a call says → its events, or the reason why there are none: one way for all sources of calls."""

from collections.abc import Iterator, Sequence
from typing import Any

from usageledger.sources.readings import Reading, Reason, short_id
from usageledger.sources.usage_blocks import Refusal, Usage, for_kind, tier_fields


def events_of(
    usage: Usage | Refusal | None, fields: dict[str, Any], name: Sequence[str], reading: Reading, *, tier: object = None
) -> Iterator[dict[str, Any]]:
    """Makes the events of a call, or leaves it with the reason.

    Args:
        usage: that its block says.
        fields: of its event, beside counts; `kind` is `completions` where there is none.
        name: the prefix of the event's id and its parts.
        reading: takes what is left out.
        tier: that served it, where neither its block nor `fields` say it.
    """
    event_id = short_id(*name)
    if usage is None:
        reading.leave(Reason.NO_USAGE, event_id)
        return
    if isinstance(usage, Refusal):
        reading.leave(Reason.REFUSED, event_id, usage.message)
        return
    event = {**tier_fields(tier), **usage.said, **fields}
    kind = event.pop("kind", "completions")
    yield for_kind(kind, event | usage.counts | {"id": event_id})
    for further in usage.further:
        yield for_kind(further.kind, event | further.fields | {"id": short_id(*name, further.suffix)})
    for note in usage.notes:
        reading.note(note, event_id)
