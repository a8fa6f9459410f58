"""A sound ledger passes every check; one that was tampered with fails the right ones, and says where."""

import random
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import duckdb
import pytest
from hypothesis import given, settings
from tests.support.engines import ADDED_AT_ONCE, EAGER, EMBEDDED, Engine, OpenLedger, tuned
from tests.support.model import Usage
from tests.support.samples import DAY, TODAY, append, counted, usage
from tests.support.strategies import histories

from usageledger.errors import InvalidRequestError
from usageledger.ledger import Ledger
from usageledger.ledger.duckdb.tuning import MEASURED
from usageledger.ledger.proof import usage_proof as verify_module
from usageledger.ledger.proof.usage_proof import BOUNDS, Bounds, verify
from usageledger.meters import METER_BY_KIND, METERS
from usageledger.questions.aggregate import Aggregate
from usageledger.questions.query import Query

NAMES = [
    "events are well formed",
    "every event counts once",
    "every response counts once in 48 hours",
    "rollups equal the events",
    "facets equal the events",
    "groups sum to the whole",
    "a filter selects its group",
    "widths agree",
    "pages concatenate",
]
START = TODAY - 30 * DAY


def some_events(kinds: Sequence[str], per_kind: int = 40, days: int = 10) -> list[Usage]:
    """Events of some kinds over a month, on some of its days."""
    rng = random.Random(1)
    return [
        Usage(
            kind=kind,
            id=f"{kind} {number}",
            timestamp=START + rng.randrange(days) * 3 * DAY + rng.randrange(DAY),
            dimensions={
                d.name: rng.choice([None, True, False] if d.flag else [None, *(d.values or ("a", "b", "c"))])
                for d in METER_BY_KIND[kind].dimensions
            },
            counts={name: rng.randrange(1, 1000) for name in counted(kind)},
        )
        for kind in kinds
        for number in range(per_kind)
    ]


def failed(ledger: Ledger, bounds: Bounds = BOUNDS) -> dict[str, str]:
    """The checks that fail, and what they say; the others say what was compared."""
    findings = list(verify(ledger, bounds))
    sums = bool(ledger.rollups)  # an engine that has none keeps no facets either
    assert [finding.name for finding in findings] == [n for n in NAMES if sums or not n.endswith("equal the events")]
    assert all(finding.detail and "\n" not in finding.detail for finding in findings)
    return {finding.name: finding.detail for finding in findings if not finding.ok}


# --- sound ledgers -----------------------------------------------------------------------------------------------


def test_an_empty_ledger_is_sound(ledger: Ledger) -> None:
    assert failed(ledger) == {}


@pytest.mark.many_questions
@tuned(EAGER)
def test_a_sound_ledger_passes(ledger: Ledger) -> None:
    events = some_events([meter.kind for meter in METERS])
    for start in range(0, len(events), 50):
        append(ledger, events[start : start + 50])
        ledger.compact()
    findings = list(verify(ledger))
    days = f"10 days, {len(METERS)} kinds of usage"
    assert all(finding.ok for finding in findings)
    assert {finding.name: finding.detail for finding in findings} == {
        "events are well formed": f"{40 * len(METERS)} events",
        "every event counts once": f"{40 * len(METERS)} events",
        "every response counts once in 48 hours": f"{40 * len(METERS)} events",
        "rollups equal the events": "every day, hour and quarter",
        "facets equal the events": "every day, kind and dimension",
        "groups sum to the whole": f"{days}; by all dimensions at once on up to 7 days of each kind",
        "a filter selects its group": f"{days}; two values of every filter",
        "widths agree": f"{days}; by the minute on up to 7 days of each kind",
        "pages concatenate": f"{days}; windows that start and end anywhere",
    }


@pytest.mark.many_questions
@pytest.mark.parametrize("kind", [meter.kind for meter in METERS])
def test_events_far_apart_are_sound(ledger: Ledger, kind: str) -> None:
    append(ledger, [usage(kind, f"e{n}", at) for n, at in enumerate([0, 1, DAY - 1, 10**9, TODAY])])
    assert failed(ledger) == {}


