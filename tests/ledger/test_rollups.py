"""Rollups made anew: they can be left and taken up at any day, and no answer changes meanwhile."""

import random
from itertools import cycle, islice
from typing import Any, cast

import pytest
from tests.support.engines import ADDED_AT_ONCE, EAGER, OpenLedger, tuned
from tests.support.ledger_contents import rebuild_rollups, rollup_differences
from tests.support.model import Model, Usage
from tests.support.samples import DAY, TODAY, answer, append, ask, counted, keep, usage

from usageledger.ledger import Ledger
from usageledger.ledger.duckdb import rollups
from usageledger.ledger.duckdb.tuning import Tuning, Worth
from usageledger.ledger.schema import FAMILIES
from usageledger.meters import METER_BY_KIND, METERS

pytestmark = pytest.mark.embedded

KINDS = ("completions", "vector_stores", "file_search_calls")
START = TODAY - 4 * DAY


def some_usage(count: int, seed: int, first: int = 0) -> list[Usage]:
    """Events of three kinds on four days, one of them without any."""
    rng = random.Random(seed)
    return [
        Usage(
            kind=(kind := rng.choice(KINDS)),
            id=f"{seed} {number}",
            timestamp=START + rng.choice([0, 1, 3]) * DAY + rng.randrange(DAY),
            dimensions={
                d.name: rng.choice([None, True, False] if d.flag else [None, "a", "b"])
                for d in METER_BY_KIND[kind].dimensions
                if not d.values
            }
            | {d.name: None for d in METER_BY_KIND[kind].dimensions if d.values},
            counts={name: rng.randrange(1000) for name in counted(kind)},
        )
        for number in range(first, first + count)
    ]


Question = tuple[str, list[str], str, tuple[int, int]]  # kind, group_by, width, window

QUESTIONS: list[Question] = [
    (kind, group_by, width, window)
    for kind in KINDS
    for group_by in ([], ["project_id"], *([["user_id", "model"]] if kind == "completions" else []))
    for width, window in (("1d", (START, TODAY)), ("1h", (START, START + DAY)), ("1d", (START + 999, TODAY - 999)))
]


def agree(ledger: Ledger, model: Model, questions: list[Question] = QUESTIONS) -> None:
    """Whatever is asked is answered as by the model."""
    for kind, group_by, width, window in questions:
        found = answer(ledger, ask(kind, *window, width, group_by=group_by))
        assert found == model.buckets(kind, window, width, group_by=group_by)
    if questions is QUESTIONS:
        assert rollup_differences(ledger) == []


@pytest.fixture
def kept(open_again: OpenLedger) -> tuple[OpenLedger, Model]:
    """How to open a ledger with some events, some of them in rollups, and what is in it."""
    model = Model()
    ledger = open_again()
    for seed in range(4):
        usages = some_usage(40, seed)
        assert append(ledger, usages) == keep(model, usages)
        ledger.compact()
    ledger.close()
    return open_again, model


@tuned(EAGER)
def test_made_anew_at_once(kept: tuple[OpenLedger, Model]) -> None:
    open_again, model = kept
    ledger = open_again()
    days = list(rebuild_rollups(ledger))
    assert days == 2 * [START, START + DAY, START + 3 * DAY]
    agree(ledger, model)
    assert list(rebuild_rollups(ledger)) == days


@tuned(EAGER)
@pytest.mark.parametrize("goes_on", ["rebuild", "upkeep"])
@pytest.mark.parametrize("left_after", [0, 2, 5])
def test_left_and_taken_up_again(kept: tuple[OpenLedger, Model], left_after: int, goes_on: str) -> None:
    """Events that come meanwhile count too, on days that are done and on others."""
    open_again, model = kept
    ledger = open_again()
    first = list(islice(rebuild_rollups(ledger), left_after + 1))
    late = some_usage(20, 9)
    assert append(ledger, late) == keep(model, late)
    agree(ledger, model)
    ledger.close()
    ledger = open_again()
    agree(ledger, model)
    if goes_on == "rebuild":
        assert first + list(rebuild_rollups(ledger)) == 2 * [START, START + DAY, START + 3 * DAY]
    asked = cycle(QUESTIONS)
    while ledger.compact():
        agree(ledger, model, list(islice(asked, 3)))
    agree(ledger, model)


@tuned(EAGER)
def test_a_wrong_rollup_is_mended(kept: tuple[OpenLedger, Model]) -> None:
    open_again, model = kept
    ledger = open_again()
    while ledger.compact():
        pass
    writer = getattr(ledger, "_writer")  # noqa: B009 - only a look behind the protocol can break what it promises
    for table in ("rollup_1d", "rollup_1h", "rollup_15m", "rollup_keys_1d"):
        day = f"ts >= {START + DAY} AND ts < {START + 2 * DAY}"
        writer.execute(f"UPDATE {table} SET ts = ts - {DAY} WHERE kind = 'completions' AND {day}")
        writer.execute(f"INSERT INTO {table} SELECT * FROM {table} LIMIT 3")
    assert len(rollup_differences(ledger, 99)) > 4
    list(rebuild_rollups(ledger))
    agree(ledger, model)
    assert {meter.kind for meter in METERS} > set(KINDS)


@tuned(ADDED_AT_ONCE)
@pytest.mark.parametrize(
    ("second", "rows"), [(60, [2, 2, 2]), (900, [2, 2, 3]), (3600, [2, 3, 3]), (DAY, [3, 3, 3])], ids=str
)
def test_longer_spans_of_one_commit(open_again: OpenLedger, second: int, rows: list[int]) -> None:
    """Sums of a longer span that has one shorter span's alone are not added up again."""
    ledger = open_again()
    times = {"a": TODAY - DAY, "b": TODAY - DAY + 1, "c": TODAY - DAY + second}
    append(ledger, [usage("completions", id_, at, model="b" if id_ == "b" else "a") for id_, at in times.items()])
    assert ledger.compact()
    writer = cast("Any", ledger)._writer
    tables = [rollup.table for rollup in FAMILIES[0].rollups]
    assert [writer.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in tables] == rows
    assert rollup_differences(ledger) == []


@tuned(Tuning(full_rows=1, worth={family.name: Worth(10, 10, 1) for family in FAMILIES}))
@pytest.mark.parametrize("models", [10, 320], ids=["same", "different"])
def test_a_span_that_grows_is_not_written_for_each_addition(
    open_again: OpenLedger, models: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names that never come again would be merged with nothing, again and again; the same ones are few rows."""
    written = 0
    merge = rollups.merge

    def counting(*arguments: Any) -> Any:
        nonlocal written
        left = merge(*arguments)
        written += left.total()
        return left

    monkeypatch.setattr(rollups, "merge", counting)
    ledger = open_again()
    for first in range(0, 320, 10):
        append(ledger, [usage("completions", f"{n}", TODAY, model=f"m{n % models}") for n in range(first, first + 10)])
        while ledger.compact():
            pass
    writer = cast("Any", ledger)._writer
    tables = [rollup.table for family in FAMILIES for rollup in family.rollups]
    rows = [writer.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in tables]
    assert written <= 2 * 320 * len(tables)
    assert max(rows) <= max(models, 4 * 10)
    assert rollup_differences(ledger) == []
