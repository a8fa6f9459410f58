"""Routes by method."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

RequestHandler = Callable[[Request], Awaitable[Response]]


def route_of(path: str, handlers: Mapping[str, RequestHandler]) -> Route:
    """Makes the one route of an address, whose 405 names all of its methods; `HEAD` is answered as `GET` is."""

    async def handle(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return Route(path, handle, methods=list(handlers))
