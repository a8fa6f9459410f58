"""The endpoints of alerts on spend, of the organization and of projects. Source: OpenAI's Administration API."""

from functools import partial
from typing import Annotated, Any, Literal

from anyio.to_thread import run_sync
from msgspec import Meta
from starlette.responses import Response

from usageledger.fields import END_OF_TEXT, NAME_CHARACTERS_MAX, Field
from usageledger.registry import MANAGE, READ, AlertTerms, SpendAlert
from usageledger.registry.spend_settings import ONE_LINE, RECIPIENT, RECIPIENTS_MAX
from usageledger.server.api.listing import (
    CURSORS,
    ORDER,
    found,
    limit_parameter,
    list_response,
    take_id,
    take_order,
    take_page,
)
from usageledger.server.api.spend_scopes import CURRENCY, INTERVAL, PROJECT, ROOT, TAG, level, take_scope, threshold
from usageledger.server.endpoint import Answer, Call, Endpoint, object_body
from usageledger.server.http.requests import check_fields, json_response
from usageledger.server.json_schema import ref

ALERTS_LISTED_MAX = 100

Recipient = Annotated[str, Meta(max_length=NAME_CHARACTERS_MAX, pattern=f"^{RECIPIENT}{END_OF_TEXT}")]
Prefix = Annotated[str, Meta(max_length=NAME_CHARACTERS_MAX, pattern=f"^{ONE_LINE}{END_OF_TEXT}")]
CHANNEL = (
    Field("type", Literal["email"], (str,), "a string", "'email'"),
    Field(
        "recipients",
        Annotated[list[Recipient], Meta(min_length=1, max_length=RECIPIENTS_MAX)],
        (list,),
        "an array",
        f"an array of 1 to {RECIPIENTS_MAX} e-mail addresses",
    ),
    Field(
        "subject_prefix",
        Prefix | None,
        (str, type(None)),
        "a string or null",
        f"at most {NAME_CHARACTERS_MAX} characters without control characters, or null",
        None,
    ),
)
ALERT = (
    threshold(0),
    CURRENCY,
    INTERVAL,
    Field("notification_channel", dict[str, Any], (dict,), "an object", "an object"),
)


async def list_alerts(call: Call) -> Response:
    """Lists alerts of the scope."""
    given = call.given()
    page, order = take_page(given, 0, ALERTS_LISTED_MAX), take_order(given)
    listed = call.services.registry.spend_settings.list_alerts
    return await list_response(partial(listed, await take_scope(call), **page, order=order), partial(_alert, call))


async def create_alert(call: Call) -> Response:
    """Makes an alert of the scope."""
    terms = await _terms(call)
    scope, now = await take_scope(call), int(call.services.clock())
    create = partial(call.services.registry.spend_settings.create_alert, scope, terms, actor=call.actor, now=now)
    return json_response(_alert(call, await run_sync(create)))


async def get_alert(call: Call) -> Response:
    """Finds an alert of the scope."""
    find = partial(call.services.registry.spend_settings.alert, await take_scope(call), take_id(call))
    return json_response(_alert(call, found(await run_sync(find), call)))


async def replace_alert(call: Call) -> Response:
    """Gives an alert of the scope other terms."""
    terms = await _terms(call)
    scope, now = await take_scope(call), int(call.services.clock())
    replace = call.services.registry.spend_settings.replace_alert
    changed = await run_sync(partial(replace, scope, take_id(call), terms, actor=call.actor, now=now))
    return json_response(_alert(call, found(changed, call)))


async def delete_alert(call: Call) -> Response:
    """Removes an alert of the scope."""
    scope, alert_id, now = await take_scope(call), take_id(call), int(call.services.clock())
    delete = partial(call.services.registry.spend_settings.delete_alert, scope, alert_id, actor=call.actor, now=now)
    deleted = await run_sync(delete)
    found(deleted or None, call)
    return json_response({"id": alert_id, "object": f"{level(call)}.spend_alert.deleted", "deleted": True})


async def _terms(call: Call) -> AlertTerms:
    """Reads the body, which has all of an alert each time."""
    body = await call.read()
    channel = check_fields(body["notification_channel"], CHANNEL, "notification_channel.")
    return AlertTerms(body["threshold_amount"], tuple(channel["recipients"]), channel["subject_prefix"])


def _alert(call: Call, alert: SpendAlert) -> dict[str, Any]:
    terms = alert.terms
    return {
        "id": alert.id,
        "object": f"{level(call)}.spend_alert",
        "threshold_amount": terms.threshold_cents,
        "currency": "USD",
        "interval": "month",
        "notification_channel": {
            "type": "email",
            "recipients": terms.recipients,
            "subject_prefix": terms.subject_prefix,
        },
    }


EXAMPLE = {
    "threshold_amount": 80_000,
    "currency": "USD",
    "interval": "month",
    "notification_channel": {"type": "email", "recipients": ["finance@example.com"], "subject_prefix": "[spend]"},
}


def _endpoints(root: str, whose: str) -> tuple[Endpoint, ...]:
    """Makes the endpoints of a scope."""
    path, one, title = f"{root}/spend_alerts", f"{root}/spend_alerts/{{alert_id}}", whose.title()
    body = object_body("SpendAlertCreate", ALERT, EXAMPLE)
    return (
        Endpoint(
            "GET",
            one,
            get_alert,
            name=f"retrieve-{whose}-spend-alert",
            tag=TAG,
            summary=f"Get an alert on the spend of the {whose}.",
            scopes=(MANAGE, READ),
            answer=Answer(ref(f"{title}SpendAlert")),
        ),
        Endpoint(
            "POST",
            one,
            replace_alert,
            name=f"update-{whose}-spend-alert",
            tag=TAG,
            summary=f"Replace an alert on the spend of the {whose}.",
            scopes=(MANAGE,),
            answer=Answer(ref(f"{title}SpendAlert")),
            body=body,
        ),
        Endpoint(
            "DELETE",
            one,
            delete_alert,
            name=f"delete-{whose}-spend-alert",
            tag=TAG,
            summary=f"Remove an alert on the spend of the {whose}.",
            scopes=(MANAGE,),
            answer=Answer(ref(f"{title}SpendAlertDeleted")),
        ),
        Endpoint(
            "GET",
            path,
            list_alerts,
            name=f"list-{whose}-spend-alerts",
            tag=TAG,
            summary=f"List alerts on the spend of the {whose}.",
            scopes=(MANAGE, READ),
            answer=Answer(ref(f"{title}SpendAlertList")),
            parameters=(limit_parameter(0, ALERTS_LISTED_MAX), *CURSORS, ORDER),
        ),
        Endpoint(
            "POST",
            path,
            create_alert,
            name=f"create-{whose}-spend-alert",
            tag=TAG,
            summary=f"Make an alert on the spend of the {whose}.",
            scopes=(MANAGE,),
            answer=Answer(ref(f"{title}SpendAlert")),
            body=body,
        ),
    )


ENDPOINTS = (*_endpoints(ROOT, "organization"), *_endpoints(PROJECT, "project"))
