"""Limits of spend and alerts on it, of the organization or of one project, for all servers of the registry.

Each is about a calendar month in UTC, and in US cents. There is one limit to a scope, and any number of alerts. A scope
is the id of a project, or None for the organization.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, insert, select, update

from usageledger.errors import RegistryError
from usageledger.pricing.money import UNITS_PER_CENT
from usageledger.registry.audit import note
from usageledger.registry.database import Database, insert_or_ignore
from usageledger.registry.deliveries import drop_deliveries
from usageledger.registry.paging import Page, fetch_page
from usageledger.registry.records import Listing, Order
from usageledger.registry.schema import projects, spend_alerts, spend_limits
from usageledger.registry.values import check_text, new_id

THRESHOLD_CENTS_MAX = 2**53 - 1  # beyond it, JSON readers that use doubles lose digits
RECIPIENTS_MAX = 100
_CONTROLS = r"\x00-\x1f\x7f-\x9f\u2028\u2029"  # and what ends a line
ONE_LINE = rf"[^{_CONTROLS}]*"
RECIPIENT = rf"[^\s@,;<>{_CONTROLS}]+@[^\s@,;<>{_CONTROLS}]+"  # one address, whatever header it stands in


@dataclass(frozen=True, slots=True)
class SpendLimit:
    """The limit of a scope.

    Attributes:
        project_id: of the project, or None for the organization.
        threshold_cents: US cents in a month, 1 or more.
        changed_at: Unix seconds.
    """

    project_id: str | None
    threshold_cents: int
    changed_at: int


@dataclass(frozen=True, slots=True)
class AlertTerms:
    """The terms of an alert: when to tell whom.

    Attributes:
        threshold_cents: US cents in a month, 0 or more.
        recipients: e-mail addresses, one or more.
        subject_prefix: stands before the subject of its mails, or None.
    """

    threshold_cents: int
    recipients: tuple[str, ...]
    subject_prefix: str | None = None


@dataclass(frozen=True, slots=True)
class SpendAlert:
    """An alert of a scope.

    Attributes:
        number: grows with every alert that is made.
        id: `alert_` and 24 characters.
        project_id: of the project, or None for the organization.
        changed_at: when it was made, or given its present terms, Unix seconds.
    """

    number: int
    id: str
    project_id: str | None
    terms: AlertTerms
    changed_at: int


class SpendSettings:
    """The store of limits and alerts; every method may raise RegistryError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def limits(self) -> Sequence[SpendLimit]:
        """Lists all limits by project; that of the organization is the first."""
        with self._database.read() as connection:
            rows = connection.execute(select(spend_limits).order_by(spend_limits.c.project_id)).all()
        return [_limit(row) for row in rows]

    def amounts(self) -> dict[str, int]:
        """The limits as amounts in 10⁻¹⁸/9 USD, by project; that of the organization by the empty text."""
        return {limit.project_id or "": limit.threshold_cents * UNITS_PER_CENT for limit in self.limits()}

    def limit(self, project_id: str | None) -> SpendLimit | None:
        """Finds the limit of a scope."""
        with self._database.read() as connection:
            return _limit_of(connection, project_id)

    def set_limit(
        self, project_id: str | None, threshold_cents: int, *, actor: str | None = None, now: int
    ) -> SpendLimit:
        """Sets the limit of a scope, in place of the one that it has."""
        _check_threshold(threshold_cents, least=1)
        scope = {"project_id": _stored(project_id)}
        row = {"threshold_cents": threshold_cents, "changed_at": now}
        with self._database.write() as connection:
            before = _limit_of(connection, project_id)
            connection.execute(insert_or_ignore(connection, spend_limits), {**scope, **row})
            connection.execute(update(spend_limits).where(spend_limits.c.project_id == scope["project_id"]).values(row))
            details = {
                "project_id": project_id,
                "threshold_cents": threshold_cents,
                "threshold_cents_before": None if before is None else before.threshold_cents,
            }
            note(connection, "spend_limit.updated", actor, details, now=now)
        return SpendLimit(project_id, threshold_cents, now)

    def delete_limit(self, project_id: str | None, *, actor: str | None = None, now: int) -> bool:
        """Removes the limit of a scope; returns false where it has none."""
        statement = delete(spend_limits).where(spend_limits.c.project_id == _stored(project_id))
        with self._database.write() as connection:
            deleted = connection.execute(statement).rowcount == 1
            if deleted:
                note(connection, "spend_limit.deleted", actor, {"project_id": project_id}, now=now)
        return deleted

    def alerts(self) -> Sequence[SpendAlert]:
        """Lists all alerts of all scopes in the order in which they were made."""
        with self._database.read() as connection:
            rows = connection.execute(select(spend_alerts).order_by(spend_alerts.c.number)).all()
        return [_alert(row) for row in rows]

    def active_alerts(self) -> Sequence[SpendAlert]:
        """Lists the alerts that may fire: all but those of archived projects."""
        archived = select(projects.c.id).where(projects.c.archived_at.is_not(None))
        query = select(spend_alerts).where(spend_alerts.c.project_id.not_in(archived))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(spend_alerts.c.number)).all()
        return [_alert(row) for row in rows]

    def list_alerts(
        self,
        project_id: str | None,
        *,
        after: str | None = None,
        before: str | None = None,
        limit: int = 20,
        order: Order = "asc",
    ) -> Listing[SpendAlert]:
        """Lists alerts of a scope, in the order in which they were made.

        Args:
            project_id: the scope.
            after: the id of the last alert of the page before, or None for the first page.
            before: the id of the first alert of the page after, or None.
            limit: alerts on the page; 0 only tells if there are more.
            order: `asc`, oldest first, or `desc`.

        Raises:
            UnknownCursorError: there is no alert `after` or `before`.
        """
        kept = [spend_alerts.c.project_id == _stored(project_id)]
        with self._database.read() as connection:
            page = Page(after, before, limit or 1, order)
            listing = fetch_page(connection, spend_alerts.c.number, _alert, page, where=kept)
        return listing if limit else Listing((), has_more=bool(listing.data))

    def alert(self, project_id: str | None, alert_id: str) -> SpendAlert | None:
        """Finds an alert of a scope."""
        with self._database.read() as connection:
            return _alert_of(connection, project_id, alert_id)

    def create_alert(
        self, project_id: str | None, terms: AlertTerms, *, actor: str | None = None, now: int
    ) -> SpendAlert:
        """Makes an alert of a scope."""
        row = _row_of(terms, now)
        alert_id = new_id("alert_")
        key = {"id": alert_id, "project_id": _stored(project_id)}
        with self._database.write() as connection:
            connection.execute(insert(spend_alerts), {**key, **row})
            made = _alert(connection.execute(select(spend_alerts).where(spend_alerts.c.id == alert_id)).one())
            note(connection, "spend_alert.created", actor, _details(made), now=now)
        return made

    def replace_alert(
        self, project_id: str | None, alert_id: str, terms: AlertTerms, *, actor: str | None = None, now: int
    ) -> SpendAlert | None:
        """Gives an alert of a scope other terms; returns None where there is none."""
        row = _row_of(terms, now)
        with self._database.write() as connection:
            connection.execute(update(spend_alerts).where(*_this(project_id, alert_id)).values(row))
            changed = _alert_of(connection, project_id, alert_id)
            if changed is not None:
                note(connection, "spend_alert.updated", actor, _details(changed), now=now)
        return changed

    def delete_alert(self, project_id: str | None, alert_id: str, *, actor: str | None = None, now: int) -> bool:
        """Removes an alert of a scope; returns false where there is none."""
        with self._database.write() as connection:
            deleted = connection.execute(delete(spend_alerts).where(*_this(project_id, alert_id))).rowcount == 1
            if deleted:
                drop_deliveries(connection, alert_id)
                details = {"id": alert_id, "project_id": project_id}
                note(connection, "spend_alert.deleted", actor, details, now=now)
        return deleted


