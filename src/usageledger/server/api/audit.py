"""The endpoint of the audit log: who changed keys and prices, when, and what.

The address, the shape and the names of what both have are those of OpenAI's Administration API.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from starlette.responses import Response

from usageledger.questions.query import read_time
from usageledger.registry import AUDIT_TYPES, MANAGE, AuditEntry, Wanted
from usageledger.registry.audit import LOCAL
from usageledger.server.api.listing import PAGE_PARAMETERS, list_response, take_page
from usageledger.server.api.shared_parameters import TIME
from usageledger.server.endpoint import Answer, Call, Endpoint
from usageledger.server.http.parameters import Parameter, one_of, refused
from usageledger.server.json_schema import VALUES, ref

PREFIX = "audit_log-"
BOUNDS = {"gt": "after", "gte": "at or after", "lt": "before", "lte": "at or before"}  # of `effective_at`
_ID = re.compile(f"{PREFIX}([0-9]{{1,18}})")


async def audit_logs(call: Call) -> Response:
    """Lists the entries, the newest first."""
    given = call.given()
    page = take_page(given)
    page |= {name: _number(name, page[name]) for name in ("after", "before")}
    find = partial(call.services.registry.audit_log.list, **page, wanted=_wanted(given))
    return await list_response(find, _entry)


def _wanted(given: Mapping[str, list[str]]) -> Wanted:
    since, until = _bounds(given)
    return Wanted(
        types=[one_of("event_types", name, AUDIT_TYPES) for name in given.get("event_types", [])],
        since=since,
        until=until,
        # The organization owns all keys, so that no actor has an address.
        actors=[] if "actor_emails" in given else given.get("actor_ids"),
        projects=given.get("project_ids", []),
        resources=given.get("resource_ids", []),
    )


def _bounds(given: Mapping[str, list[str]]) -> tuple[int | None, int | None]:
    """Reads the bounds of `effective_at` as a first second and one after the last."""
    times = {name: read_time(f"effective_at[{name}]", given.get(f"effective_at[{name}]", [None])[0]) for name in BOUNDS}
    after = [time + (name == "gt") for name in ("gt", "gte") if (time := times[name]) is not None]
    before = [time + (name == "lte") for name in ("lt", "lte") if (time := times[name]) is not None]
    return max(after, default=None), min(before, default=None)


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


def _ids(name: str, doc: str) -> Parameter:
    """Makes the parameter of a list of ids."""
    return Parameter(name, {"type": "string", "minLength": 1, "pattern": VALUES}, doc, listed=True)


FILTERS = (
    *(
        Parameter(f"effective_at[{name}]", TIME, f"Only changes {words} this time, Unix seconds.")
        for name, words in BOUNDS.items()
    ),
    _ids("project_ids", "Only changes of these projects: limits of spend and alerts on it have one."),
    _ids("actor_ids", "Only changes that these keys made."),
    _ids("actor_emails", "Only changes that people with these addresses made: none, as keys have no address."),
    _ids("resource_ids", "Only changes of these: ids of keys, alerts, projects or repricings."),
)
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
        parameters=(*PAGE_PARAMETERS, TYPES, *FILTERS),
    ),
)
