"""The database under the registry: how it is opened, and its transactions. The only place that knows dialects."""

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table, create_engine, event, func, select, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DataError, IntegrityError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.dml import Insert

from usageledger.errors import RegistryError
from usageledger.registry.database_errors import registry_error
from usageledger.registry.schema import VERSION_TABLE

AT_ONCE = 500  # values in one IN list
ROWS_IN_STATEMENT = 150  # of INSERT: SQLite takes 999 values of a statement at least

T = TypeVar("T")

logger = logging.getLogger("usageledger.registry")

_WRITES = "usageledger_writes"
_LOGGING_NAME = "usageledger_registry"
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)  # when a file beside it is made
# PostgreSQL's advisory locks are numbers: "ulreg", "ulprc", "ulclm" and "ulctr".
_MIGRATION_LOCK = 0x75_6C_72_65_67
_PRICES_LOCK = 0x75_6C_70_72_63
_CLAIMS_LOCK = 0x75_6C_63_6C_6D
_COUNTERS_LOCK = 0x75_6C_63_74_72


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds that a registry waits.

    Attributes:
        busy_s: for another process that writes, or for a free connection.
        probe_s: between two attempts to write after one failed.
    """

    busy_s: float = 5.0
    probe_s: float = 2.0


WAITS = Waits()


class Database:
    """A database and its connections; safe to use from many threads.

    Attributes:
        place: the file, or the URL without its password, for messages.
    """

    def __init__(self, engine: Engine, place: str, waits: Waits) -> None:
        self._engine = engine
        self._waits = waits
        self._writer = engine.execution_options(**{_WRITES: True})
        self._closed = False
        self._writable = False  # as the last write tells, of whatever thread; nothing was written yet
        self._probing = threading.Lock()  # of the one thread that tries to write; no other waits for it
        self._probe_at = 0.0
        self.place = place

    @contextmanager
    def read(self) -> Generator[Connection]:
        """A transaction that only reads. Raises RegistryError for every failure of the database."""
        with self._transaction(self._engine) as connection:
            yield connection

    @contextmanager
    def write(self) -> Generator[Connection]:
        """A transaction that commits at the end. Raises RegistryError for every failure of the database."""
        with self._transaction(self._writer) as connection:
            yield connection
        self._writable = True

    def is_writable(self) -> bool:
        """Returns true if the last write succeeded; after a failure, a write is tried now and then."""
        due = not self._writable and time.monotonic() >= self._probe_at
        if due and self._probing.acquire(blocking=False):
            try:
                self._probe_at = time.monotonic() + self._waits.probe_s
                with self.write() as connection:
                    connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = version_num"))
            except RegistryError as error:
                logger.warning("%s", error)
            finally:
                self._probing.release()
        return self._writable

    @contextmanager
    def _transaction(self, engine: Engine) -> Generator[Connection]:
        if self._closed:
            raise RegistryError(f"The registry {self.place} is closed.")
        try:
            with engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, sqlite3.Error, UnicodeError, OverflowError) as error:
            if engine is self._writer and not isinstance(
                error, IntegrityError | DataError | UnicodeError | OverflowError
            ):
                self._writable = False
            # Without the cause: a driver's message may hold the values of the row.
            raise registry_error(error, self.place) from None

    def backup(self, file: Path) -> None:
        """Copy a SQLite database to a new file, readable by its owner only. Raises RegistryError."""
        if self._engine.dialect.name != "sqlite":
            raise RegistryError(f"The registry {self.place} is no file: back it up with pg_dump.")
        _make_file(file)
        try:
            source = self._engine.raw_connection()
            try:
                with closing(sqlite3.connect(file)) as target:
                    source.driver_connection.backup(target)  # type: ignore[union-attr]  # it is open
            finally:
                source.close()
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise registry_error(error, self.place) from None

    def close(self) -> None:
        """Close every connection; closing again does nothing."""
        self._closed = True
        self._engine.dispose()


def open_database(url: str, waits: Waits) -> Database:
    """Open `sqlite:///file` (made when it is not there) or `postgresql+psycopg://user:password@host/name`.

    Raises:
        RegistryError: the URL cannot be used, or the file cannot be made.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed, waits)
    place = parsed.render_as_string(hide_password=True)
    try:
        engine = _engine(parsed, waits, pool_pre_ping=True)
    except ImportError:
        raise RegistryError(f"The registry {place} needs a driver: pip install 'usageledger[postgresql]'") from None
    except (SQLAlchemyError, TypeError, ValueError) as error:
        raise registry_error(error, place) from None
    return Database(engine, place, waits)


def _parse(url: str) -> URL:
    allowed = "use sqlite:///path/registry.sqlite or postgresql+psycopg://user:password@host:5432/name."
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        # The value is not shown: what cannot be parsed may hold a password anywhere.
        raise RegistryError(f"The registry's URL cannot be read: {allowed}") from None
    if backend not in ("sqlite", "postgresql"):
        raise RegistryError(f"A registry cannot be kept in {backend!r}: {allowed}")
    return parsed


def _open_sqlite(url: URL, waits: Waits) -> Database:
    if url.drivername not in ("sqlite", "sqlite+pysqlite") or url.host or url.query:
        raise RegistryError(f"The registry's URL {url} takes a path and nothing else: sqlite:///path/registry.sqlite.")
    if not url.database or url.database == ":memory:":
        raise RegistryError("The registry needs a file: processes share it, and keys must outlive them.")
    path = Path(url.database)
    _make_file(path)
    engine = _engine(url, waits, creator=lambda: _connect_sqlite(path, waits.busy_s))
    event.listen(engine, "begin", _begin_sqlite)
    event.listen(engine, "checkin", _drop_frozen)
    return Database(engine, str(path), waits)


