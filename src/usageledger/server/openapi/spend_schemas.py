"""The OpenAPI document's part about limits of spend and alerts on it."""

from collections.abc import Mapping
from typing import get_args

from usageledger.registry import Cause, DeliveryKind, DeliveryState
from usageledger.server.api.spend_alerts import ALERT, CHANNEL
from usageledger.server.api.spend_limits import LIMIT
from usageledger.server.json_schema import (
    COUNT,
    FLAG,
    SECONDS,
    SECONDS_OR_NULL,
    TEXT,
    TEXT_OR_NULL,
    Schema,
    answer,
    const,
    described,
    ref,
)
from usageledger.server.openapi.bodies import body
from usageledger.server.openapi.schemas import list_of

DOCS = {
    "threshold_amount": "The amount in US cents.",
    "currency": "The currency of the amount.",
    "interval": "The calendar month, in UTC.",
    "type": "The way to tell.",
    "recipients": "The addresses that are told.",
    "subject_prefix": "Stands before the subject.",
}


def spend_components() -> dict[str, Schema]:
    """Makes the named schemas of limits and alerts."""
    channel, alert = body(CHANNEL, DOCS), body(ALERT, DOCS)
    alert["properties"]["notification_channel"] = ref("SpendAlertChannel")
    made = {"SpendLimitUpdate": body(LIMIT, DOCS), "SpendAlertChannel": channel, "SpendAlertCreate": alert}
    made |= {"SpendAlertFiring": _firing(), "SpendAlertFiringList": list_of("SpendAlertFiring")}
    for whose in ("organization", "project"):
        made |= {f"{whose.title()}{name}": schema for name, schema in _of_scope(whose).items()}
    return made


def _firing() -> Schema:
    causes = {"type": "string", "enum": list(get_args(Cause))}
    return answer(
        {
            "object": const("spend_alert.firing"),
            "id": TEXT,
            "alert_id": TEXT,
            "project_id": described(TEXT_OR_NULL, "Null for the organization."),
            "period_start": SECONDS,
            "threshold_amount": described(COUNT, DOCS["threshold_amount"]),
            "fired_at": SECONDS,
            "spend": ref("Money"),
            "deliveries": {"type": "array", "items": _delivery()},
            "cause": described(causes, "`created` and `changed` where spend had reached it before the alert was."),
        },
        "An alert whose threshold the spend of a month has reached.",
    )


def _delivery() -> Schema:
    return answer(
        {
            "id": described(TEXT, "The same at each attempt."),
            "type": {"type": "string", "enum": list(get_args(DeliveryKind))},
            "target": TEXT,
            "status": described(
                {"type": "string", "enum": list(get_args(DeliveryState))},
                "`merged` where the message about a higher threshold tells of it, `no_channel` where there is no way "
                "to send, `dropped` where the alert was deleted before.",
            ),
            "attempts": COUNT,
            "next_attempt_at": SECONDS_OR_NULL,
            "last_answer": TEXT_OR_NULL,
        },
        "A message to one target.",
    )


def _of_scope(whose: str) -> Mapping[str, Schema]:
    """Describes the answers of a scope."""
    terms = {
        "threshold_amount": described(COUNT, DOCS["threshold_amount"]),
        "currency": const("USD"),
        "interval": const("month"),
    }
    status: Schema = {"type": "string", "enum": ["inactive", "enforcing"]}
    state = answer({"status": described(status, "`enforcing` while the recorded spend of the month has reached it.")})
    channel = answer(
        {"type": const("email"), "recipients": {"type": "array", "items": TEXT}, "subject_prefix": TEXT_OR_NULL}
    )
    alert = {"id": TEXT, "object": const(f"{whose}.spend_alert"), **terms, "notification_channel": channel}
    return {
        "SpendLimit": answer({"object": const(f"{whose}.spend_limit"), **terms, "enforcement": state}),
        "SpendLimitDeleted": answer({"object": const(f"{whose}.spend_limit.deleted"), "deleted": FLAG}),
        "SpendAlert": answer(alert, f"An alert on the spend of the {whose}."),
        "SpendAlertList": list_of(f"{whose.title()}SpendAlert"),
        "SpendAlertDeleted": answer({"id": TEXT, "object": const(f"{whose}.spend_alert.deleted"), "deleted": FLAG}),
    }
