"""The one place that wires: ledger, registry and endpoints to an ASGI application."""

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import anyio
import anyio.to_thread
import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from usageledger.errors import (
    InvalidRequestError,
    MethodNotAllowedError,
    UsageLedgerError,
)
from usageledger.ledger import Ledger
from usageledger.rating.card_giver import CardGiver
from usageledger.rating.current_book import CurrentBook
from usageledger.rating.price_tables import PriceTables
from usageledger.rating.unpriced import CardCounts
from usageledger.registry import Registry
from usageledger.server.api.backup import remove_left_backups
from usageledger.server.api.bucket_cache import BucketCache
from usageledger.server.dashboard import dashboard_routes
from usageledger.server.endpoint import routes_of
from usageledger.server.endpoints import ENDPOINTS
from usageledger.server.http.auth import Authenticator
from usageledger.server.http.compression import Compression
from usageledger.server.http.cross_origin import CrossOrigin
from usageledger.server.http.envelope import Envelope
from usageledger.server.http.request_bodies import Bodies
from usageledger.server.http.requests import as_request_error, error_response
from usageledger.server.http.routes import is_below, unknown_url
from usageledger.server.http.shared_memory import SharedMemory
from usageledger.server.ingest.commits import Ingest
from usageledger.server.ingest.counter_points import CounterPoints
from usageledger.server.ingest.seen_names import SeenNames
from usageledger.server.ingest.source_counts import PendingSourceCounts
from usageledger.server.ingest.source_rules import CurrentRules
from usageledger.server.openapi.document import document
from usageledger.server.services import Services, wall_clock
from usageledger.settings import Settings
from usageledger.spending.channels import Smtp
from usageledger.spending.delivering import Deliverer
from usageledger.spending.estimates import Estimator
from usageledger.spending.spending import Spending

logger = logging.getLogger("usageledger")

# Addresses of OpenAI's earlier usage API, which exporters still ask, and what answers instead.
LEGACY = {
    "/usage": "/v1/organization/usage/completions",
    "/dashboard/billing/usage": "/v1/organization/costs",
    "/dashboard/billing/subscription": "/v1/organization/costs",
    "/dashboard/billing/credit_grants": "/v1/organization/costs",
}


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
    book = CurrentBook(registry.price_files, clock, strict_days=settings.strict_days)
    tables = PriceTables(registry.rate_cards)
    giver = CardGiver(registry.rate_cards, book)
    spending, deliverer = None, None
    if ledger.writers == 1 and ledger.claims is None:
        about = registry.spend_settings, registry.alert_firings
        estimator = Estimator(book, registry.rate_cards.overrides)
        spending = Spending(ledger, tables, settings.data, *about, clock, estimator)
        deliverer = Deliverer(registry, ledger, tables, Smtp.of(settings), clock)
    services = Services(
        settings=settings,
        ledger=ledger,
        registry=registry,
        price_book=book,
        price_tables=tables,
        ingest=Ingest(ledger, names.note, giver.cards, registry.claims.claim, settings, clock, spending),
        spending=spending,
        source_counts=PendingSourceCounts(registry.source_counts, clock),
        counter_points=CounterPoints(registry.counters, clock, settings.max_future_seconds),
        source_rules=CurrentRules(registry.source_rules, clock),
        authenticator=Authenticator(registry, settings, clock),
        bodies=Bodies(settings),
        cache=BucketCache(ledger, settings),
        card_counts=CardCounts(ledger, tables, max_seconds=settings.max_query_seconds),
        page_secret=registry.secret("page_tokens"),
        clock=clock,
        query_slots=anyio.CapacityLimiter(settings.max_queries),
        backup_turn=anyio.Semaphore(1),
        document=cache(lambda: msgspec.json.encode(document(settings, ENDPOINTS))),
    )

    beside = [part for part in (spending, deliverer, services.source_counts) if part]
    handlers: dict[Any, Any] = {HTTPException: _http_error, UsageLedgerError: _own_error}
    app = _Application(
        routes=[*routes_of(ENDPOINTS, services), *dashboard_routes(services)],
        lifespan=lambda _: _lifespan(services, giver, beside, on_failure),
        exception_handlers=handlers,
    )
    app.router.redirect_slashes = False
    app.state.answers = SharedMemory(
        settings.max_answers_bytes,
        f"The answers that clients are taking in are larger than {settings.max_answers_bytes} bytes together: "
        "send the same request again.",
    )
    exposed = (name for endpoint in ENDPOINTS for name in endpoint.answer.headers)
    return Envelope(app, CrossOrigin(settings.cors_origins, exposed))


@asynccontextmanager
async def _lifespan(
    services: Services,
    giver: CardGiver,
    beside: Sequence[Spending | Deliverer | PendingSourceCounts],
    on_failure: Callable[[str], None],
) -> AsyncGenerator[None]:
    """Starts the ingest stages after what works beside them, and ends them before it."""
    if given := await anyio.to_thread.run_sync(services.ledger.give_cards, giver.cards):
        logger.info("gave rate cards to %d events that were kept before there were any", given)
    await anyio.to_thread.run_sync(remove_left_backups, services.settings)
    for part in beside:
        await anyio.to_thread.run_sync(part.start)
    services.ingest.start(on_failure)
    try:
        yield
    finally:
        await anyio.to_thread.run_sync(services.ingest.close)
        for part in reversed(beside):
            await anyio.to_thread.run_sync(part.close)


class _Application(Starlette):
    """Starlette without its outermost layer, which answers a defect in plain text: that is the envelope's."""

    def build_middleware_stack(self) -> ASGIApp:
        return Compression(ExceptionMiddleware(self.router, handlers=self.exception_handlers))


async def _own_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, UsageLedgerError):
        raise error
    return error_response(as_request_error(request, error))


async def _http_error(request: Request, error: Exception) -> Response:
    """Starlette's own refusals, in the API's shape."""
    if not isinstance(error, HTTPException):
        raise error
    path: str = request.scope["path"]
    if error.status_code == 404 or (error.status_code == 405 and is_below(request)):  # noqa: PLR2004 - as written
        instead = LEGACY.get(path.removeprefix("/v1"))
        return error_response(unknown_url(request, f" Ask GET {instead} instead." if instead else ""))
    if error.status_code == 405:  # noqa: PLR2004 - the status as it is written
        where = f"{request.method} {path[:256]}"
        allowed = ", ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))  # it comes in any order
        response = error_response(MethodNotAllowedError(f"Method not allowed: {where}. Allowed are: {allowed}."))
        response.headers["allow"] = allowed
        return response
    return error_response(InvalidRequestError(error.detail))
