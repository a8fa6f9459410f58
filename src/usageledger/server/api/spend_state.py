"""The state of limits of spend: whether the recorded spend of the current month has reached them."""

from dataclasses import replace

from usageledger.pricing.money import UNITS_PER_CENT
from usageledger.registry import SpendLimit
from usageledger.server.services import Services
from usageledger.spending.months import month_of
from usageledger.spending.spend import ORGANIZATION, costs_of_days, question


def is_enforcing(services: Services, limit: SpendLimit) -> bool:
    """Tells if the recorded spend of the current month has reached the limit; it may ask the ledger, so it blocks."""
    amount: int = limit.threshold_cents * UNITS_PER_CENT
    return spent(services, limit.project_id) >= amount


def spent(services: Services, project_id: str | None) -> int:
    """Gives the costs of the current month in UTC, of a project or of the organization, in 10⁻¹⁸/9 USD."""
    month = month_of(int(services.clock()))
    if services.spending:
        counted = services.spending.spend.of(month, project_id or ORGANIZATION)
        if counted is not None:
            return counted
    query = question(month.start, month.end).whole
    if project_id is not None:
        query = replace(query, filters=(("project_id", (project_id,)),))
    costs = costs_of_days(services.ledger, services.price_tables, query)
    return sum(map(int, costs.columns.get("amount", ())))


def look(services: Services) -> None:
    """Lets what was set hold from now on; it blocks."""
    if services.spending:
        services.spending.look()
