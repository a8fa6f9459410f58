"""Operations of the OpenAPI document: parameters, answers, errors and the scopes that a key needs for them."""

from typing import Any

from usageledger.buckets import LATEST_TIME
from usageledger.errors import (
    AuthenticationError,
    BodyTooLargeError,
    HeadersTooLargeError,
    InternalError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    RequestError,
    UnsupportedMediaTypeError,
)
from usageledger.meters import Dimension, Meter
from usageledger.questions.query import MOST_FILTER_VALUES
from usageledger.server.api.costs import UNPRICED_HEADER
from usageledger.server.openapi.schemas import Schema, const, ref

LISTS = "Given again and again, in brackets (`{0}[]=`), or with commas between the values."
# A comma ends a value, so that one item may stand for several; none of them is empty.
VALUES = r"^[^,\u0000]+(,[^,\u0000]+)*$"
# The same where values have commas with a space behind.
SPACED_VALUES = r"^([^,\u0000]|, )+(,(?! )([^,\u0000]|, )+)*$"
# What may go wrong with any request that needs a key.
ERRORS = (
    InvalidRequestError,
    AuthenticationError,
    PermissionDeniedError,
    RateLimitError,
    HeadersTooLargeError,
    InternalError,
    OverloadedError,
)
FIND_ERRORS = (*ERRORS, NotFoundError)
BODY_ERRORS = (*ERRORS, BodyTooLargeError, UnsupportedMediaTypeError)


def make_operation(  # noqa: PLR0913 - an operation has this many parts
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
    responses = {"200": make_response("What was asked for.", content)}
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


def make_response(description: str, content: Schema, *more_headers: str) -> Schema:
    """An answer with the headers that every answer has."""
    headers = ("x-request-id", "openai-processing-ms", *more_headers)
    return {
        "description": description,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {"application/json": content},
    }


def error_answer(error: type[RequestError]) -> Schema:
    """The answer of an error, from the first line of its class."""
    status, _, rest = (error.__doc__ or "").partition(": ")
    example = error("What went wrong, and what is allowed instead.").body()
    headers = {429: ["Retry-After"], 503: ["Retry-After"], 401: ["WWW-Authenticate"]}.get(error.status, [])
    return make_response(f"{status}: {rest}", {"schema": ref("Error"), "example": example}, *headers)


def answer_headers() -> dict[str, Schema]:
    """Every named header of the document."""
    text: Schema = {"type": "string"}
    number: Schema = {"type": "integer", "minimum": 0}
    return {
        "x-request-id": {"description": "Names the request in the server's log.", "required": True, "schema": text},
        "openai-processing-ms": {"description": "Milliseconds until the answer.", "required": True, "schema": number},
        "Retry-After": {"description": "Seconds until the same request is worth a try.", "schema": number},
        UNPRICED_HEADER: {"description": "Rate cards whose usage is unpriced, where there are any.", "schema": number},
        "WWW-Authenticate": {"description": "The scheme to use.", "schema": const("Bearer")},
    }


def query_parameter(name: str, schema: Schema, description: str, *, required: bool = False) -> Schema:
    """A parameter of the query string."""
    return {"name": name, "in": "query", "required": required, "description": description, "schema": schema}


def list_parameter(name: str, items: Schema, description: str, most: int | None = None) -> Schema:
    """A parameter that is a list, in the three encodings."""
    schema: Schema = {"type": "array", "items": items, "minItems": 1} | ({"maxItems": most} if most else {})
    return {**query_parameter(name, schema, f"{description} {LISTS.format(name)}"), "style": "form", "explode": True}


def window_parameters(*, required: bool) -> list[Schema]:
    """`start_time` and `end_time`."""
    time: Schema = {"type": "integer", "minimum": 0, "maximum": LATEST_TIME}
    return [
        query_parameter("start_time", time, "Start of the window, inclusive, Unix seconds.", required=required),
        query_parameter("end_time", time, "End of the window, exclusive, Unix seconds; now where it is not given."),
    ]


def filter_parameters(meter: Meter) -> list[Schema]:
    """One parameter for each filter of a meter."""
    return [_filter(dimension) for dimension in meter.filters]


def _filter(dimension: Dimension) -> Schema:
    name = dimension.filter or ""
    if dimension.flag:
        return query_parameter(name, {"type": "boolean"}, f"Only usage with this. {dimension.doc}")
    if dimension.pattern:
        items: Schema = {"type": "string", "pattern": dimension.pattern, "examples": list(dimension.values)}
    elif dimension.values:
        items = {"type": "string", "enum": list(dimension.values)}
    else:
        items = {"type": "string", "minLength": 1, "pattern": SPACED_VALUES if dimension.has_commas else VALUES}
    more = "" if dimension.values else " A value with a comma goes in brackets."
    return list_parameter(name, items, f"Only usage of these. {dimension.doc}{more}", MOST_FILTER_VALUES)
