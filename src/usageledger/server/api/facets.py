"""`GET /v1/facets`: the values that a dimension has in a window, with the names that the registry has for them."""

from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from usageledger.fields import LONGEST_NAME
from usageledger.ledger.protocol import Facet
from usageledger.meters import COSTS, FACETS, METER_BY_KIND
from usageledger.questions.query import parse
from usageledger.registry import Registry
from usageledger.server.http.parameters import one_of, refused, take, take_limit
from usageledger.server.http.requests import json_response
from usageledger.server.services import Handler, Services, in_slot

DEFAULT_FACETS, MOST_FACETS = 100, 1000
KNOWN = ("dimension", "kind", "start_time", "end_time", "search", "limit")


def facet_routes(services: Services, registry: Registry) -> list[Route]:
    """The one route."""
    return [Route("/v1/facets", facets(services, registry), methods=["GET"])]


def facets(services: Services, registry: Registry) -> Handler:
    """Values in their order, those that are searched for; the ledger has them in a small table."""

    async def handle(request: Request) -> Response:
        await services.authenticator.require(request, "api.usage.read")
        facet, limit = _asked(request, int(services.clock()))
        return json_response(await in_slot(services, lambda: _list(services, registry, facet, limit)))

    return handle


def _list(services: Services, registry: Registry, facet: Facet, limit: int) -> dict[str, Any]:
    if facet.search:
        facet = replace(facet, named=registry.named(facet.dimension, facet.search))
    values = services.ledger.facets(facet, max_seconds=services.settings.max_query_seconds, limit=limit + 1)
    shown = values[:limit]
    names = registry.names(facet.dimension, shown)
    data = [{"object": "facet", "value": value, "name": names.get(value)} for value in shown]
    return {"object": "list", "data": data, "has_more": len(values) > limit}


# --- what is asked -----------------------------------------------------------------------------------------------


def _asked(request: Request, now: int) -> tuple[Facet, int]:
    given = take(request, KNOWN)
    kind = one_of("kind", given["kind"][0], tuple(METER_BY_KIND)) if "kind" in given else None
    dimensions = tuple(d.name for d in METER_BY_KIND[kind].groupings if not d.flag) if kind else FACETS
    if "dimension" not in given:
        supported = ", ".join(f"'{name}'" for name in dimensions)
        raise refused("dimension", f"Missing required parameter: 'dimension'. Supported values are: {supported}.")
    dimension = one_of("dimension", given["dimension"][0], dimensions)
    times = {"start_time": "0"} | {name: given[name][0] for name in ("start_time", "end_time") if name in given}
    window = parse(COSTS, times.items(), now=now + 1, secret=b"")  # whole days, as costs have them
    search = given.get("search", [""])[0]
    if len(search) > LONGEST_NAME:
        raise refused("search", f"Invalid 'search': expected at most {LONGEST_NAME} characters, got {len(search)}.")
    facet = Facet(dimension, kind, window.start_time, window.end_time, search.casefold())
    return facet, take_limit(given, DEFAULT_FACETS, MOST_FACETS)
