"""An engine that failed, and whoever still reads from it: the file is opened again, and is none of the old one's."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from tests.ledger import released
from tests.support.engines import tuned
from tests.support.ledger_contents import count
from tests.support.limits import files_limited
from tests.support.samples import DAY, TODAY, answer, append, ask, table, usage, wire

from usageledger.errors import LedgerUnavailableError
from usageledger.events.columns import with_cards
from usageledger.ledger.duckdb.ledger import DuckDBLedger
from usageledger.ledger.duckdb.tuning import Tuning
from usageledger.ledger.identity import Outcome
from usageledger.ledger.statements import usage_sums
from usageledger.ledger.statements.sql import Sql

EVENTS = [usage("images", f"e{n}", TODAY + n, images=n) for n in range(10)]
MORE = [usage("images", "more", TODAY + 1000, images=7)]
IMAGES = ask("images", TODAY, TODAY + DAY)
ENDLESS = "SELECT SUM(a.range * b.range) AS sum FROM range(10000000) AS a, range(10000000) AS b"
FAILED = duckdb.FatalException("database has been invalidated")


@pytest.fixture
def ledger(tmp_path: Path, tuning: Tuning) -> Iterator[DuckDBLedger]:
    with closing(DuckDBLedger(tmp_path / "ledger.duckdb", tuning=tuning)) as opened:
        append(opened, EVENTS)
        yield opened


def test_a_late_reader_of_an_engine_that_failed(ledger: DuckDBLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it still has to say of the old engine does not fail the new one."""
    old = ledger._engine
    opened = old.cursor

    @contextmanager
    def and_opened_again() -> Iterator[duckdb.DuckDBPyConnection]:
        try:
            with opened() as cursor:
                yield cursor
        finally:
            # Its cursor is closed, and it did not say yet how it went.
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(append, ledger, MORE).result() == ["accepted"]

    def fail(*_: object, **__: object) -> Any:
        raise FAILED

    old.note(FAILED)  # as another reader saw it
    with monkeypatch.context() as patch:
        patch.setattr(old, "cursor", and_opened_again)
        patch.setattr(usage_sums, "aggregate", fail)
        with pytest.raises(LedgerUnavailableError, match=r"^The ledger could not read: "):
            answer(ledger, IMAGES)
    writer = ledger._writer
    assert append(ledger, MORE) == ["duplicate"]
    assert ledger._writer is writer, "opened again for nothing"


@pytest.mark.parametrize("told", ["a commit", "upkeep"])
def test_a_reader_without_a_deadline_holds_up_nobody(ledger: DuckDBLedger, told: str) -> None:
    """It is interrupted when the file has to be opened again, and hears that it may ask again."""
    reads = threading.Event()

    def read_for_ever() -> None:
        with ledger.snapshot() as snapshot:
            reads.set()
            snapshot.read(Sql(ENDLESS))

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read_for_ever)
        reads.wait()
        ledger._engine.note(FAILED)
        if told == "a commit":
            assert append(ledger, MORE) == ["accepted"]
        else:
            ledger.compact()
        with pytest.raises(LedgerUnavailableError, match=r"could not read: .*opened again"):
            reading.result()
    assert append(ledger, EVENTS) == ["duplicate"] * len(EVENTS)
    assert answer(ledger, IMAGES)[0]["results"][0]["images"] == sum(range(10)) + 7 * (told == "a commit")


@tuned(Tuning(mend_seconds=0))
def test_a_disk_with_room_for_commits_alone_is_not_ready(ledger: DuckDBLedger) -> None:
    """That it can be written again is said when what waits can be moved, not when a few bytes were written."""
    many = [usage("images", f"m{n}", TODAY + 5000 + n, images=n) for n in range(2000)]
    assert set(append(ledger, many)) == {"accepted"}
    log = ledger._path.with_name(f"{ledger._path.name}.wal")
    ledger._engine.ready = False
    with files_limited(log.stat().st_size + 100_000):
        with pytest.raises(LedgerUnavailableError):
            ledger.compact()
        assert append(ledger, MORE) == ["accepted"]
        assert not ledger.ready()
        assert count(ledger) == len(EVENTS) + len(many) + 1
    ledger.compact()
    assert ledger.ready()


@pytest.mark.parametrize("left", ["nothing", "a full journal"])
def test_a_ledger_is_opened_on_a_full_disk(tmp_path: Path, left: str) -> None:
    released.pack(tmp_path / "killed")
    truth, _ = released.unpack(tmp_path / "killed", tmp_path)
    path = tmp_path / "ledger.duckdb"
    if left == "nothing":
        DuckDBLedger(path).close()
    with files_limited(4096):
        ledger = DuckDBLedger(path)
        assert not ledger.ready()
        held = count(ledger)
        assert held > len(truth) // 2
        with pytest.raises(LedgerUnavailableError):
            append(ledger, MORE)
    with closing(ledger):
        ledger._engine._write_at = 0
        ledger.compact()
        assert ledger.ready()
        assert append(ledger, MORE) == ["accepted"]
        assert count(ledger) == held + 1


def test_commits_from_before_an_engine_failed_stand_beside_those_after_it(ledger: DuckDBLedger) -> None:
    """Those are read from the disk again, these are as they came, with rate cards: they are moved and read together."""
    cards = np.zeros(1, np.int64)
    assert (
        ledger.append(with_cards(table([wire(each) for each in MORE])[0], cards)).outcomes == Outcome.ACCEPTED
    ).all()
    ledger._engine.note(FAILED)
    last = [usage("images", "last", TODAY + 2000, images=100)]
    assert (
        ledger.append(with_cards(table([wire(each) for each in last])[0], cards)).outcomes == Outcome.ACCEPTED
    ).all()
    for _ in range(2):
        (bucket,) = answer(ledger, IMAGES)
        assert [result["images"] for result in bucket["results"]] == [45 + 7 + 100]
        with ledger._events_lock:
            ledger._move()
