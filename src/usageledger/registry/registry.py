"""The registry: keys, projects, users and secrets."""

import hmac
import secrets as randomness
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Row, Table, or_, select, update

from usageledger.errors import RegistryError
from usageledger.registry import audit, copying, records
from usageledger.registry.alert_firings import AlertFirings
from usageledger.registry.claims import Claims
from usageledger.registry.counters import Counters
from usageledger.registry.database import (
    WAITS,
    Database,
    Waits,
    insert_many,
    insert_or_ignore,
    open_database,
)
from usageledger.registry.deliveries import Deliveries
from usageledger.registry.key_values import check_scopes, check_value, digest_of, new_value, redact
from usageledger.registry.migrations import migrate
from usageledger.registry.names import Names
from usageledger.registry.paging import Page, fetch_page
from usageledger.registry.price_files import PriceFiles
from usageledger.registry.prices import RateCards
from usageledger.registry.records import SCOPES, AdminKey, Listing, Order, Project, User
from usageledger.registry.schema import SECRET_BYTES, admin_keys, projects, secrets, users
from usageledger.registry.sessions import Sessions
from usageledger.registry.source_counts import SourceCounts
from usageledger.registry.source_rules import SourceRules
from usageledger.registry.spend_settings import SpendSettings
from usageledger.registry.values import check_text, new_id
from usageledger.registry.webhook_endpoints import WebhookEndpoints

TOUCH_INTERVAL_S = 60


def open_registry(url: str, waits: Waits = WAITS) -> "Registry":
    """Open a registry, make it when it is not there, and bring its tables up to date.

    Args:
        url: `sqlite:///path/registry.sqlite` (four slashes for an absolute path) or `postgresql://…`.
        waits: how long others are waited for.

    Raises:
        RegistryError: the URL, file, folder or server cannot be used, or a newer UsageLedger wrote the registry.
    """
    database = open_database(url, waits)
    try:
        migrate(database)
    except BaseException:
        database.close()
        raise
    return Registry(database)


