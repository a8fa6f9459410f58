"""A vendor's response counts once within 48 hours, whichever way it came."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.engines import ADDED_AT_ONCE, EAGER, Engine, OpenLedger, tuned
from tests.support.ledger_contents import count, doubled, responses_doubled
from tests.support.model import Model, Usage
from tests.support.samples import DAY, TODAY, append, keep, table, usage, wire

from usageledger.ledger import Ledger, Outcome
from usageledger.ledger.clickhouse import ClickHouseLedger
from usageledger.ledger.duckdb.ledger import DuckDBLedger
from usageledger.ledger.duckdb.tuning import MEASURED, Tuning

APART = 48 * 3600
THEN = TODAY - 30 * DAY
RESPONSE = usage(
    "completions", "response:r", THEN, project_id="p", user_id="u", api_key_id="k", model="m", input_text_tokens=5
)
# The same response as others tell of it.
OTHER_WAYS = [
    RESPONSE.but(timestamp=THEN + 1),
    RESPONSE.but(timestamp=THEN - 1),
    RESPONSE.but(timestamp=THEN + APART),
    RESPONSE.but(timestamp=THEN - APART),
    RESPONSE.but(provider="azure"),
    *(
        RESPONSE.but(dimensions=RESPONSE.dimensions | {name: value})
        for name, value in {
            "project_id": "other",
            "user_id": None,
            "api_key_id": "other",
            "model": "m-2026",
            "service_tier": "flex",
            "batch": True,
        }.items()
    ),
]
DIFFERENT = [
    RESPONSE.but(counts=RESPONSE.counts | {"input_text_tokens": 6}),
    RESPONSE.but(timestamp=THEN + 60, counts=RESPONSE.counts | {"num_model_requests": 2}),
    RESPONSE.but(timestamp=THEN + APART, kind="decisions"),
]


def some(count: int) -> list[Usage]:
    return [usage("images", f"response:{n}", THEN + n, images=1) for n in range(count)]


@pytest.mark.parametrize("other", OTHER_WAYS)
@pytest.mark.parametrize("padding", [0, 600])
@pytest.mark.parametrize("tuning", [MEASURED, ADDED_AT_ONCE], ids=["in the journal", "moved"])
def test_another_way_counts_once(ledger: Ledger, other: Usage, padding: int) -> None:
    assert append(ledger, [RESPONSE, *some(padding)]) == ["accepted"] * (1 + padding)
    while ledger.compact():
        pass
    assert append(ledger, [other]) == ["same_response"]
    assert append(ledger, [other, RESPONSE, *some(padding)]) == ["same_response"] + ["duplicate"] * (1 + padding)
    assert count(ledger) == 1 + padding


@pytest.mark.parametrize("other", DIFFERENT)
def test_other_numbers_are_a_conflict_and_the_first_stays(ledger: Ledger, other: Usage) -> None:
    append(ledger, [RESPONSE])
    rows, _ = table([wire(each) for each in (*some(2), other)])
    judged = ledger.append(rows)
    assert judged.outcomes.tolist() == [Outcome.ACCEPTED, Outcome.ACCEPTED, Outcome.CONFLICT]
    assert list(judged.kept) == [2]
    assert judged.kept[2][:3] == ("response:r", THEN, "completions")
    assert append(ledger, [other, RESPONSE]) == ["conflict", "duplicate"]
    assert count(ledger) == 3


def written(other: int = 0, five: int = 0, hour: int = 0, **counts: int) -> Usage:
    """The same response with tokens written to the cache: for a time that is not said, 5 minutes, an hour."""
    lifetimes = {"other": other, "5m": five, "1h": hour}
    given = {f"input_cache_write_{name}_tokens": count for name, count in lifetimes.items() if count}
    return RESPONSE.but(counts=RESPONSE.counts | given | counts)


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        (written(10), written(0, 7, 3), "same_response"),
        (written(0, 7, 3), written(10), "same_response"),
        (written(10), written(0, 0, 9), "conflict"),
        (written(10), written(0, 7, 3, input_text_tokens=6), "conflict"),
        (written(0, 7, 3), written(0, 3, 7), "conflict"),
        (written(3, 7), written(0, 7, 3), "conflict"),
        (written(), written(1), "conflict"),
    ],
)
def test_who_does_not_tell_lifetimes_of_cache_writes_tells_of_the_same_response(
    ledger: Ledger, first: Usage, second: Usage, outcome: str
) -> None:
    assert append(ledger, [first]) == ["accepted"]
    assert append(ledger, [second]) == [outcome]


@pytest.mark.parametrize("other", OTHER_WAYS)
def test_of_one_batch_the_first_stays(ledger: Ledger, other: Usage) -> None:
    assert append(ledger, [*some(3), RESPONSE, other, RESPONSE]) == ["accepted"] * 4 + ["same_response", "duplicate"]
    assert append(ledger, [other, RESPONSE]) == ["same_response", "duplicate"]
    assert count(ledger) == 4


def test_of_one_batch_with_other_numbers_the_first_stays(ledger: Ledger) -> None:
    assert append(ledger, [RESPONSE, *DIFFERENT]) == ["accepted"] + ["conflict"] * 3
    assert count(ledger) == 1


@pytest.mark.parametrize("apart", [APART + 1, -APART - 1])
def test_beyond_48_hours_it_is_another(ledger: Ledger, apart: int) -> None:
    append(ledger, [RESPONSE])
    again = RESPONSE.but(timestamp=THEN + apart)
    assert append(ledger, [again]) == ["accepted"]
    assert append(ledger, [again, RESPONSE]) == ["duplicate"] * 2
    assert append(ledger, [again, RESPONSE.but(timestamp=THEN + apart // 2)]) == ["duplicate", "same_response"]
    assert count(ledger) == 2


def test_of_two_the_nearer_one_is_compared(ledger: Ledger) -> None:
    later = RESPONSE.but(timestamp=THEN + 90 * 3600, counts=RESPONSE.counts | {"input_text_tokens": 6})
    assert append(ledger, [RESPONSE, later]) == ["accepted"] * 2
    hours = [44, 45, 46, 48]
    between = [RESPONSE.but(timestamp=THEN + each * 3600) for each in hours]
    assert append(ledger, between) == ["same_response"] * 2 + ["conflict"] * 2
    assert append(ledger, [later.but(timestamp=each.timestamp) for each in between]) == (
        ["conflict"] * 2 + ["same_response"] * 2
    )


def test_other_ids_keep_their_second(ledger: Ledger) -> None:
    for name in ("request:r", "response", "Response:r", " response:r", "r"):
        event = RESPONSE.but(id=name)
        assert append(ledger, [event]) == ["accepted"]
        assert append(ledger, [event.but(timestamp=THEN + 1)]) == ["accepted"]
        assert append(ledger, [event.but(provider="azure")]) == ["conflict"]
    assert count(ledger) == 10


def test_ids_of_responses_are_compared_to_the_letter(ledger: Ledger) -> None:
    for name in ("response:a", "response:A", "response:a ", "response:", "response:ä"):
        assert append(ledger, [RESPONSE.but(id=name)]) == ["accepted"]
        assert append(ledger, [RESPONSE.but(id=name, timestamp=THEN + 9)]) == ["same_response"]


@tuned(EAGER)
def test_after_a_start_it_is_known(open_again: OpenLedger) -> None:
    ledger = open_again()
    append(ledger, [RESPONSE, *some(30)])
    ledger.close()
    ledger = open_again()
    assert append(ledger, [RESPONSE.but(timestamp=THEN + APART)]) == ["same_response"]
    assert append(ledger, [each.but(timestamp=each.timestamp - DAY) for each in some(30)]) == ["same_response"] * 30
    assert count(ledger) == 31


@pytest.mark.embedded
def test_what_is_left_in_the_journal_is_known(open_again: OpenLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed engine is opened again over a journal that was not moved."""
    ledger = open_again()
    assert isinstance(ledger, DuckDBLedger)
    append(ledger, [RESPONSE])
    with ledger._events_lock, ledger._writer_lock:
        ledger._engine._invalid = True
        ledger._engine.reopen()
        assert len(ledger._journal) == 1
    assert append(ledger, [RESPONSE.but(timestamp=THEN + 5)]) == ["same_response"]


