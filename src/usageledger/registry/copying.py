"""From one registry to another: every row under the same number, since events name their rate cards by it."""

from typing import Any

from sqlalchemy import Connection, Select, Table, func, insert, select

from usageledger.errors import RegistryError
from usageledger.registry.database import Database
from usageledger.registry.schema import metadata

AT_ONCE = 1_000


def copy(source: Database, target: Database) -> dict[str, int]:
    """Copies all tables to an empty registry, in one transaction; table → its rows.

    Where `target` holds the same rows already, nothing is done, so that it can be called again.

    Raises:
        RegistryError: `target` holds something else, or a database failed.
    """
    counts: dict[str, int] = {}
    with source.read() as reading, target.write() as writing:
        for table in metadata.sorted_tables:
            rows = [dict(row) for row in reading.execute(_all_of(table)).mappings()]
            there = [dict(row) for row in writing.execute(_all_of(table)).mappings()]
            if there and there != rows:
                raise RegistryError(
                    f"The registry {target.place} is not empty: its table {table.name} holds other rows. "
                    "Copy to a new one."
                )
            if rows and not there:
                for start in range(0, len(rows), AT_ONCE):
                    writing.execute(insert(table), rows[start : start + AT_ONCE])
                _go_on_after(writing, table)
            counts[table.name] = len(rows)
    return counts


def _all_of(table: Table) -> Select[Any]:
    return select(table).order_by(*table.primary_key.columns)


def _go_on_after(connection: Connection, table: Table) -> None:
    """PostgreSQL numbers new rows by a sequence, which does not see the numbers that rows came with."""
    if connection.dialect.name != "postgresql":
        return
    for column in table.primary_key.columns:
        sequence = connection.execute(select(func.pg_get_serial_sequence(table.name, column.name))).scalar()
        if sequence:
            latest = select(func.max(column)).scalar_subquery()
            connection.execute(select(func.setval(sequence, latest)))
