"""The server's own description, `GET /openapi.json`: OpenAPI 3.1, made from METERS.

Operation ids, parameters and answers are those of OpenAI's API document where it has them.
"""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import usageledger
from usageledger.buckets import LATEST_TIME
from usageledger.errors import NotFoundError, RequestError
from usageledger.events.decoders import ARROW_TYPES, JSON_TYPES, LINES_TYPES, PARQUET_TYPES
from usageledger.fields import LONGEST_NAME
from usageledger.meters import COSTS, FACETS, METERS, Meter
from usageledger.server.api.audit import audit_components, audit_paths
from usageledger.server.api.backup import backup_paths
from usageledger.server.api.costs import UNPRICED_HEADER
from usageledger.server.api.facets import DEFAULT_FACETS, MOST_FACETS
from usageledger.server.api.organization import DEFAULT_LIMIT, MANAGE, MOST_EMAILS, MOST_LISTED, READ_NAMES
from usageledger.server.openapi.operations import (
    BODY_ERRORS,
    FIND_ERRORS,
    VALUES,
    answer_headers,
    error_answer,
    filter_parameters,
    list_parameter,
    make_operation,
    make_response,
    query_parameter,
    window_parameters,
)
from usageledger.server.openapi.price_schemas import price_components, price_paths
from usageledger.server.openapi.schemas import NO_NUL, Schema, components, event_example, ref, title
from usageledger.settings import Settings

TAGS = {
    "Usage": "How much was used, by buckets of time. The same as OpenAI's Organization Usage API.",
    "Prices": "What usage costs and why.",
    "Events": "Usage on its way in.",
    "Projects": "Projects, made here or first seen in an event.",
    "Users": "Users, first seen in events.",
    "Admin API keys": "The keys of this API.",
    "Audit": "Who changed keys and prices.",
    "Server": "The server itself.",
}


def openapi_routes(settings: Settings) -> list[Route]:
    """`GET /openapi.json`, for everyone; the document is made once."""
    body = msgspec.json.encode(document(settings))

    async def handle(_: Request) -> Response:
        return Response(body, media_type="application/json")

    return [Route("/openapi.json", handle, methods=["GET"])]


