"""The words of messages about firings."""

from dataclasses import dataclass
from datetime import UTC, datetime

from usageledger.pricing.money import UNITS_PER_CENT, cents_text
from usageledger.registry import Firing
from usageledger.spending.months import month_of

NAME_CHARACTERS_MAX = 100


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts of the moment at which a firing is first told.

    Attributes:
        project_name: None for the organization.
        limit_cents: of the scope, None without.
        unpriced_requests: of the month: their cost is not in the spend.
    """

    project_name: str | None
    limit_cents: int | None
    unpriced_requests: int


def subject(firing: Firing, facts: Facts) -> str:
    """Names the scope, the threshold and the month, on one line."""
    month = month_of(firing.period_start).name
    said = f"{_scope(firing, facts)} passed {cents_text(firing.threshold_cents)} USD of spend in {month} (UTC)"
    prefixes = ["[test]"] if firing.is_test else []
    prefixes += [shown(firing.subject_prefix)] if firing.subject_prefix else []
    return " ".join([*prefixes, said])


def sentences(firing: Firing, facts: Facts) -> str:
    """Says all that is known, in a few lines."""
    at = datetime.fromtimestamp(firing.fired_at, UTC)
    cents = firing.spend // UNITS_PER_CENT
    lines = ["This is a test of an alert: nothing has happened."] if firing.is_test else []
    lines.append(f"{subject(firing, facts)}: {cents_text(cents)} USD at {at:%Y-%m-%d %H:%M} UTC.")
    if facts.limit_cents is not None:
        share = cents * 100 // facts.limit_cents
        lines.append(f"The limit is {cents_text(facts.limit_cents)} USD a month: {share} % of it is spent.")
    if facts.unpriced_requests:
        lines.append(f"Requests without a price, which are not in it: {facts.unpriced_requests:,}.")
    lines += [
        "What the month has cost is at GET /v1/spend of UsageLedger.",
        f"To end these messages: usageledger alerts delete {firing.alert_id}",
    ]
    return "\n".join(lines)


def shown(text: str) -> str:
    """Shows a text of others on one line: what cannot be seen, or turns the direction of others, is replaced."""
    cut = text if len(text) <= NAME_CHARACTERS_MAX else f"{text[: NAME_CHARACTERS_MAX - 1]}…"
    return "".join(character if character.isprintable() else "\ufffd" for character in cut)


def _scope(firing: Firing, facts: Facts) -> str:
    if firing.project_id is None:
        return "The organization"
    name = facts.project_name
    named = name is not None and name != firing.project_id
    return f"{shown(name or '')} ({shown(firing.project_id)})" if named else shown(firing.project_id)
