"""The endpoint of facets: values that a dimension has in a window, with the names that the registry has for them."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from starlette.responses import Response

from usageledger.fields import NAME_CHARACTERS_MAX
from usageledger.meters import COSTS, FACETS, METER_BY_KIND, METERS
from usageledger.questions.facet import Facet
from usageledger.questions.query import parse
from usageledger.registry import READ
from usageledger.server.api.shared_parameters import window_parameters
from usageledger.server.endpoint import Answer, Call, Endpoint
from usageledger.server.http.parameters import Parameter, one_of, refused, take_limit
from usageledger.server.http.requests import json_response
from usageledger.server.json_schema import NO_NUL, ref
from usageledger.server.services import Services, in_slot

DEFAULT_FACETS, FACETS_MAX = 100, 1000


async def facets(call: Call) -> Response:
    """Lists values in their order, those that are searched for; the ledger has them in a small table."""
    facet, limit = _asked(call.given(), int(call.services.clock()))
    return json_response(await in_slot(call.services, partial(_list, call.services, facet, limit)))


def _list(services: Services, facet: Facet, limit: int) -> dict[str, Any]:
    if facet.search:
        facet = replace(facet, named=services.registry.names.containing(facet.dimension, facet.search))
    values = services.ledger.facets(facet, max_seconds=services.settings.max_query_seconds, limit=limit + 1)
    shown = values[:limit]
    names = services.registry.names.of(facet.dimension, shown)
    data = [{"object": "facet", "value": value, "name": names.get(value)} for value in shown]
    return {"object": "list", "data": data, "has_more": len(values) > limit}


# --- what is asked -----------------------------------------------------------------------------------------------


def _asked(given: Mapping[str, list[str]], now: int) -> tuple[Facet, int]:
    kind = one_of("kind", given["kind"][0], tuple(METER_BY_KIND)) if "kind" in given else None
    dimensions = tuple(d.name for d in METER_BY_KIND[kind].groupings if not d.flag) if kind else FACETS
    if "dimension" not in given:
        supported = ", ".join(f"'{name}'" for name in dimensions)
        raise refused("dimension", f"Missing required parameter: 'dimension'. Supported values are: {supported}.")
    dimension = one_of("dimension", given["dimension"][0], dimensions)
    times = {"start_time": "0"} | {name: given[name][0] for name in ("start_time", "end_time") if name in given}
    window = parse(COSTS, times.items(), now=now + 1, secret=b"")  # whole days, as costs have them
    search = given.get("search", [""])[0]
    if len(search) > NAME_CHARACTERS_MAX:
        raise refused(
            "search", f"Invalid 'search': expected at most {NAME_CHARACTERS_MAX} characters, got {len(search)}."
        )
    facet = Facet(dimension, kind, window.start_time, window.end_time, search.casefold())
    return facet, take_limit(given, DEFAULT_FACETS, FACETS_MAX)


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/facets",
        facets,
        name="list-facets",
        tag="Usage",
        summary="List the values of a dimension, of all time or of the days of a window.",
        scopes=(READ,),
        answer=Answer(ref("FacetList")),
        parameters=(
            Parameter(
                "dimension",
                {"type": "string", "enum": list(FACETS)},
                "Whose values; of a kind that has it.",
                required=True,
            ),
            Parameter(
                "kind",
                {"type": "string", "enum": [meter.kind for meter in METERS]},
                "Only values of this kind of usage.",
            ),
            *window_parameters(required=False),
            Parameter(
                "search",
                {"type": "string", "maxLength": NAME_CHARACTERS_MAX, "pattern": NO_NUL},
                "Only values that have this in them, or in their name, in any case.",
            ),
            Parameter(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": FACETS_MAX, "default": DEFAULT_FACETS},
                "Most values listed.",
            ),
        ),
    ),
)