@pytest.mark.embedded
@pytest.mark.parametrize("kept_max", [0, 40, 100])
def test_more_than_is_remembered(tmp_path: Path, kept_max: int) -> None:
    """Where responses of the days asked for are too many, each commit looks at all ids of these days."""
    ledger = DuckDBLedger(tmp_path / "ledger.duckdb", tuning=replace(ADDED_AT_ONCE, responses_kept_max=kept_max))
    days = [
        [each.but(timestamp=each.timestamp - n * DAY, id=f"{each.id} {n // 5}") for each in some(20)] for n in (0, 5)
    ]
    for events in days:
        assert append(ledger, events) == ["accepted"] * 20
        assert append(ledger, [each.but(timestamp=each.timestamp - 7) for each in events]) == ["same_response"] * 20
        remembered = sum(len(run) for run in ledger._responses._runs)
        assert remembered <= kept_max
    for events in days:
        assert append(ledger, [each.but(timestamp=each.timestamp + APART - 9) for each in events]) == (
            ["same_response"] * 20
        )
    ledger.close()


@pytest.mark.embedded
def test_events_over_very_many_days(open_again: OpenLedger) -> None:
    ledger = open_again()
    events = [RESPONSE.but(timestamp=n * 30 * DAY) for n in range(600)]
    assert append(ledger, events) == ["accepted"] * 600
    assert append(ledger, [each.but(timestamp=each.timestamp + APART) for each in events]) == ["same_response"] * 600
    ledger.close()
    ledger = open_again()
    assert append(ledger, [each.but(timestamp=each.timestamp + APART) for each in events]) == ["same_response"] * 600
    assert count(ledger) == 600


