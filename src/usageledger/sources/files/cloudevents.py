"""CloudEvents about tokens, as OpenMeter and LiteLLM's callback for it have them → events.

`data` has either a whole usage block (`prompt_tokens` and `completion_tokens`, as vendors write it), or the `tokens` of
one `type`: `input`, `system` or `prompt`, or `output` or `completion`. Then a call has an event for each type, and that
of the output is counted as the request. `subject` is the user and `source` the project, unless `data` says them.

An event is known by its source and id. It may be sent again.
"""

from collections.abc import Iterator
from typing import Any

from usageledger.sources.bodies import END, ITEMS_MAX, check_items, texts
from usageledger.sources.files.origin import Origin, leave_text
from usageledger.sources.files.rows import (
    Row,
    block_of,
    call_events,
    count,
    part,
    provider_of,
    text,
    time_of,
)
from usageledger.sources.files.spend_logs import json_of
from usageledger.sources.readings import Emitter, Reading, Readings, Reason, short_id

_INPUT, _OUTPUT = {"input", "system", "prompt"}, {"output", "completion"}


def read_cloudevents(body: bytes, *, now: int) -> Readings:
    """Reads a body of events: one, an array, or lines.

    Raises:
        InvalidRequestError: a body that is no JSON at all.
        BodyTooLargeError: too many events.
    """
    readings = Readings()
    reading = readings.of(Emitter("cloudevents"))
    for number, each in enumerate(texts(body), 1):
        check_items(number, ITEMS_MAX)
        row = json_of(each)
        if isinstance(row, dict):
            reading.events += take_cloudevent(row, Origin("", now, now), reading)
        elif each != END:
            leave_text(reading, each)
    return readings


def take_cloudevent(row: Row, origin: Origin, reading: Reading) -> Iterator[dict[str, Any]]:
    """Takes an event."""
    source, own_id, data = text(row, "source"), text(row, "id"), part(row, "data")
    name = ("cloudevents:", source or "", own_id or "")
    if row.get("specversion") != "1.0" or not source or not own_id:
        reading.leave(
            Reason.REFUSED, short_id(*name), "It is no CloudEvent 1.0: specversion, source and id are needed."
        )
        return
    tokens, kind = count(data, "tokens"), str(data.get("type", "")).lower()
    fields = {
        "provider": provider_of(text(data, "provider")),
        "model": text(data, "model"),
        "timestamp": time_of(row, origin, "time"),
        "user_id": text(data, "user_id") or text(row, "subject"),
        "project_id": text(data, "project_id") or source,
    }
    if tokens is None:
        yield from call_events(data, fields, name, reading)
    elif kind in _INPUT:
        yield from call_events(block_of(tokens, 0), fields | {"num_model_requests": 0}, name, reading)
    elif kind in _OUTPUT:
        yield from call_events(block_of(0, tokens), fields, name, reading)
    else:
        reading.leave(Reason.UNKNOWN_DIALECT, short_id(*name))
