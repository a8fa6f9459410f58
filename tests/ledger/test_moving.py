"""Commits, moves of the journal and queries beside each other: nothing waits that need not, and nothing is lost."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.support.engines import EAGER, tuned
from tests.support.ledger_contents import (
    count,
    days,
    doubled,
    events,
    facet_differences,
    malformed,
    rollup_differences,
    span,
)
from tests.support.samples import DAY, TODAY, answer, append, ask, usage

from usageledger.ledger import Ledger
from usageledger.ledger.duckdb import ledger as duckdb
from usageledger.ledger.duckdb import new_facets
from usageledger.ledger.duckdb.journal import Journal
from usageledger.ledger.duckdb.ledger import DuckDBLedger
from usageledger.ledger.duckdb.rollups import coverage
from usageledger.ledger.duckdb.tuning import Tuning
from usageledger.questions.facet import Facet

pytestmark = pytest.mark.embedded


@pytest.fixture
def ledger(tmp_path: Path, tuning: Tuning) -> Iterator[DuckDBLedger]:
    with closing(DuckDBLedger(tmp_path / "ledger.duckdb", tuning=tuning)) as ledger:
        yield ledger


def batch(number: int, size: int = 5) -> list[Any]:
    return [usage("images", f"{number}-{n}", TODAY + number, images=1, model=f"m{number % 7}") for n in range(size)]


@tuned(Tuning(busy_seconds=0))
def test_neither_commits_nor_queries_wait_for_a_move(ledger: DuckDBLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    entered, go_on = threading.Event(), threading.Event()
    found_in = new_facets.found_in

    def slowly(rows: pa.Table) -> Any:
        entered.set()
        assert go_on.wait(60)
        return found_in(rows)

    append(ledger, batch(1))
    monkeypatch.setattr(new_facets, "found_in", slowly)
    with ThreadPoolExecutor() as pool:
        try:
            moved = pool.submit(ledger.compact)
            assert entered.wait(60)
            assert append(ledger, batch(2)) == ["accepted"] * 5
            assert count(ledger) == 10
            # What is being moved is in neither place for certain, so this one waits, and is known all the same.
            again = pool.submit(append, ledger, batch(1))
        finally:
            go_on.set()
        assert again.result() == ["duplicate"] * 5
        assert moved.result()
    assert count(ledger) == 10


def everything(ledger: Ledger) -> list[Any]:
    """What a ledger tells of events, sums and facets."""
    query = ask("images", TODAY, TODAY + DAY, "1h", group_by=["model"])
    facet = Facet("model", None, TODAY, TODAY + DAY)
    return [
        events(ledger, 0, 2**40, after=(0, ""), limit=1000).to_pylist(),
        answer(ledger, query),
        ledger.facets(facet, max_seconds=60, limit=1000),
        span(ledger),
        days(ledger),
    ]


@tuned(Tuning(full_rows=20))
def test_answers_are_the_same_from_the_journal_and_from_the_events(
    ledger: DuckDBLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        append(ledger, batch(number))
        if number == 4:
            assert ledger.compact()
    told = everything(ledger)
    assert len(told[0]) == 50
    assert facet_differences(ledger) == malformed(ledger) == []
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "at", lambda *_: None)  # as where it was moved since the query began
        assert everything(ledger) == told
    while ledger.compact():
        pass
    assert ledger._writer.execute("SELECT COUNT(*) FROM journal").fetchall() == [(0,)]
    assert everything(ledger) == told


@tuned(Tuning(full_rows=5))
def test_a_query_sees_one_moment_while_the_journal_is_moved(
    ledger: DuckDBLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is moved between two of its statements is neither missed nor counted twice."""
    append(ledger, batch(1))

    def moved_meanwhile(cursor: Any) -> Any:
        held = coverage(cursor)
        with ThreadPoolExecutor(1) as others:
            assert others.submit(ledger.compact).result()
            others.submit(append, ledger, batch(2)).result()
        return held

    with monkeypatch.context() as patch:
        patch.setattr(duckdb, "coverage", moved_meanwhile)
        assert count(ledger) == 5
    assert count(ledger) == 10


@tuned(EAGER)
def test_what_was_acknowledged_is_in_every_answer(ledger: Ledger) -> None:
    ended = threading.Event()
    acknowledged = 0
    wrong: list[tuple[int, int, int]] = []

    def ask() -> None:
        while not ended.is_set():
            before = acknowledged
            held = count(ledger)
            if not before <= held <= acknowledged + 5:  # a commit may be there before its answer
                wrong.append((before, held, acknowledged))

    def keep_up() -> None:
        while not ended.is_set():
            ledger.compact()

    with ThreadPoolExecutor() as pool:
        beside = [pool.submit(ask), pool.submit(ask), pool.submit(keep_up)]
        try:
            for number in range(60):
                sent = batch(number // 2, 5)  # each twice
                assert append(ledger, sent) == ["duplicate" if number % 2 else "accepted"] * 5
                acknowledged += 5 * (1 - number % 2)
        finally:
            ended.set()
        for each in beside:
            each.result()
    assert wrong == []
    assert count(ledger) == 150
    assert doubled(ledger) == rollup_differences(ledger) == facet_differences(ledger) == []
