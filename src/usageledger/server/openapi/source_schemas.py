"""The OpenAPI document's part about sources."""

from usageledger.server.json_schema import COUNT, SECONDS, TEXT, TEXT_OR_NULL, Schema, answer, const, described
from usageledger.sources.readings import Note, Reason


def source_components() -> dict[str, Schema]:
    """Makes the named schemas of sources."""
    source = answer(
        {
            "object": const("source"),
            "emitter": described(TEXT, "The program or library that sends, as it calls itself."),
            "version": described(TEXT_OR_NULL, "Its version, where it says so."),
            "first_seen_at": SECONDS,
            "last_seen_at": SECONDS,
            "counted": described(COUNT, "Events that are counted."),
            "sent_again": described(COUNT, "Events that came again, and are counted once."),
            "not_counted": {"type": "array", "items": _tally([reason.value for reason in Reason])},
            "notes": {"type": "array", "items": _tally([note.value for note in Note])},
        },
        "What one emitter sent, and what became of it.",
    )
    rejected = ("rejectedSpans", "rejectedLogRecords", "rejectedDataPoints")
    partial = answer(
        {"errorMessage": TEXT, **{name: described(TEXT, "How many, as text.") for name in rejected}},
        "Usage that was refused, and is not to be sent again.",
        optional=rejected,
    )
    errors = answer({"id": TEXT, "message": TEXT}, "Usage that was refused, and why.")
    batch = answer(
        {
            "object": const("source.batch"),
            "accepted": described(COUNT, "Events that are counted now."),
            "duplicates": described(COUNT, "Events that were counted before."),
            "rejected": described(COUNT, "Usage that was refused, since it contradicts itself."),
            "not_counted": described(
                {"type": "object", "additionalProperties": COUNT},
                "How much was left out, by reason, as in `/v1/sources`.",
            ),
            "errors": {"type": "array", "items": errors},
        }
    )
    return {
        "SourceBatch": batch,
        "SourceList": answer({"object": const("list"), "data": {"type": "array", "items": source}}),
        "ExportResponse": answer({"partialSuccess": partial}, "OTLP's answer.", optional=("partialSuccess",)),
        "Status": answer({"code": {"type": "integer", "format": "int32"}, "message": TEXT}, "`google.rpc.Status`."),
    }


def _tally(reasons: list[str]) -> Schema:
    return answer(
        {
            "reason": {"type": "string", "enum": reasons},
            "count": COUNT,
            "example": described(TEXT, "The id of one of them, as its emitter has it."),
            "last_at": SECONDS,
            "meaning": TEXT,
            "remedy": described(TEXT, "What can be done about it."),
        }
    )
