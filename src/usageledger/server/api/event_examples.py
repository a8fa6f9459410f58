"""Texts and examples of the OpenAPI document about events on their way in."""

from typing import Any

import msgspec

from usageledger.events.decoders import ARROW_TYPES, JSON_TYPES, LINES_TYPES, PARQUET_TYPES
from usageledger.meter import Meter
from usageledger.meters import METERS
from usageledger.server.json_schema import Schema, ref
from usageledger.settings import Settings

ANSWER_EXAMPLE = {"object": "event.batch", "accepted": 1, "duplicates": 0, "rejected": 0, "errors": []}


def event_example(meter: Meter) -> dict[str, Any]:
    """Makes an event of this kind that the server accepts."""
    dimensions = {d.name: d.shown for d in meter.dimensions}
    measures = {m.name: 1200 for m in meter.measures if m.required}
    start = {"kind": meter.kind, "id": f"req-{meter.kind}-1", "timestamp": 1736616660, "provider": "openai"}
    return start | dimensions | measures


def event_content(settings: Settings) -> Schema:
    """Describes the bodies that hold events, by media type."""
    examples = {meter.kind: {"value": [event_example(meter)]} for meter in METERS}
    lines = "".join(msgspec.json.encode(event_example(meter)).decode() + "\n" for meter in METERS[:2])
    # One event without the array is the exception that is said in words: not every generator of clients knows unions.
    several: Schema = {"type": "array", "items": ref("Event"), "maxItems": settings.max_batch_events}
    text = {"type": "string", "description": "One event a line, as JSON.", "examples": [lines]}
    table = {"type": "string", "format": "binary", "description": "Fields as columns; null where there is none."}
    return {
        **{name: {"schema": several, "examples": examples} for name in JSON_TYPES},
        **{name: {"schema": text} for name in LINES_TYPES},
        **{name: {"schema": table} for name in (*ARROW_TYPES, *PARQUET_TYPES)},
    }


def event_notes(settings: Settings) -> str:
    """Says what becomes of events, and how many there may be."""
    return (
        "As JSON they are an array; one event may also stand without it. "
        "Answered when the events are on disk. Events that cannot be kept are refused one by one, in `errors`, and "
        "the others are kept; the same request may always be sent again. At most "
        f"{settings.max_batch_events} events and {settings.max_body_bytes} bytes, decompressed, in one request; "
        "`Content-Encoding` may be `gzip` or `zstd`."
    )
