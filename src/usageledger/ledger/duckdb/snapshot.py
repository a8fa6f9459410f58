"""Snapshots of the embedded ledger."""

from typing import Any

import duckdb

from usageledger.ledger.duckdb.journal import Journal
from usageledger.ledger.duckdb.journal_views import JournalViews
from usageledger.ledger.protocol import Columns
from usageledger.ledger.statements.dialect import DUCKDB
from usageledger.ledger.statements.sql import Sql
from usageledger.ledger.statements.usage_sums import Coverage


class DuckDBSnapshot:
    """A `Snapshot`: one transaction of a cursor, and the journal's rows as it sees them."""

    dialect = DUCKDB

    def __init__(self, cursor: duckdb.DuckDBPyConnection, held: Coverage, kept: Journal) -> None:
        self.coverage = held
        self._cursor = cursor
        self._recent = JournalViews(cursor, kept)

    def read(self, sql: Sql) -> Columns:
        """See `Snapshot.read`; fetched by column."""
        for name, table in sql.tables.items():
            self._cursor.register(name, table)
        self._recent.show(sql.reads)
        columns: dict[str, Any] = self._cursor.execute(sql.text, sql.arguments).fetchnumpy()
        return columns
