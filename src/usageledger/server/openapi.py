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
from usageledger.errors import (
    AuthenticationError,
    BodyTooLargeError,
    InternalError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    RequestError,
    UnsupportedMediaTypeError,
)
from usageledger.meters import COSTS, METERS, Dimension, Meter
from usageledger.query import MOST_FILTER_VALUES
from usageledger.server.costs import UNPRICED_HEADER
from usageledger.server.http import JSON_TYPES, LINES_TYPES
from usageledger.server.organization import DEFAULT_LIMIT, MANAGE, MOST_EMAILS, MOST_LISTED, READ_NAMES
from usageledger.server.schemas import NO_NUL, Schema, components, const, event_example, ref, title
from usageledger.settings import Settings

LISTS = "Given again and again, in brackets (`{0}[]=`), or with commas between the values."
# A comma ends a value, so that one item may stand for several; none of them is empty.
VALUES = r"^[^,\u0000]+(,[^,\u0000]+)*$"
# The same where values have commas with a space behind.
SPACED_VALUES = r"^([^,\u0000]|, )+(,(?! )([^,\u0000]|, )+)*$"
TAGS = {
    "Usage": "How much was used, by buckets of time. The same as OpenAI's Organization Usage API.",
    "Events": "Usage on its way in.",
    "Projects": "Projects, made here or first seen in an event.",
    "Users": "Users, first seen in events.",
    "Admin API keys": "The keys of this API.",
    "Server": "The server itself.",
}
# What may go wrong with any request that needs a key.
ERRORS = (
    InvalidRequestError,
    AuthenticationError,
    PermissionDeniedError,
    RateLimitError,
    InternalError,
    OverloadedError,
)
FIND_ERRORS = (*ERRORS, NotFoundError)
BODY_ERRORS = (*ERRORS, BodyTooLargeError, UnsupportedMediaTypeError)


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
            "/v1/unpriced": {"get": _unpriced()},
            "/v1/events": {"post": _events(settings)},
            **_projects(),
            **_users(),
            **_keys(),
            **_server(),
        },
        "components": {
            "schemas": components(),
            "headers": _headers(),
            "responses": {error.__name__: _error_response(error) for error in (*BODY_ERRORS, NotFoundError)},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A key: `Authorization: Bearer sk-…`."}
            },
        },
    }


# --- operations --------------------------------------------------------------------------------------------------


def _operation(  # noqa: PLR0913 - an operation has this many parts
    tag: str,
    operation_id: str,
    summary: str,
    answer: str,
    *,
    scopes: tuple[str, ...] = (),
    parameters: list[Schema] | None = None,
    body: Schema | None = None,
    errors: tuple[type[RequestError], ...] = ERRORS,
    example: Any = None,
) -> Schema:
    """An operation; `scopes` are those of which a key must have one, none at all for a public operation."""
    content: Schema = {"schema": ref(answer)} | ({} if example is None else {"example": example})
    responses = {"200": _response("What was asked for.", content)}
    responses |= {str(e.status): {"$ref": f"#/components/responses/{e.__name__}"} for e in errors}
    operation: Schema = {
        "tags": [tag],
        "operationId": operation_id,
        "summary": summary,
        "security": [{"bearer": [scope]} for scope in scopes],
        "responses": dict(sorted(responses.items())),
    }
    if scopes:
        operation["description"] = f"{summary} Needs a key with {' or '.join(f'`{scope}`' for scope in scopes)}."
    if parameters:
        operation["parameters"] = parameters
    if body:
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _response(description: str, content: Schema, *more_headers: str) -> Schema:
    headers = ("x-request-id", "openai-processing-ms", *more_headers)
    return {
        "description": description,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {"application/json": content},
    }


def _error_response(error: type[RequestError]) -> Schema:
    status, _, rest = (error.__doc__ or "").partition(": ")
    example = error("What went wrong, and what is allowed instead.").body()
    headers = {429: ["Retry-After"], 503: ["Retry-After"], 401: ["WWW-Authenticate"]}.get(error.status, [])
    return _response(f"{status}: {rest}", {"schema": ref("Error"), "example": example}, *headers)


def _headers() -> dict[str, Schema]:
    text: Schema = {"type": "string"}
    number: Schema = {"type": "integer", "minimum": 0}
    return {
        "x-request-id": {"description": "Names the request in the server's log.", "required": True, "schema": text},
        "openai-processing-ms": {"description": "Milliseconds until the answer.", "required": True, "schema": number},
        "Retry-After": {"description": "Seconds until the same request is worth a try.", "schema": number},
        UNPRICED_HEADER: {"description": "Rate cards whose usage is unpriced, where there are any.", "schema": number},
        "WWW-Authenticate": {"description": "The scheme to use.", "schema": const("Bearer")},
    }


def _query(name: str, schema: Schema, description: str, *, required: bool = False) -> Schema:
    return {"name": name, "in": "query", "required": required, "description": description, "schema": schema}


def _list(name: str, items: Schema, description: str, most: int | None = None) -> Schema:
    schema: Schema = {"type": "array", "items": items, "minItems": 1} | ({"maxItems": most} if most else {})
    return {**_query(name, schema, f"{description} {LISTS.format(name)}"), "style": "form", "explode": True}


# --- usage -------------------------------------------------------------------------------------------------------


