"""The endpoint of firings: which alerts found that spend had reached their threshold. An extension."""

from functools import partial
from typing import Any

from starlette.responses import Response

from usageledger.questions.pages import money
from usageledger.registry import MANAGE, READ, Firing
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
    return await list_response(partial(call.services.registry.alert_firings.list, page, **wanted), _firing)


def _firing(firing: Firing) -> dict[str, Any]:
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
