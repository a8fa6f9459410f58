"""The endpoints of sources: usage that gateways and vendors say, and a list of what counts and what does not."""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import groupby
from typing import Any

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from usageledger.errors import OverloadedError, RateLimitError, UsageLedgerError
from usageledger.events.decoders import JSON_TYPES, LINES_TYPES
from usageledger.events.typed_events import FIELDS
from usageledger.fields import NAME_CHARACTERS_MAX
from usageledger.registry import READ, WRITE
from usageledger.registry.source_counts import SourceCount
from usageledger.server.api.kept_readings import keep_body
from usageledger.server.endpoint import Answer, Body, Call, Endpoint
from usageledger.server.http.parameters import Parameter, refused
from usageledger.server.http.requests import as_request_error, error_response, json_response, media_type
from usageledger.server.ingest.source_events import COUNTED, SENT_AGAIN, Kept
from usageledger.server.json_schema import NO_NUL, Schema, ref
from usageledger.settings import Settings
from usageledger.sources.explanations import NOTES, REASONS
from usageledger.sources.files.cloudevents import read_cloudevents
from usageledger.sources.litellm import NAME as LITELLM
from usageledger.sources.litellm import read_litellm
from usageledger.sources.readings import Note, Readings, Reason
from usageledger.sources.rules import Rules
from usageledger.sources.vendors import VENDORS, read_vendor

CLOUDEVENTS = "cloudevents"
STREAM_TYPES = ("text/event-stream",)
CLOUDEVENTS_TYPES = ("application/cloudevents+json", "application/cloudevents-batch+json")


async def sources(call: Call) -> Response:
    """Lists the emitters, the one that sent last first."""

    def read() -> list[SourceCount]:
        call.services.source_counts.write()
        return list(call.services.registry.source_counts.list())

    counts = await anyio.to_thread.run_sync(read)
    by_emitter = [_source(list(some)) for _, some in groupby(counts, lambda each: (each.emitter, each.version))]
    by_emitter.sort(key=lambda source: -source["last_seen_at"])
    return json_response({"object": "list", "data": by_emitter})


def _source(counts: list[SourceCount]) -> dict[str, Any]:
    numbers = {each.item: each.count for each in counts}
    return {
        "object": "source",
        "emitter": counts[0].emitter,
        "version": counts[0].version or None,
        "first_seen_at": min(each.first_at for each in counts),
        "last_seen_at": max(each.last_at for each in counts),
        "counted": numbers.get(COUNTED, 0),
        "sent_again": numbers.get(SENT_AGAIN, 0),
        "not_counted": _explained(counts, {reason.value: REASONS[reason] for reason in Reason}),
        "notes": _explained(counts, {note.value: NOTES[note] for note in Note}),
    }


def _explained(counts: Iterable[SourceCount], texts: dict[str, tuple[str, str]]) -> list[dict[str, Any]]:
    """Those of the counts that `texts` has something on, with it."""
    return [
        {
            "reason": each.item,
            "count": each.count,
            "example": each.example,
            "last_at": each.last_at,
            "meaning": texts[each.item][0],
            "remedy": texts[each.item][1],
        }
        for each in counts
        if each.item in texts
    ]


async def take(call: Call) -> Response:
    """Keeps the usage that a gateway or a vendor says; answers when it is on disk."""
    now = int(call.services.clock())
    media_type(call.request, (*JSON_TYPES, *LINES_TYPES, *STREAM_TYPES, *CLOUDEVENTS_TYPES))
    given = {name: values[0] for name, values in call.given().items()}
    for name, value in given.items():
        if problem := FIELDS["completions"][name].problem(value):
            raise refused(name, problem[1])
    rules = await call.rules()
    source = call.request.path_params["source"]
    read: Callable[[bytes], Readings]
    if source == LITELLM:
        name, _, version = call.request.headers.get("user-agent", "").partition("/")
        read = partial(read_litellm, now=now, version=version if name == LITELLM else "", rules=rules)
    elif source == CLOUDEVENTS:
        read = partial(read_cloudevents, now=now)
    else:
        read = partial(read_vendor, source, now=now, model=given.get("model"))
    given.pop("model", None)
    return json_response(_told(await keep_body(call, lambda body: _filled_in(read(body), given, rules))))


def _filled_in(readings: Readings, given: dict[str, str], rules: Rules) -> Readings:
    """Says for whom it was where the source itself does not; a vendor's answers have nothing that rules could read."""
    for emitter, reading in readings.items():
        found = {} if emitter.name == LITELLM else rules.of(emitter.name).who(lambda _: None)
        for event in reading.events:
            for name, value in {**given, **found}.items():
                if name in found or name not in event:
                    event[name] = value
    return readings


def _told(kept: Kept) -> dict[str, Any]:
    return {
        "object": "source.batch",
        "accepted": kept.accepted,
        "duplicates": kept.duplicates,
        "rejected": kept.refused,
        "not_counted": {reason.value: count for reason, count in sorted(kept.not_counted.items())},
        "errors": [{"id": example, "message": why} for example, why in kept.errors],
    }


def gateway_error(request: Request, error: Exception) -> Response:
    """Answers a call that failed: what may succeed another time with 503, since LiteLLM gives up after 429 as well."""
    if not isinstance(error, UsageLedgerError):
        raise error
    refusal = as_request_error(request, error)
    if isinstance(refusal, RateLimitError):
        refusal = OverloadedError(refusal.message, retry_after=refusal.retry_after or 1)
    return error_response(refusal)


def _content(_: Settings) -> Schema:
    texts = (*LINES_TYPES, *STREAM_TYPES)
    forms = (*JSON_TYPES, *texts, *CLOUDEVENTS_TYPES)
    return {form: {"schema": {"type": "string"} if form in texts else {}} for form in forms}


def _notes(_: Settings) -> str:
    known = ", ".join(f"`{name}`" for name in (LITELLM, CLOUDEVENTS, *VENDORS))
    return (
        f"`source` is one of {known}. The body is what it made: LiteLLM's batches of its callback `generic_api`, "
        "CloudEvents about tokens, or answers of the vendor as they came, one, an array, one a line, or a saved "
        "stream. Prompts and answers in them are never kept."
    )


def _parameter(name: str, doc: str) -> Parameter:
    schema: Schema = {"type": "string", "minLength": 1, "maxLength": NAME_CHARACTERS_MAX, "pattern": NO_NUL}
    return Parameter(name, schema, doc)


ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/sources/{source}",
        take,
        name="ingest-source",
        tag="Sources",
        summary="Keep the usage that a gateway sends, or that a vendor's answers say.",
        scopes=(WRITE,),
        answer=Answer(ref("SourceBatch")),
        parameters=(
            _parameter("project_id", "The project, where the source does not say it."),
            _parameter("user_id", "The user, where the source does not say it."),
            _parameter("api_key_id", "The API key, where the source does not say it."),
            _parameter("model", "The model of answers that name none: images, speech, Bedrock's Converse."),
        ),
        body=Body(_content),
        path_values={"source": (LITELLM, CLOUDEVENTS, *VENDORS)},
        notes=_notes,
        answer_error=gateway_error,
    ),
    Endpoint(
        "GET",
        "/v1/sources",
        sources,
        name="list-sources",
        tag="Sources",
        summary="List what emitters sent: how much is counted, and how much is not, with the reasons.",
        scopes=(READ,),
        answer=Answer(ref("SourceList")),
    ),
)
