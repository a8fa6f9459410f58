"""The steps that bring a registry's tables to the newest version, run when it is opened; a new one needs none.

To add one: change `schema.py`, add `versions/r<number>_<what>.py` after the newest, set `SCHEMA_VERSION` to its
number. The tests compare what the steps leave with what `schema.py` says. A step that was released never changes.
"""

import logging
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from usageledger.errors import RegistryError
from usageledger.registry.database import Database, lock_for_migration
from usageledger.registry.schema import SCHEMA_VERSION, VERSION_TABLE, metadata

# Alembic keeps the running migration in a global, so one thread at a time.
_one_at_a_time = threading.Lock()


def migrate(database: Database) -> None:
    """Bring the tables to `SCHEMA_VERSION`; two processes may ask for it at once.

    Alembic is imported only when there are tables to change.

    Raises:
        RegistryError: a newer version of UsageLedger wrote the registry, or the database failed.
    """
    with database.read() as connection:
        if stored_version(connection) == SCHEMA_VERSION:
            return
    with _one_at_a_time, database.write() as connection:
        lock_for_migration(connection)
        stored = stored_version(connection)
        if stored == SCHEMA_VERSION:
            return  # another process was faster
        if stored is None:
            _create(connection)
            return
        if not (stored.isdecimal() and stored < SCHEMA_VERSION):
            raise RegistryError(
                f"The registry {database.place} has version {stored!r}, but this UsageLedger knows versions up to "
                f"{SCHEMA_VERSION!r} only: update UsageLedger."
            )
        _upgrade(connection, database.place)


def stored_version(connection: Connection) -> str | None:
    """The version of the tables; None when there are none yet."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    version = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return None if version is None else str(version)


def _create(connection: Connection) -> None:
    """Make the newest tables, where there are none, without the steps."""
    metadata.create_all(connection, checkfirst=False)
    connection.execute(text(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text(f"INSERT INTO {VERSION_TABLE} VALUES ('{SCHEMA_VERSION}')"))


def _upgrade(connection: Connection, place: str) -> None:
    with _quiet_alembic():
        from alembic import command  # noqa: PLC0415  (slow to import, and seldom needed)
        from alembic.config import Config  # noqa: PLC0415
        from alembic.util import CommandError  # noqa: PLC0415

        config = Config()
        # The value goes through ConfigParser, where % begins an interpolation.
        config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise RegistryError(f"The registry {place} cannot be brought up to date: {error}") from None


@contextmanager
def _quiet_alembic() -> Generator[None]:
    """Alembic says at level INFO what it does; that is our business, not the server's log's."""
    logger = logging.getLogger("alembic")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