def _usage(meter: Meter) -> Schema:
    operation = _operation(
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


def _unpriced() -> Schema:
    return _operation(
        "Usage",
        "list-unpriced",
        "List usage with no known price, by kind, model and tier.",
        "UnpricedList",
        scopes=("api.usage.read",),
        parameters=_window(required=False),
    )


def _window(*, required: bool) -> list[Schema]:
    time: Schema = {"type": "integer", "minimum": 0, "maximum": LATEST_TIME}
    return [
        _query("start_time", time, "Start of the window, inclusive, Unix seconds.", required=required),
        _query("end_time", time, "End of the window, exclusive, Unix seconds; now where it is not given."),
    ]


def _usage_parameters(meter: Meter) -> list[Schema]:
    widths: Schema = {"type": "string", "enum": [width.name for width in meter.widths], "default": "1d"}
    limit: Schema = {"type": "integer", "minimum": 1, "maximum": max(width.max_limit for width in meter.widths)}
    limits = "; ".join(f"`{w.name}`: {w.default_limit}, at most {w.max_limit}" for w in meter.widths)
    groups: Schema = {"type": "string", "enum": [dimension.name for dimension in meter.groupings]}
    as_of: Schema = {"type": "integer", "minimum": 0, "maximum": LATEST_TIME}
    return [
        *_window(required=True),
        *([_query("as_of", as_of, "Answer by the prices of this time, Unix seconds.")] if meter.priced else []),
        _query("bucket_width", widths, "Width of a bucket; buckets are aligned to UTC."),
        *(_filter(dimension) for dimension in meter.filters),
        _list("group_by", groups, "Tell results apart by these."),
        _query("limit", limit, f"Most buckets on a page, by default and at most by width: {limits}."),
        _query("page", {"type": "string", "pattern": "^page_"}, "`next_page` of the page before."),
    ]


def _filter(dimension: Dimension) -> Schema:
    name = dimension.filter or ""
    if dimension.flag:
        return _query(name, {"type": "boolean"}, f"Only usage with this. {dimension.doc}")
    if dimension.pattern:
        items: Schema = {"type": "string", "pattern": dimension.pattern, "examples": list(dimension.values)}
    elif dimension.values:
        items = {"type": "string", "enum": list(dimension.values)}
    else:
        items = {"type": "string", "minLength": 1, "pattern": SPACED_VALUES if dimension.has_commas else VALUES}
    more = "" if dimension.values else " A value with a comma goes in brackets."
    return _list(name, items, f"Only usage of these. {dimension.doc}{more}", MOST_FILTER_VALUES)


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
    operation = _operation(
        "Events",
        "ingest-events",
        "Keep events: one, an array of them, or one a line.",
        "EventBatch",
        scopes=("api.usage.write",),
        body={
            **{name: {"schema": one_or_many, "examples": examples} for name in JSON_TYPES},
            **{name: {"schema": text} for name in LINES_TYPES},
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
    archived = _query("include_archived", {"type": "boolean", "default": False}, "List archived projects too.")
    listed = _operation(
        "Projects", "list-projects", "List projects.", "ProjectList", scopes=READ_NAMES, parameters=_paged(archived)
    )
    got = _operation("Projects", "retrieve-project", "Get a project.", "Project", scopes=READ_NAMES, errors=FIND_ERRORS)
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
    emails = _list("emails", email, "Only users with these addresses.", MOST_EMAILS)
    listed = _operation("Users", "list-users", "List users.", "UserList", scopes=READ_NAMES, parameters=_paged(emails))
    got = _operation("Users", "retrieve-user", "Get a user.", "User", scopes=READ_NAMES, errors=FIND_ERRORS)
    return {
        "/v1/organization/users": {"get": listed},
        "/v1/organization/users/{user_id}": {"parameters": [_id("user_id")], "get": got},
    }


def _keys() -> dict[str, Schema]:
    tag, scopes = "Admin API keys", (MANAGE,)
    order = _query("order", {"type": "string", "enum": ["asc", "desc"], "default": "asc"}, "By time of creation.")
    listed = _operation(
        tag, "admin-api-keys-list", "List keys.", "AdminApiKeyList", scopes=scopes, parameters=_paged(order)
    )
    got = _operation(tag, "admin-api-keys-get", "Get a key.", "AdminApiKey", scopes=scopes, errors=FIND_ERRORS)
    deleted = _operation(
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
    return _operation(
        tag, operation_id, summary, answer, scopes=(MANAGE,), body=content, errors=(*BODY_ERRORS, *more_errors)
    )


def _paged(extra: Schema) -> list[Schema]:
    limit: Schema = {"type": "integer", "minimum": 1, "maximum": MOST_LISTED, "default": DEFAULT_LIMIT}
    after: Schema = {"type": "string", "pattern": NO_NUL}
    return [
        _query("limit", limit, "Most entries on a page."),
        _query("after", after, "`last_id` of the page before."),
        extra,
    ]


def _id(name: str) -> Schema:
    schema: Schema = {"type": "string", "minLength": 1}
    text = "Any characters, percent-encoded: ids that come from events may hold slashes too."
    return {"name": name, "in": "path", "required": True, "description": text, "schema": schema}


def _server() -> dict[str, Schema]:
    ready = _operation("Server", "get-readiness", "Whether events can be kept.", "Readiness", errors=())
    ready["responses"]["503"] = _response("Events cannot be kept at the moment.", {"schema": ref("Readiness")})
    return {
        "/v1/meters": {
            "get": _operation(
                "Usage",
                "list-meters",
                "List the kinds of usage, with their measures and dimensions.",
                "MeterList",
                scopes=("api.usage.read",),
            )
        },
        "/healthz": {"get": _operation("Server", "get-health", "Whether the server answers.", "Health", errors=())},
        "/readyz": {"get": ready},
        "/openapi.json": {"get": _operation("Server", "get-openapi", "This document.", "OpenApi", errors=())},
    }
