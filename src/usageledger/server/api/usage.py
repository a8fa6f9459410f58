"""The endpoints of usage, one of each kind, and what they share with that of costs."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from starlette.responses import Response

from usageledger.meter import Meter
from usageledger.meters import METERS
from usageledger.questions.pages import render, results_json
from usageledger.questions.query import Query, page_token, parse
from usageledger.registry import READ
from usageledger.server.api.shared_parameters import TIME, filter_parameters, window_parameters
from usageledger.server.endpoint import Answer, Call, Endpoint, Handler
from usageledger.server.http.compressed_pages import Body, joined
from usageledger.server.http.compression import chosen
from usageledger.server.http.parameters import Parameter
from usageledger.server.http.requests import LargeAnswer, parameters
from usageledger.server.http.shared_memory import FREE_BYTES
from usageledger.server.json_schema import Schema, ref, title
from usageledger.server.services import Services, in_slot


async def usage(meter: Meter, call: Call) -> Response:
    """Takes parameters to a query, that to rows, and these to a page."""
    services = call.services
    now = int(services.clock())
    query = parse(meter, parameters(call.request), now=now, secret=services.page_secret)
    token = page_token(query, now=now, secret=services.page_secret)
    encoding = chosen(call.request.headers.get("accept-encoding", ""))

    def work() -> Body:
        results = services.cache.results(query, partial(_results, services), encoding)
        return joined(render(query, results, token), encoding)

    return paged(await in_slot(services, work))


def _results(services: Services, query: Query) -> Iterator[tuple[int, bytes]]:
    limits = services.settings
    aggregate = services.ledger.aggregate(query, max_seconds=limits.max_query_seconds, max_results=limits.max_results)
    return results_json(query, aggregate)


def paged(body: Body, headers: Mapping[str, str] | None = None) -> Response:
    """Answers with a page, sent in pieces where it is large."""
    given = dict(headers or {})
    if body.encoding:
        given["content-encoding"] = body.encoding
    if max(body.size, body.held) > FREE_BYTES:
        return LargeAnswer(body.pieces, body.size, body.held, given)
    return Response(b"".join(body.pieces), headers=given, media_type="application/json")


def page_endpoint(meter: Meter, handler: Handler, headers: tuple[str, ...] = ()) -> Endpoint:
    """Makes the row that answers with pages of a meter."""
    return Endpoint(
        "GET",
        f"/v1{meter.path}",
        handler,
        name=f"usage-{meter.kind.replace('_', '-')}",
        tag="Usage",
        summary=f"Get {meter.title.lower()} by buckets of time.",
        scopes=(READ,),
        answer=Answer(ref(f"{title(meter)}Page"), headers=headers, example=_example(meter)),
        parameters=_parameters(meter),
        checks_parameters=False,
    )


def _parameters(meter: Meter) -> tuple[Parameter, ...]:
    widths: Schema = {"type": "string", "enum": [width.name for width in meter.widths], "default": "1d"}
    limit: Schema = {"type": "integer", "minimum": 1, "maximum": max(width.max_limit for width in meter.widths)}
    limits = "; ".join(f"`{w.name}`: {w.default_limit}, at most {w.max_limit}" for w in meter.widths)
    groups: Schema = {"type": "string", "enum": [dimension.name for dimension in meter.groupings]}
    zone = "Of buckets of `1d`: the time zone whose days they are."
    if meter.priced:
        zone += " Of `all`: the one whose hours the window is widened to."
    as_of = Parameter("as_of", TIME, "Answer by the prices of this time, Unix seconds.")
    return (
        *window_parameters(required=True),
        *([as_of] if meter.priced else []),
        Parameter(
            "bucket_width", widths, "Width of a bucket; buckets are aligned to UTC, where no `timezone` is given."
        ),
        Parameter("timezone", ref("TimeZone"), zone),
        *filter_parameters(meter),
        Parameter("group_by", groups, "Tell results apart by these.", listed=True),
        Parameter("limit", limit, f"Most buckets on a page, by default and at most by width: {limits}."),
        Parameter("page", {"type": "string", "pattern": "^page_"}, "`next_page` of the page before."),
    )


def _example(meter: Meter) -> dict[str, Any]:
    if meter.priced:
        amount = {"value": 0.06, "currency": "usd"}
        measures: dict[str, Any] = {"amount": amount, "quantity": None, "quantity_unit": None}
    else:
        measures = {m.name: 1200 if m.required else 0 for m in meter.reported}
    names = (d.name for d in meter.groupings if not d.extension)
    result = {"object": meter.object, **measures, **dict.fromkeys(names)}
    bucket = {
        "object": "bucket",
        "start_time": 1736553600,
        "end_time": 1736640000,
        "start_time_iso": "2025-01-11T00:00:00+00:00",
        "end_time_iso": "2025-01-12T00:00:00+00:00",
        "results": [result],
    }
    return {"object": "page", "data": [bucket], "has_more": False, "next_page": None}


ENDPOINTS = tuple(page_endpoint(meter, partial(usage, meter)) for meter in METERS)
