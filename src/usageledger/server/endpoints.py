"""The one table of endpoints of the API.

Routes are tried in its order: the ones that are asked most stand first, and those below a project before the projects',
whose ids may have slashes.
"""

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
    project_members,
    projects,
    reservations,
    sources,
    spend,
    spend_alert_firings,
    spend_alerts,
    spend_limits,
    usage,
    users,
    webhook_endpoints,
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
    *spend_limits.ENDPOINTS,
    *spend_alerts.ENDPOINTS,
    *project_members.ENDPOINTS,
    *projects.ENDPOINTS,
    *users.ENDPOINTS,
    *keys.ENDPOINTS,
    *sources.ENDPOINTS,
    *spend.ENDPOINTS,
    *spend_alert_firings.ENDPOINTS,
    *webhook_endpoints.ENDPOINTS,
    *reservations.ENDPOINTS,
    *audit.ENDPOINTS,
    *backup.ENDPOINTS,
    *health.ENDPOINTS,
)
