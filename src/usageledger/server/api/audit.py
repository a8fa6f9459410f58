"""`GET /v1/organization/audit_logs`: who changed keys and prices, when, and what; with its part of the document.

The address, the shape and the names of what both have are those of OpenAI's Administration API.
"""

import re
from typing import Any

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from usageledger.errors import UnknownCursorError
from usageledger.registry import AUDIT_TYPES, AuditEntry, Registry
from usageledger.registry.audit import LOCAL
from usageledger.server.api.organization import DEFAULT_LIMIT, MANAGE, MOST_LISTED
from usageledger.server.http.parameters import one_of, refused, take, take_limit
from usageledger.server.http.requests import json_response
from usageledger.server.openapi.operations import list_parameter, make_operation
from usageledger.server.openapi.schemas import FLAG, SECONDS, TEXT, TEXT_OR_NULL, Schema, answer, const, described
from usageledger.server.services import Handler, Services

PREFIX = "audit_log-"
PATH = "/v1/organization/audit_logs"
_ID = re.compile(f"{PREFIX}([0-9]{{1,18}})")


def audit_routes(services: Services, registry: Registry) -> list[Route]:
    """The one route."""
    return [Route(PATH, audit_logs(services, registry), methods=["GET"])]


def audit_logs(services: Services, registry: Registry) -> Handler:
    """The entries, the newest first."""

    async def handle(request: Request) -> Response:
        await services.authenticator.require(request, MANAGE)
        given = take(request, ("limit", "after", "event_types"), listed=("event_types",))
        types = [one_of("event_types", name, AUDIT_TYPES) for name in given.get("event_types", [])]
        after, limit = _after(given.get("after")), take_limit(given, DEFAULT_LIMIT, MOST_LISTED)
        try:
            listing = await run_sync(lambda: registry.audit_log.list(after=after, limit=limit, types=types))
        except UnknownCursorError as error:
            raise refused("after", f"Invalid 'after': {error}") from None
        data = [_entry(entry) for entry in listing.data]
        ends = {"first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
        return json_response({"object": "list", "data": data, **ends, "has_more": listing.has_more})

    return handle


def _after(given: list[str] | None) -> int | None:
    if given is None:
        return None
    if match := _ID.fullmatch(given[0]):
        return int(match[1])
    raise refused("after", f"Invalid 'after': expected the id of an entry, '{PREFIX}…', got '{given[0][:256]}'.")


def _entry(entry: AuditEntry) -> dict[str, Any]:
    """An entry; what was changed stands in a field that is called as its type."""
    if entry.actor.startswith(LOCAL):
        actor = {"type": "local", "local": {"user": entry.actor.removeprefix(LOCAL)}}
    else:
        actor = {"type": "api_key", "api_key": {"id": entry.actor}}
    return {
        "object": "organization.audit_log",
        "id": f"{PREFIX}{entry.number}",
        "type": entry.type,
        "effective_at": entry.effective_at,
        "actor": actor,
        entry.type: entry.details,
    }


def audit_paths(paged: list[Schema]) -> dict[str, Schema]:
    """Its part of the OpenAPI document; `paged` are the parameters of every list."""
    types: Schema = {"type": "string", "enum": list(AUDIT_TYPES)}
    listed = list_parameter("event_types", types, "Only changes of these types.", len(AUDIT_TYPES))
    summary = "List changes of keys and prices, the newest first."
    operation = make_operation(
        "Audit", "list-audit-logs", summary, "AuditLogList", scopes=(MANAGE,), parameters=[*paged, listed]
    )
    return {PATH: {"get": operation}}


def audit_components() -> dict[str, Schema]:
    """The schemas that `audit_paths` names."""
    local = answer({"type": const("local"), "local": answer({"user": TEXT})}, "A command on the server's machine.")
    key = answer({"type": const("api_key"), "api_key": answer({"id": TEXT})}, "A key, over HTTP.")
    entry = answer(
        {
            "object": const("organization.audit_log"),
            "id": TEXT,
            "type": {"type": "string", "enum": list(AUDIT_TYPES)},
            "effective_at": described(SECONDS, "Unix seconds."),
            "actor": {"oneOf": [local, key]},
            **{name: described({"type": "object"}, f"What was changed, of type `{name}`.") for name in AUDIT_TYPES},
        },
        "A change, with what was changed in the field called as its type.",
        optional=AUDIT_TYPES,
    )
    return {
        "AuditLogList": answer(
            {
                "object": const("list"),
                "data": {"type": "array", "items": entry},
                "first_id": TEXT_OR_NULL,
                "last_id": TEXT_OR_NULL,
                "has_more": FLAG,
            }
        )
    }
