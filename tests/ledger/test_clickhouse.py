"""What is ClickHouse's own: addresses, tables made and added to, rows on disk that no query may see, a server gone."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.support.engines import ONE_NODE, TWO_SHARDS, Engine
from tests.support.ledger_contents import cards_used, count, doubled
from tests.support.model import Usage
from tests.support.samples import DAY, NOW, TODAY, answer, append, ask, table, usage, wire
from tests.support.services.clickhouse import CLUSTER
from tests.support.services.nginx import encrypting
from tests.support.services.processes import free_ports
from tests.support.tls import CERT, KEY

from usageledger.errors import LedgerError, LedgerUnavailableError, LedgerVersionError, SettingsError
from usageledger.ledger import Ledger, migrate_ledger, open_ledger
from usageledger.ledger.clickhouse import parse_address, table_ddl
from usageledger.ledger.clickhouse.client import Connection
from usageledger.ledger.clickhouse.ledger import LATEST, ClickHouseLedger
from usageledger.ledger.protocol import Columns
from usageledger.ledger.statements.sql import Sql

pytestmark = pytest.mark.external

EVENT = usage("images", "e", TODAY, images=3, model="m", user_id="u")
LATER = LATEST - 2 * NOW * 10**6


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[ClickHouseLedger]:
    with closing(ONE_NODE.open(tmp_path)) as opened:
        assert isinstance(opened, ClickHouseLedger)
        yield opened


def images(ledger: ClickHouseLedger, **given: Any) -> list[int]:
    (bucket,) = answer(ledger, ask("images", TODAY, TODAY + DAY, **given))
    return [result["images"] for result in bucket["results"]]


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("clickhouse://h/d", ("h", 8123, False, "default", "", "d", None, False, None)),
        ("clickhouses://u:p%40:w@h:9/d-1", ("h", 9, True, "u", "p@:w", "d-1", None, False, None)),
        ("clickhouses://[::1]/d", ("::1", 8443, True, "default", "", "d", None, False, None)),
        (f"clickhouses://h/d?ca_cert={CERT}", ("h", 8443, True, "default", "", "d", None, False, str(CERT))),
        ("clickhouse://h/d?cluster=c", ("h", 8123, False, "default", "", "d", "c", True, None)),
        ("clickhouse://h/d?cluster=c&replicated=false", ("h", 8123, False, "default", "", "d", "c", False, None)),
    ],
)
def test_addresses(url: str, parts: tuple[object, ...]) -> None:
    address = parse_address(url)
    assert tuple(getattr(address, name) for name in address.__slots__) == parts
    assert "p@:w" not in address.place


@pytest.mark.parametrize(
    "url",
    [
        "clickhouse://h",
        "clickhouse:///d",
        "clickhouse://h:port/d",
        "clickhouse://u:hunter2@h/d?cluster",
        "clickhouse://u:hunter2@h/d?shards=2",
        "clickhouse://u:hunter2@h/d?cluster=c&replicated=no",
        "clickhouse://u:hunter2@h/a`b",
        "clickhouse://u:hunter2@h/d?cluster=a'b",
        "clickhouse://u:hunter2@h/d#x",
        "clickhouse://u:hunter2@h/d?ca_cert=/etc/hosts",
        "clickhouses://u:hunter2@h/d?ca_cert=/nowhere.pem",
        "clickhouses://u:hunter2@h/d?ca_cert=",
    ],
)
def test_addresses_that_cannot_be_used(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^ledger: ") as caught:
        parse_address(url)
    assert "hunter2" not in str(caught.value)


def test_a_server_that_does_not_answer() -> None:
    with pytest.raises(
        LedgerError, match=r"The ledger clickhouse://127.0.0.1:\d+/d cannot be opened: .*Connection refused$"
    ) as caught:
        open_ledger(f"clickhouse://u:hunter2@127.0.0.1:{free_ports(1)[0]}/d")
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tls(tmp_path: Path) -> None:
    ONE_NODE.prepare(tmp_path)
    plain = parse_address(ONE_NODE.url(tmp_path))
    with encrypting(tmp_path / "nginx", plain.port, CERT, KEY) as port:
        place = f"clickhouses://localhost:{port}/{plain.database}"
        assert migrate_ledger(f"{place}?ca_cert={CERT}") == []
        with closing(open_ledger(f"{place}?ca_cert={CERT}")) as ledger:
            assert append(ledger, [EVENT] * 2) == ["accepted", "duplicate"]
            assert count(ledger) == 1
        for url, said in (
            (place, "certificate verify failed"),
            (f"{place}?ca_cert={KEY}", "no certificate or crl found"),
        ):
            with pytest.raises(LedgerError, match=f"^The ledger clickhouses://.* cannot be opened: .*{said}") as caught:
                open_ledger(url)
            assert "\n" not in str(caught.value)


def test_tables_are_made_by_migrating_and_only_so(tmp_path: Path) -> None:
    url = ONE_NODE.url(tmp_path)
    with pytest.raises(LedgerError, match=r"has no tables yet: make them with 'usageledger migrate'\.$"):
        open_ledger(url)
    shown = migrate_ledger(url, apply=False)
    assert [statement.split(" (")[0].split()[:2] for statement in shown] == [
        ["CREATE", "DATABASE"],
        ["CREATE", "TABLE"],
    ]
    with pytest.raises(LedgerError, match="has no tables yet"):
        open_ledger(url)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate_ledger, [url] * 4))
    assert migrate_ledger(url) == []
    open_ledger(url).close()


def test_tables_of_replicas_are_made_in_keeper(tmp_path: Path) -> None:
    """As far as the packaged engine goes: it keeps them in its Keeper, and has no statements for a whole cluster."""
    database = parse_address(ONE_NODE.url(tmp_path)).database
    address = parse_address(f"{ONE_NODE.url(tmp_path)}?cluster={CLUSTER}")
    with closing(Connection(address)) as connection:
        for statement in table_ddl.create(address):
            with pytest.raises(LedgerUnavailableError, match="Replicated DDL queries are disabled"):
                connection.command(statement)
            for _ in range(2):
                connection.command(statement.replace(f" ON CLUSTER `{CLUSTER}`", ""))
        replicas = connection.read(
            "SELECT zookeeper_path, replica_name, `table` FROM system.replicas WHERE database = ?", [database]
        )
        assert replicas.to_pylist() == [
            {
                "zookeeper_path": f"/clickhouse/tables/0/{database}/{table_ddl.LOCAL}",
                "replica_name": "1",
                "table": table_ddl.LOCAL,
            }
        ]
        (made,) = connection.read(
            "SELECT engine_full FROM system.tables WHERE database = ? AND name = ?", [database, table_ddl.LOCAL]
        )["engine_full"].to_pylist()
    assert made is not None
    assert made.startswith("ReplicatedReplacingMergeTree(")
    assert all(setting in made for setting in table_ddl._SETTINGS.split(", "))
    open_ledger(f"{ONE_NODE.url(tmp_path)}?cluster={CLUSTER}").close()


def test_a_column_that_is_missing_is_added(ledger: ClickHouseLedger, tmp_path: Path) -> None:
    url = ONE_NODE.url(tmp_path)
    append(ledger, [EVENT])
    ledger._connection.command("ALTER TABLE events DROP COLUMN characters")
    with pytest.raises(LedgerVersionError, match=r"older version: add what they lack with 'usageledger migrate'\.$"):
        open_ledger(url)
    (statement,) = migrate_ledger(url)
    assert "ADD COLUMN IF NOT EXISTS characters Int64" in statement
    with closing(open_ledger(url)) as again:
        assert append(again, [EVENT]) == ["duplicate"]


def test_a_column_of_a_newer_version_is_refused(ledger: ClickHouseLedger, tmp_path: Path) -> None:
    ledger._connection.command("ALTER TABLE events ADD COLUMN thoughts Int64")
    with pytest.raises(LedgerVersionError, match=r"does not know, such as 'thoughts': use a newer UsageLedger\.$"):
        open_ledger(ONE_NODE.url(tmp_path))


def put(ledger: ClickHouseLedger, *usages: object, precedence: int = LATER) -> None:
    """Past every look, as another server would at the same moment."""
    ledger._insert(table([wire(each) for each in usages])[0], precedence)  # type: ignore[arg-type]  # usages


def read(ledger: Ledger, statement: str) -> Columns:
    with ledger.snapshot() as snapshot:
        return snapshot.read(Sql(statement))


def rows_on_disk(ledger: ClickHouseLedger) -> int:
    return int(read(ledger, "SELECT COUNT(*) AS times FROM events")["times"][0])


def test_the_same_event_twice_on_disk_counts_once_before_and_after_merging(ledger: ClickHouseLedger) -> None:
    append(ledger, [EVENT])
    put(ledger, EVENT)
    for merged in (False, True):
        assert rows_on_disk(ledger) == (1 if merged else 2)
        assert (count(ledger), images(ledger), doubled(ledger)) == (1, [3], [])
        assert append(ledger, [EVENT]) == ["duplicate"]
        ledger._connection.command("OPTIMIZE TABLE events FINAL")


@pytest.mark.parametrize(
    "other",
    [
        EVENT.but(counts={"images": 4, "num_model_requests": 1}),
        EVENT.but(dimensions={**EVENT.dimensions, "model": "other"}),
        EVENT.but(dimensions={**EVENT.dimensions, "user_id": None}),
        usage("audio_speeches", "e", TODAY, characters=5, model="m"),
    ],
)
def test_of_two_payloads_that_both_got_in_the_first_to_arrive_is_seen(ledger: ClickHouseLedger, other: object) -> None:
    append(ledger, [EVENT])
    put(ledger, other)
    (said,) = doubled(ledger)
    assert said == f"event_id=e, ts={TODAY}, payloads=2"
    for _ in range(2):
        assert (count(ledger), images(ledger)) == (1, [3])
        assert images(ledger, models=["m"], user_ids=["u"]) == [3]
        assert images(ledger, models=["other"]) == []
        (bucket,) = answer(ledger, ask("audio_speeches", TODAY, TODAY + DAY))
        assert bucket["results"] == []
        assert append(ledger, [EVENT]) == ["duplicate"]
        ledger._connection.command("OPTIMIZE TABLE events FINAL")
    assert doubled(ledger) == []


def test_servers_that_are_sent_the_same_at_once_keep_it_once(ledger: ClickHouseLedger, tmp_path: Path) -> None:
    batch = [usage("images", f"e{n}", TODAY + n, images=1) for n in range(200)]
    with ThreadPoolExecutor(4) as pool, closing(open_ledger(ONE_NODE.url(tmp_path))) as other:
        for outcomes in pool.map(lambda each: append(each, batch), [ledger, other] * 2):
            assert set(outcomes) <= {"accepted", "duplicate"}
        assert count(ledger) == count(other) == 200
        assert sum(images(ledger)) == 200


def test_commits_of_one_server_wait_for_those_with_the_same_identities(
    ledger: ClickHouseLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, insert = threading.Event(), threading.Event(), ledger._insert

    def slow(rows: pa.Table, precedence: int) -> None:
        if not begun.is_set():
            begun.set()
            assert go_on.wait(30)
        insert(rows, precedence)

    monkeypatch.setattr(ledger, "_insert", slow)
    others = [EVENT.but(id=f"e{n}") for n in range(3)]
    with ThreadPoolExecutor(ledger.writers) as pool:
        first = pool.submit(append, ledger, [EVENT, others[0]])
        assert begun.wait(30)
        second = pool.submit(append, ledger, [others[1], EVENT, others[0].but(counts={"images": 9})])
        assert append(ledger, others[2:]) == ["accepted"], "commits of other events do not wait"
        assert not second.done()
        go_on.set()
        assert first.result() == ["accepted"] * 2
        assert second.result() == ["accepted", "duplicate", "conflict"]
    assert (count(ledger), rows_on_disk(ledger)) == (4, 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "_stored", _fail)
        with pytest.raises(LedgerUnavailableError):
            append(ledger, [EVENT])
    assert append(ledger, [EVENT]) == ["duplicate"], "nothing waits for a commit that failed"


def _fail(*_: object) -> None:
    raise LedgerUnavailableError("away")


def test_a_batch_over_many_days(ledger: ClickHouseLedger) -> None:
    """Each day is a partition, and there is no limit of them."""
    days = [usage("images", f"e{n}", TODAY - n * DAY, images=1) for n in range(130)]
    assert append(ledger, days) == ["accepted"] * 130
    assert append(ledger, days) == ["duplicate"] * 130


def test_an_engine_that_refuses_is_said_and_recovered_from(ledger: ClickHouseLedger) -> None:
    ledger._connection.command("RENAME TABLE events TO gone")
    with pytest.raises(LedgerUnavailableError, match=r"^The ledger could not read: ") as caught:
        append(ledger, [EVENT])
    assert "\n" not in str(caught.value)
    assert not ledger.ready()
    with pytest.raises(LedgerUnavailableError):
        ledger.compact()
    ledger._connection.command("RENAME TABLE gone TO events")
    assert not ledger.compact()
    assert ledger.ready()
    assert append(ledger, [EVENT]) == ["accepted"]


@pytest.mark.parametrize("one", [ONE_NODE, TWO_SHARDS], ids=lambda engine: engine.name)
def test_an_engine_that_reads_and_does_not_write_is_not_ready(one: Engine, tmp_path: Path) -> None:
    """A shard has too many parts: it answers what is read, and refuses every insert, until some are merged."""
    address = parse_address(one.url(tmp_path))
    local = table_ddl.names(address)[0]
    some = [EVENT.but(id=str(number)) for number in range(20)]
    with closing(one.open(tmp_path)) as ledger, closing(Connection(address, database=address.database)) as shard:
        assert isinstance(ledger, ClickHouseLedger)
        assert set(append(ledger, some)) == {"accepted"}
        shard.command(f"ALTER TABLE {local} MODIFY SETTING max_parts_in_total = 1")
        more = [EVENT.but(id=f"more {number}") for number in range(20)]
        failed = [each for each in more if not kept(ledger, each)]
        assert not kept(ledger, failed[0])
        for _ in range(3):
            with pytest.raises(LedgerUnavailableError, match=r"^The ledger could not write: Too many parts"):
                ledger.compact()
            assert not ledger.ready()
            assert images(ledger)
        shard.command(f"ALTER TABLE {local} MODIFY SETTING max_parts_in_total = 100000")
        assert not ledger.compact()
        assert ledger.ready()
        assert images(ledger) == [3 * (40 - len(failed))]
        assert doubled(ledger) == []
        assert set(append(ledger, failed)) == {"accepted"}
        assert images(ledger) == [3 * 40]


def kept(ledger: ClickHouseLedger, event: Usage) -> bool:
    try:
        append(ledger, [event])
    except LedgerUnavailableError:
        return False
    return True


def cards_of(rows: pa.Table) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.full(rows.num_rows, 7, np.int64)


def test_events_without_cards_are_given_them_once(tmp_path: Path) -> None:
    ONE_NODE.prepare(tmp_path)
    events = [EVENT.but(id=f"e{n}", timestamp=TODAY - n // 5 * DAY) for n in range(10)]
    with closing(ClickHouseLedger(parse_address(ONE_NODE.url(tmp_path)), events_at_once_max=2)) as ledger:
        append(ledger, events)
        for given in (10, 0):
            assert ledger.give_cards(cards_of) == given
            assert (count(ledger), images(ledger)) == (10, [15])
            assert {use.rate_id for use in cards_used(ledger)} == {7}
        assert append(ledger, events) == ["duplicate"] * 10


def test_servers_that_start_at_once_give_the_same_cards(ledger: ClickHouseLedger, tmp_path: Path) -> None:
    append(ledger, [EVENT.but(id=f"e{n}") for n in range(50)])
    with ThreadPoolExecutor(2) as pool, closing(open_ledger(ONE_NODE.url(tmp_path))) as other:
        assert sum(pool.map(lambda each: each.give_cards(cards_of), [ledger, other])) >= 50
    assert (count(ledger), images(ledger), doubled(ledger)) == (50, [150], [])
    assert sum(use.events for use in cards_used(ledger) if use.rate_id == 7) == 50


def test_that_all_events_have_cards_is_known_without_reading_them(ledger: ClickHouseLedger) -> None:
    append(ledger, [EVENT])
    ledger.give_cards(cards_of)
    ledger._connection.command("OPTIMIZE TABLE events FINAL")
    plan = read(ledger, "EXPLAIN indexes = 1 SELECT ts FROM events WHERE rate_id = 0")["explain"].tolist()
    (index,) = [number for number, line in enumerate(plan) if "Name: cards" in line]
    assert next(line for line in plan[index:] if "Granules:" in line).strip().startswith("Granules: 0/")


def test_what_is_read_is_closed_with_the_ledger(tmp_path: Path) -> None:
    address = parse_address(ONE_NODE.url(tmp_path))
    connection = Connection(parse_address(f"clickhouse://{address.host}:{address.port}/default"), database="default")
    connection.close()
    with pytest.raises(LedgerUnavailableError, match="closed"):
        connection.read("SELECT 1 AS one")
