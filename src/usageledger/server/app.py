"""The one place that wires: ledger, registry and handlers to an ASGI application."""

import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any
from uuid import uuid4

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from usageledger.errors import (
    InternalError,
    InvalidRequestError,
    MethodNotAllowedError,
    NotFoundError,
    RequestError,
    UsageLedgerError,
)
from usageledger.ledger import Ledger
from usageledger.pricing.book import PriceBook
from usageledger.rating.card_giver import CardGiver, PriceTables
from usageledger.registry import Registry
from usageledger.server.api.audit import audit_routes
from usageledger.server.api.backup import backup_routes, remove_left_backups
from usageledger.server.api.bucket_cache import BucketCache
from usageledger.server.api.costs import cost_routes
from usageledger.server.api.facets import facet_routes
from usageledger.server.api.organization import organization_routes
from usageledger.server.api.prices import PriceServices, price_routes
from usageledger.server.api.usage import Services, usage_routes, wall_clock
from usageledger.server.dashboard import dashboard_routes
from usageledger.server.http.auth import Authenticator
from usageledger.server.http.compression import Compression
from usageledger.server.http.request_bodies import Bodies
from usageledger.server.http.requests import SECURITY_HEADERS, STRICT_TRANSPORT, error_response
from usageledger.server.http.shared_memory import SharedMemory
from usageledger.server.ingest.commits import Ingest, as_request_error
from usageledger.server.openapi.document import openapi_routes
from usageledger.settings import Settings

NAMES_KEPT_MAX = 100_000  # of projects, and of users; about 10 MB each

logger = logging.getLogger("usageledger")


def create_app(
    settings: Settings,
    ledger: Ledger,
    registry: Registry,
    clock: Callable[[], float] = wall_clock,
    on_failure: Callable[[str], None] = lambda _: None,
) -> ASGIApp:
    """The application over an open ledger and an open registry.

    Its lifespan starts the ingest stages and, at the end, drains them; closing the ledger is its opener's. Where one
    of the stages ends by an error `on_failure` is told why, from another thread: the application writes nothing more.
    """
    names = SeenNames(registry, clock)
    prices = PriceServices(PriceBook(), registry.rate_cards, PriceTables(registry.rate_cards))
    giver = CardGiver(registry.rate_cards, prices.book)
    services = Services(
        settings=settings,
        ledger=ledger,
        ingest=Ingest(ledger, names.note, giver.cards, settings, clock),
        authenticator=Authenticator(registry, settings, clock),
        bodies=Bodies(settings),
        cache=BucketCache(ledger, settings),
        page_secret=registry.secret("page_tokens"),
        clock=clock,
        query_slots=anyio.CapacityLimiter(settings.max_queries),
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        if given := await anyio.to_thread.run_sync(ledger.give_cards, giver.cards):
            logger.info("gave rate cards to %d events that were kept before there were any", given)
        await anyio.to_thread.run_sync(remove_left_backups, settings)
        services.ingest.start(on_failure)
        try:
            yield
        finally:
            await anyio.to_thread.run_sync(services.ingest.close)

    handlers: dict[Any, Any] = {HTTPException: _http_error, UsageLedgerError: _own_error}
    app = _Application(
        routes=[
            *usage_routes(services, registry),
            *cost_routes(services, prices.tables),
            *price_routes(services, prices),
            *facet_routes(services, registry),
            *organization_routes(services, registry),
            *audit_routes(services, registry),
            *backup_routes(services, registry),
            *openapi_routes(settings),
            *dashboard_routes(services, registry),
        ],
        lifespan=lifespan,
        exception_handlers=handlers,
    )
    app.router.redirect_slashes = False
    app.state.answers = SharedMemory(
        settings.max_answers_bytes,
        f"The answers that clients are taking in are larger than {settings.max_answers_bytes} bytes together: "
        "send the same request again.",
    )
    return Envelope(app)


class _Application(Starlette):
    """Starlette without its outermost layer, which answers a defect in plain text: that is the envelope's."""

    def build_middleware_stack(self) -> ASGIApp:
        return Compression(ExceptionMiddleware(self.router, handlers=self.exception_handlers))


class SeenNames:
    """Lets the registry know each project and user, when an event first names it.

    Names that it knows for certain are remembered, so that most commits ask it nothing; there may be any number of
    others, which it finds for itself.
    """

    def __init__(self, registry: Registry, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._clock = clock
        self._projects: set[str] = set()
        self._users: set[str] = set()

    def note(self, projects: set[str], users: set[str]) -> None:
        """Called by one writer at a time, before the events are committed."""
        new_projects, new_users = projects - self._projects, users - self._users
        if new_projects or new_users:
            self._registry.note_seen(new_projects, new_users, now=int(self._clock()))
            _remember(self._projects, new_projects)
            _remember(self._users, new_users)


def _remember(known: set[str], new: set[str]) -> None:
    """Adds the new ones; where that is too much, they alone are kept, unless they are too many themselves."""
    if len(known) + len(new) > NAMES_KEPT_MAX:
        known.clear()
    if len(new) <= NAMES_KEPT_MAX:
        known.update(new)


async def _own_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, UsageLedgerError):
        raise error
    if not isinstance(error, RequestError):
        logger.error("%s %r: %s", request.method, request.scope["path"][:256], error)
    return error_response(as_request_error(error))


async def _http_error(request: Request, error: Exception) -> Response:
    """Starlette's own refusals, in the API's shape."""
    if not isinstance(error, HTTPException):
        raise error
    # Not `request.url`, which fails where the query string is not UTF-8.
    path: str = request.scope["path"]
    where = f"{request.method} {path[:256]}"
    if error.status_code == 405:  # noqa: PLR2004 - the status as it is written
        allowed = (error.headers or {}).get("Allow", "")
        response = error_response(MethodNotAllowedError(f"Method not allowed: {where}. Allowed are: {allowed}."))
        response.headers["allow"] = allowed
        return response
    if error.status_code == 404:  # noqa: PLR2004 - the status as it is written
        return error_response(NotFoundError(f"Unknown request URL: {where}.", code="unknown_url"))
    return error_response(InvalidRequestError(error.detail))


def _missing(headers: Iterable[tuple[bytes, bytes]], scope: Scope) -> list[tuple[bytes, bytes]]:
    """The security headers that an answer does not bring itself."""
    given = {name.lower() for name, _ in headers}
    wanted = (*SECURITY_HEADERS, STRICT_TRANSPORT) if scope["scheme"] == "https" else SECURITY_HEADERS
    return [header for header in wanted if header[0] not in given]


class Envelope:
    """What every answer has: security headers, `x-request-id`, `openai-processing-ms`, a body even for our defects."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"req_{uuid4().hex}"
        began = perf_counter()
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                took = str(int((perf_counter() - began) * 1000))
                own = [(b"x-request-id", request_id.encode()), (b"openai-processing-ms", took.encode())]
                message = {**message, "headers": [*message["headers"], *_missing(message["headers"], scope), *own]}
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            logger.info("request %s ended before its body did", request_id)
        except Exception:
            logger.exception("request %s failed", request_id)
            if started:
                raise
            error: RequestError = InternalError(
                f"The server had an error while processing your request. Its id is {request_id}."
            )
            await error_response(error)(scope, receive, send_with_headers)
