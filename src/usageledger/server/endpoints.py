"""The one table of endpoints of the API. Routes are tried in its order: the ones that are asked most stand first."""

from usageledger.server.api import (
    audit,
    backup,
    costs,
    events,
    facets,
    health,
    keys,
    meters,
    otlp,
    prices,
    projects,
    reservations,
    sources,
    spend,
    usage,
    users,
)
from usageledger.server.endpoint import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *events.ENDPOINTS,
    *otlp.ENDPOINTS,
    *usage.ENDPOINTS,
    *costs.ENDPOINTS,
    *meters.ENDPOINTS,
    *facets.ENDPOINTS,
    *prices.ENDPOINTS,
    *projects.ENDPOINTS,
    *users.ENDPOINTS,
    *keys.ENDPOINTS,
    *sources.ENDPOINTS,
    *spend.ENDPOINTS,
    *reservations.ENDPOINTS,
    *audit.ENDPOINTS,
    *backup.ENDPOINTS,
    *health.ENDPOINTS,
)
