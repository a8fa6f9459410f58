"""The dashboard: a page for browsers that asks the same API as every other client, by a session instead of a key."""

from starlette.routing import Route

from usageledger.server.dashboard.assets import asset_routes
from usageledger.server.dashboard.sessions import session_routes
from usageledger.server.services import Services

__all__ = ["dashboard_routes"]


def dashboard_routes(services: Services) -> list[Route]:
    """Makes the routes of its pages and files, and of signing in and out."""
    return [*asset_routes(), *session_routes(services)]
