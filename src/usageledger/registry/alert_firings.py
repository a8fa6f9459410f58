"""Firings of alerts on spend: each says once that the spend of a month has reached the threshold of an alert."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import Row, Select, select, update

from usageledger.registry.database import Database, insert_or_ignore
from usageledger.registry.deliveries import Kind, add_deliveries
from usageledger.registry.paging import Page, fetch_page
from usageledger.registry.records import Listing
from usageledger.registry.schema import spend_alert_firings
from usageledger.registry.spend_settings import SpendAlert
from usageledger.registry.values import new_id
from usageledger.registry.webhook_endpoints import enabled_endpoints

ALL = Page(limit=1_000)
Cause: TypeAlias = Literal["crossed", "created", "changed"]


@dataclass(frozen=True, slots=True)
class Crossing:
    """A threshold that spend has reached.

    Attributes:
        period_start: of the month, Unix seconds.
        spend: in it, 10⁻¹⁸/9 USD.
        cause: `crossed` where spend grew; else the alert was made or changed when spend was there already.
    """

    alert: SpendAlert
    period_start: int
    spend: int
    cause: Cause


@dataclass(frozen=True, slots=True)
class Firing:
    """A crossing that was found; for its alert, month and threshold there is no other.

    Attributes:
        number: grows with every firing; 0 for a test, which is no firing.
        id: `firing_` and 24 characters.
        project_id: None for the organization.
        period_start: of the month, Unix seconds.
        fired_at: Unix seconds.
        spend: of the month at that time, 10⁻¹⁸/9 USD.
        subject_prefix: of the alert at that time.
        facts: what its messages say beside, as JSON; None before the first one.
    """

    number: int
    id: str
    alert_id: str
    project_id: str | None
    period_start: int
    threshold_cents: int
    fired_at: int
    spend: int
    cause: Cause
    subject_prefix: str | None
    facts: str | None

    @property
    def is_test(self) -> bool:
        """True where nothing has happened, and only the ways to tell of it are tried."""
        return self.number == 0


class AlertFirings:
    """The store of firings; every method may raise RegistryError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def fire(self, crossings: Sequence[Crossing], *, now: int) -> Sequence[Firing]:
        """Writes down those crossings that no firing is of yet, and whom to tell, all or none; returns the firings."""
        fired: list[Firing] = []
        with self._database.write() as connection:
            webhooks: list[tuple[Kind, str]] = [("webhook", each) for each in enabled_endpoints(connection)]
            for crossing in sorted(crossings, key=lambda each: each.alert.terms.threshold_cents):
                row = _row_of(crossing, now)
                if connection.execute(insert_or_ignore(connection, spend_alert_firings), row).rowcount == 1:
                    made = connection.execute(_this(row["id"])).one()
                    mails: list[tuple[Kind, str]] = [("email", each) for each in crossing.alert.terms.recipients]
                    add_deliveries(connection, made, mails + webhooks, now)
                    fired.append(_firing(made))
        return fired

    def of(self, firing_id: str) -> Firing:
        """Gets a firing."""
        with self._database.read() as connection:
            return _firing(connection.execute(_this(firing_id)).one())

    def keep_facts(self, firing_id: str, facts: str) -> str:
        """Keeps what messages about a firing say, unless it is kept already; returns what is kept."""
        table = spend_alert_firings.c
        statement = update(spend_alert_firings).where(table.id == firing_id, table.facts.is_(None))
        with self._database.write() as connection:
            connection.execute(statement.values(facts=facts))
            kept: str = connection.execute(select(table.facts).where(table.id == firing_id)).scalar_one()
        return kept

    def list(self, page: Page = ALL, *, alert_id: str | None = None, project_id: str | None = None) -> Listing[Firing]:
        """Lists firings in the order in which they were written; those of an alert, of a project, or all.

        Raises:
            UnknownCursorError: there is no firing `after` or `before`.
        """
        table = spend_alert_firings.c
        wanted = [] if alert_id is None else [table.alert_id == alert_id]
        wanted += [] if project_id is None else [table.project_id == project_id]
        with self._database.read() as connection:
            return fetch_page(connection, table.number, _firing, page, where=wanted)


def _this(firing_id: str) -> Select[Any]:
    return select(spend_alert_firings).where(spend_alert_firings.c.id == firing_id)


def _row_of(crossing: Crossing, now: int) -> dict[str, Any]:
    alert = crossing.alert
    return {
        "id": new_id("firing_"),
        "alert_id": alert.id,
        "project_id": alert.project_id or "",
        "period_start": crossing.period_start,
        "threshold_cents": alert.terms.threshold_cents,
        "fired_at": now,
        "spend": str(crossing.spend),
        "cause": crossing.cause,
        "subject_prefix": alert.terms.subject_prefix,
    }


def _firing(row: Row[Any]) -> Firing:
    return Firing(
        row.number,
        row.id,
        row.alert_id,
        row.project_id or None,
        row.period_start,
        row.threshold_cents,
        row.fired_at,
        int(row.spend),
        row.cause,
        row.subject_prefix,
        row.facts,
    )
