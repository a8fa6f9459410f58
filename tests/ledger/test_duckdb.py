"""What only the embedded engine has: its file, its deadline, and its ways to fail."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn, cast

import duckdb as engine_module
import pyarrow as pa
import pytest
from tests.support.engines import OpenLedger, tuned
from tests.support.ledger_contents import count, doubled, drop_events, facet_differences, rollup_differences
from tests.support.samples import DAY, TODAY, answer, append, ask, table, usage, wire

from usageledger.errors import (
    InvalidRequestError,
    LedgerError,
    LedgerLockedError,
    LedgerUnavailableError,
    LedgerVersionError,
)
from usageledger.ledger import Ledger
from usageledger.ledger.arrow_bytes import to_bytes
from usageledger.ledger.duckdb import new_facets
from usageledger.ledger.duckdb.ledger import DuckDBLedger
from usageledger.ledger.duckdb.tuning import Tuning, Worth
from usageledger.ledger.schema import FAMILIES, VERSION
from usageledger.ledger.statements import usage_sums
from usageledger.ledger.statements.sql import Sql

pytestmark = pytest.mark.embedded

EVENTS = [usage("completions", f"e{n}", TODAY + n, model=f"m{n}", output_text_tokens=n) for n in range(50)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger's file with some events in it, closed."""
    path = tmp_path / "ledger.duckdb"
    with closing(DuckDBLedger(path)) as ledger:
        append(ledger, EVENTS)
    return path


@pytest.fixture
def opened(path: Path, tuning: Tuning) -> Iterator[Ledger]:
    with closing(DuckDBLedger(path, tuning=tuning)) as ledger:
        yield ledger


def refused(path: Path) -> LedgerError:
    """The refusal to open a file, in one line that names it."""
    with pytest.raises(LedgerError) as caught:
        DuckDBLedger(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


def change(path: Path, *statements: str) -> None:
    with closing(engine_module.connect(str(path))) as connection:
        for statement in statements:
            connection.execute(statement)


# --- rate cards for events from before there were any ------------------------------------------------------------


def older(path: Path) -> None:
    """The file as version 1 of the schema left it, its last two events in the journal."""
    gone = ("facets", "rollup_state", "retention", "rollup_15m", "rollup_keys_1d")
    change(
        path,
        *(f"DROP TABLE {table}" for table in gone),
        "CREATE TABLE deltas AS SELECT * FROM rollup_1h",
        "ALTER TABLE events DROP COLUMN commit_number",
        *(f"ALTER TABLE {table} DROP COLUMN rate_id" for table in ("events", "rollup_1d", "rollup_1h", "deltas")),
        "UPDATE ledger_version SET version = 1",
    )
    rows = table([wire(usage("images", f"late {n}", TODAY - 1 - n, images=1)) for n in range(2)])[0]
    with closing(engine_module.connect(str(path))) as connection:
        connection.execute("INSERT INTO journal VALUES (0, ?)", [to_bytes(rows.drop_columns("rate_id"))])


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 9])
def test_events_without_a_card_are_given_one(path: Path, steps: int) -> None:
    older(path)
    with closing(DuckDBLedger(path)) as ledger:
        assert [ledger.compact() for _ in range(steps)] == [*[True] * 6, *[False] * 9][:steps]
        before = [answer(ledger, ask(kind, TODAY - DAY, TODAY + DAY)) for kind in ("completions", "images")]
        seen: list[int] = []

        def cards(rows: pa.Table) -> Any:
            seen.append(rows.num_rows)
            return 10 + rows["ts"].to_numpy() % 3

        assert ledger.give_cards(cards) == sum(seen) == len(EVENTS) + 2
        assert ledger.give_cards(cards) == 0
        assert [answer(ledger, ask(kind, TODAY - DAY, TODAY + DAY)) for kind in ("completions", "images")] == before
        assert rollup_differences(ledger) == doubled(ledger) == []
        given = ledger._writer.execute("SELECT DISTINCT rate_id FROM events ORDER BY 1").fetchall()
        assert given == [(10,), (11,), (12,)]
        assert append(ledger, EVENTS) == ["duplicate"] * len(EVENTS)


# --- the file ----------------------------------------------------------------------------------------------------


