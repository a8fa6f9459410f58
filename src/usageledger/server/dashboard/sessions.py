"""Signing in and out: a key is exchanged for a session in a cookie that scripts cannot read."""

from typing import Annotated, Any

from anyio.to_thread import run_sync
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from usageledger.fields import Field
from usageledger.registry import READ, AdminKey
from usageledger.server.http.auth import SESSION_COOKIE, client_of, require_own_page
from usageledger.server.http.requests import json_response, read_object
from usageledger.server.http.routes import RequestHandler, route_of
from usageledger.server.services import Services

SESSION_SECONDS = 12 * 3600
BODY_BYTES_MAX = 4096
SIGN_IN = (Field("key", Annotated[str, Meta(min_length=1, max_length=512)], (str,), "a string", "the value of a key"),)
NOT_KEPT = {"cache-control": "no-store"}


def session_routes(services: Services) -> list[Route]:
    """Makes `/dashboard/session`: who is signed in, sign in, sign out."""
    handlers = {"GET": _current(services), "POST": _sign_in(services), "DELETE": _sign_out(services)}
    return [route_of("/dashboard/session", handlers)]


def _current(services: Services) -> RequestHandler:
    async def handle(request: Request) -> Response:
        signed_in = SESSION_COOKIE in request.cookies
        key = await services.authenticator.require(request, READ) if signed_in else None
        return json_response(_shown(key), headers=NOT_KEPT)

    return handle


def _sign_in(services: Services) -> RequestHandler:
    async def handle(request: Request) -> Response:
        require_own_page(request)
        value = (await read_object(request, SIGN_IN, BODY_BYTES_MAX))["key"].strip()
        key = await services.authenticator.admit(value, client_of(request), READ)
        now = int(services.clock())
        expires_at = min(now + SESSION_SECONDS, key.expires_at or now + SESSION_SECONDS)
        session = await run_sync(lambda: services.registry.sessions.start(key.id, expires_at=expires_at, now=now))
        response = json_response(_shown(key), headers=NOT_KEPT)
        # The browser says by which scheme it came, also where a proxy in front ends TLS.
        secure = request.headers.get("origin", f"{request.scope['scheme']}:").startswith("https:")
        response.set_cookie(
            SESSION_COOKIE, session, max_age=expires_at - now, secure=secure, httponly=True, samesite="strict"
        )
        return response

    return handle


def _sign_out(services: Services) -> RequestHandler:
    async def handle(request: Request) -> Response:
        require_own_page(request)
        value = request.cookies.get(SESSION_COOKIE)
        if value is not None:
            await run_sync(services.registry.sessions.end, value)
            services.authenticator.forget_session(value)
        response = json_response({"object": "session.deleted", "deleted": value is not None}, headers=NOT_KEPT)
        response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
        return response

    return handle


def _shown(key: AdminKey | None) -> dict[str, Any]:
    fields = ("id", "name", "redacted_value", "scopes", "expires_at")
    return {"object": "session", "key": None if key is None else {field: getattr(key, field) for field in fields}}