@pytest.mark.embedded
@settings(max_examples=10)
@given(history=histories())
def test_any_ledger_is_sound(engine: Engine, tmp_path_factory: pytest.TempPathFactory, history: list[Usage]) -> None:
    with closing(engine.open(tmp_path_factory.mktemp("sound"))) as ledger:
        append(ledger, history)
        assert failed(ledger) == {}


@pytest.mark.many_questions
def test_days_that_are_not_answered_are_left_out_and_said(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    append(ledger, [usage("images", f"e{n}", START + n * DAY, images=n) for n in range(7)])
    aggregate = ledger.aggregate

    def refuse(query: Query, **limits: Any) -> Aggregate:
        if query.meter.kind == "images" and query.start_time < START + 5 * DAY and query.end_time > START:
            raise InvalidRequestError("The query took longer than 600 seconds.", code="query_timeout")
        return aggregate(query, **limits)

    monkeypatch.setattr(ledger, "aggregate", refuse)
    for finding in verify(ledger):
        assert finding.ok
        if finding.name in NAMES[5:]:
            days = ", ".join(f"images on 2026-05-{16 + n} (query_timeout)" for n in range(3))
            assert finding.detail.endswith(f"; left out: {days} and 2 more")


@pytest.mark.many_questions
def test_many_results_are_compared_in_parts(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    append(ledger, [usage("images", f"e{n}", START + n % 5 * DAY, user_id=f"u{n // 5}", images=n) for n in range(100)])
    asked: list[tuple[int, int]] = []
    original = verify_module.Kind.ask

    def ask(self: Any, start: int, end: int, *args: Any, **kwargs: Any) -> Aggregate:
        asked.append((start, end))
        return original(self, start, end, *args, **kwargs)

    monkeypatch.setattr(verify_module.Kind, "ask", ask)
    assert failed(ledger, Bounds(results_max=1440)) == {}
    whole = len(asked)
    asked.clear()
    assert failed(ledger, Bounds(results_max=50)) == {}
    assert len(asked) > whole
    assert (START, START + 2 * DAY) in asked
    details = {finding.name: finding.detail for finding in verify(ledger, Bounds(results_max=5))}
    assert "left out: images on 2026-05-16 (too_many_results), " in details["groups sum to the whole"]


# --- tampered ledgers --------------------------------------------------------------------------------------------

Tampered = Callable[..., dict[str, str]]


@pytest.fixture
def tampered(tmp_path: Path) -> Tampered:
    """The checks that fail after some statements have changed the tables of a sound ledger."""

    def change(*statements: str, compacted: bool = True) -> dict[str, str]:
        with closing(EMBEDDED.open(tmp_path, ADDED_AT_ONCE if compacted else MEASURED)) as ledger:
            append(ledger, some_events(["completions", "embeddings", "vector_stores"], days=2))
            while ledger.compact():
                pass
        with closing(duckdb.connect(str(tmp_path / "ledger.duckdb"))) as connection:
            for statement in statements:
                (changed,) = connection.execute(statement).fetchall()[0]
                assert changed > 0
        with closing(EMBEDDED.open(tmp_path)) as ledger:
            return failed(ledger, Bounds(sample_days=2, stretch_rows=10))

    return change


ONE = "event_id = 'completions 7'"


def test_an_event_that_is_gone(tampered: Tampered) -> None:
    found = tampered(f"DELETE FROM events WHERE {ONE}")
    assert {"rollups equal the events", "widths agree"} <= set(found)
    assert not {"events are well formed", "every event counts once", "pages concatenate"} & set(found)
    assert "kind=completions" in found["rollups equal the events"]
    assert found["widths agree"].startswith("completions input_tokens of 2026-")


@pytest.mark.parametrize("compacted", [False, True])
def test_an_event_that_is_there_twice(tampered: Tampered, compacted: bool) -> None:
    found = tampered(f"INSERT INTO events SELECT * FROM events WHERE {ONE}", compacted=compacted)
    assert ("rollups equal the events" in found) == ("widths agree" in found) == compacted
    assert "event_id=completions 7" in found["every event counts once"]
    assert "times=2" in found["every event counts once"]
    assert "events are well formed" not in found


def test_the_same_id_at_another_time_is_not_there_twice(tampered: Tampered) -> None:
    found = tampered(f"INSERT INTO events SELECT * REPLACE (ts + 1 AS ts) FROM events WHERE {ONE}")
    assert "every event counts once" not in found
    assert "rollups equal the events" in found


def test_a_response_that_counts_twice(tampered: Tampered) -> None:
    found = tampered(
        f"INSERT INTO events SELECT * REPLACE ('response:r' AS event_id, {START} AS ts) FROM events WHERE {ONE}",
        f"INSERT INTO events SELECT * REPLACE ('response:r' AS event_id, {START} + 60 AS ts) FROM events WHERE {ONE}",
    )
    said = f"event_id=response:r, earlier={START}, ts={START + 60}"
    assert found["every response counts once in 48 hours"] == said
    assert "every event counts once" not in found


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("DELETE FROM facets WHERE value = 'b' AND dimension = 'model'", "dimension=model, value=b"),
        ("UPDATE facets SET ts = ts + 86400 WHERE dimension = 'user_id'", "dimension=user_id"),
        ("INSERT INTO facets SELECT ts, kind, dimension, 'none' FROM facets", "value=none"),
        ("INSERT INTO facets SELECT * FROM facets LIMIT 1", "kind="),
        ("UPDATE events SET model = 'c' WHERE model = 'b'", "dimension=model, value=b"),
    ],
)
def test_facets_that_are_wrong(tampered: Tampered, statement: str, shown: str) -> None:
    found = tampered(statement)
    assert shown in found["facets equal the events"]
    assert ("rollups equal the events" in found) == ("events SET" in statement)


