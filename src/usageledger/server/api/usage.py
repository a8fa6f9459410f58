"""The handlers of usage, events, meters and health."""

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from usageledger.errors import OverloadedError
from usageledger.events.arrow_events import ARROW_TYPES, PARQUET_TYPES, decode_table
from usageledger.events.json_events import Decoded, decode, decode_right, decode_wrong
from usageledger.events.table_bodies import read_arrow, read_parquet
from usageledger.ledger import Ledger
from usageledger.meters import COSTS, METERS, Meter
from usageledger.questions.pages import render, results_json
from usageledger.questions.query import Query, page_token, parse
from usageledger.registry import Registry
from usageledger.server.api.bucket_cache import BucketCache
from usageledger.server.http.auth import Authenticator
from usageledger.server.http.compressed_pages import Body, joined
from usageledger.server.http.compression import chosen
from usageledger.server.http.request_bodies import Bodies
from usageledger.server.http.requests import JSON_TYPES, LINES_TYPES, LargeAnswer, json_response, media_type, parameters
from usageledger.server.http.shared_memory import FREE_BYTES
from usageledger.server.ingest.commit_group import size_of
from usageledger.server.ingest.commits import Ingest
from usageledger.settings import Settings

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]

LARGE_JSON_BYTES = 2**20  # read on the event loop in some 10 ms

EVENT_TYPES = (*JSON_TYPES, *LINES_TYPES, *ARROW_TYPES, *PARQUET_TYPES)


@dataclass(frozen=True, slots=True)
class Services:
    """What the handlers work with."""

    settings: Settings
    ledger: Ledger
    ingest: Ingest
    authenticator: Authenticator
    bodies: Bodies
    cache: BucketCache
    page_secret: bytes
    clock: Callable[[], float]
    query_slots: anyio.CapacityLimiter


def usage_routes(services: Services, registry: Registry) -> list[Route]:
    """Eleven usage endpoints by one handler, events in, and the list of meters."""
    return [
        Route("/v1/events", events(services), methods=["POST"]),  # first, since routes are tried in order
        *(Route(f"/v1{meter.path}", usage(meter, services), methods=["GET"]) for meter in METERS),
        Route("/v1/meters", meters(services), methods=["GET"]),
        Route("/healthz", healthz, methods=["GET"]),
        Route("/readyz", readyz(services, registry), methods=["GET"]),
    ]


def usage(meter: Meter, services: Services) -> Handler:
    """`GET /v1/organization/usage/{kind}`: parameters → query → rows → page."""

    async def handle(request: Request) -> Response:
        await services.authenticator.require(request, "api.usage.read")
        now = int(services.clock())
        query = parse(meter, parameters(request), now=now, secret=services.page_secret)
        token = page_token(query, now=now, secret=services.page_secret)
        encoding = chosen(request.headers.get("accept-encoding", ""))

        def work() -> Body:
            results = services.cache.results(query, lambda part: _ask(services, part), encoding)
            return joined(render(query, results, token), encoding)

        return paged(await in_slot(services, work))

    return handle


def _ask(services: Services, query: Query) -> Iterator[tuple[int, bytes]]:
    limits = services.settings
    aggregate = services.ledger.aggregate(query, max_seconds=limits.max_query_seconds, max_results=limits.max_results)
    return results_json(query, aggregate)


def paged(body: Body, headers: Mapping[str, str] | None = None) -> Response:
    """A page, sent in pieces where it is large."""
    given = dict(headers or {})
    if body.encoding:
        given["content-encoding"] = body.encoding
    if max(body.size, body.held) > FREE_BYTES:
        return LargeAnswer(body.pieces, body.size, body.held, given)
    return Response(b"".join(body.pieces), headers=given, media_type="application/json")


async def in_slot(services: Services, work: Callable[[], T]) -> T:
    """Runs `work` in a thread when one of the query slots is free; waiting has a limit as well."""
    try:
        with anyio.fail_after(services.settings.max_query_seconds):
            await services.query_slots.acquire()
    except TimeoutError:
        raise OverloadedError("Too many queries are running: send the same request again.", retry_after=1) from None
    try:
        return await anyio.to_thread.run_sync(work)
    finally:
        services.query_slots.release()


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


def meters(services: Services) -> Handler:
    """`GET /v1/meters`: the table of meters, for dashboards and tools that build themselves from it."""
    body: dict[str, Any] = {"object": "list", "data": [_meter(meter) for meter in (*METERS, COSTS)]}

    async def handle(request: Request) -> Response:
        await services.authenticator.require(request, "api.usage.read")
        return json_response(body)

    return handle


def _meter(meter: Meter) -> dict[str, Any]:
    return {
        "object": "meter",
        "kind": meter.kind,
        "title": meter.title,
        "path": f"/v1{meter.path}",
        "result_object": meter.object,
        "measures": [
            {key: getattr(m, key) for key in ("name", "unit", "doc", "adds", "required", "unit_field")}
            for m in meter.measures
        ],
        "dimensions": [
            {"name": d.name, "doc": d.doc, "filter": d.filter, "values": d.values or None, "flag": d.flag}
            for d in meter.groupings
        ],
        "bucket_widths": [asdict(width) for width in meter.widths],
        "priced": meter.priced,
    }


async def healthz(_: Request) -> Response:
    """`GET /healthz`: the process answers."""
    return json_response({"status": "ok"})


def readyz(services: Services, registry: Registry) -> Handler:
    """`GET /readyz`: 200 when events can be written, else 503 with the reasons."""

    async def handle(_: Request) -> Response:
        stores = {"ledger": services.ledger.ready(), "registry": await anyio.to_thread.run_sync(registry.ready)}
        reasons = [f"The {store} cannot be written." for store, ready in stores.items() if not ready]
        if services.ingest.failure:
            reasons.append(f"{services.ingest.failure}.")
        state = {"status": "not ready" if reasons else "ready", "reasons": reasons}
        return json_response(state | {"queued_events": services.ingest.queued_events}, 503 if reasons else 200)

    return handle


def wall_clock() -> float:
    """Unix seconds."""
    return time.time()
