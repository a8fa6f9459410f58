"""Answers against the model: every meter, width, grouping and filter; limits, versions, readers beside a writer."""

import random
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import cycle, pairwise
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from tests.support.engines import EAGER, Engine, OpenLedger, tuned
from tests.support.ledger_contents import count, doubled, malformed, rollup_differences, span
from tests.support.model import Model, Usage
from tests.support.samples import DAY, TODAY, answer, append, ask, counted, keep, page, usage
from tests.support.strategies import NAMES, parameters

from usageledger.errors import InvalidRequestError
from usageledger.ledger import Ledger
from usageledger.ledger.lookups import Member, members
from usageledger.meter import Dimension, Meter
from usageledger.meters import METER_BY_KIND, METERS

START, END = TODAY - 3 * DAY, TODAY


def name_of(case: Any) -> str:
    return str(getattr(case, "kind", None) or case)


# --- every question ----------------------------------------------------------------------------------------------


def some_value(dimension: Dimension, rng: random.Random) -> Any:
    if dimension.flag:
        return rng.choice([None, True, False])
    return rng.choice([None, *(dimension.values or NAMES[:4])])


def history(meter: Meter, count: int = 60) -> list[Usage]:
    """Events over three days, half of them in two hours, so that minutes have something to show too."""
    rng = random.Random(meter.kind)
    return [
        Usage(
            kind=meter.kind,
            id=f"{meter.kind} {number}",
            timestamp=rng.randrange(START, END) if number % 2 else START + DAY + rng.randrange(2 * 3600),
            dimensions={d.name: some_value(d, rng) for d in meter.dimensions},
            counts={name: rng.randrange(1000) for name in counted(meter.kind)},
        )
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def filled(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ledger, Model]]:
    """A ledger with events of every kind: some in rollups, some still on their way there."""
    model = Model()
    with closing(engine.open(tmp_path_factory.mktemp("filled"), EAGER)) as ledger:
        for meter in METERS:
            usages = history(meter)
            for start in range(0, len(usages), 7):
                append(ledger, usages[start : start + 7])
                keep(model, usages[start : start + 7])
            while meter is not METERS[-1] and ledger.compact():
                pass
        yield ledger, model


WINDOWS = {
    "1d": [(START, END), (START + 1, END - 1), (START + 3601, START + 2 * DAY + 59)],
    "1h": [(START + DAY - 3600, START + 2 * DAY), (START + DAY + 61, START + DAY + 6 * 3600 - 61)],
    "1m": [(START + DAY, START + DAY + 2 * 3600), (START + DAY + 30, START + DAY + 3599)],
}


@pytest.mark.many_questions
@pytest.mark.parametrize("width", WINDOWS)
@pytest.mark.parametrize("meter", METERS, ids=name_of)
def test_every_grouping(filled: tuple[Ledger, Model], meter: Meter, width: str) -> None:
    ledger, model = filled
    names = [d.name for d in meter.groupings]
    windows = WINDOWS[width]
    asked = [(group_by, window) for group_by in ([], names) for window in windows]
    asked += zip((*([name] for name in names), names[:2]), cycle(windows), strict=False)
    for group_by, window in asked:
        query = ask(meter.kind, *window, width, group_by=group_by, limit=31)
        assert answer(ledger, query) == model.buckets(meter.kind, window, width, group_by=group_by)


def filter_cases(meter: Meter) -> Iterator[dict[str, list[Any]]]:
    """Each filter with one value, with two and with one that no event has; and two filters at once."""
    carried = {
        d.name: sorted({each.dimensions[d.name] for each in history(meter)} - {None}, key=str) for d in meter.filters
    }
    for dimension in meter.filters:
        yield {dimension.name: carried[dimension.name][:1]}
        if not dimension.flag:
            yield {dimension.name: carried[dimension.name][1:3]}
        if not dimension.flag and not dimension.values:
            yield {dimension.name: ["nobody has this"]}
    for first, second in pairwise(meter.filters):
        yield {d.name: carried[d.name][: 1 if d.flag else 2] for d in (first, second)}


@pytest.mark.many_questions
@pytest.mark.parametrize("width", WINDOWS)
@pytest.mark.parametrize("meter", METERS, ids=name_of)
def test_every_filter(filled: tuple[Ledger, Model], meter: Meter, width: str) -> None:
    ledger, model = filled
    windows, turn = cycle(WINDOWS[width]), list(WINDOWS).index(width)  # over all widths, each meets each grouping
    for number, chosen in enumerate(filter_cases(meter), turn):
        group_by = ([], [meter.groupings[0].name], [next(iter(chosen))])[number % 3]
        window = next(windows)
        query = ask(meter.kind, *window, width, group_by=group_by, limit=31, **parameters(chosen))
        expected = model.buckets(meter.kind, window, width, filters=chosen, group_by=group_by)
        assert answer(ledger, query) == expected, chosen


