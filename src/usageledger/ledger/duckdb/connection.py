"""Opening a DuckDB file, ending a query that takes too long, and the engine's error messages."""

import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import duckdb

from usageledger.errors import LedgerError, LedgerLockedError


def connect(path: Path, config: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    """Opens the file; creates it where there is none. Raises LedgerLockedError or LedgerError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return duckdb.connect(str(path), config=config)
    except OSError as error:
        raise LedgerError(f"The ledger's folder {path.parent} cannot be made: {error.strerror}") from error
    except duckdb.Error as error:
        if "Could not set lock" in str(error):
            raise LedgerLockedError(
                f"Another process holds the ledger {path}: stop it first, or use another data folder."
            ) from error
        raise cannot_open(path, error) from error


def cannot_open(path: Path, error: Exception) -> LedgerError:
    """The error of a file that the engine refuses."""
    return LedgerError(f"The ledger {path} cannot be opened: {first_line(error)}")


def stored_version(connection: duckdb.DuckDBPyConnection, path: Path) -> int | None:
    """The version of the tables; None where there are none yet.

    Raises:
        LedgerError: the file holds tables, and they are not ours; nothing is written to it.
        duckdb.Error: it cannot be read.
    """
    try:
        ((version,),) = connection.execute("SELECT MAX(version) FROM ledger_version").fetchall()
    except duckdb.CatalogException:
        if connection.execute("SELECT 1 FROM duckdb_tables()").fetchall():
            raise LedgerError(
                f"{path} is a DuckDB database of something else, and no ledger: it was left as it is."
            ) from None
        return None
    return cast("int | None", version)


def columns_of(connection: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> dict[str, set[str]]:
    """Table → its columns, of those that there are. Raises duckdb.Error.

    The list of all columns, which the engine has too, takes ten times as long.
    """
    found: dict[str, set[str]] = {}
    for table in tables:
        with suppress(duckdb.CatalogException):
            found[table] = {column[0] for column in connection.execute(f"SELECT * FROM {table} LIMIT 0").description}
    return found


def database_of(cursor: duckdb.DuckDBPyConnection) -> str:
    """The name of its database, as statements have it. Raises duckdb.Error."""
    ((name,),) = cursor.execute("SELECT current_database()").fetchall()
    return '"{}"'.format(name.replace('"', '""'))


@contextmanager
def deadline(cursor: duckdb.DuckDBPyConnection, seconds: float | None) -> Generator[None]:
    """Interrupts the statement of `cursor` after so many seconds."""
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, cursor.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def first_line(error: BaseException) -> str:
    """The engine's message without its details, which may hold values."""
    return str(error).partition("\n")[0]
