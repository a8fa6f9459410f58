"""Opening a DuckDB file, ending a query that takes too long, and the engine's error messages."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


def refuse_another(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Raises LedgerError where the file holds tables, and they are not ours; nothing is written to it."""
    tables = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if tables and "ledger_version" not in tables:
        raise LedgerError(f"{path} is a DuckDB database of something else, and no ledger: it was left as it is.")


def columns_of(connection: duckdb.DuckDBPyConnection) -> dict[str, set[str]]:
    """Table → its columns. Raises duckdb.Error."""
    statement = "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal"
    found: dict[str, set[str]] = {}
    for table, name in connection.execute(statement).fetchall():
        found.setdefault(table, set()).add(name)
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
