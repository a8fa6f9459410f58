"""Routes by method, and addresses that none of them is for."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from usageledger.errors import NotFoundError

RequestHandler = Callable[[Request], Awaitable[Response]]
ID_SUFFIX = "_id"  # of the names of ids in paths


def route_of(path: str, handlers: Mapping[str, RequestHandler]) -> Route:
    """Makes the one route of an address, whose 405 names all of its methods; `HEAD` is answered as `GET` is."""

    async def handle(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return Route(path, handle, methods=list(handlers))


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
