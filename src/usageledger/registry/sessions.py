"""Sign-ins of the dashboard: each stands for a key, until it ends, is signed out, or the key itself ends."""

import secrets

from sqlalchemy import delete, or_, select

from usageledger.registry import records
from usageledger.registry.database import Database
from usageledger.registry.key_values import digest_of
from usageledger.registry.records import AdminKey
from usageledger.registry.schema import admin_keys, sessions

SESSION_BYTES = 32


class Sessions:
    """The store of sessions; of a session's value only the SHA-256 digest is kept, as of a key's.

    A row and no signed token, so that a session which was signed out is gone for every server on this registry.
    Times are Unix seconds. Every method may raise RegistryError, as those of the registry.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(self, key_id: str, *, expires_at: int, now: int) -> str:
        """Begin a session of a key; its value, which cannot be had again. Those that have expired are removed."""
        value = secrets.token_urlsafe(SESSION_BYTES)
        row = {"digest": digest_of(value), "key_id": key_id, "expires_at": expires_at}
        with self._database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
            connection.execute(sessions.insert(), row)
        return value

    def find_key(self, value: str, *, now: int) -> AdminKey | None:
        """The key that this session stands for; None when the session, or its key, is unknown or no longer valid."""
        query = (
            select(admin_keys)
            .join(sessions, sessions.c.key_id == admin_keys.c.id)
            .where(
                sessions.c.digest == digest_of(value),
                sessions.c.expires_at > now,
                admin_keys.c.revoked_at.is_(None),
                or_(admin_keys.c.expires_at.is_(None), admin_keys.c.expires_at > now),
            )
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else records.admin_key(row)

    def end(self, value: str) -> None:
        """Sign out; of a session that is not there nothing happens."""
        with self._database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.digest == digest_of(value)))
