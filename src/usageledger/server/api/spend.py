"""The endpoint of spend: what each scope with a limit or an alert has spent, holds and has left. An extension."""

from functools import partial
from typing import Any

from starlette.responses import Response

from usageledger.questions.pages import money
from usageledger.registry import READ
from usageledger.server.endpoint import Answer, Call, Endpoint
from usageledger.server.http.requests import json_response
from usageledger.server.json_schema import ref
from usageledger.server.services import Services, in_slot
from usageledger.spending.report import ScopeSpend, report
from usageledger.spending.spend import ORGANIZATION


async def list_spend(call: Call) -> Response:
    """Lists the organization and every project that has a limit or an alert."""
    services, now = call.services, int(call.services.clock())
    entries = await in_slot(services, partial(_report, services, now))
    return json_response({"object": "list", "data": [_entry(each, now) for each in entries]})


def _report(services: Services, now: int) -> list[ScopeSpend]:
    settings = services.registry.spend_settings
    limits = settings.amounts()
    scopes = {ORGANIZATION, *limits, *(alert.project_id or ORGANIZATION for alert in settings.alerts())}
    limits_of = {scope: limits.get(scope) for scope in sorted(scopes)}
    return report(services.ledger, services.price_tables, limits_of, services.spending, now)


def _entry(each: ScopeSpend, now: int) -> dict[str, Any]:
    settled, likely = each.settled, each.forecast
    return {
        "object": "spend",
        "project_id": each.scope or None,
        "start_time": each.month.start,
        "end_time": each.month.end,
        "as_of": now,
        "limit": None if each.limit is None else money(each.limit),
        "status": "enforcing" if each.is_enforcing else "inactive",
        "spent": money(each.spent),
        "held": money(each.held),
        "available": None if each.available is None else money(each.available),
        "forecast": likely and {name: money(getattr(likely, name)) for name in ("amount", "low", "high")},
        "unpriced_requests": each.unpriced_requests,
        "accuracy": settled
        and {
            "cost_above_holds": money(settled.above),
            "cost_without_hold": money(max(0, each.spent - settled.cost)),
            "cost_after_holds_ended": money(settled.late),
        },
    }


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/spend",
        list_spend,
        name="list-spend",
        tag="Spend",
        summary="List what this month has cost, against limits.",
        scopes=(READ,),
        answer=Answer(ref("SpendList")),
    ),
)
