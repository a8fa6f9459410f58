"""The endpoint of firings: which alerts found that spend had reached their threshold. An extension."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from starlette.responses import Response

from usageledger.questions.pages import money
from usageledger.registry import MANAGE, READ, Delivery, Firing, Listing, Registry
from usageledger.registry.paging import Page
from usageledger.server.api.listing import ORDER, PAGE_PARAMETERS, list_response, take_order, take_page
from usageledger.server.endpoint import Answer, Call, Endpoint
from usageledger.server.http.parameters import Parameter
from usageledger.server.json_schema import NO_NUL, ref

FILTERS = (
    Parameter("alert_id", {"type": "string", "pattern": NO_NUL}, "Only those of this alert."),
    Parameter("project_id", {"type": "string", "pattern": NO_NUL}, "Only those of this project."),
)


async def list_firings(call: Call) -> Response:
    """Lists firings."""
    given = call.given()
    page = Page(**take_page(given), order=take_order(given))
    wanted = {each.name: given[each.name][0] for each in FILTERS if each.name in given}
    return await list_response(partial(_find, call.services.registry, page, wanted), _firing)


def _find(registry: Registry, page: Page, wanted: dict[str, str]) -> Listing[tuple[Firing, Sequence[Delivery]]]:
    listing = registry.alert_firings.list(page, **wanted)
    deliveries = registry.deliveries.of(firing.id for firing in listing.data)
    return Listing(tuple((firing, deliveries.get(firing.id, ())) for firing in listing.data), listing.has_more)


def _firing(found: tuple[Firing, Sequence[Delivery]]) -> dict[str, Any]:
    firing, deliveries = found
    return {
        "object": "spend_alert.firing",
        "id": firing.id,
        "alert_id": firing.alert_id,
        "project_id": firing.project_id,
        "period_start": firing.period_start,
        "threshold_amount": firing.threshold_cents,
        "fired_at": firing.fired_at,
        "spend": money(firing.spend),
        "cause": firing.cause,
        "deliveries": [_delivery(delivery) for delivery in deliveries],
    }


def _delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "type": delivery.kind,
        "target": delivery.target,
        "status": delivery.state,
        "attempts": delivery.attempts,
        "next_attempt_at": delivery.next_at if delivery.state == "pending" else None,
        "last_answer": delivery.last_status,
    }


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/spend_alert_firings",
        list_firings,
        name="list-spend-alert-firings",
        tag="Spend",
        summary="List the alerts whose threshold the spend of a month has reached.",
        scopes=(MANAGE, READ),
        answer=Answer(ref("SpendAlertFiringList")),
        parameters=(*FILTERS, *PAGE_PARAMETERS, ORDER),
    ),
)
