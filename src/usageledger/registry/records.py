"""Records of the registry, frozen, and a page of them. Times are Unix seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar, get_args

from sqlalchemy import Row

T = TypeVar("T")

Order: TypeAlias = Literal["asc", "desc"]

Scope: TypeAlias = Literal["api.usage.read", "api.usage.write", "api.management"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
READ: Final = "api.usage.read"
WRITE: Final = "api.usage.write"
MANAGE: Final = "api.management"


@dataclass(frozen=True, slots=True)
class AdminKey:
    """An admin API key, without its value, which is shown once, when the key is made, and never stored.

    Attributes:
        id: `key_` and 24 characters.
        name: 1 to 256 characters.
        redacted_value: enough to recognise the key by, such as `sk-admin-...wxyz`.
        scopes: what the key may do, in the order of `SCOPES`.
        created_at: Unix seconds.
        expires_at: the first second in which the key is no longer valid, or None for never.
        last_used_at: Unix seconds, exact to about a minute, or None for never.
        revoked_at: Unix seconds, or None.
    """

    id: str
    name: str
    redacted_value: str
    scopes: tuple[str, ...]
    created_at: int
    expires_at: int | None
    last_used_at: int | None
    revoked_at: int | None


@dataclass(frozen=True, slots=True)
class Project:
    """A project: created through the API, or named by its id after an event first mentioned it.

    Attributes:
        id: `proj_` and 24 characters, or whatever the event said.
        name: 1 to 256 characters.
        created_at: Unix seconds.
        archived_at: Unix seconds, or None.
    """

    id: str
    name: str
    created_at: int
    archived_at: int | None

    @property
    def status(self) -> Literal["active", "archived"]:
        """`active` or `archived`, as the API says it."""
        return "active" if self.archived_at is None else "archived"


@dataclass(frozen=True, slots=True)
class User:
    """A user, first seen in an event.

    Attributes:
        id: what the event said.
        name: the person's name, or None.
        email: the address, or None.
        role: `reader`.
        added_at: Unix seconds.
    """

    id: str
    name: str | None
    email: str | None
    role: str
    added_at: int


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A page of a list.

    Attributes:
        data: the records, in order.
        has_more: whether another page follows; it is asked for with `after=` the last record's id.
    """

    data: tuple[T, ...]
    has_more: bool

    @classmethod
    def of(cls, records: Sequence[T], limit: int, *, at_end: bool) -> "Listing[T]":
        """Makes a page of the first `limit` of these records, or `at_end` of the last ones, where there may be more."""
        shown = records[-limit:] if at_end else records[:limit]
        return cls(tuple(shown), has_more=len(records) > limit)


def admin_key(row: Row[Any]) -> AdminKey:
    """A row of `admin_keys`; the digest stays behind."""
    return AdminKey(
        id=row.id,
        name=row.name,
        redacted_value=row.redacted_value,
        scopes=tuple(row.scopes.split()),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )


def project(row: Row[Any]) -> Project:
    """A row of `projects`."""
    return Project(id=row.id, name=row.name, created_at=row.created_at, archived_at=row.archived_at)


def user(row: Row[Any]) -> User:
    """A row of `users`."""
    return User(id=row.id, name=row.name, email=row.email, role=row.role, added_at=row.added_at)
