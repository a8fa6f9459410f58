"""Endpoints of webhooks: where messages of all alerts are posted to, and the secrets that sign them."""

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from usageledger.registry.audit import note
from usageledger.registry.database import Database
from usageledger.registry.deliveries import drop_webhooks
from usageledger.registry.paging import Page, fetch_page
from usageledger.registry.records import Listing
from usageledger.registry.schema import webhook_endpoints
from usageledger.registry.values import new_id

Format: TypeAlias = Literal["standard", "slack"]
SECRET_BYTES = 32
ROTATION_SECONDS = 86_400  # for which the secret before signs as well


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """An endpoint.

    Attributes:
        id: `endpoint_` and 24 characters.
        url: to post to; that of Slack is a credential.
        format: `standard` is that of Standard Webhooks.
        secret: `whsec_…`; empty for Slack.
        previous_secret: the one before, or None.
        previous_until: until when it signs as well.
        created_at: Unix seconds.
        disabled_at: since when it wants nothing more, Unix seconds, or None.
    """

    id: str
    url: str
    format: Format
    secret: str
    previous_secret: str | None
    previous_until: int
    created_at: int
    disabled_at: int | None

    @property
    def shown_url(self) -> str:
        """The URL as it may be shown; a part of Slack's is secret."""
        parts = urlsplit(self.url)
        return self.url if self.format == "standard" else f"{parts.scheme}://{parts.netloc}/…"

    def secrets_at(self, now: int) -> Sequence[str]:
        """Returns the secrets that sign at a time."""
        previous = self.previous_secret
        return (self.secret, previous) if previous and now < self.previous_until else (self.secret,)


class WebhookEndpoints:
    """The store of endpoints; every method may raise RegistryError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, url: str, form: Format, *, actor: str | None = None, now: int) -> WebhookEndpoint:
        """Makes an endpoint, with a secret where its format has one."""
        made = WebhookEndpoint(
            new_id("endpoint_"), url, form, _new_secret() if form == "standard" else "", None, 0, now, None
        )
        row = {name: getattr(made, name) for name in WebhookEndpoint.__slots__}
        with self._database.write() as connection:
            connection.execute(insert(webhook_endpoints), row)
            details = {"id": made.id, "format": form, "host": urlsplit(url).hostname}
            note(connection, "webhook_endpoint.created", actor, details, now=now)
        return made

    def list(self, page: Page) -> Listing[WebhookEndpoint]:
        """Lists endpoints in the order in which they were made. Raises UnknownCursorError."""
        with self._database.read() as connection:
            return fetch_page(connection, webhook_endpoints.c.number, _endpoint, page)

    def get(self, endpoint_id: str) -> WebhookEndpoint | None:
        """Finds an endpoint."""
        with self._database.read() as connection:
            row = connection.execute(_this(endpoint_id)).first()
        return None if row is None else _endpoint(row)

    def rotate(self, endpoint_id: str, *, actor: str | None = None, now: int) -> WebhookEndpoint | None:
        """Gives an endpoint another secret, beside which the one before signs for a day; None where there is none."""
        table = webhook_endpoints.c
        changed = {"previous_secret": table.secret, "previous_until": now + ROTATION_SECONDS, "secret": _new_secret()}
        statement = update(webhook_endpoints).where(table.id == endpoint_id, table.format == "standard")
        with self._database.write() as connection:
            if connection.execute(statement.values(changed)).rowcount != 1:
                return None
            note(connection, "webhook_endpoint.updated", actor, {"id": endpoint_id, "change": "secret"}, now=now)
            return _endpoint(connection.execute(_this(endpoint_id)).one())

    def disable(self, endpoint_id: str, *, now: int) -> None:
        """Notes that an endpoint wants nothing more."""
        table = webhook_endpoints.c
        statement = update(webhook_endpoints).where(table.id == endpoint_id, table.disabled_at.is_(None))
        with self._database.write() as connection:
            if connection.execute(statement.values(disabled_at=now)).rowcount == 1:
                note(connection, "webhook_endpoint.updated", None, {"id": endpoint_id, "change": "disabled"}, now=now)

    def delete(self, endpoint_id: str, *, actor: str | None = None, now: int) -> bool:
        """Removes an endpoint and drops what it was to be told; returns false where there is none."""
        statement = delete(webhook_endpoints).where(webhook_endpoints.c.id == endpoint_id)
        with self._database.write() as connection:
            deleted = connection.execute(statement).rowcount == 1
            if deleted:
                drop_webhooks(connection, endpoint_id)
                note(connection, "webhook_endpoint.deleted", actor, {"id": endpoint_id}, now=now)
        return deleted


def enabled_endpoints(connection: Connection) -> Sequence[str]:
    """Lists the ids of endpoints that are told of firings."""
    table = webhook_endpoints.c
    return connection.scalars(select(table.id).where(table.disabled_at.is_(None)).order_by(table.number)).all()


def _this(endpoint_id: str) -> Select[Any]:
    return select(webhook_endpoints).where(webhook_endpoints.c.id == endpoint_id)


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _endpoint(row: Row[Any]) -> WebhookEndpoint:
    return WebhookEndpoint(**{name: getattr(row, name) for name in WebhookEndpoint.__slots__})
