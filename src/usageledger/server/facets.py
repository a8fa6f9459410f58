"""`GET /v1/facets`: the values that a dimension has in a window, with the names that the registry has for them."""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from usageledger.events import LONGEST_NAME
from usageledger.ledger.protocol import Facet
from usageledger.meters import COSTS, FACETS, METER_BY_KIND
from usageledger.query import parse
from usageledger.registry import Registry
from usageledger.server.http import json_response
from usageledger.server.parameters import one_of, refused, take, take_limit
from usageledger.server.routes import Handler, Services, in_slot

DEFAULT_FACETS, MOST_FACETS = 100, 1000
KNOWN = ("dimension", "kind", "start_time", "end_time", "search", "limit")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request; `search` is part of a value or of its name, with its letters' case folded."""

    facet: Facet
    search: str
    limit: int


def facet_routes(services: Services, registry: Registry) -> list[Route]:
    """The one route."""
    return [Route("/v1/facets", facets(services, registry), methods=["GET"])]


def facets(services: Services, registry: Registry) -> Handler:
    """Values in their order, those that are searched for; the ledger has them in a small table."""

    async def handle(request: Request) -> Response:
        await services.authenticator.require(request, "api.usage.read")
        asked = _asked(request, int(services.clock()))
        return json_response(await in_slot(services, lambda: _list(services, registry, asked)))

    return handle


def _list(services: Services, registry: Registry, asked: Asked) -> dict[str, Any]:
    limits, dimension = services.settings, asked.facet.dimension
    values = services.ledger.facets(asked.facet, max_seconds=limits.max_query_seconds, max_results=limits.max_results)
    names = registry.names(dimension)
    if asked.search:
        values = [value for value in values if asked.search in f"{value}\0{names.get(value, '')}".casefold()]
    shown = values[: asked.limit]
    data = [{"object": "facet", "value": value, "name": names.get(value)} for value in shown]
    return {"object": "list", "data": data, "has_more": len(values) > len(shown)}


# --- what is asked -----------------------------------------------------------------------------------------------


def _asked(request: Request, now: int) -> Asked:
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
    facet = Facet(dimension, kind, window.start_time, window.end_time)
    return Asked(facet, search.casefold(), take_limit(given, DEFAULT_FACETS, MOST_FACETS))
