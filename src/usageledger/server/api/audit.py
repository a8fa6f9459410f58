"""The endpoint of the audit log: who changed keys and prices, when, and what.

The address, the shape and the names of what both have are those of OpenAI's Administration API.
"""

import re
from functools import partial
from typing import Any

from starlette.responses import Response

from usageledger.registry import AUDIT_TYPES, MANAGE, AuditEntry
from usageledger.registry.audit import LOCAL
from usageledger.server.api.listing import PAGE_PARAMETERS, list_response, take_page
from usageledger.server.endpoint import Answer, Call, Endpoint
from usageledger.server.http.parameters import Parameter, one_of, refused
from usageledger.server.json_schema import ref

PREFIX = "audit_log-"
_ID = re.compile(f"{PREFIX}([0-9]{{1,18}})")


async def audit_logs(call: Call) -> Response:
    """Lists the entries, the newest first."""
    given = call.given()
    types = [one_of("event_types", name, AUDIT_TYPES) for name in given.get("event_types", [])]
    page = take_page(given)
    page |= {name: _number(name, page[name]) for name in ("after", "before")}
    find = partial(call.services.registry.audit_log.list, **page, types=types)
    return await list_response(find, _entry)


def _number(name: str, cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if match := _ID.fullmatch(cursor):
        return int(match[1])
    raise refused(name, f"Invalid '{name}': expected the id of an entry, '{PREFIX}…', got '{cursor[:256]}'.")


def _entry(entry: AuditEntry) -> dict[str, Any]:
    """Shows an entry; what was changed stands in a field that is called as its type."""
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


TYPES = Parameter(
    "event_types",
    {"type": "string", "enum": list(AUDIT_TYPES)},
    "Only changes of these types.",
    listed=True,
    values_max=len(AUDIT_TYPES),
)
ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/organization/audit_logs",
        audit_logs,
        name="list-audit-logs",
        tag="Audit",
        summary="List changes of keys and prices, the newest first.",
        scopes=(MANAGE,),
        answer=Answer(ref("AuditLogList")),
        parameters=(*PAGE_PARAMETERS, TYPES),
    ),
)
