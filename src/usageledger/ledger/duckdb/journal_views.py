"""Journal rows as queries see them, so that they need not wait until rows are moved to the events."""

import duckdb
import pyarrow as pa

from usageledger.ledger.arrow_bytes import from_bytes
from usageledger.ledger.duckdb.connection import database_of
from usageledger.ledger.duckdb.journal import Journal
from usageledger.ledger.schema import (
    EVENT_LIST,
    EVENTS_TABLE,
    FACET_LIST,
    FACETS_TABLE,
    facets_of_events,
)
from usageledger.meters import FACETS

RECENT = "recent"  # the journal's rows, as queries see them
UNNUMBERED = 2**63 - 1  # sorts after every commit: no rollup includes these rows


class JournalViews:
    """The rows of the journal as views of one transaction, which sees all of them.

    Args:
        cursor: inside of a transaction; the names of the views are its own from here on.
        kept: where most of these rows are in memory. Others are read from the disk: those moved since the transaction
            began, and those of a commit that is about to be answered.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, kept: Journal) -> None:
        self._cursor = cursor
        self._kept = kept
        self._positions: list[int] | None = None
        self._shown: set[str] = set()

    def show(self, reads: frozenset[str]) -> None:
        """Add the journal's rows to those of the tables in `reads`; facets are made only then, which takes some ms."""
        if self._positions is None:
            found = self._cursor.execute("SELECT position FROM journal").fetchall()
            self._positions = [position for (position,) in found]
        if not self._positions:
            return
        main = f"{database_of(self._cursor)}.main"
        if EVENTS_TABLE not in self._shown:
            rows = [_rows(self._cursor, self._kept, position) for position in self._positions]
            self._cursor.register(RECENT, pa.concat_tables(rows))
            self._cursor.execute(
                f"CREATE TEMP VIEW {EVENTS_TABLE} AS SELECT {EVENT_LIST}, commit_number FROM {main}.{EVENTS_TABLE} "
                f"UNION ALL SELECT {EVENT_LIST}, {UNNUMBERED} FROM {RECENT}"
            )
        if FACETS_TABLE in reads - self._shown:
            facets = " UNION ALL ".join(facets_of_events(dimension, source=RECENT) for dimension in FACETS)
            self._cursor.execute(
                f"CREATE TEMP VIEW {FACETS_TABLE} AS SELECT {FACET_LIST} FROM {main}.{FACETS_TABLE} UNION ({facets})"
            )
        self._shown |= reads | {EVENTS_TABLE}


def _rows(cursor: duckdb.DuckDBPyConnection, kept: Journal, position: int) -> pa.Table:
    rows = kept.at(position)
    if rows is None:
        ((stream,),) = cursor.execute("SELECT rows FROM journal WHERE position = ?", [position]).fetchall()
        rows = from_bytes(stream)
    return rows
