"""`POST /v1/events`: body → events → ledger."""

from starlette.requests import Request
from starlette.responses import Response

from usageledger.events.arrow_events import ARROW_TYPES, PARQUET_TYPES, decode_table
from usageledger.events.json_events import Decoded, decode, decode_right, decode_wrong
from usageledger.events.table_bodies import read_arrow, read_parquet
from usageledger.server.http.requests import JSON_TYPES, LINES_TYPES, json_response, media_type
from usageledger.server.ingest.commit_group import size_of
from usageledger.server.services import Handler, Services
from usageledger.settings import Settings

LARGE_JSON_BYTES = 2**20  # read on the event loop in some 10 ms


EVENT_TYPES = (*JSON_TYPES, *LINES_TYPES, *ARROW_TYPES, *PARQUET_TYPES)


def events(services: Services) -> Handler:
    """`POST /v1/events`: body → events → ledger; answered when they are on disk."""

    async def handle(request: Request) -> Response:
        await services.authenticator.require(request, "api.usage.write")
        kind = media_type(request, EVENT_TYPES)
        return json_response(await services.ingest.submit(*await _received(request, kind, services)))

    return handle


async def _received(request: Request, kind: str, services: Services) -> tuple[Decoded, int]:
    """The events of a request and their size; nothing holds its body while they wait for the disk."""
    async with services.bodies.read(request) as body:
        decoded = await _decode(body, kind, services)
        return decoded, size_of(decoded, body)


async def _decode(body: bytes, kind: str, services: Services) -> Decoded:
    """The events of a body of this media type.

    On the event loop are read only bodies that take a moment: small ones of JSON in which all is right.
    """
    lines, most = kind in LINES_TYPES, services.settings.max_batch_events
    if kind in ARROW_TYPES or kind in PARQUET_TYPES:
        return await services.bodies.work(_decode_table, body, kind, services.settings, int(services.clock()))
    if len(body) > LARGE_JSON_BYTES:
        return await services.bodies.work(lambda: decode(body, lines=lines, max_events=most))
    if right := decode_right(body, lines=lines, max_events=most):
        return right
    return await services.bodies.work(lambda: decode_wrong(body, lines=lines, max_events=most))


def _decode_table(body: bytes, kind: str, settings: Settings, now: int) -> Decoded:
    read = read_arrow if kind in ARROW_TYPES else read_parquet
    table = read(body, settings.max_batch_events, settings.max_body_bytes)
    return decode_table(table, latest=now + settings.max_future_seconds, now=now)