def test_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    change(path, f"UPDATE ledger_version SET version = {VERSION + 1}", "DROP TABLE rollup_1d")
    before = path.read_bytes()
    error = refused(path)
    assert isinstance(error, LedgerVersionError)
    assert f"schema version {VERSION + 1}, and this UsageLedger reads up to {VERSION}: use a newer" in str(error)
    assert path.read_bytes() == before


def test_the_version_is_written_once(path: Path) -> None:
    DuckDBLedger(path).close()
    with closing(engine_module.connect(str(path))) as connection:
        assert connection.execute("SELECT version FROM ledger_version").fetchall() == [(VERSION,)]


@pytest.mark.parametrize("content", [b"x", b"not a database" * 1000, b"\0" * 20_000])
@pytest.mark.parametrize("folder", ["plain", "blocked"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes, folder: str) -> None:
    path = tmp_path / folder / "ledger.duckdb"
    path.parent.mkdir()
    path.write_bytes(content)
    assert type(refused(path)) is LedgerError
    assert path.read_bytes() == content


@pytest.mark.parametrize("offset", [0, 20, 4096, 4100, 8202, 12293])
def test_a_damaged_file_is_refused(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 0xFF
    path.write_bytes(content)
    error = refused(path)
    assert not isinstance(error, LedgerLockedError)


def test_damage_is_seen_when_it_is_read(path: Path) -> None:
    """Wherever a file is damaged, opening or reading says so in one line; no answer is made of it."""
    content = path.read_bytes()
    found = []
    for offset in range(16_384, len(content), 65_536):
        broken = path.with_name(f"broken {offset}.duckdb")
        flipped = bytes(byte ^ 0xFF for byte in content[offset : offset + 64])
        broken.write_bytes(content[:offset] + flipped + content[offset + 64 :])
        try:
            with closing(DuckDBLedger(broken)) as ledger:
                (bucket,) = answer(ledger, ask("completions", TODAY, TODAY + DAY, group_by=["user_id"]))
                assert bucket["results"][0]["output_tokens"] == sum(range(50))
        except LedgerError as error:
            found.append(str(error))
    assert found
    assert not [words for words in found if "\n" in words]


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE events (x INTEGER)", "CREATE TABLE ledger_version (v VARCHAR)", "CREATE TABLE journal (x INTEGER)"],
)
def test_a_database_of_something_else_is_refused(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "other.duckdb"
    change(path, statement)
    assert type(refused(path)) is LedgerError


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "ledger.duckdb").mkdir()
    assert type(refused(tmp_path / "ledger.duckdb")) is LedgerError


# --- deadlines ---------------------------------------------------------------------------------------------------

ENDLESS = "SELECT SUM(a.range * b.range) AS sum FROM range(10000000) AS a, range(10000000) AS b"


def test_a_query_ends_at_its_deadline(opened: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    query = ask("completions", TODAY, TODAY + DAY)
    with monkeypatch.context() as patch:
        patch.setattr(usage_sums, "aggregate", lambda *_, **__: Sql(ENDLESS))
        with pytest.raises(InvalidRequestError, match=r"The query took longer than 0\.05 seconds: ask for") as caught:
            opened.aggregate(query, max_seconds=0.05, max_results=10)
    assert caught.value.code == "query_timeout"
    assert opened.ready()
    assert opened.aggregate(query, max_seconds=60, max_results=10).columns["output_tokens"] == [sum(range(50))]


def test_a_query_that_fails_says_so_in_one_line(opened: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_sums, "aggregate", lambda *_, **__: Sql("SELECT\nnonsense FROM nowhere"))
    with pytest.raises(LedgerUnavailableError, match=r"^The ledger could not read: ") as caught:
        opened.aggregate(ask("completions", TODAY, TODAY + DAY), max_seconds=5, max_results=10)
    assert "\n" not in str(caught.value)
    assert opened.ready()


def test_more_than_64_bits_can_hold_is_added_up(tmp_path: Path) -> None:
    largest = 2**53 - 1
    with closing(DuckDBLedger(tmp_path / "ledger.duckdb")) as ledger:
        append(ledger, [usage("images", f"e{n}", TODAY + n % 2 * 3600, images=largest) for n in range(1040)])
        for group_by in ([], ["user_id"]):
            (day,) = answer(ledger, ask("images", TODAY, TODAY + DAY, group_by=group_by))
            assert day["results"][0]["images"] == 1040 * largest
        hours = answer(ledger, ask("images", TODAY, TODAY + 7200, "1h"))
        assert [bucket["results"][0]["images"] for bucket in hours] == [520 * largest] * 2
        assert ledger.ready()


# --- failures while writing --------------------------------------------------------------------------------------

BATCHES = {
    "small": [usage("completions", "new", TODAY + 1000, model="m", output_text_tokens=1)],
    "large": [usage("completions", f"new {n}", TODAY + 1000, model="m", output_text_tokens=1) for n in range(600)],
}


large = tuned(Tuning(full_rows=500))  # the large batch goes straight to the events


@large
@pytest.mark.parametrize("kind", [pa.ArrowMemoryError, MemoryError, KeyboardInterrupt, ValueError])
def test_a_commit_that_fails_half_way_leaves_nothing(
    opened: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[BaseException]
) -> None:
    """Whatever goes wrong between the events and their facets, neither is kept; the next commit is whole again."""

    def fail(*_: object) -> NoReturn:
        raise kind

    with monkeypatch.context() as patch:
        patch.setattr(new_facets, "found_in", fail)
        with pytest.raises(kind):
            append(opened, BATCHES["large"])
    assert append(opened, BATCHES["small"]) == ["accepted"]
    shutil.copy(path, path.with_name("copy.duckdb"))
    shutil.copy(path.with_name("ledger.duckdb.wal"), path.with_name("copy.duckdb.wal"))
    with closing(DuckDBLedger(path.with_name("copy.duckdb"))) as as_after_a_crash:
        assert count(as_after_a_crash) == len(EVENTS) + 1
    assert count(opened) == len(EVENTS) + 1
    assert rollup_differences(opened) == []
    assert append(opened, BATCHES["large"]) == ["accepted"] * 600


@tuned(Tuning(busy_seconds=0))
@pytest.mark.parametrize("kind", [pa.ArrowMemoryError, MemoryError, KeyboardInterrupt, ValueError])
def test_a_move_that_fails_half_way_loses_nothing(
    opened: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[BaseException]
) -> None:
    """What was acknowledged stays in the journal, where nothing is forgotten and nothing counts twice."""

    def fail(*_: object) -> NoReturn:
        raise kind

    assert append(opened, BATCHES["large"]) == ["accepted"] * 600
    with monkeypatch.context() as patch:
        patch.setattr(new_facets, "found_in", fail)
        with pytest.raises(kind):
            opened.compact()
        assert append(opened, BATCHES["small"]) == ["accepted"]
        assert count(opened) == len(EVENTS) + 601
        with pytest.raises(kind):
            append(opened, BATCHES["small"])
    shutil.copy(path, path.with_name("copy.duckdb"))
    shutil.copy(path.with_name("ledger.duckdb.wal"), path.with_name("copy.duckdb.wal"))
    with closing(DuckDBLedger(path.with_name("copy.duckdb"))) as as_after_a_crash:
        assert count(as_after_a_crash) == len(EVENTS) + 601
    assert append(opened, BATCHES["small"] + BATCHES["large"]) == ["duplicate"] * 601
    assert count(opened) == len(EVENTS) + 601
    assert doubled(opened) == rollup_differences(opened) == facet_differences(opened) == []


@large
@pytest.mark.parametrize("batch", BATCHES)
def test_a_table_that_is_gone_keeps_nothing(opened: Ledger, batch: str) -> None:
    writer: Any = cast("DuckDBLedger", opened)._writer
    for name in ("journal", "facets"):
        writer.execute(f"ALTER TABLE {name} RENAME TO hidden")
        table_is_used = (batch == "small") == (name == "journal")
        if table_is_used:
            with pytest.raises(LedgerUnavailableError, match=r"^The ledger could not write: ") as caught:
                append(opened, BATCHES[batch])
            assert "\n" not in str(caught.value)
        writer.execute(f"ALTER TABLE hidden RENAME TO {name}")
    assert opened.ready()
    assert append(opened, BATCHES[batch]) == ["accepted"] * len(BATCHES[batch])
    assert count(opened) == len(EVENTS) + len(BATCHES[batch])
    assert rollup_differences(opened) == []


@tuned(Tuning(worth={family.name: Worth(1, 1, 1) for family in FAMILIES}))
def test_upkeep_that_fails_changes_nothing(opened: Ledger) -> None:
    writer: Any = cast("DuckDBLedger", opened)._writer
    writer.execute("ALTER TABLE rollup_1h RENAME TO hidden")
    with pytest.raises(LedgerUnavailableError, match=r"^The rollups could not be written: "):
        opened.compact()
    writer.execute("ALTER TABLE hidden RENAME TO rollup_1h")
    assert rollup_differences(opened) == []
    assert opened.compact()
    assert rollup_differences(opened) == []


@tuned(Tuning(busy_seconds=0))
def test_a_journal_that_is_moved_half_way_is_not_moved(opened: Ledger, path: Path) -> None:
    """The events, their facets and the journal are one transaction: none is there twice, and none is gone."""
    writer: Any = cast("DuckDBLedger", opened)._writer
    assert append(opened, BATCHES["small"]) == ["accepted"]
    writer.execute("ALTER TABLE facets RENAME TO hidden")
    with pytest.raises(LedgerUnavailableError, match=r"^The ledger could not write: "):
        opened.compact()
    writer.execute("ALTER TABLE hidden RENAME TO facets")
    copy = path.with_name("copy.duckdb")
    shutil.copy(path, copy)
    shutil.copy(path.with_name("ledger.duckdb.wal"), path.with_name("copy.duckdb.wal"))
    with closing(DuckDBLedger(copy)) as as_after_a_crash:
        for ledger in (opened, as_after_a_crash):
            assert count(ledger) == len(EVENTS) + 1
            assert doubled(ledger) == rollup_differences(ledger) == []


def test_a_day_that_is_dropped_half_way_is_not_dropped(opened: Ledger) -> None:
    """Events that are gone, and a ledger that does not know it, would be a wrong number."""
    writer: Any = cast("DuckDBLedger", opened)._writer
    minutes = ask("completions", TODAY, TODAY + 120, "1m")
    before = answer(opened, minutes)
    assert not drop_events(opened, TODAY)  # nothing yet; from here on the rollups hold all
    writer.execute("ALTER TABLE retention RENAME TO hidden")
    with pytest.raises(LedgerUnavailableError, match=r"^The events could not be dropped: "):
        drop_events(opened, TODAY + DAY)
    writer.execute("ALTER TABLE hidden RENAME TO retention")
    assert count(opened) == len(EVENTS)
    assert answer(opened, minutes) == before
    assert drop_events(opened, TODAY + DAY)
    assert count(opened) == 0
    with pytest.raises(InvalidRequestError, match="were dropped after their time"):
        answer(opened, minutes)


def test_what_was_asked_before_an_engine_failed_is_asked_again(opened: Ledger) -> None:
    """A commit that failed with its engine may be on disk after all, so no answer from before may stand."""
    ledger = cast("DuckDBLedger", opened)
    before = ledger.version(TODAY - DAY, TODAY)
    ledger._engine.note(engine_module.FatalException("database has been invalidated"))
    assert not ledger.ready()
    assert append(opened, BATCHES["small"]) == ["accepted"]
    ledger.compact()
    assert ledger.ready()
    assert ledger.version(TODAY - DAY, TODAY) > before
    assert append(opened, BATCHES["small"]) == ["duplicate"]


def test_a_commit_is_in_the_file_when_it_returns(open_again: OpenLedger, tmp_path: Path) -> None:
    """A copy of the files, as they are while the ledger is open, has everything acknowledged."""
    ledger: Ledger = open_again()
    kept = 0
    for number, batch in enumerate([EVENTS[:1], EVENTS[1:4], EVENTS[4:], BATCHES["large"], BATCHES["small"]]):
        append(ledger, batch)
        kept += len(batch)
        copy = tmp_path / f"copy {number}"
        shutil.copytree(tmp_path / "data", copy)
        assert count(open_again(copy)) == kept