class Registry:
    """The store of keys, projects, users and secrets.

    Safe to use from many threads, and by many processes at once. Every method may raise RegistryError when
    the database fails: locked for more than 5 s, damaged, full, closed. Times are Unix seconds.

    Attributes:
        rate_cards: prices, in the same database.
        price_files: public prices that were taken since the release, in the same database.
        audit_log: who changed keys and prices.
        sessions: sign-ins of the dashboard, in the same database.
        source_rules: from what the projects, users and keys of sources come.
        names: of projects, users and keys, in the same database.
        spend_settings: limits of spend and alerts on it, in the same database.
        alert_firings: alerts whose threshold was reached, in the same database.
        deliveries: messages about them, in the same database.
        webhook_endpoints: where they are posted to, in the same database.
        source_counts: what emitters sent and what became of it, in the same database.
        claims: the seconds at which responses count, for servers that share a ledger.
        counters: how much of the running totals of metrics is counted.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.rate_cards = RateCards(database)
        self.price_files = PriceFiles(database)
        self.audit_log = audit.AuditLog(database)
        self.sessions = Sessions(database)
        self.source_counts = SourceCounts(database)
        self.source_rules = SourceRules(database)
        self.spend_settings = SpendSettings(database)
        self.names = Names(database)
        self.alert_firings = AlertFirings(database)
        self.deliveries = Deliveries(database)
        self.webhook_endpoints = WebhookEndpoints(database)
        self.claims = Claims(database)
        self.counters = Counters(database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; closing again does nothing."""
        self._database.close()

    def ready(self) -> bool:
        """Returns true if the last attempt to write succeeded; may take 5 s."""
        return self._database.is_writable()

    def backup(self, file: Path) -> None:
        """Copy the whole registry, as it is at one moment, to a new file; only a registry in a file can be."""
        self._database.backup(file)

    def copy_to(self, target: "Registry") -> dict[str, int]:
        """Copies everything to an empty registry, or sees that it is there; table → its rows.

        Raises:
            RegistryError: `target` holds something else.
        """
        return copying.copy(self._database, target._database)  # noqa: SLF001 - of the same class

    # Keys

    def create_key(  # noqa: PLR0913  (a key has this many parts)
        self,
        name: str,
        scopes: Iterable[str] = SCOPES,
        *,
        expires_at: int | None = None,
        value: str | None = None,
        actor: str | None = None,
        now: int,
    ) -> tuple[AdminKey, str]:
        """Make a key; only the SHA-256 digest of its value is kept.

        Args:
            name: 1 to 256 characters.
            scopes: one or more of `SCOPES`.
            expires_at: the first second in which the key is no longer valid, or None for never.
            value: the value to give it, 20 to 512 visible ASCII characters. A key that has this value already is
                returned as it is: its name, scopes and expiry do not change.
            actor: the id of the key that makes it, or None for the machine's user.
            now: Unix seconds.

        Returns:
            The key and its value, which cannot be had again.

        Raises:
            RegistryError: a bad name, scope or value, or a value whose key was revoked.
        """
        check_text("The name of a key", name)
        granted = check_scopes(scopes)
        value = new_value() if value is None else check_value(value)
        digest = digest_of(value)
        row = {
            "id": new_id("key_"),
            "name": name,
            "redacted_value": redact(value),
            "digest": digest,
            "scopes": " ".join(granted),
            "created_at": now,
            "expires_at": expires_at,
        }
        with self._database.write() as connection:
            connection.execute(insert_or_ignore(connection, admin_keys), row)
            key = records.admin_key(connection.execute(select(admin_keys).where(admin_keys.c.digest == digest)).one())
            if key.id == row["id"]:  # else it was there before
                shown = {"scopes": key.scopes, "name": key.name, "expires_at": key.expires_at}
                audit.note(connection, "api_key.created", actor, {"id": key.id, "data": shown}, now=now)
        if key.revoked_at is not None:
            raise RegistryError(f"The key {key.id} ({key.redacted_value}) was revoked: choose another value.")
        return key, value

    def find_key(self, value: str, *, now: int) -> AdminKey | None:
        """The key with this value; None when it is unknown, revoked or expired."""
        digest = digest_of(value)
        with self._database.read() as connection:
            row = connection.execute(select(admin_keys).where(admin_keys.c.digest == digest)).first()
        if row is None or not hmac.compare_digest(row.digest, digest):
            return None
        key = records.admin_key(row)
        expired = key.expires_at is not None and key.expires_at <= now
        return None if expired or key.revoked_at is not None else key

    def get_key(self, key_id: str) -> AdminKey | None:
        """The key with this id; None when there is none, or when it was revoked."""
        with self._database.read() as connection:
            row = _by_id(connection, admin_keys, key_id)
        return records.admin_key(row) if row is not None and row.revoked_at is None else None

    def list_keys(
        self, *, after: str | None = None, before: str | None = None, limit: int = 20, order: Order = "asc"
    ) -> Listing[AdminKey]:
        """The keys that were not revoked, by (created_at, id).

        Args:
            after: the id of the last key of the page before, or None for the first page.
            before: the id of the first key of the page after, or None.
            limit: keys on the page, 1 or more.
            order: `asc`, oldest first, or `desc`.

        Raises:
            RegistryError: `after` or `before` is unknown, or `limit` is below 1.
        """
        kept = [admin_keys.c.revoked_at.is_(None)]
        with self._database.read() as connection:
            page = Page(after, before, limit, order)
            return fetch_page(connection, admin_keys.c.created_at, records.admin_key, page, where=kept)

    def revoke_key(self, key_id: str, *, actor: str | None = None, now: int) -> bool:
        """Make a key invalid for good; False when there is none, or when it was revoked before.

        `actor` is the id of the key that does it, or None for the machine's user.
        """
        statement = update(admin_keys).where(admin_keys.c.id == key_id, admin_keys.c.revoked_at.is_(None))
        with self._database.write() as connection:
            revoked = connection.execute(statement.values(revoked_at=now)).rowcount == 1
            if revoked:
                audit.note(connection, "api_key.deleted", actor, {"id": key_id}, now=now)
        return revoked

    def touch_key(self, key_id: str, *, now: int) -> None:
        """Note that a key was used; written at most once per 60 s, so that it may be called for every request."""
        last = admin_keys.c.last_used_at
        due = (admin_keys.c.id == key_id, or_(last.is_(None), last <= now - TOUCH_INTERVAL_S))
        # Looking first keeps requests from queueing for the one writer's lock.
        with self._database.read() as connection:
            if connection.execute(select(admin_keys.c.id).where(*due)).first() is None:
                return
        with self._database.write() as connection:
            connection.execute(update(admin_keys).where(*due).values(last_used_at=now))

    def has_keys(self) -> bool:
        """Returns true if there is a key that was not revoked."""
        query = select(admin_keys.c.id).where(admin_keys.c.revoked_at.is_(None)).limit(1)
        with self._database.read() as connection:
            return connection.execute(query).first() is not None

    # Projects and users

    def note_seen(self, project_ids: Iterable[str], user_ids: Iterable[str], *, now: int) -> None:
        """Add the projects and users that are not known yet; known ones are left as they are.

        Args:
            project_ids: ids of 1 to 256 characters; a new project is named by its id.
            user_ids: ids of 1 to 256 characters; a new user has no name and no email.
            now: Unix seconds.

        Raises:
            RegistryError: an id is empty or too long; then nothing was added.
        """
        # Sorted, so that two servers that add the same ids wait for each other and do not deadlock.
        new_projects, new_users = sorted(set(project_ids)), sorted(set(user_ids))
        for id_ in new_projects:
            check_text("The id of a project", id_)
        for id_ in new_users:
            check_text("The id of a user", id_)
        if not new_projects and not new_users:
            return
        with self._database.write() as connection:
            if new_projects:
                rows = [(id_, id_, now) for id_ in new_projects]
                insert_many(connection, projects, ("id", "name", "created_at"), rows)
            if new_users:
                insert_many(connection, users, ("id", "role", "added_at"), [(id_, "reader", now) for id_ in new_users])

    def list_projects(
        self, *, after: str | None = None, before: str | None = None, limit: int = 20, include_archived: bool = False
    ) -> Listing[Project]:
        """The projects, by (created_at, id).

        Args:
            after: the id of the last project of the page before, or None for the first page.
            before: the id of the first project of the page after, or None.
            limit: projects on the page, 1 or more.
            include_archived: whether archived projects are listed too.

        Raises:
            RegistryError: `after` or `before` is unknown, or `limit` is below 1.
        """
        kept = [] if include_archived else [projects.c.archived_at.is_(None)]
        with self._database.read() as connection:
            page = Page(after, before, limit)
            return fetch_page(connection, projects.c.created_at, records.project, page, where=kept)

    def get_project(self, project_id: str) -> Project | None:
        """The project with this id, archived or not."""
        with self._database.read() as connection:
            row = _by_id(connection, projects, project_id)
        return None if row is None else records.project(row)

    def create_project(self, name: str, *, now: int) -> Project:
        """Make a project with a name of 1 to 256 characters, which others may have too.

        Raises:
            RegistryError: the name is empty or too long.
        """
        check_text("The name of a project", name)
        made = Project(id=new_id("proj_"), name=name, created_at=now, archived_at=None)
        with self._database.write() as connection:
            connection.execute(projects.insert().values(id=made.id, name=made.name, created_at=made.created_at))
        return made

    def rename_project(self, project_id: str, name: str) -> Project | None:
        """Give a project another name of 1 to 256 characters; None when there is no such project.

        Raises:
            RegistryError: the name is empty or too long.
        """
        check_text("The name of a project", name)
        row = self._rename(projects, project_id, name)
        return None if row is None else records.project(row)

    def archive_project(self, project_id: str, *, now: int) -> Project | None:
        """Archive a project; None when there is none. One archived before keeps its `archived_at`."""
        with self._database.write() as connection:
            active = (projects.c.id == project_id, projects.c.archived_at.is_(None))
            connection.execute(update(projects).where(*active).values(archived_at=now))
            row = _by_id(connection, projects, project_id)
        return None if row is None else records.project(row)

    def list_users(
        self, *, after: str | None = None, before: str | None = None, limit: int = 20, emails: Sequence[str] = ()
    ) -> Listing[User]:
        """The users, by (added_at, id).

        Args:
            after: the id of the last user of the page before, or None for the first page.
            before: the id of the first user of the page after, or None.
            limit: users on the page, 1 or more.
            emails: only users with one of these addresses; empty for all.

        Raises:
            RegistryError: `after` or `before` is unknown, or `limit` is below 1.
        """
        kept = [users.c.email.in_(emails)] if emails else []
        with self._database.read() as connection:
            return fetch_page(connection, users.c.added_at, records.user, Page(after, before, limit), where=kept)

    def get_user(self, user_id: str) -> User | None:
        """The user with this id."""
        with self._database.read() as connection:
            row = _by_id(connection, users, user_id)
        return None if row is None else records.user(row)

    def rename_user(self, user_id: str, name: str) -> User | None:
        """Give a user a name of 1 to 256 characters; None when there is no such user.

        Raises:
            RegistryError: the name is empty or too long.
        """
        check_text("The name of a user", name)
        row = self._rename(users, user_id, name)
        return None if row is None else records.user(row)

    def _rename(self, table: Table, row_id: str, name: str) -> Row[Any] | None:
        with self._database.write() as connection:
            connection.execute(update(table).where(table.c.id == row_id).values(name=name))
            return _by_id(connection, table, row_id)

    # Secrets

    def secret(self, name: str) -> bytes:
        """32 random bytes, made when first asked for, and the same for every process on this registry."""
        check_text("The name of a secret", name)
        query = select(secrets.c.value).where(secrets.c.name == name)
        with self._database.read() as connection:
            known = connection.execute(query).scalar()
        if known is not None:
            return bytes(known)
        row = {"name": name, "value": randomness.token_bytes(SECRET_BYTES)}
        with self._database.write() as connection:
            connection.execute(insert_or_ignore(connection, secrets), row)
            return bytes(connection.execute(query).scalar_one())


def _by_id(connection: Connection, table: Table, row_id: str) -> Row[Any] | None:
    return connection.execute(select(table).where(table.c.id == row_id)).first()
