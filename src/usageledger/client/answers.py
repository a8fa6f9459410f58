"""HTTP answers → pages, or the errors that they are."""

import logging
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

from usageledger.client.errors import APIResponseValidationError, APIStatusError, class_of_status
from usageledger.client.pages import Amount, R, UsageBucket
from usageledger.retry_after import retry_after

logger = logging.getLogger("usageledger.client")

_DECODER = msgspec.json.Decoder(float_hook=Decimal)  # every digit of an amount is kept
BODY_SHOWN_MAX = 500


def json_object(content: bytes) -> dict[str, Any]:
    """The JSON object that an answer is; numbers with a fraction or an exponent are Decimal.

    Raises:
        APIResponseValidationError: it is none.
    """
    body = _json(content)
    if not isinstance(body, dict):
        raise APIResponseValidationError(
            f"The answer is no JSON object: it begins with {content[:100].decode(errors='replace')!r}. Is the address "
            "that of the API?"
        )
    return body


class PageParts(NamedTuple):
    """The parts of a page."""

    data: tuple[Any, ...]
    has_more: bool
    next_page: str | None
    extra: dict[str, Any]


class _RawPage(msgspec.Struct):
    data: list[dict[str, Any]]
    has_more: bool = False
    next_page: str | None = None


class _RawBucket(msgspec.Struct):
    start_time: int
    end_time: int
    results: list[dict[str, Any]]
    start_time_iso: str | None = None
    end_time_iso: str | None = None


def page_parts(content: bytes, kind: type[R]) -> PageParts:
    """A page whose results are of `kind`.

    Raises:
        APIResponseValidationError: it is no page, or a result lacks what it must have.
    """
    body = json_object(content)
    try:
        page = msgspec.convert(body, _RawPage)
        data = tuple(_bucket(raw, kind) for raw in page.data)
    except msgspec.ValidationError as error:
        raise APIResponseValidationError(f"The answer is no page of {kind.OBJECT}: {error}.") from None
    return PageParts(data, page.has_more, page.next_page, _others(body, _RawPage))


def _bucket(raw: dict[str, Any], kind: type[R]) -> UsageBucket[R]:
    bucket = msgspec.convert(raw, _RawBucket)
    known = [each for each in bucket.results if each.get("object", kind.OBJECT) == kind.OBJECT]
    unknown = tuple(each for each in bucket.results if each.get("object", kind.OBJECT) != kind.OBJECT)
    if unknown:
        logger.warning(
            "%d results of the bucket at %d are %r and not %r: they are in its unknown_results",
            len(unknown),
            bucket.start_time,
            unknown[0]["object"],
            kind.OBJECT,
        )
    return UsageBucket(
        bucket.start_time,
        bucket.end_time,
        bucket.start_time_iso,
        bucket.end_time_iso,
        tuple(_result(each, kind) for each in known),
        unknown,
        _others(raw, _RawBucket),
    )


def _result(raw: dict[str, Any], kind: type[R]) -> R:
    amount = raw.get("amount")
    if isinstance(amount, dict):
        raw = raw | {"amount": amount | {"extra": _others(amount, Amount)}}
    return msgspec.convert(raw | {"extra": _others(raw, kind)}, kind)


def _others(raw: Mapping[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The fields that the type they are read as does not have, in their order."""
    others = raw.keys() - _known(kind)
    return {name: value for name, value in raw.items() if name in others} if others else {}


@cache
def _known(kind: type[msgspec.Struct]) -> frozenset[str]:
    """Lists the names of a type's fields in answers: `object` is one in all of them, and `extra` is ours."""
    return frozenset(kind.__struct_fields__) - {"extra"} | {"object"}


def status_error(status: int, headers: Mapping[str, str], content: bytes) -> APIStatusError:
    """Makes the error of an answer in the API's shape, as `{"error": "text"}`, or of a proxy."""
    body = _json(content)
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, str):
        error = {"message": error}
    fields: Mapping[str, Any] = error if isinstance(error, dict) else {}
    return class_of_status(status)(
        _string(fields, "message") or _status_words(status, headers),
        status_code=status,
        code=_string(fields, "code"),
        param=_string(fields, "param"),
        type=_string(fields, "type"),
        request_id=headers.get("x-request-id"),
        retry_after=retry_after(headers.get("retry-after", "")),
        is_final=headers.get("x-should-retry") == "false",
        body=content.decode(errors="replace")[:BODY_SHOWN_MAX] if body is None else body,
    )


def _json(content: bytes) -> Any:
    try:
        return _DECODER.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _string(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) and value else None


def _status_words(status: int, headers: Mapping[str, str]) -> str:
    try:
        words = HTTPStatus(status).phrase
    except ValueError:
        words = "Unknown status"
    location = headers.get("location")
    return f"{words}, moved to {location}" if location else words