@pytest.mark.parametrize("table", ["rollup_1d", "rollup_1h", "rollup_15m", "rollup_keys_1d"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {table} SET input_text_tokens = input_text_tokens + 1 WHERE kind = 'embeddings'",
        "DELETE FROM {table} WHERE kind = 'embeddings' AND model = 'a'",
        "INSERT INTO {table} SELECT * FROM {table} WHERE kind = 'embeddings' LIMIT 1",
        "UPDATE {table} SET ts = ts + 86400 WHERE kind = 'embeddings'",
    ],
)
def test_a_rollup_that_says_something_else(tampered: Tampered, table: str, statement: str) -> None:
    found = tampered(statement.format(table=table))
    # Nothing that is asked here reads quarters of an hour, and only what is asked by user or key reads those sums.
    also = {"rollup_15m": set(), "rollup_keys_1d": {"groups sum to the whole"}}.get(table, {"widths agree"})
    assert {"rollups equal the events"} | also <= set(found)
    assert f"rollup={table}" in found["rollups equal the events"]
    assert "kind=embeddings" in found["rollups equal the events"]
    assert all(found[name].startswith("embeddings ") for name in also)
    assert "every event counts once" not in found


@pytest.mark.parametrize("table", ["rollup_1d", "rollup_1h", "rollup_15m", "rollup_keys_1d"])
@pytest.mark.parametrize("column", ["model = 'other'", "project_id = NULL", "service_tier = 'x'", "provider = 'x'"])
def test_a_rollup_that_tells_groups_apart_in_another_way(tampered: Tampered, table: str, column: str) -> None:
    statement = f"UPDATE {table} SET {column} WHERE kind = 'completions' AND model = 'a' AND project_id = 'a'"
    if column.startswith("provider"):
        with pytest.raises(duckdb.BinderException):
            tampered(statement)
    else:
        assert "rollups equal the events" in tampered(statement)


NOTHING = "0 AS input_text_tokens, 0 AS num_model_requests, 'new' AS model"


