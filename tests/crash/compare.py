"""Event by event: what the clients know to be acknowledged, against the file of the stopped ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
from tests.crash.clients import Client
from tests.support.numbered_events import stored

from usageledger.events.columns import PAYLOAD_COLUMNS

AT_ONCE = 50_000
COLUMNS = ", ".join(PAYLOAD_COLUMNS)


@dataclass(frozen=True)
class Comparison:
    """Numbers of events.

    Attributes:
        acknowledged: by the clients' own count.
        dropped: of them, those of days that were to be dropped.
        lost: acknowledged, of another day, and not in the ledger.
        doubled: in the ledger more than once.
        changed: in the ledger with another value in any column.
        unknown: in the ledger and never acknowledged, or of a day that was dropped.
    """

    acknowledged: int
    dropped: int
    lost: int
    doubled: int
    changed: int
    unknown: int


def compare(ledger: Path, clients: Sequence[Client], dropped_before: int = 0) -> Comparison:
    """Every event of `clients`, each with its last answer, against the events of a ledger that nobody has open.

    Those before `dropped_before`, in Unix seconds, must not be there.
    """
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{ledger}' AS ledger (READ_ONLY)")
        connection.execute(f"CREATE TABLE expected AS SELECT {COLUMNS} FROM ledger.events LIMIT 0")
        for client in clients:
            for start in range(0, client.acknowledged, AT_ONCE):
                rows = stored(client.events(start, min(start + AT_ONCE, client.acknowledged)))  # noqa: F841 - named in the SQL
                connection.execute(f"INSERT INTO expected SELECT {COLUMNS} FROM rows WHERE ts >= {dropped_before}")
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
    wanted, lost, doubled, unknown = counts
    acknowledged = sum(client.acknowledged for client in clients)
    return Comparison(acknowledged, acknowledged - wanted, lost, doubled, differing[0] - lost, unknown)