def test_a_ledger_with_nothing_in_it(ledger: Ledger) -> None:
    for meter in METERS:
        query = ask(meter.kind, START + 5, END, "1h", group_by=[d.name for d in meter.groupings])
        assert answer(ledger, query) == Model().buckets(meter.kind, (START + 5, END), "1h")
    assert (count(ledger), span(ledger), ledger.compact()) == (0, None, False)
    assert malformed(ledger) == doubled(ledger) == rollup_differences(ledger) == []


def test_groups_are_in_a_stable_order(ledger: Ledger) -> None:
    """Text by code point, false before true, null last; by the meter's first dimension first."""
    texts = ["b", "B", "a", "\U0001f600", "\uffee", "é", "z", "10", "9", " ", None]
    flags = [True, None, False]
    rng = random.Random(1)
    events = [
        usage("completions", f"e{n}", project_id=text, batch=flag)
        for n, (text, flag) in enumerate(rng.sample([(t, f) for t in texts for f in flags], k=33))
    ]
    append(ledger, events)
    (bucket,) = answer(ledger, ask("completions", TODAY, TODAY + DAY, group_by=["batch", "project_id"]))
    in_order = [*sorted(text for text in texts if text), None]
    assert [(each["project_id"], each["batch"]) for each in bucket["results"]] == [
        (text, flag) for text in in_order for flag in (False, True, None)
    ]


# --- sizes -------------------------------------------------------------------------------------------------------


def size(store: str | None, project: str | None, timestamp: int, usage_bytes: int) -> Usage:
    return usage(
        "vector_stores",
        f"{store} {project} {timestamp} {usage_bytes}",
        timestamp,
        vector_store_id=store,
        project_id=project,
        usage_bytes=usage_bytes,
    )


SIZES = [
    size("s1", "p", START, 10),
    size("s1", "p", START + 3600, 30),
    size("s1", "p", START + 7200, 20),
    size("s2", "p", START + 60, 5),
    size("s1", "q", START + 60, 100),
    size(None, "q", START + 61, 1000),
    size(None, None, START + 62, 10_000),
    size("s1", "p", START + DAY, 1),
]


@tuned(EAGER)
@pytest.mark.parametrize("compacted", [False, True])
def test_a_size_is_the_largest_of_each_store(ledger: Ledger, compacted: bool) -> None:
    """Not their sum: a store of 10 and later 30 bytes has 30 on that day."""
    for each in (*SIZES, *reversed(SIZES)):
        append(ledger, [each])
        while compacted and ledger.compact():
            pass

    def shown(width: str, group_by: list[str], start: int = START, end: int = START + 2 * DAY) -> list[Any]:
        found = answer(ledger, ask("vector_stores", start, end, width, group_by=group_by, limit=31))
        return [[(r["project_id"], r["usage_bytes"]) for r in bucket["results"]] for bucket in found]

    assert shown("1d", []) == [[(None, 30 + 5 + 100 + 1000 + 10_000)], [(None, 1)]]
    assert shown("1d", ["project_id"]) == [[("p", 35), ("q", 1100), (None, 10_000)], [("p", 1)]]
    hours = shown("1h", ["project_id"], end=START + 4 * 3600)
    assert hours == [[("p", 15), ("q", 1100), (None, 10_000)], [("p", 30)], [("p", 20)], []]
    assert shown("1d", [], start=START + 1) == [[(None, 30 + 5 + 100 + 1000 + 10_000)], [(None, 1)]]
    assert shown("1d", [], start=START + 3601, end=START + 7201) == [[(None, 20)]]
    assert shown("1d", [], end=START + 60) == [[(None, 10)]]
    filtered = answer(ledger, ask("vector_stores", START, START + DAY, project_ids=["q"]))
    assert filtered[0]["results"][0]["usage_bytes"] == 1100


# --- limits ------------------------------------------------------------------------------------------------------


def test_as_many_results_as_allowed_and_one_more(ledger: Ledger) -> None:
    append(ledger, [usage("embeddings", f"e{n}", START + n % 2 * DAY, model=f"m{n}") for n in range(10)])
    query = ask("embeddings", START, START + 2 * DAY, group_by=["model"])
    found = ledger.aggregate(query, max_seconds=60, max_results=10)
    assert list(found.starts) == [START] * 5 + [START + DAY] * 5
    assert list(found.columns["model"]) == [f"m{n}" for n in (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)]
    with pytest.raises(InvalidRequestError, match="This page has more than 9 results: ") as caught:
        ledger.aggregate(query, max_seconds=60, max_results=9)
    assert (caught.value.code, caught.value.param) == ("too_many_results", "limit")
    assert ledger.ready()


def test_what_is_wrong_is_listed_up_to_a_limit(ledger: Ledger) -> None:
    for check in (malformed, doubled, rollup_differences):
        assert check(ledger, 1) == []