def _stored(project_id: str | None) -> str:
    """Gives a scope as the tables have it; no project has the empty id."""
    if project_id is None:
        return ""
    check_text("The id of a project", project_id)
    return project_id


def _this(project_id: str | None, alert_id: str) -> tuple[Any, Any]:
    return spend_alerts.c.id == alert_id, spend_alerts.c.project_id == _stored(project_id)


def _limit_of(connection: Connection, project_id: str | None) -> SpendLimit | None:
    query = select(spend_limits).where(spend_limits.c.project_id == _stored(project_id))
    row = connection.execute(query).first()
    return None if row is None else _limit(row)


def _alert_of(connection: Connection, project_id: str | None, alert_id: str) -> SpendAlert | None:
    row = connection.execute(select(spend_alerts).where(*_this(project_id, alert_id))).first()
    return None if row is None else _alert(row)


def _limit(row: Row[Any]) -> SpendLimit:
    return SpendLimit(row.project_id or None, row.threshold_cents, row.changed_at)


def _alert(row: Row[Any]) -> SpendAlert:
    recipients = msgspec.json.decode(row.recipients, type=tuple[str, ...])
    terms = AlertTerms(row.threshold_cents, recipients, row.subject_prefix)
    return SpendAlert(row.number, row.id, row.project_id or None, terms, row.changed_at)


def _details(alert: SpendAlert) -> dict[str, Any]:
    return {"id": alert.id, "project_id": alert.project_id, **asdict(alert.terms)}


def _row_of(terms: AlertTerms, now: int) -> dict[str, Any]:
    """Gives the columns of an alert. Raises RegistryError where a term is not allowed."""
    _check_threshold(terms.threshold_cents, least=0)
    if not 1 <= len(terms.recipients) <= RECIPIENTS_MAX:
        raise RegistryError(f"An alert must have 1 to {RECIPIENTS_MAX} recipients, not {len(terms.recipients)}.")
    for recipient in terms.recipients:
        check_text("A recipient", recipient)
        if not re.fullmatch(RECIPIENT, recipient):
            raise RegistryError(f"A recipient must be an e-mail address, not {recipient!r}.")
    if terms.subject_prefix:
        check_text("The prefix of the subject", terms.subject_prefix)
        if not re.fullmatch(ONE_LINE, terms.subject_prefix):
            raise RegistryError(
                f"The prefix of the subject must be text without control characters, not {terms.subject_prefix!r}."
            )
    return {
        "threshold_cents": terms.threshold_cents,
        "recipients": msgspec.json.encode(terms.recipients).decode(),
        "subject_prefix": terms.subject_prefix,
        "changed_at": now,
    }


def _check_threshold(cents: int, least: int) -> None:
    if not least <= cents <= THRESHOLD_CENTS_MAX:
        raise RegistryError(f"The threshold must be {least} to {THRESHOLD_CENTS_MAX} cents, not {cents}.")
