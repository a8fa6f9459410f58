"""Routes by method, and addresses that none of them is for."""

import re
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import unquote

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from usageledger.errors import NotFoundError

RequestHandler = Callable[[Request], Awaitable[Response]]
ID_SUFFIX = "_id"  # of the names of ids in paths
_SLASH_IN_ID = "\ud800"  # stands for `%2F` while a path is matched; no decoded path has it
_MATCHED = "usageledger.path"  # in the scope of a request: its path as routes match it
_ENCODED_SLASH = re.compile("%2F", re.IGNORECASE)


class _IdConvertor(Convertor[str]):
    """The rest of a path that is an id: any characters at all, line ends and slashes too."""

    regex = "(?s:.+)"

    def convert(self, value: str) -> str:
        return value.replace(_SLASH_IN_ID, "/")

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("whole_id", _IdConvertor())


class _ApiRoute(Route):
    """A route that tells a slash of an id, written as `%2F`, from one of the address, and needs none at the end."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match as Starlette does."""
        path = scope.get(_MATCHED)
        if path is None:  # the first route that is tried
            path = scope[_MATCHED] = _matched_path(scope)
        return super().matches(scope if path is scope["path"] else {**scope, "path": path})


def _matched_path(scope: Scope) -> str:
    path: str = scope["path"]
    raw: bytes = scope.get("raw_path") or b""  # ASGI leaves it to the server
    if b"%2f" in raw.lower():
        path = unquote(_ENCODED_SLASH.sub(_SLASH_IN_ID, raw.decode("latin-1")))
    return path.removesuffix("/")


def route_of(path: str, handlers: Mapping[str, RequestHandler]) -> Route:
    """Makes the one route of an address, whose 405 names all of its methods; `HEAD` is answered as `GET` is."""

    async def handle(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return _ApiRoute(path, handle, methods=list(handlers))


def is_below(request: Request) -> bool:
    """Returns true where an id in the path has a slash that is not written as `%2F`.

    Ids may have any characters and clients may put them there as they are, so the path `projects/a/users` is that of
    the project `a/users`, and where there is none, it is an address that this server does not have.
    """
    path, raw = request.scope["path"], request.scope.get("raw_path") or b""  # ASGI leaves it to the server
    in_ids = sum(value.count("/") for name, value in request.path_params.items() if name.endswith(ID_SUFFIX))
    return bool(raw.count(b"/") > path.count("/") - in_ids)


def unknown_url(request: Request, hint: str = "") -> NotFoundError:
    """Makes the error of an address that this server does not have."""
    # Not `request.url`, which fails where the query string is not UTF-8.
    where = f"{request.method} {request.scope['path'][:256]}"
    slash = " In an id, a slash is written as %2F." if is_below(request) else ""
    return NotFoundError(f"Unknown request URL: {where}.{hint}{slash}", code="unknown_url")