@pytest.mark.embedded
def test_new_responses_go_to_the_journal(open_again: OpenLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not looked for in the table of events, but when a day is asked about for the first time."""
    ledger = open_again()
    assert isinstance(ledger, DuckDBLedger)
    append(ledger, some(5))
    for n in range(5, 30, 5):
        assert append(ledger, some(n + 5)[n:]) == ["accepted"] * 5
    assert (len(ledger._journal), ledger._number) == (6, 0)


@pytest.mark.embedded
def test_a_response_of_a_dropped_day_is_not_known(ledger: Ledger) -> None:
    assert ledger.retention
    append(ledger, [RESPONSE, *(usage("images", f"e{n}", THEN + n * DAY, images=1) for n in range(4))])
    while ledger.retention.drop_events(THEN + DAY):
        pass
    assert append(ledger, [RESPONSE, RESPONSE.but(timestamp=THEN + DAY)]) == ["too_old", "accepted"]
    late = RESPONSE.but(timestamp=THEN + DAY + 1, counts=RESPONSE.counts | {"input_text_tokens": 6})
    rows, _ = table([wire(RESPONSE), wire(late)])
    assert list(ledger.append(rows).kept) == [1]


def put(ledger: Ledger, usages: list[Usage]) -> None:
    """Past every look."""
    rows, _ = table([wire(each) for each in usages])
    if isinstance(ledger, ClickHouseLedger):
        ledger._insert(rows, 1)
    else:
        assert isinstance(ledger, DuckDBLedger)
        with ledger._events_lock, ledger._writer_lock:
            ledger._insert(ledger._writer, rows)


@pytest.mark.parametrize("first", [0, 1000, THEN])
def test_a_response_that_counts_twice_is_found(ledger: Ledger, first: int) -> None:
    near = [first, first + APART, first + 2 * APART + 1, first + 2 * APART + 9]
    put(ledger, [RESPONSE.but(timestamp=second) for second in near])
    put(ledger, [RESPONSE.but(id="response:s", timestamp=first + 5), RESPONSE.but(id="request:r", timestamp=first)])
    put(ledger, [RESPONSE.but(id="request:r", timestamp=first + 1)])
    assert responses_doubled(ledger) == [
        f"event_id=response:r, earlier={first}, ts={near[1]}",
        f"event_id=response:r, earlier={near[2]}, ts={near[3]}",
    ]


# Seconds at and around the edge, from each other and from the edges of days.
SECONDS = st.sampled_from([0, DAY - 1, DAY]).flatmap(
    lambda base: st.sampled_from([n * APART + off for n in range(4) for off in (-1, 0, 1)]).map(lambda at: base + at)
)
SENT = st.builds(
    lambda name, seconds, count, model: usage("images", f"{name}", THEN - 9 * DAY + seconds, images=count, model=model),
    st.sampled_from(["response:1", "response:2", "request:1"]),
    SECONDS,
    st.sampled_from([1, 1, 1, 2]),
    st.sampled_from(["m", "n"]),
)
STEPS = st.lists(st.lists(SENT, min_size=1, max_size=6) | st.sampled_from(["compact", "open again"]), max_size=14)


@settings(max_examples=25)  # each opens some ledgers
@given(steps=STEPS, tuning=st.sampled_from([MEASURED, EAGER]))
def test_any_history_is_judged_as_by_the_model(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory, steps: list[list[Usage] | str], tuning: Tuning
) -> None:
    folder, model = tmp_path_factory.mktemp("ledger"), Model()
    ledger = engine.open(folder, tuning)
    for step in steps:
        if step == "compact":
            ledger.compact()
        elif step == "open again":
            ledger.close()
            ledger = engine.open(folder, tuning)
        else:
            assert isinstance(step, list)
            assert append(ledger, step) == keep(model, step)
    assert (count(ledger), doubled(ledger), responses_doubled(ledger)) == (len(model.kept), [], [])
    ledger.close()
