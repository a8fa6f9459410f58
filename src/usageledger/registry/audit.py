"""The trail of who changed keys and prices: appended in the transaction of the change itself, never changed."""

import getpass
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, TypeAlias, get_args

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, insert, select

from usageledger.errors import RegistryError, UnknownCursorError
from usageledger.registry.database import Database
from usageledger.registry.records import Listing
from usageledger.registry.schema import TEXT_CHARACTERS_MAX, audit_log

# The first two are called as the official API calls them.
AuditType: TypeAlias = Literal[
    "api_key.created",
    "api_key.deleted",
    "price.set",
    "price.revised",
    "price.updated",
    "source.mapped",
    "source.unmapped",
    "spend_limit.updated",
    "spend_limit.deleted",
    "spend_alert.created",
    "spend_alert.updated",
    "spend_alert.deleted",
    "webhook_endpoint.created",
    "webhook_endpoint.updated",
    "webhook_endpoint.deleted",
]
AUDIT_TYPES: tuple[AuditType, ...] = get_args(AuditType)
LOCAL = "local:"  # before the name of the machine's user who ran a command


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A change of the registry.

    Attributes:
        number: grows with every entry.
        effective_at: Unix seconds.
        actor: the id of the key that made it, or `local:` and the machine's user who ran a command.
        details: what was changed; never a key's value or digest.
    """

    number: int
    effective_at: int
    type: str
    actor: str
    details: Mapping[str, Any]


def local_actor() -> str:
    """Names the machine's user, as the actor of commands and of the server itself."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        name = "?"
    return f"{LOCAL}{name}"[:TEXT_CHARACTERS_MAX]


def note(connection: Connection, kind: AuditType, actor: str | None, details: Mapping[str, Any], *, now: int) -> None:
    """Adds an entry, as part of the transaction that makes the change; without an actor it is the machine's user."""
    text = msgspec.json.encode(details).decode()
    row = {"effective_at": now, "type": kind, "actor": actor or local_actor(), "details": text}
    connection.execute(insert(audit_log), row)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The entries that are asked for: those that all of this holds for.

    Attributes:
        types: some of `AUDIT_TYPES`; empty for all.
        since, until: the first second, and the first one after the last; None for no bound.
        actors: ids of keys, or as entries have them; None for all.
        projects: ids of projects, of which the change was one; empty for all.
        resources: ids of keys, alerts or projects that were changed; empty for all.
    """

    types: Sequence[str] = ()
    since: int | None = None
    until: int | None = None
    actors: Sequence[str] | None = None
    projects: Sequence[str] = ()
    resources: Sequence[str] = ()

    def conditions(self) -> list[ColumnElement[bool]]:
        """Makes those conditions that a database can decide."""
        table = audit_log.c
        found: list[ColumnElement[bool]] = []
        if self.types:
            found.append(table.type.in_(self.types))
        if self.since is not None:
            found.append(table.effective_at >= self.since)
        if self.until is not None:
            found.append(table.effective_at < self.until)
        if self.actors is not None:
            found.append(table.actor.in_(self.actors))
        return found

    def is_about(self, details: Mapping[str, Any]) -> bool:
        """Tells if a change was of one of the projects and resources."""
        project, changed = details.get("project_id"), details.get("id")
        is_changed = project in self.resources or (changed is not None and str(changed) in self.resources)
        return (not self.projects or project in self.projects) and (not self.resources or is_changed)


EVERYTHING = Wanted()


class AuditLog:
    """The audit trail. Every method may raise RegistryError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(
        self, *, after: int | None = None, before: int | None = None, limit: int = 20, wanted: Wanted = EVERYTHING
    ) -> Listing[AuditEntry]:
        """The entries, the newest first.

        Args:
            after: the number of the last entry of the page before, or None for the first page.
            before: the number of the first entry of the page after. Without `after` it is those just before that are
                listed, and there are more where some stand before them.
            limit: entries on the page, 1 or more.
            wanted: which entries.

        Raises:
            UnknownCursorError: there is no entry `after` or `before`.
            RegistryError: `limit` is below 1.
        """
        if limit < 1:
            raise RegistryError(f"limit must be 1 or more, not {limit}.")
        number = audit_log.c.id
        backwards = before is not None and after is None
        query = select(audit_log).where(*wanted.conditions()).order_by(number if backwards else number.desc())
        with self._database.read() as connection:
            for name, cursor in (("after", after), ("before", before)):
                if cursor is None:
                    continue
                if connection.execute(select(number).where(number == cursor)).first() is None:
                    raise UnknownCursorError(f"expected the id of an entry, and there is no entry {cursor}.", name)
                query = query.where(number < cursor if name == "after" else number > cursor)
            with connection.execute(query, execution_options={"yield_per": limit + 1}) as rows:
                found = (entry for entry in map(_entry, rows) if wanted.is_about(entry.details))
                entries = tuple(islice(found, limit + 1))
        return Listing.of(entries[::-1] if backwards else entries, limit, at_end=backwards)


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(row.id, row.effective_at, row.type, row.actor, msgspec.json.decode(row.details))