@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT INTO rollup_1d SELECT * REPLACE ({NOTHING}) FROM rollup_1d WHERE kind = 'embeddings' LIMIT 1",
        f"INSERT INTO events SELECT * REPLACE ({NOTHING}) FROM events WHERE event_id = 'embeddings 7'",
        "UPDATE rollup_1d SET ts = ts - 86400 * 2000 WHERE kind = 'embeddings'",
        "UPDATE rollup_1d SET ts = ts + 86400 * 2000 WHERE kind = 'embeddings'",
    ],
)
def test_a_group_that_only_one_of_them_has(tampered: Tampered, statement: str) -> None:
    """Even one that counts nothing: it would be a result of its own."""
    found = tampered(statement)["rollups equal the events"]
    assert "kind=embeddings" in found


def test_a_size_that_is_smaller_in_a_rollup(tampered: Tampered) -> None:
    found = tampered("UPDATE rollup_1d SET usage_bytes = usage_bytes // 1000 WHERE kind = 'vector_stores'")
    assert "rollups equal the events" in found
    assert found["widths agree"].startswith("vector_stores usage_bytes of 2026-")


@pytest.mark.parametrize(
    "change",
    [
        "kind = 'nothing'",
        "ts = -1",
        "ts = 253402300800",
        "event_id = ''",
        "event_id = repeat('x', 129)",
        "input_text_tokens = -1",
        "output_text_tokens = 9007199254740992",
        "images = 1",
    ],
)
def test_events_that_no_one_could_have_sent(tampered: Tampered, change: str) -> None:
    found = tampered(f"UPDATE events SET {change} WHERE {ONE}")
    assert "event_id=" in found["events are well formed"]
    assert "every event counts once" not in found


def test_at_most_three_are_shown(tampered: Tampered) -> None:
    found = tampered("UPDATE events SET images = 1 WHERE kind = 'completions'", "DELETE FROM rollup_1d")
    assert found["events are well formed"].count("event_id=") == 3
    assert found["rollups equal the events"].count("rollup=") == 3
    assert found["widths agree"].count("in buckets of") == 3


# --- answers that are wrong though the tables are right -----------------------------------------------------------


class Lying:
    """A ledger whose answers are changed on their way."""

    def __init__(self, ledger: Ledger, lie: Callable[[Query, Aggregate], Aggregate]) -> None:
        self._ledger, self._lie = ledger, lie

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def aggregate(self, query: Query, **limits: Any) -> Aggregate:
        return self._lie(query, self._ledger.aggregate(query, **limits))


def more(aggregate: Aggregate, name: str = "num_sessions") -> Aggregate:
    """One more in the first result."""
    columns = dict(aggregate.columns)
    if columns.get(name):
        columns[name] = [columns[name][0] + 1, *columns[name][1:]]
    return replace(aggregate, columns=columns)


@pytest.mark.many_questions
@pytest.mark.parametrize(
    ("names", "lies_about"),
    [
        ({"groups sum to the whole", "a filter selects its group"}, lambda q: q.group_by == ("project_id",)),
        ({"a filter selects its group"}, lambda q: bool(q.filters)),
        ({"widths agree"}, lambda q: q.width.name == "1m"),
        ({"widths agree"}, lambda q: q.width.name == "1h" and q.end_time - q.start_time > DAY),
        ({"pages concatenate"}, lambda q: q.page_start > q.start_time),
        ({"pages concatenate"}, lambda q: q.start_time % DAY > 12 * 3600),
    ],
)
def test_answers_that_do_not_agree(
    open_again: OpenLedger, names: set[str], lies_about: Callable[[Query], bool]
) -> None:
    ledger = open_again()
    append(ledger, some_events(["code_interpreter_sessions"]))
    lying = Lying(ledger, lambda query, found: more(found) if lies_about(query) else found)
    found = failed(cast("Ledger", lying))
    assert set(found) == names
    for name in names:
        assert found[name].startswith("code_interpreter_sessions num_sessions")
