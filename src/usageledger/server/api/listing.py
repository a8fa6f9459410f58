"""Lists that are paged by `after` and `limit`, and records that are found by an id in the path."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from anyio.to_thread import run_sync
from starlette.responses import Response

from usageledger.errors import NotFoundError, UnknownCursorError
from usageledger.registry import Listing
from usageledger.server.endpoint import Call
from usageledger.server.http.parameters import Parameter, refused, take_limit
from usageledger.server.http.requests import json_response
from usageledger.server.json_schema import NO_NUL

DEFAULT_LIMIT, LISTED_MAX = 20, 100
PAGE_PARAMETERS = (
    Parameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": LISTED_MAX, "default": DEFAULT_LIMIT},
        "Most entries on a page.",
    ),
    Parameter("after", {"type": "string", "pattern": NO_NUL}, "`last_id` of the page before."),
)

T = TypeVar("T")


def take_page(given: Mapping[str, list[str]]) -> tuple[str | None, int]:
    """Reads `after` and `limit`. Raises InvalidRequestError."""
    return given["after"][0] if "after" in given else None, take_limit(given, DEFAULT_LIMIT, LISTED_MAX)


async def list_response(find: Callable[[], Listing[T]], show: Callable[[T], dict[str, Any]]) -> Response:
    """Answers with a page of a list; `find` blocks, so it runs in a thread."""
    try:
        listing = await run_sync(find)
    except UnknownCursorError as error:
        raise refused(error.cursor, f"Invalid '{error.cursor}': {error}") from None
    data = [show(record) for record in listing.data]
    return json_response(
        {
            "object": "list",
            "data": data,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            "has_more": listing.has_more,
        }
    )


def take_id(call: Call) -> str:
    """Reads the id in the path. Raises NotFoundError."""
    (name,) = call.endpoint.ids
    value: str = call.request.path_params[name]
    return found(None if "\0" in value else value, call)


def found(value: T | None, call: Call) -> T:
    """Gives back `value`, or raises the NotFoundError that there is none with the id in the path."""
    if value is None:
        (name,) = call.endpoint.ids
        noun = {"project_id": "project", "user_id": "user", "key_id": "admin API key", "reservation_id": "reservation"}[
            name
        ]
        raise NotFoundError(f"No such {noun}: {call.request.path_params[name][:256]!r}.", param=name)
    return value
