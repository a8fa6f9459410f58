"""Operations of the OpenAPI document, each made from the row of its endpoint."""

from collections.abc import Iterable

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
from usageledger.server.api.costs import PROVISIONAL_HEADER, UNPRICED_HEADER
from usageledger.server.endpoint import Endpoint
from usageledger.server.http.parameters import Parameter
from usageledger.server.json_schema import COUNT, Schema, const, ref
from usageledger.settings import Settings

LISTS = "Given again and again, in brackets (`{0}[]=`), or with commas between the values."
ID_DOC = "Any characters, percent-encoded: ids that come from events may hold slashes too."
# What may go wrong with any request that needs a key, and beside that with any body.
ERRORS: tuple[type[RequestError], ...] = (
    InvalidRequestError,
    AuthenticationError,
    PermissionDeniedError,
    RateLimitError,
    HeadersTooLargeError,
    InternalError,
    OverloadedError,
)
BODY_ERRORS: tuple[type[RequestError], ...] = (BodyTooLargeError, UnsupportedMediaTypeError)


def paths(settings: Settings, endpoints: Iterable[Endpoint]) -> dict[str, Schema]:
    """Describes every endpoint, by path and method."""
    found: dict[str, Schema] = {}
    for endpoint in endpoints:
        item = found.setdefault(endpoint.path, {})
        if endpoint.ids:
            item["parameters"] = [_in_path(name, endpoint.path_values.get(name, ())) for name in endpoint.ids]
        item[endpoint.method.lower()] = operation_of(endpoint, settings)
    return found


def operation_of(endpoint: Endpoint, settings: Settings) -> Schema:
    """Describes one endpoint."""
    operation: Schema = {
        "tags": [endpoint.tag],
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "security": [{"bearer": [scope]} for scope in endpoint.scopes],
        "responses": _responses(endpoint),
    }
    needs = f"Needs a key with {' or '.join(f'`{scope}`' for scope in endpoint.scopes)}." if endpoint.scopes else ""
    notes = endpoint.notes(settings) if endpoint.notes else ""
    if needs or notes:
        operation["description"] = " ".join(filter(None, (endpoint.summary, needs, notes)))
    if endpoint.parameters:
        operation["parameters"] = [_parameter(parameter) for parameter in endpoint.parameters]
    if endpoint.body:
        operation["requestBody"] = {"required": endpoint.body.required, "content": endpoint.body.content(settings)}
    return operation


def _responses(endpoint: Endpoint) -> dict[str, Schema]:
    """Describes the answers, and the errors that come of the endpoint's form."""
    answer = endpoint.answer
    media: Schema = {"schema": answer.schema} | ({} if answer.example is None else {"example": answer.example})
    content = {answer.media_type: media} | {form: {"schema": schema} for form, schema in answer.other_forms.items()}
    errors = (
        *(ERRORS if endpoint.scopes else ()),
        *(BODY_ERRORS if endpoint.body else ()),
        *((NotFoundError,) if endpoint.ids else ()),
        *endpoint.errors,
    )
    responses = {"200": _response("What was asked for.", content, *answer.headers)}
    responses |= {str(status): _response(why, content) for status, why in answer.others.items()}
    if endpoint.error_forms:
        forms = {form: {"schema": schema} for form, schema in endpoint.error_forms.items()}
        responses |= {str(error.status): error_answer(error, forms) for error in errors if error is not InternalError}
    else:
        responses |= {str(error.status): {"$ref": f"#/components/responses/{error.__name__}"} for error in errors}
    return dict(sorted(responses.items()))


def _response(description: str, content: Schema, *more_headers: str) -> Schema:
    """Describes an answer with the headers that every answer has."""
    headers = ("x-request-id", "openai-processing-ms", *more_headers)
    return {
        "description": description,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": content,
    }


def error_answer(error: type[RequestError], content: Schema | None = None) -> Schema:
    """Describes the answer of an error, from the first line of its class; `content` where it is not the API's own."""
    status, _, rest = (error.__doc__ or "").partition(": ")
    example = error("What went wrong, and what is allowed instead.").body()
    headers = {429: ["Retry-After"], 503: ["Retry-After"], 401: ["WWW-Authenticate"]}.get(error.status, [])
    content = content or {"application/json": {"schema": ref("Error"), "example": example}}
    return _response(f"{status}: {rest}", content, *headers)


def answer_headers() -> dict[str, Schema]:
    """Describes every named header of the document."""
    text: Schema = {"type": "string"}
    return {
        "x-request-id": {"description": "Names the request in the server's log.", "required": True, "schema": text},
        "openai-processing-ms": {"description": "Milliseconds until the answer.", "required": True, "schema": COUNT},
        "Retry-After": {"description": "Seconds until the same request is worth a try.", "schema": COUNT},
        UNPRICED_HEADER: {"description": "Rate cards whose usage is unpriced, where there are any.", "schema": COUNT},
        PROVISIONAL_HEADER: {
            "description": "Rate cards with prices that no list has confirmed for their day yet, where there are any.",
            "schema": COUNT,
        },
        "WWW-Authenticate": {"description": "The scheme to use.", "schema": const("Bearer")},
    }


def _parameter(parameter: Parameter) -> Schema:
    """Describes a parameter of the query string; lists are in the three encodings."""
    described = {"name": parameter.name, "in": "query", "required": parameter.required}
    if not parameter.listed:
        return {**described, "description": parameter.doc, "schema": parameter.schema}
    most = {"maxItems": parameter.values_max} if parameter.values_max else {}
    schema: Schema = {"type": "array", "items": parameter.schema, "minItems": 1} | most
    doc = f"{parameter.doc} {LISTS.format(parameter.name)}"
    return {**described, "description": doc, "schema": schema, "style": "form", "explode": True}


def _in_path(name: str, values: tuple[str, ...]) -> Schema:
    """Describes a part of a path: an id, or one of some values."""
    described: Schema = {"name": name, "in": "path", "required": True}
    if values:
        return {**described, "schema": {"type": "string", "enum": list(values)}}
    return {**described, "description": ID_DOC, "schema": {"type": "string", "minLength": 1}}
