"""The endpoints of limits of spend: one of the organization, and one of each project.

Source: OpenAI's Administration API.
"""

from functools import partial
from typing import Any

from anyio.to_thread import run_sync
from starlette.responses import Response

from usageledger.errors import NotFoundError
from usageledger.registry import MANAGE, READ, SpendLimit
from usageledger.server.api.spend_scopes import CURRENCY, INTERVAL, PROJECT, ROOT, TAG, level, take_scope, threshold
from usageledger.server.api.spend_state import is_enforcing, look
from usageledger.server.endpoint import Answer, Call, Endpoint, object_body
from usageledger.server.http.requests import json_response
from usageledger.server.json_schema import ref
from usageledger.server.services import in_slot

LIMIT = (threshold(1), CURRENCY, INTERVAL)


async def get_limit(call: Call) -> Response:
    """Finds the limit of the scope."""
    limit = await run_sync(call.services.registry.spend_settings.limit, await take_scope(call))
    if limit is None:
        raise _unset(call)
    return await _limit(call, limit)


async def set_limit(call: Call) -> Response:
    """Sets the limit of the scope, in place of the one that it has."""
    cents = (await call.read())["threshold_amount"]
    scope, now = await take_scope(call), int(call.services.clock())
    set_it = partial(call.services.registry.spend_settings.set_limit, scope, cents, actor=call.actor, now=now)
    limit = await run_sync(set_it)
    await run_sync(look, call.services)
    return await _limit(call, limit)


async def delete_limit(call: Call) -> Response:
    """Removes the limit of the scope."""
    scope, now = await take_scope(call), int(call.services.clock())
    delete = partial(call.services.registry.spend_settings.delete_limit, scope, actor=call.actor, now=now)
    if not await run_sync(delete):
        raise _unset(call)
    await run_sync(look, call.services)
    return json_response({"object": f"{level(call)}.spend_limit.deleted", "deleted": True})


def _unset(call: Call) -> NotFoundError:
    return NotFoundError(f"No {level(call)} spend limit is configured.")


async def _limit(call: Call, limit: SpendLimit) -> Response:
    """Shows a limit; its state is asked of the ledger."""
    enforcing = await in_slot(call.services, partial(is_enforcing, call.services, limit))
    shown: dict[str, Any] = {
        "object": f"{level(call)}.spend_limit",
        "threshold_amount": limit.threshold_cents,
        "currency": "USD",
        "interval": "month",
        "enforcement": {"status": "enforcing" if enforcing else "inactive"},
    }
    return json_response(shown)


EXAMPLE = {"threshold_amount": 100_000, "currency": "USD", "interval": "month"}


def _endpoints(root: str, whose: str) -> tuple[Endpoint, ...]:
    """Makes the endpoints of a scope."""
    path, title = f"{root}/spend_limit", whose.title()
    errors = () if "{" in root else (NotFoundError,)  # which every path with an id has
    return (
        Endpoint(
            "GET",
            path,
            get_limit,
            name=f"Get{whose}spendlimit",
            tag=TAG,
            summary=f"Get the limit of spend of the {whose}.",
            scopes=(MANAGE, READ),
            answer=Answer(ref(f"{title}SpendLimit")),
            errors=errors,
        ),
        Endpoint(
            "POST",
            path,
            set_limit,
            name=f"Update{whose}spendlimit",
            tag=TAG,
            summary=f"Set the limit of spend of the {whose}, in place of the one that it has.",
            scopes=(MANAGE,),
            answer=Answer(ref(f"{title}SpendLimit")),
            body=object_body("SpendLimitUpdate", LIMIT, EXAMPLE),
        ),
        Endpoint(
            "DELETE",
            path,
            delete_limit,
            name=f"Delete{whose}spendlimit",
            tag=TAG,
            summary=f"Remove the limit of spend of the {whose}.",
            scopes=(MANAGE,),
            answer=Answer(ref(f"{title}SpendLimitDeleted")),
            errors=errors,
        ),
    )


ENDPOINTS = (*_endpoints(ROOT, "organization"), *_endpoints(PROJECT, "project"))
