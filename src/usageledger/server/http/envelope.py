"""Headers and error bodies of every response."""

import logging
from collections.abc import Iterable
from time import perf_counter
from traceback import walk_tb

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from usageledger.errors import (
    InternalError,
    RequestError,
)
from usageledger.server.http.cross_origin import PREFLIGHT, CrossOrigin
from usageledger.server.http.requests import SECURITY_HEADERS, STRICT_TRANSPORT, error_response, new_request_id

logger = logging.getLogger("usageledger")


def _missing(headers: Iterable[tuple[bytes, bytes]], scope: Scope) -> list[tuple[bytes, bytes]]:
    """The security headers that an answer does not bring itself."""
    given = {name.lower() for name, _ in headers}
    wanted = (*SECURITY_HEADERS, STRICT_TRANSPORT) if scope["scheme"] == "https" else SECURITY_HEADERS
    return [header for header in wanted if header[0] not in given]


def _defect(error: Exception) -> str:
    """Names a defect by what was raised where, the same for every request."""
    *_, (frame, line) = walk_tb(error.__traceback__)
    return f"{type(error).__name__} at {frame.f_code.co_filename}:{line}"


class Envelope:
    """Adds security headers, `x-request-id` and timing to every response, and a JSON body to unexpected errors.

    It also adds what lets pages of other origins read the response, and answers their preflights.
    """

    def __init__(self, app: ASGIApp, cross_origin: CrossOrigin) -> None:
        self._app = app
        self._cross_origin = cross_origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_request_id()
        began = perf_counter()
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                took = str(int((perf_counter() - began) * 1000))
                own = [(b"x-request-id", request_id.encode()), (b"openai-processing-ms", took.encode())]
                own += self._cross_origin.headers(scope)
                message = {**message, "headers": [*message["headers"], *_missing(message["headers"], scope), *own]}
            await send(message)

        try:
            app = PREFLIGHT if self._cross_origin.is_preflight(scope) else self._app
            await app(scope, receive, send_with_headers)
        except ClientDisconnect:
            logger.info("request %s ended before its body did", request_id, extra={"cause": "a body did not end"})
        except Exception as error:
            logger.exception("request %s failed", request_id, extra={"cause": _defect(error)})
            if started:
                raise
            answer: RequestError = InternalError(
                f"The server had an error while processing your request. Its id is {request_id}."
            )
            await error_response(answer)(scope, receive, send_with_headers)
