"""Names of projects, users and keys, where they have others than their ids."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Select, Table, select

from usageledger.registry.database import Database, in_batches
from usageledger.registry.schema import admin_keys, projects, users

ROWS_AT_ONCE = 1_000
# Dimensions whose values have names here.
_NAMED = {"project_id": projects, "user_id": users, "api_key_id": admin_keys}


class Names:
    """The names of what a dimension has; every method may raise RegistryError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, dimension: str, ids: Iterable[str]) -> dict[str, str]:
        """Id → name of those of these projects, users or keys that have a name other than their id."""
        table = _NAMED.get(dimension)
        if table is None:
            return {}
        named = _with_names(table)
        with self._database.read() as connection:
            batches = (connection.execute(named.where(table.c.id.in_(some))) for some in in_batches(ids))
            return {row.id: row.name for rows in batches for row in rows}

    def containing(self, dimension: str, search: str) -> list[str]:
        """Finds the ids of projects, users or keys whose name contains `search` in any case.

        Names that are the id are left out, so that this takes in few: nothing but a key of ours gives others.
        """
        table = _NAMED.get(dimension)
        if table is None:
            return []
        wanted = search.casefold()
        with self._database.read() as connection:
            rows = connection.execute(_with_names(table), execution_options={"yield_per": ROWS_AT_ONCE})
            return [row.id for row in rows if wanted in row.name.casefold()]


def _with_names(table: Table) -> Select[Any, Any]:
    return select(table.c.id, table.c.name).where(table.c.name.is_not(None), table.c.name != table.c.id)