def test_a_version_grows_with_what_it_covers(ledger: Ledger) -> None:
    """An answer may be kept for as long as the version of its window stays the same."""
    today, yesterday = (START, START + DAY), (START - DAY, START)
    assert append(ledger, [usage("embeddings", "a", START)]) == ["accepted"]
    version: Any = ledger.version  # a number, or None where it cannot be known
    before = version(*today), version(*yesterday)
    assert append(ledger, [usage("embeddings", "b", START - 1)]) == ["accepted"]
    after = version(*today), version(*yesterday)
    if None not in (*before, *after):
        assert after[0] == before[0]
        assert after[1] > before[1]
        assert version(START - 1, START) == after[1]
        assert version(START - DAY, START + 1) == max(after)
        assert append(ledger, [usage("images", f"i{n}", START + DAY - n % 2) for n in range(700)])[0] == "accepted"
        assert version(START + DAY, START + DAY + 1) > max(after)
        assert version(START + DAY - 1, START + DAY) > max(after)
        assert version(*yesterday) == after[1]
        while ledger.compact():
            pass
        assert version(*yesterday) == after[1]


# --- upkeep and writers beside readers ---------------------------------------------------------------------------


@pytest.mark.embedded
@tuned(EAGER)
def test_upkeep_changes_no_answer_and_comes_to_an_end(ledger: Ledger) -> None:
    meter = METER_BY_KIND["completions"]
    for start in range(0, 60, 6):
        append(ledger, history(meter)[start : start + 6])
    names = [d.name for d in meter.groupings]
    queries = [
        ask("completions", START + 1, END - 1, width, group_by=group_by, limit=31)
        for width in ("1d", "1h")
        for group_by in ([], ["model", "batch"], names)
    ]
    before = [page(ledger, query) for query in queries]
    steps = 0
    while ledger.compact():
        steps += 1
        assert [page(ledger, query) for query in queries] == before
        assert rollup_differences(ledger) == []
        assert steps < 1000
    assert steps > 0
    assert count(ledger) == 60


@pytest.mark.embedded
@tuned(EAGER)
def test_readers_beside_a_writer_see_whole_commits(ledger: Ledger) -> None:
    """A question that reads rollups, deltas and events at once sees one state of all of them."""
    whole, stop, failures = 10, Event(), []
    moments = [START + n * (DAY // 4) + 7 for n in range(whole)]

    def write() -> None:
        try:
            for number in range(10_000):
                if stop.is_set():
                    return
                batch = [usage("images", f"{number}", moment, images=1) for moment in moments]
                assert append(ledger, batch) == ["accepted"] * whole
                ledger.compact()
        except BaseException as error:  # noqa: BLE001 - it is raised in the test's own thread below
            failures.append(error)

    writer = Thread(target=write)
    writer.start()
    try:
        seen: set[int] = set()
        group_bys = [[], ["project_id"], ["user_id"]]
        while len(seen) < 12 and writer.is_alive():
            found = answer(ledger, ask("images", START + 1, END - 1, "1d", group_by=group_bys[len(seen) % 3]))
            total = sum(result["images"] for bucket in found for result in bucket["results"])
            assert total % whole == 0
            assert total >= max(seen, default=0)
            seen.add(total)
    finally:
        stop.set()
        writer.join()
    assert not failures
    assert count(ledger) % whole == 0
    assert doubled(ledger) == rollup_differences(ledger) == []


def test_what_was_appended_is_seen_at_once(ledger: Ledger) -> None:
    for number in range(1, 30):
        append(ledger, [usage("images", f"e{number}", images=1)])
        assert count(ledger) == number
        for width, group_by in (("1d", []), ("1h", ["user_id"]), ("1m", ["size"])):
            (bucket, *_) = answer(ledger, ask("images", TODAY, TODAY + 60, width, group_by=group_by))
            assert bucket["results"][0]["images"] == number


def test_two_ledgers_know_nothing_of_each_other(open_again: OpenLedger, tmp_path: Path) -> None:
    one, other = open_again(tmp_path / "one"), open_again(tmp_path / "other")
    append(one, [usage("images", images=1)])
    assert (count(one), count(other)) == (1, 0)
    assert append(other, [usage("images", images=2)]) == ["accepted"]


@pytest.mark.parametrize("dimension", ["api_key_id", "user_id"])
def test_members_of_projects(filled: tuple[Ledger, Model], dimension: str) -> None:
    """Whatever their ids, and where pages of them begin and end."""
    ledger, model = filled
    for project in NAMES[:4]:
        times: dict[str, list[int]] = {}
        for used in model.kept.values():
            if used.dimensions.get("project_id") == project and (who := used.dimensions.get(dimension)):
                times.setdefault(who, []).append(used.timestamp)
        expected = [Member(who, min(at), max(at)) for who, at in sorted(times.items(), key=lambda row: row[0].encode())]
        assert len(expected) > 2
        with ledger.snapshot() as snapshot:
            read = partial(members, snapshot, project, dimension)
            assert read(limit=100) == expected
            assert read(limit=2) == expected[:2]
            assert read(limit=100, after=expected[0].id) == expected[1:]
            assert read(limit=1, before=expected[2].id) == expected[1:2]
            assert read(limit=100, after=expected[0].id, before=expected[2].id) == expected[1:2]
            assert read(limit=1, only=expected[1].id) == expected[1:2]
            assert read(limit=1, only="nobody") == []