def _engine(url: URL, waits: Waits, **options: Any) -> Engine:
    """An engine that logs nothing: at DEBUG SQLAlchemy writes out rows, and ours hold digests and secrets."""
    logging.getLogger(f"sqlalchemy.engine.Engine.{_LOGGING_NAME}").setLevel(logging.WARNING)
    return create_engine(url, hide_parameters=True, logging_name=_LOGGING_NAME, pool_timeout=waits.busy_s, **options)


def _make_file(path: Path) -> None:
    """Make the file, readable by its owner only; SQLite gives its log beside it the same mode."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        if path.parent.is_dir():
            return
        raise RegistryError(f"The registry {path} cannot be made: {path.parent} is not a folder.") from None
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise RegistryError(f"The registry {path} cannot be made: {reason}.") from None


class _Frozen(sqlite3.Connection):
    """A connection that reads the file as it is, and makes no file beside it."""


def _connect_sqlite(path: Path, busy_s: float) -> sqlite3.Connection:
    """A connection; where a full disk has no room for the files of the log, one that only reads.

    Without a log the file is whole, and for want of room nobody can begin one.
    """
    options: dict[str, Any] = {"timeout": busy_s, "isolation_level": None, "check_same_thread": False}
    connection: sqlite3.Connection = sqlite3.connect(path, **options)
    try:
        _prepare_sqlite(connection, busy_s)
    except sqlite3.OperationalError as error:
        connection.close()
        log = path.with_name(f"{path.name}-wal")
        if error.sqlite_errorcode & 0xFF not in _NO_ROOM or (log.exists() and log.stat().st_size):
            raise
        logger.warning("the registry %s can only be read: %s", path, error)
        return sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True, factory=_Frozen, **options)
    return connection


def _drop_frozen(connection: object, record: ConnectionPoolEntry) -> None:
    """Ends a connection that only reads after its first use: there may be room by the next time."""
    if isinstance(connection, _Frozen):
        record.invalidate()


def _prepare_sqlite(connection: sqlite3.Connection, busy_s: float) -> None:
    """Set up a new connection; the time-out comes first, as the others may have to wait."""
    connection.execute(f"PRAGMA busy_timeout = {int(busy_s * 1000)}")
    _use_wal(connection, busy_s)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")


def _use_wal(connection: sqlite3.Connection, busy_s: float) -> None:
    """Switch to the write-ahead log, or find that it is on.

    SQLite refuses at once, without its time-out, while another process sets up the same file: so wait here.
    """
    deadline = time.monotonic() + busy_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    """Take the lock of a writer at once: taken later, it may be refused without waiting."""
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def lock_for_migration(connection: Connection) -> None:
    """Let one process migrate at a time, until this transaction ends."""
    _lock(connection, _MIGRATION_LOCK)


def lock_prices(connection: Connection) -> None:
    """Let one process write prices at a time, until this transaction ends.

    PostgreSQL numbers a row when it is written, not when it is committed. Alone, a writer's numbers are all smaller
    than those of whoever commits later, so that reading on from a number misses nothing.
    """
    _lock(connection, _PRICES_LOCK)


def lock_claims(connection: Connection) -> None:
    """Let one process claim responses at a time, until this transaction ends: of times near each other one counts."""
    _lock(connection, _CLAIMS_LOCK)


def lock_counters(connection: Connection) -> None:
    """Let one process claim growth of counters at a time, until this transaction ends."""
    _lock(connection, _COUNTERS_LOCK)


def _lock(connection: Connection, number: int) -> None:
    """On SQLite every writer is alone already."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(number)))


def insert_or_ignore(connection: Connection, table: Table) -> Insert:
    """An INSERT that leaves rows alone whose primary key or unique column is there already."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415  (most registries never need it)

    return postgresql.insert(table).on_conflict_do_nothing()


def insert_many(connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> int:
    """Inserts what `insert_or_ignore` does; how many rows.

    SQLite gets many rows in a statement, as they are: row by row takes twice the work, and gives the interpreter away
    for each of them.
    """
    if connection.dialect.name == "sqlite":
        head = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES "
        marks, added = f"({', '.join('?' * len(columns))})", 0
        for start in range(0, len(rows), ROWS_IN_STATEMENT):
            some = rows[start : start + ROWS_IN_STATEMENT]
            statement = f"{head}{', '.join([marks] * len(some))} ON CONFLICT DO NOTHING"
            added += connection.exec_driver_sql(statement, tuple(chain.from_iterable(some))).rowcount
        return added
    named = [dict(zip(columns, row, strict=True)) for row in rows]
    return connection.execute(insert_or_ignore(connection, table), named).rowcount


def next_numbers(connection: Connection, table: Table, count: int) -> Sequence[int]:
    """The ids of the next `count` rows of a table that one writer at a time adds to, and that loses none."""
    if connection.dialect.name == "sqlite":
        last = connection.execute(select(func.max(table.c.id))).scalar() or 0
        return range(last + 1, last + 1 + count)
    rows = func.generate_series(1, count).table_valued("number")
    sequence = func.pg_get_serial_sequence(table.name, "id")
    return sorted(connection.scalars(select(func.nextval(sequence)).select_from(rows)))


def in_batches(values: Iterable[T]) -> Iterator[list[T]]:
    """`values` in lists that one IN may hold."""
    held = list(values)
    return (held[start : start + AT_ONCE] for start in range(0, len(held), AT_ONCE))
