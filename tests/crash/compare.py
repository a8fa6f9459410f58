"""Event by event: what the clients know to be acknowledged, against the file of the stopped ledger."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb
from tests.crash.clients import Client
from tests.crash.events import stored

from usageledger.columns import PAYLOAD_COLUMNS

AT_ONCE = 50_000
COLUMNS = ", ".join(PAYLOAD_COLUMNS)


@dataclass(frozen=True)
class Comparison:
    """Numbers of events.

    Attributes:
        acknowledged: by the clients' own count.
        lost: acknowledged and not in the ledger.
        doubled: in the ledger more than once.
        changed: in the ledger with another value in any column.
        unknown: in the ledger and never acknowledged.
    """

    acknowledged: int
    lost: int
    doubled: int
    changed: int
    unknown: int


def compare(ledger: Path, clients: Iterable[Client]) -> Comparison:
    """Every event of `clients`, each with its last answer, against the events of a ledger that nobody has open."""
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{ledger}' AS ledger (READ_ONLY)")
        connection.execute(f"CREATE TABLE expected AS SELECT {COLUMNS} FROM ledger.events LIMIT 0")
        for client in clients:
            for start in range(0, client.acknowledged, AT_ONCE):
                rows = stored(client.events(start, min(start + AT_ONCE, client.acknowledged)))  # noqa: F841 - named in the SQL
                connection.execute(f"INSERT INTO expected SELECT {COLUMNS} FROM rows")
        counts = connection.execute(
            """
            SELECT COUNT(*) FILTER (wanted > 0), COUNT(*) FILTER (wanted > found),
                   COUNT(*) FILTER (found > 1), COUNT(*) FILTER (wanted = 0)
            FROM (SELECT event_id, ts, SUM(wanted) AS wanted, SUM(found) AS found
                  FROM (SELECT event_id, ts, 1 AS wanted, 0 AS found FROM expected
                        UNION ALL SELECT event_id, ts, 0, 1 FROM ledger.events)
                  GROUP BY event_id, ts)
            """
        ).fetchone()
        differing = connection.execute(
            f"SELECT COUNT(*) FROM (SELECT {COLUMNS} FROM expected EXCEPT SELECT {COLUMNS} FROM ledger.events)"
        ).fetchone()
    assert counts
    assert differing
    acknowledged, lost, doubled, unknown = counts
    return Comparison(acknowledged, lost, doubled, differing[0] - lost, unknown)
