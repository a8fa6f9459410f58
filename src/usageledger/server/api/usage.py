"""The handlers of usage, events, meters and health."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from usageledger.meters import COSTS, METERS, Meter
from usageledger.questions.pages import render, results_json
from usageledger.questions.query import Query, page_token, parse
from usageledger.registry import Registry
from usageledger.server.api.events import events
from usageledger.server.api.health import healthz, readyz
from usageledger.server.http.compressed_pages import Body, joined
from usageledger.server.http.compression import chosen
from usageledger.server.http.requests import LargeAnswer, json_response, parameters
from usageledger.server.http.shared_memory import FREE_BYTES
from usageledger.server.services import Handler, Services, in_slot


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
