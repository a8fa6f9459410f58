"""The statements that questions become, with their arguments: a change of them is meant, or it is a mistake."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support.samples import DAY, NOW, SECRET, TODAY, ask

from usageledger.ledger.clickhouse import table_ddl as clickhouse_tables
from usageledger.ledger.clickhouse.address import parse_address
from usageledger.ledger.clickhouse.ledger import NO_ROLLUPS
from usageledger.ledger.schema import EVER, create_tables
from usageledger.ledger.statements.cost_sums import costs, unpriced
from usageledger.ledger.statements.dialect import CLICKHOUSE, DUCKDB
from usageledger.ledger.statements.sql import Sql
from usageledger.ledger.statements.usage_sums import Coverage, Held, aggregate
from usageledger.meters import COSTS
from usageledger.questions.query import Query, parse

GOLDEN = Path(__file__).parent / "sql"
WEEK = (TODAY - 7 * DAY, TODAY)
BERLIN = 1_774_738_800  # 2026-03-29T00:00:00+01:00, the start of a day of 23 hours
HELD = Coverage({"models": Held(7, EVER), "keys": Held(5, EVER)})


def costs_of(width: str = "1d", window: tuple[int, int] = WEEK, zone: str = "", **given: Any) -> Query:
    pairs = [("start_time", str(window[0] + 61)), ("end_time", str(window[1] - 61)), ("bucket_width", width)]
    pairs += [("timezone", zone)] if zone else []
    pairs += [(f"{name}[]", value) for name, values in given.items() for value in values]
    return parse(COSTS, pairs, now=NOW, secret=SECRET)


QUESTIONS = {
    "completions_by_day": ask("completions", *WEEK),
    "completions_by_day_and_model": ask("completions", *WEEK, group_by=["model", "batch"]),
    "completions_by_user": ask("completions", *WEEK, group_by=["user_id"]),
    "completions_unaligned": ask("completions", WEEK[0] + 61, WEEK[1] - 61, group_by=["project_id"]),
    "completions_filtered": ask(
        "completions", *WEEK, project_ids=["b", "a"], models=["it's"], batch=False, group_by=["service_tier"]
    ),
    "embeddings_by_hour": ask("embeddings", TODAY - DAY, TODAY, "1h"),
    "images_by_minute": ask("images", TODAY - 3600, TODAY, "1m", sizes=["auto"], group_by=["size", "source"]),
    "completions_in_berlin": ask("completions", BERLIN - DAY, BERLIN + 2 * DAY, timezone="Europe/Berlin"),
    "vector_stores_in_kathmandu": ask("vector_stores", *WEEK, timezone="Asia/Kathmandu"),
    "vector_stores_by_day": ask("vector_stores", *WEEK),
    "vector_stores_unaligned": ask("vector_stores", WEEK[0] + 1, WEEK[1], group_by=["project_id"], project_ids=["a"]),
}

WIDE_QUESTIONS = ("completions_by_user", "vector_stores_by_day")

COSTS_QUESTIONS = {
    "costs_by_day_and_line_item": costs_of(group_by=["line_item"]),
    "costs_by_hour_filtered": costs_of("1h", group_by=["project_id", "model"], user_ids=["u"], line_items=["a, input"]),
    "costs_in_berlin": costs_of(window=(BERLIN, BERLIN + 2 * DAY), zone="Europe/Berlin", group_by=["line_item"]),
    "costs_of_a_whole_window": costs_of("all", (WEEK[0] + 21_600, WEEK[1] - 21_600), group_by=["line_item"]),
    "costs_by_project_and_kind": costs_of(group_by=["project_id", "kind"], project_ids=["a", "b"]),
}


def same(name: str, text: str, folder: Path = GOLDEN) -> None:
    kept = folder / f"{name}.sql"
    if os.environ.get("UPDATE_GOLDEN"):
        kept.write_text(text)
    assert text == kept.read_text(), "run the tests with UPDATE_GOLDEN=1 if this change is meant"


def readable(statement: str) -> str:
    """A line for each clause."""
    return re.sub(r" (FROM|WHERE|GROUP BY|UNION ALL|LIMIT) ?", r"\n\1 ", statement)


ENGINES = {"duckdb": (DUCKDB, HELD, GOLDEN), "clickhouse": (CLICKHOUSE, NO_ROLLUPS, GOLDEN / "clickhouse")}
in_each = pytest.mark.parametrize("named", ENGINES)


@in_each
@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question(name: str, named: str) -> None:
    dialect, held, folder = ENGINES[named]
    written(name, aggregate(QUESTIONS[name], held, 1000, dialect), folder)


@in_each
@pytest.mark.parametrize("name", WIDE_QUESTIONS)
def test_a_question_whose_sums_are_beyond_64_bits(name: str, named: str) -> None:
    dialect, held, folder = ENGINES[named]
    written(f"{name}_wide", aggregate(QUESTIONS[name], held, 1000, dialect, wide=True), folder)


@in_each
@pytest.mark.parametrize("name", COSTS_QUESTIONS)
def test_a_question_for_costs(name: str, named: str) -> None:
    dialect, held, folder = ENGINES[named]
    written(name, costs(COSTS_QUESTIONS[name], held, 1000, dialect), folder)


@in_each
def test_the_question_for_what_is_unpriced(named: str) -> None:
    dialect, held, folder = ENGINES[named]
    written("unpriced", unpriced(COSTS_QUESTIONS["costs_by_day_and_line_item"], held, 99, 1000, dialect), folder)


def written(name: str, found: Sql | None, folder: Path) -> None:
    assert found
    listed = "".join(f"-- {number}: {argument!r}\n" for number, argument in enumerate(found.arguments, 1))
    same(name, f"{readable(found.text)}\n\n{listed}", folder)


def test_the_tables() -> None:
    same("tables", spread(create_tables()))


def spread(statements: Sequence[str]) -> str:
    """A line for each column."""
    return "".join(f"{statement.replace(', ', f',{chr(10)}  ')};\n" for statement in statements)


@pytest.mark.parametrize("layout", ["", "?cluster=ledger&replicated=false", "?cluster=ledger"])
def test_the_tables_of_clickhouse(layout: str) -> None:
    address = parse_address(f"clickhouse://db.example.com/usage{layout}")
    name = {"": "one_node", "?cluster=ledger": "replicated"}.get(layout, "sharded")
    same(f"tables_{name}", spread(clickhouse_tables.create(address)), GOLDEN / "clickhouse")


def test_every_file_is_of_a_question() -> None:
    asked = {*QUESTIONS, *(f"{name}_wide" for name in WIDE_QUESTIONS), *COSTS_QUESTIONS, "unpriced"}
    assert {path.stem for path in GOLDEN.glob("*.sql")} == {*asked, "tables"}
    tables = {"tables_one_node", "tables_sharded", "tables_replicated"}
    assert {path.stem for path in (GOLDEN / "clickhouse").iterdir()} == {*asked, *tables}