def document(settings: Settings) -> dict[str, Any]:
    """The OpenAPI document of a server with these settings."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "UsageLedger",
            "version": usageledger.__version__,
            "summary": "A self-hosted usage ledger for LLM traffic.",
            "description": "Takes usage events in and answers OpenAI's Organization Usage API.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": {
            **{f"/v1{meter.path}": {"get": _usage(meter)} for meter in (*METERS, COSTS)},
            **price_paths(),
            "/v1/facets": {"get": _facets()},
            "/v1/events": {"post": _events(settings)},
            **_projects(),
            **_users(),
            **_keys(),
            **audit_paths(_paged()),
            **backup_paths(),
            **_server(),
        },
        "components": {
            "schemas": components() | price_components() | audit_components(),
            "headers": answer_headers(),
            "responses": {error.__name__: error_answer(error) for error in (*BODY_ERRORS, NotFoundError)},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A key: `Authorization: Bearer sk-…`."}
            },
        },
    }


# --- usage -------------------------------------------------------------------------------------------------------


def _usage(meter: Meter) -> Schema:
    operation = make_operation(
        "Usage",
        f"usage-{meter.kind.replace('_', '-')}",
        f"Get {meter.title.lower()} by buckets of time.",
        f"{title(meter)}Page",
        scopes=("api.usage.read",),
        parameters=_usage_parameters(meter),
        example=_page_example(meter),
    )
    if meter.priced:
        operation["responses"]["200"]["headers"][UNPRICED_HEADER] = {"$ref": f"#/components/headers/{UNPRICED_HEADER}"}
    return operation


def _facets() -> Schema:
    dimension: Schema = {"type": "string", "enum": list(FACETS)}
    kind: Schema = {"type": "string", "enum": [meter.kind for meter in METERS]}
    search: Schema = {"type": "string", "maxLength": LONGEST_NAME, "pattern": NO_NUL}
    limit: Schema = {"type": "integer", "minimum": 1, "maximum": MOST_FACETS, "default": DEFAULT_FACETS}
    summary = "List the values of a dimension, of all time or of the days of a window."
    return make_operation("Usage", "list-facets", summary, "FacetList", scopes=("api.usage.read",)) | {
        "parameters": [
            query_parameter("dimension", dimension, "Whose values; of a kind that has it.", required=True),
            query_parameter("kind", kind, "Only values of this kind of usage."),
            *window_parameters(required=False),
            query_parameter("search", search, "Only values that have this in them, or in their name, in any case."),
            query_parameter("limit", limit, "Most values listed."),
        ]
    }


def _usage_parameters(meter: Meter) -> list[Schema]:
    widths: Schema = {"type": "string", "enum": [width.name for width in meter.widths], "default": "1d"}
    limit: Schema = {"type": "integer", "minimum": 1, "maximum": max(width.max_limit for width in meter.widths)}
    limits = "; ".join(f"`{w.name}`: {w.default_limit}, at most {w.max_limit}" for w in meter.widths)
    groups: Schema = {"type": "string", "enum": [dimension.name for dimension in meter.groupings]}
    as_of: Schema = {"type": "integer", "minimum": 0, "maximum": LATEST_TIME}
    return [
        *window_parameters(required=True),
        *(
            [query_parameter("as_of", as_of, "Answer by the prices of this time, Unix seconds.")]
            if meter.priced
            else []
        ),
        query_parameter(
            "bucket_width", widths, "Width of a bucket; buckets are aligned to UTC, where no `timezone` is given."
        ),
        query_parameter("timezone", ref("TimeZone"), "Of buckets of `1d`: the time zone whose days they are."),
        *filter_parameters(meter),
        list_parameter("group_by", groups, "Tell results apart by these."),
        query_parameter("limit", limit, f"Most buckets on a page, by default and at most by width: {limits}."),
        query_parameter("page", {"type": "string", "pattern": "^page_"}, "`next_page` of the page before."),
    ]


def _page_example(meter: Meter) -> dict[str, Any]:
    if meter.priced:
        amount = {"value": 0.06, "currency": "usd"}
        measures: dict[str, Any] = {"amount": amount, "quantity": None, "quantity_unit": None}
    else:
        measures = {m.name: 1200 if m.required else 0 for m in meter.measures}
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


# --- events ------------------------------------------------------------------------------------------------------


def _events(settings: Settings) -> Schema:
    examples = {meter.kind: {"value": event_example(meter)} for meter in METERS}
    lines = "".join(msgspec.json.encode(event_example(meter)).decode() + "\n" for meter in METERS[:2])
    several: Schema = {"type": "array", "items": ref("Event"), "maxItems": settings.max_batch_events}
    one_or_many = {"oneOf": [ref("Event"), several]}
    text = {"type": "string", "description": "One event a line, as JSON.", "examples": [lines]}
    table = {"type": "string", "format": "binary", "description": "Fields as columns; null where there is none."}
    operation = make_operation(
        "Events",
        "ingest-events",
        "Keep events: one, an array of them, or one a line.",
        "EventBatch",
        scopes=("api.usage.write",),
        body={
            **{name: {"schema": one_or_many, "examples": examples} for name in JSON_TYPES},
            **{name: {"schema": text} for name in LINES_TYPES},
            **{name: {"schema": table} for name in (*ARROW_TYPES, *PARQUET_TYPES)},
        },
        errors=BODY_ERRORS,
        example={"object": "event.batch", "accepted": 1, "duplicates": 0, "rejected": 0, "errors": []},
    )
    operation["description"] += (
        " Answered when the events are on disk. Events that cannot be kept are refused one by one, in `errors`, and "
        "the others are kept; the same request may always be sent again. At most "
        f"{settings.max_batch_events} events and {settings.max_body_bytes} bytes, decompressed, in one request; "
        "`Content-Encoding` may be `gzip` or `zstd`."
    )
    return operation


# --- organization and server -------------------------------------------------------------------------------------


def _projects() -> dict[str, Schema]:
    archived = query_parameter("include_archived", {"type": "boolean", "default": False}, "List archived projects too.")
    listed = make_operation(
        "Projects", "list-projects", "List projects.", "ProjectList", scopes=READ_NAMES, parameters=_paged(archived)
    )
    got = make_operation(
        "Projects", "retrieve-project", "Get a project.", "Project", scopes=READ_NAMES, errors=FIND_ERRORS
    )
    return {
        "/v1/organization/projects": {
            "get": listed,
            "post": _change("Projects", "create-project", "Make a project.", "Project", "ProjectCreate"),
        },
        "/v1/organization/projects/{project_id}": {
            "parameters": [_id("project_id")],
            "get": got,
            "post": _change(
                "Projects", "modify-project", "Rename a project.", "Project", "ProjectUpdate", NotFoundError
            ),
        },
    }


def _users() -> dict[str, Schema]:
    email: Schema = {"type": "string", "minLength": 1, "pattern": VALUES}
    emails = list_parameter("emails", email, "Only users with these addresses.", MOST_EMAILS)
    listed = make_operation(
        "Users", "list-users", "List users.", "UserList", scopes=READ_NAMES, parameters=_paged(emails)
    )
    got = make_operation("Users", "retrieve-user", "Get a user.", "User", scopes=READ_NAMES, errors=FIND_ERRORS)
    return {
        "/v1/organization/users": {"get": listed},
        "/v1/organization/users/{user_id}": {"parameters": [_id("user_id")], "get": got},
    }


def _keys() -> dict[str, Schema]:
    tag, scopes = "Admin API keys", (MANAGE,)
    order = query_parameter(
        "order", {"type": "string", "enum": ["asc", "desc"], "default": "asc"}, "By time of creation."
    )
    listed = make_operation(
        tag, "admin-api-keys-list", "List keys.", "AdminApiKeyList", scopes=scopes, parameters=_paged(order)
    )
    got = make_operation(tag, "admin-api-keys-get", "Get a key.", "AdminApiKey", scopes=scopes, errors=FIND_ERRORS)
    deleted = make_operation(
        tag, "admin-api-keys-delete", "Revoke a key.", "AdminApiKeyDeleted", scopes=scopes, errors=FIND_ERRORS
    )
    return {
        "/v1/organization/admin_api_keys": {
            "get": listed,
            "post": _change(tag, "admin-api-keys-create", "Make a key.", "AdminApiKeyCreated", "AdminApiKeyCreate"),
        },
        "/v1/organization/admin_api_keys/{key_id}": {"parameters": [_id("key_id")], "get": got, "delete": deleted},
    }


def _change(
    tag: str, operation_id: str, summary: str, answer: str, body: str, *more_errors: type[RequestError]
) -> Schema:
    """An operation that reads a JSON object and changes something."""
    content = {name: {"schema": ref(body), "example": {"name": "Search team"}} for name in JSON_TYPES}
    return make_operation(
        tag, operation_id, summary, answer, scopes=(MANAGE,), body=content, errors=(*BODY_ERRORS, *more_errors)
    )


def _paged(*extra: Schema) -> list[Schema]:
    limit: Schema = {"type": "integer", "minimum": 1, "maximum": MOST_LISTED, "default": DEFAULT_LIMIT}
    after: Schema = {"type": "string", "pattern": NO_NUL}
    return [
        query_parameter("limit", limit, "Most entries on a page."),
        query_parameter("after", after, "`last_id` of the page before."),
        *extra,
    ]


def _id(name: str) -> Schema:
    schema: Schema = {"type": "string", "minLength": 1}
    text = "Any characters, percent-encoded: ids that come from events may hold slashes too."
    return {"name": name, "in": "path", "required": True, "description": text, "schema": schema}


def _server() -> dict[str, Schema]:
    ready = make_operation("Server", "get-readiness", "Whether events can be kept.", "Readiness", errors=())
    ready["responses"]["503"] = make_response("Events cannot be kept at the moment.", {"schema": ref("Readiness")})
    return {
        "/v1/meters": {
            "get": make_operation(
                "Usage",
                "list-meters",
                "List the kinds of usage, with their measures and dimensions.",
                "MeterList",
                scopes=("api.usage.read",),
            )
        },
        "/healthz": {"get": make_operation("Server", "get-health", "Whether the server answers.", "Health", errors=())},
        "/readyz": {"get": ready},
        "/openapi.json": {"get": make_operation("Server", "get-openapi", "This document.", "OpenApi", errors=())},
    }
