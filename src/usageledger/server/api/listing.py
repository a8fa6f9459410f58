"""Lists that are paged by `after`, `before` and `limit`, and records that are found by an id in the path."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from anyio.to_thread import run_sync
from starlette.responses import Response

from usageledger.errors import NotFoundError, UnknownCursorError
from usageledger.fields import Field
from usageledger.registry import Listing, Order, Project
from usageledger.server.endpoint import Call
from usageledger.server.http.parameters import Parameter, one_of, refused, take_limit
from usageledger.server.http.requests import json_response
from usageledger.server.json_schema import NO_NUL

DEFAULT_LIMIT, LISTED_MAX = 20, 1000


def limit_parameter(least: int, most: int) -> Parameter:
    """Makes the parameter that says how many entries a page has at most."""
    schema = {"type": "integer", "minimum": least, "maximum": most, "default": DEFAULT_LIMIT}
    return Parameter("limit", schema, "Most entries on a page.")


CURSORS = (
    Parameter("after", {"type": "string", "pattern": NO_NUL}, "`last_id` of the page before."),
    Parameter("before", {"type": "string", "pattern": NO_NUL}, "`first_id` of the page after."),
)
PAGE_PARAMETERS = (limit_parameter(1, LISTED_MAX), *CURSORS)
ORDER = Parameter("order", {"type": "string", "enum": ["asc", "desc"], "default": "asc"}, "By time of creation.")
NOUNS = {
    "reservation_id": "reservation",
    "project_id": "project",
    "user_id": "user",
    "key_id": "admin API key",
    "alert_id": "spend alert",
    "endpoint_id": "webhook endpoint",
    "api_key_id": "API key",
    "service_account_id": "service account",
}  # of ids in paths

T = TypeVar("T")


def take_page(given: Mapping[str, list[str]], least: int = 1, most: int = LISTED_MAX) -> dict[str, Any]:
    """Reads `after`, `before` and `limit`, as the registry's lists take them. Raises InvalidRequestError."""
    cursors = {name: given[name][0] if name in given else None for name in ("after", "before")}
    return {**cursors, "limit": take_limit(given, DEFAULT_LIMIT, most, least)}


def take_order(given: Mapping[str, list[str]]) -> Order:
    """Reads `order`. Raises InvalidRequestError."""
    order = one_of("order", given.get("order", ["asc"])[0], ("asc", "desc"))
    return "desc" if order == "desc" else "asc"


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


def take_id(call: Call, name: str | None = None) -> str:
    """Reads an id in the path, the last one if `name` is not given. Raises NotFoundError."""
    name = name or call.endpoint.ids[-1]
    value: str = call.request.path_params[name]
    return found(None if "\0" in value else value, call, name)


def found(value: T | None, call: Call, name: str | None = None) -> T:
    """Gives back `value`, or raises the NotFoundError that there is none with this id, the last one in the path."""
    if value is None:
        name = name or call.endpoint.ids[-1]
        raise NotFoundError(f"No such {NOUNS[name]}: {call.request.path_params[name][:256]!r}.", param=name)
    return value


def nothing(name: str, why: str) -> Field:
    """Makes a field of the official API that only null is accepted for."""
    return Field(name, None, (type(None),), why, why, None)


async def take_project(call: Call) -> Project:
    """Finds the project whose id is in the path. Raises NotFoundError."""
    find = partial(call.services.registry.get_project, take_id(call, "project_id"))
    return found(await run_sync(find), call, "project_id")
