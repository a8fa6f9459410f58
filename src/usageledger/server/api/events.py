"""`POST /v1/events`: body → events → ledger."""

from starlette.requests import Request
from starlette.responses import Response

from usageledger.events.batch import EventBatch, Limits
from usageledger.events.decoders import DECODERS, decode
from usageledger.server.http.requests import json_response, media_type
from usageledger.server.services import Handler, Services

QUICK_BYTES_MAX = 2**20  # of a body decoded on the event loop, which takes some 10 ms


def events(services: Services) -> Handler:
    """`POST /v1/events`: body → events → ledger; answered when they are on disk."""

    async def handle(request: Request) -> Response:
        await services.authenticator.require(request, "api.usage.write")
        kind = media_type(request, tuple(DECODERS))
        return json_response(await services.ingest.submit(await _received(request, kind, services)))

    return handle


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
