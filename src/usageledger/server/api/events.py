"""`POST /v1/events`: body → events → ledger."""

from starlette.requests import Request
from starlette.responses import Response

from usageledger.events.batch import EventBatch, Limits
from usageledger.events.decoders import DECODERS, decode
from usageledger.registry import WRITE
from usageledger.server.api.event_examples import ANSWER_EXAMPLE, event_content, event_notes
from usageledger.server.endpoint import Answer, Body, Call, Endpoint
from usageledger.server.http.requests import json_response, media_type
from usageledger.server.json_schema import ref
from usageledger.server.services import Services

QUICK_BYTES_MAX = 2**20  # of a body decoded on the event loop, which takes some 10 ms


async def events(call: Call) -> Response:
    """Takes a body to events, and these to the ledger; answers when they are on disk."""
    kind = media_type(call.request, tuple(DECODERS))
    return json_response(await call.services.ingest.submit(await _received(call.request, kind, call.services)))


async def _received(request: Request, kind: str, services: Services) -> EventBatch:
    """Decodes the body of a request; nothing holds it while its events wait for the disk.

    On the event loop are decoded only bodies that take a moment: small ones of a quick form in which all is right.
    """
    settings, now = services.settings, int(services.clock())
    limits = Limits(settings.max_batch_events, settings.max_body_bytes, now + settings.max_future_seconds, now)
    async with services.bodies.read(request) as body:
        if len(body) > QUICK_BYTES_MAX:
            return await services.bodies.work(decode, kind, body, limits)
        if (batch := DECODERS[kind].quick(body, limits)) is not None:
            return batch
        return await services.bodies.work(DECODERS[kind].thorough, body, limits)


ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/events",
        events,
        name="ingest-events",
        tag="Events",
        summary="Keep events: one, an array of them, or one a line.",
        scopes=(WRITE,),
        answer=Answer(ref("EventBatch"), example=ANSWER_EXAMPLE),
        checks_parameters=False,
        body=Body(event_content),
        notes=event_notes,
    ),
)
