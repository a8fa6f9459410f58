"""Reading requests and writing answers: JSON by msgspec, errors in the API's one shape."""

import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from http import HTTPStatus
from random import getrandbits
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from usageledger.errors import (
    InvalidRequestError,
    OverloadedError,
    RequestError,
    UnsupportedMediaTypeError,
    UsageLedgerError,
)
from usageledger.events.decoders import JSON_TYPES
from usageledger.events.json_events import given_twice
from usageledger.fields import Field
from usageledger.hints import did_you_mean
from usageledger.json_text import names_given_twice
from usageledger.server.http.compressed_pages import PIECE_BYTES
from usageledger.server.http.request_bodies import read_body
from usageledger.server.http.shared_memory import FREE_BYTES

PARAMETERS_MAX = 5000
OBJECTS = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)  # amounts are exact
CACHE_BUSTER = "_ts"  # which Grafana puts into every request, so that no answer of before is taken
logger = logging.getLogger("usageledger")
OBJECT_BYTES_MAX = 64 * 1024
# On every answer that does not say otherwise: it is data of one reader, not to be kept, framed or run.
SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")


def new_request_id() -> str:
    """Makes an id, which is no secret: to ask the system for random bytes gives the interpreter away meanwhile."""
    return f"req_{getrandbits(128):032x}"


class LargeAnswer(StreamingResponse):
    """JSON that is sent in pieces, so that other requests get their turn, and counts until the client has taken it in.

    The application's `state.answers` is the memory that all of them share; where there is no room for this one, it is
    refused with OverloadedError before anything of it is sent.
    """

    def __init__(self, pieces: Iterable[bytes], size: int, held: int, headers: Mapping[str, str] | None = None) -> None:
        given = {"content-length": str(size), **(headers or {})}
        super().__init__(_cut(pieces), headers=given, media_type="application/json")
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. The end is sent when the connection has taken in what stands before it, so what is held is let go."""
        with scope["app"].state.answers.share() as hold:
            hold(self._held + PIECE_BYTES)  # the piece that the connection has
            await super().__call__(scope, receive, send)


async def _cut(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        for start in range(0, len(piece), PIECE_BYTES):
            yield piece[start : start + PIECE_BYTES]


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`value` as JSON."""
    body = msgspec.json.encode(value)
    if status == HTTPStatus.OK and len(body) > FREE_BYTES:
        return LargeAnswer([body], len(body), len(body), headers)
    return Response(body, status, headers, "application/json")


def as_request_error(request: Request, error: UsageLedgerError) -> RequestError:
    """A failure of the ledger or registry, which is logged, as the answer that it deserves: 503, to be sent again."""
    if isinstance(error, RequestError):
        return error
    cause = {"cause": str(error)}
    logger.error("%s %r: %s", request.method, request.scope["path"][:256], error, extra=cause)
    return OverloadedError("The server cannot read or write its data now. Send the same request again.", retry_after=2)


def error_response(error: RequestError) -> Response:
    """The API's error body, with `Retry-After` where the error has one."""
    headers = {} if error.retry_after is None else {"retry-after": str(error.retry_after)}
    if error.status == 401:  # noqa: PLR2004 - RFC 9110 asks for the challenge on 401
        headers["www-authenticate"] = "Bearer"
    if error.is_final:
        headers["x-should-retry"] = "false"  # OpenAI's clients repeat any 429 without it
    return json_response(error.body(), error.status, headers)


def parameters(request: Request) -> list[tuple[str, str]]:
    """The decoded pairs of the query string, in their order, empty values kept, without the `CACHE_BUSTER`.

    Raises:
        InvalidRequestError: it is not UTF-8 or has more than `PARAMETERS_MAX` pairs.
    """
    raw = request.scope["query_string"].decode("latin-1")
    try:
        pairs = parse_qsl(raw, keep_blank_values=True, errors="strict", max_num_fields=PARAMETERS_MAX)
    except UnicodeDecodeError:
        raise InvalidRequestError("The query string is not UTF-8.", code="invalid_value") from None
    except ValueError:
        raise InvalidRequestError(
            f"The query string has more than {PARAMETERS_MAX} parameters.", code="invalid_value"
        ) from None
    return [pair for pair in pairs if pair[0] != CACHE_BUSTER]


async def read_object(request: Request, fields: Sequence[Field], limit: int = OBJECT_BYTES_MAX) -> dict[str, Any]:
    """A JSON object whose fields are among `fields`; those that are absent have their default.

    Raises:
        InvalidRequestError: not a JSON object, an unknown field (with a suggestion), one that is missing or given
            twice, or a value that is not allowed.
        UnsupportedMediaTypeError: a content type other than JSON.
    """
    media_type(request, JSON_TYPES)
    body = await read_body(request, limit)
    if not body:
        raise InvalidRequestError("The body is empty: expected a JSON object.", code="invalid_json")
    try:
        given = OBJECTS.decode(body)
    except msgspec.ValidationError:
        raise InvalidRequestError("The body is not a JSON object.", code="invalid_type") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise InvalidRequestError(f"The body is not JSON: {reason}", code="invalid_json") from None
    for name, first, second in names_given_twice(body):
        raise InvalidRequestError(given_twice(name, first, second), param=name[:256], code="duplicate_field")
    return check_fields(given, fields)


def check_fields(given: Mapping[str, Any], fields: Sequence[Field], inside: str = "") -> dict[str, Any]:
    """Checks an object's fields; those that are absent get their default.

    Args:
        given: the object as it came.
        fields: those that it may have.
        inside: before the names of its fields in errors, where it is part of another object.

    Raises:
        InvalidRequestError: an unknown field (with a suggestion), one that is missing, or a value that is not allowed.
    """
    by_name = {field.name: field for field in fields}
    for name, value in given.items():
        param = f"{inside}{name[:256]}"
        if name not in by_name:
            allowed = ", ".join(f"'{field}'" for field in by_name)
            hint = did_you_mean(name, by_name) or f" Allowed are: {allowed}."
            raise InvalidRequestError(f"Unknown field: '{param}'.{hint}", param=param, code="unknown_field")
        if problem := replace(by_name[name], name=param).problem(value):
            raise InvalidRequestError(problem[1], param=param, code=problem[0])
    for field in fields:
        if field.default is msgspec.NODEFAULT and field.name not in given:
            param = f"{inside}{field.name}"
            raise InvalidRequestError(
                f"Missing required field: '{param}', {field.noun}.", param=param, code="missing_field"
            )
    return {field.name: field.default for field in fields} | dict(given)


def media_type(request: Request, supported: Sequence[str]) -> str:
    """The request's content type without its parameters; a body without a type is taken for the first one.

    Raises:
        UnsupportedMediaTypeError: it is not among `supported`.
    """
    given = request.headers.get("content-type", supported[0]).partition(";")[0].strip().lower()
    if given not in supported:
        names = ", ".join(f"'{name}'" for name in supported)
        raise UnsupportedMediaTypeError(
            f"Unsupported Content-Type: '{given[:256]}'. Supported are: {names}.", param="content-type"
        )
    return given
