"""What was committed last is still in the journal: a query reads it from there, and waits for nobody."""

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
LATER = 2**63 - 1  # the commit number of rows that got none yet, since no rollup holds them


def show_recent(cursor: duckdb.DuckDBPyConnection, kept: Journal, statement: str) -> None:
    """Adds the rows of the journal to what `cursor` reads as events and facets, as its transaction sees all of them.

    Args:
        cursor: inside of a transaction; both names are its own from here on.
        kept: where most of these rows are in memory. Others are read from the disk: those moved since the transaction
            began, and those of a commit that is about to be answered.
        statement: what will be asked; facets are made for one that reads them alone, since they take milliseconds.
    """
    positions = [position for (position,) in cursor.execute("SELECT position FROM journal").fetchall()]
    if positions:
        cursor.register(RECENT, pa.concat_tables([_rows(cursor, kept, position) for position in positions]))
        main = f"{database_of(cursor)}.main"
        cursor.execute(
            f"CREATE TEMP VIEW {EVENTS_TABLE} AS SELECT {EVENT_LIST}, commit_number FROM {main}.{EVENTS_TABLE} "
            f"UNION ALL SELECT {EVENT_LIST}, {LATER} FROM {RECENT}"
        )
        if FACETS_TABLE in statement:
            facets = " UNION ALL ".join(facets_of_events(dimension, source=RECENT) for dimension in FACETS)
            cursor.execute(
                f"CREATE TEMP VIEW {FACETS_TABLE} AS SELECT {FACET_LIST} FROM {main}.{FACETS_TABLE} UNION ({facets})"
            )


def _rows(cursor: duckdb.DuckDBPyConnection, kept: Journal, position: int) -> pa.Table:
    rows = kept.at(position)
    if rows is None:
        ((stream,),) = cursor.execute("SELECT rows FROM journal WHERE position = ?", [position]).fetchall()
        rows = from_bytes(stream)
    return rows
