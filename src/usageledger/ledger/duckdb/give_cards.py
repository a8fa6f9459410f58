"""Rate cards for events of the embedded ledger that were kept before there were any."""

import duckdb

from usageledger.buckets import DAY_SECONDS
from usageledger.events.columns import NO_CARD, with_cards
from usageledger.ledger.duckdb.rollups import coverage, make_days
from usageledger.ledger.protocol import CardsOf
from usageledger.ledger.schema import EVENT_COLUMNS, FAMILIES


def days_without_cards(writer: duckdb.DuckDBPyConnection) -> list[int]:
    """The days (their starts) that have events without a rate card."""
    statement = f"SELECT DISTINCT ts - ts % {DAY_SECONDS} FROM events WHERE rate_id = {NO_CARD} ORDER BY 1"
    return [day for (day,) in writer.execute(statement).fetchall()]


def give_cards(writer: duckdb.DuckDBPyConnection, day: int, cards: CardsOf) -> int:
    """Gives the events of a day that have no rate card one, and makes the day's rollups anew; how many there were."""
    end = day + DAY_SECONDS
    where = f"WHERE ts >= {day} AND ts < {end} AND rate_id = {NO_CARD}"
    names = ", ".join((*EVENT_COLUMNS, "commit_number"))
    without = writer.sql(f"SELECT {names} FROM events {where}").to_arrow_table()
    _carded = with_cards(without, cards(without))
    writer.execute(f"BEGIN; DELETE FROM events {where}; INSERT INTO events ({names}) SELECT {names} FROM _carded")
    for family in FAMILIES:
        held = coverage(writer).held[family.name]
        if day < held.until:
            make_days(writer, family, held.covered, day, end)
    writer.execute("COMMIT")
    return int(without.num_rows)
