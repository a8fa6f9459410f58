"""The comparison sees each way in which a ledger may be wrong."""

from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from tests.crash.clients import MANNERS, Client, Gate
from tests.crash.compare import Comparison, compare
from tests.support.samples import NOW, append_wire

from usageledger.ledger import open_ledger

EVENTS = 40


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (None, {}),
        ("DELETE FROM events WHERE event_id = '0-7'", {"lost": 1}),
        ("INSERT INTO events SELECT * FROM events WHERE event_id IN ('0-7', '1-8')", {"doubled": 2}),
        ("UPDATE events SET project_id = 'another' WHERE event_id = '1-3'", {"changed": 1}),
        ("UPDATE events SET num_requests = num_requests + 1 WHERE event_id = '0-8'", {"changed": 1}),
        ("UPDATE events SET ts = ts + 1 WHERE event_id = '1-3'", {"lost": 1, "unknown": 1}),
        ("INSERT INTO events SELECT * REPLACE ('9-9' AS event_id) FROM events LIMIT 1", {"unknown": 1}),
        ("DELETE FROM events WHERE event_id LIKE '0-%'", {"lost": 40}),
    ],
)
def test_what_is_wrong_is_counted(tmp_path: Path, change: str | None, found: dict[str, int]) -> None:
    clients = [Client(number, MANNERS[number], Gate(), NOW - 10_000_000) for number in range(2)]
    with closing(open_ledger(f"duckdb:///{tmp_path}/ledger.duckdb")) as ledger:
        for client in clients:
            client.acknowledged = EVENTS
            assert append_wire(ledger, client.events(0, EVENTS)) == ["accepted"] * EVENTS
    if change:
        with duckdb.connect(str(tmp_path / "ledger.duckdb")) as connection:
            connection.execute(change)
    right = {"acknowledged": 2 * EVENTS, "dropped": 0, "lost": 0, "doubled": 0, "changed": 0, "unknown": 0}
    assert compare(tmp_path / "ledger.duckdb", clients) == Comparison(**right | found)


def test_dropped_days_are_neither_lost_nor_kept(tmp_path: Path) -> None:
    client = Client(0, MANNERS[0], Gate(), NOW - 10_000_000)
    client.acknowledged = EVENTS
    events = client.events(0, EVENTS)
    first, *_, middle = sorted(events, key=lambda event: event["timestamp"])[: EVENTS // 2 + 1]
    late = [event for event in events if event["timestamp"] >= middle["timestamp"]]
    with closing(open_ledger(f"duckdb:///{tmp_path}/ledger.duckdb")) as ledger:
        append_wire(ledger, [*late, first])
    half = Comparison(EVENTS, EVENTS - len(late), lost=0, doubled=0, changed=0, unknown=1)
    assert compare(tmp_path / "ledger.duckdb", [client], middle["timestamp"]) == half
