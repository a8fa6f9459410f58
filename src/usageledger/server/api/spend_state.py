"""The state of limits of spend: what was spent in the current month, by what the ledger recorded."""

from datetime import UTC, datetime

from usageledger.meters import COSTS, WHOLE
from usageledger.pricing.money import UNITS_PER_USD
from usageledger.questions.query import parse
from usageledger.registry import SpendLimit
from usageledger.server.services import Services

UNITS_PER_CENT: int = UNITS_PER_USD // 100
MONTHS = 12


def is_enforcing(services: Services, limit: SpendLimit) -> bool:
    """Tells if the recorded spend of the current month has reached the limit; it asks the ledger, so it blocks."""
    return spent(services, limit.project_id) >= limit.threshold_cents * UNITS_PER_CENT


def spent(services: Services, project_id: str | None) -> int:
    """Adds up the costs of the current month in UTC, of a project or of the organization, in 10⁻¹⁸/9 USD."""
    now = int(services.clock())
    start, end = month_of(now)
    given = [("start_time", str(start)), ("end_time", str(end)), ("bucket_width", WHOLE.name)]
    if project_id is not None:
        given.append(("project_ids[]", project_id))
    query = parse(COSTS, given, now=now, secret=b"")
    prices = services.price_tables
    costs = services.ledger.costs(
        query,
        lambda: prices.window(start, end, prices.revision()),
        max_seconds=services.settings.max_query_seconds,
        max_results=1,
    )
    return sum(int(amount) for amount in costs.columns.get("amount", ()))


def month_of(now: int) -> tuple[int, int]:
    """Gives the start and the end of the calendar month in UTC, Unix seconds."""
    day = datetime.fromtimestamp(now, UTC)
    years, month = divmod(day.month, MONTHS)
    return (
        int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp()),
        int(datetime(day.year + years, month + 1, 1, tzinfo=UTC).timestamp()),
    )
