"""Consistent copies of an embedded ledger while others read and write it."""

from pathlib import Path

import duckdb

from usageledger.ledger.duckdb.connection import database_of


def copy_database(cursor: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Copies all tables, as they are at one moment, to a new file. Raises duckdb.Error."""
    source = database_of(cursor)
    place = str(file).replace("'", "''")
    cursor.execute(f"ATTACH '{place}' AS backup_copy")
    try:
        cursor.execute(f"COPY FROM DATABASE {source} TO backup_copy")
        cursor.execute("CHECKPOINT backup_copy")
    finally:
        cursor.execute("DETACH backup_copy")
