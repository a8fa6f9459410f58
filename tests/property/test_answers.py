"""The invariants of the ledger, on random ledgers and random questions, against the model.

Every example is a ledger of its own in a file of its own: events late, shuffled and repeated, in random batches, with
upkeep at random points.
"""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.effort import EFFORT
from tests.support.engines import EAGER, Engine
from tests.support.ledger_contents import count, doubled, malformed, rollup_differences
from tests.support.model import WIDTHS, Model, Usage
from tests.support.samples import answer, append_wire, ask, keep
from tests.support.strategies import (
    DAY,
    END,
    START,
    VALUES,
    Place,
    batches,
    filters,
    groupings,
    histories,
    limits,
    local_windows,
    meters,
    most_buckets,
    parameters,
    places,
    usages,
    windows,
    wires,
)

from usageledger.ledger import Ledger
from usageledger.meter import Meter
from usageledger.meters import METER_BY_KIND, METERS

# A failure takes minutes to be made small; until then it would only be a large one.
pytestmark = [pytest.mark.timeout(900 * EFFORT), pytest.mark.embedded]

SUMS = [meter for meter in METERS if all(measure.adds == "sum" for measure in meter.measures)]


@contextmanager
def new_ledger(engine: Engine) -> Iterator[Ledger]:
    with tempfile.TemporaryDirectory() as folder, closing(engine.open(Path(folder), EAGER)) as ledger:
        yield ledger


def fill(data: st.DataObject, ledger: Ledger, model: Model, history: list[Usage]) -> None:
    """Sends a history in batches, with upkeep in between, and sees that every outcome is the model's."""
    for batch in data.draw(batches(history), label="batches"):
        sent = [data.draw(wires(usage)) for usage in batch]
        assert append_wire(ledger, sent) == keep(model, batch)
        for _ in range(data.draw(st.integers(0, 3), label="steps of upkeep")):
            ledger.compact()


def used(model: Model) -> Meter:
    return METER_BY_KIND[next(iter(model.kept.values())).kind]


def totals(meter: Meter, buckets: list[dict[str, Any]]) -> dict[int, dict[str, int]]:
    """Bucket start → its measures, added up over its results."""
    return {
        bucket["start_time"]: {m.name: sum(result[m.name] for result in bucket["results"]) for m in meter.reported}
        for bucket in buckets
    }


def added_up(buckets: list[dict[str, Any]], meter: Meter, seconds: int) -> dict[int, dict[str, int]]:
    """The same by wider buckets: sums of sums."""
    found: dict[int, dict[str, int]] = {}
    for start, measures in totals(meter, buckets).items():
        into = found.setdefault(start - start % seconds, dict.fromkeys(measures, 0))
        for name, value in measures.items():
            into[name] += value
    return found


@settings(max_examples=15 * EFFORT)
@given(history=histories(), data=st.data())
def test_any_question_is_answered_as_by_the_model(engine: Engine, history: list[Usage], data: st.DataObject) -> None:
    model = Model()
    with new_ledger(engine) as ledger:
        fill(data, ledger, model, history)
        assert count(ledger) == len(model.kept)
        assert malformed(ledger) == doubled(ledger) == rollup_differences(ledger) == []
        for number in range(5):
            meter = used(model) if number else data.draw(meters, label="meter")
            width = data.draw(st.sampled_from(sorted(WIDTHS)), label="width")
            window = data.draw(windows(width, near=history), label="window")
            chosen = data.draw(filters(meter), label="filters")
            group_by = data.draw(groupings(meter), label="group_by")
            limit = data.draw(limits(width), label="limit")
            query = ask(meter.kind, *window, width, group_by=group_by, limit=limit, **parameters(chosen))
            expected = model.buckets(meter.kind, window, width, filters=chosen, group_by=group_by)
            assert answer(ledger, query) == expected


@settings(max_examples=15 * EFFORT)
@given(place=places, history=histories(), data=st.data())
def test_days_of_a_time_zone_are_those_of_the_model(
    engine: Engine, place: Place, history: list[Usage], data: st.DataObject
) -> None:
    """Paged, filtered and grouped; groups sum to the whole, and whole hours to their day where hours fit days."""
    model, moved = Model(), place.moved(history)
    with new_ledger(engine) as ledger:
        fill(data, ledger, model, moved)
        for number in range(4):
            meter = used(model) if number else data.draw(meters, label="meter")
            window = data.draw(local_windows(place, near=moved), label="window")
            chosen = data.draw(filters(meter), label="filters")
            group_by = data.draw(groupings(meter), label="group_by")
            limit = data.draw(st.integers(1, 12), label="limit")
            given: dict[str, Any] = {"timezone": place.zone, "limit": limit, **parameters(chosen)}
            found = answer(ledger, ask(meter.kind, *window, group_by=group_by, **given))
            expected = model.buckets(meter.kind, window, "1d", filters=chosen, group_by=group_by, zone=place.zone)
            assert found == expected
            whole = answer(ledger, ask(meter.kind, *window, **given))
            assert totals(meter, found) == totals(meter, whole)
            day = whole[data.draw(st.integers(0, len(whole) - 1), label="day")]
            hours = answer(ledger, ask(meter.kind, day["start_time"], day["end_time"], "1h", **parameters(chosen)))
            sums = [measure.name for measure in meter.reported if measure.adds == "sum"]
            added = [sum(each[name] for hour in hours for each in hour["results"]) for name in sums]
            assert added == [sum(each[name] for each in day["results"]) for name in sums]


@settings(max_examples=10 * EFFORT)
@given(history=histories(), data=st.data())
def test_groups_sum_to_the_whole(engine: Engine, history: list[Usage], data: st.DataObject) -> None:
    model = Model()
    with new_ledger(engine) as ledger:
        fill(data, ledger, model, history)
        meter = used(model)
        width = data.draw(st.sampled_from(sorted(WIDTHS)), label="width")
        window = data.draw(windows(width, near=history), label="window")
        group_by = data.draw(groupings(meter), label="group_by")
        whole = answer(ledger, ask(meter.kind, *window, width))
        groups = answer(ledger, ask(meter.kind, *window, width, group_by=group_by))
        assert totals(meter, groups) == totals(meter, whole)


@settings(max_examples=10 * EFFORT)
@given(history=histories(), data=st.data())
def test_a_filter_selects_its_group(engine: Engine, history: list[Usage], data: st.DataObject) -> None:
    model = Model()
    with new_ledger(engine) as ledger:
        fill(data, ledger, model, history)
        meter = used(model)
        width = data.draw(st.sampled_from(sorted(WIDTHS)), label="width")
        window = data.draw(windows(width, near=history), label="window")
        dimension = data.draw(st.sampled_from(meter.filters), label="dimension")
        value = data.draw(VALUES[dimension.name].filter(lambda value: value is not None), label="value")
        group_by = [dimension.name]
        filtered = answer(
            ledger, ask(meter.kind, *window, width, group_by=group_by, **parameters({dimension.name: [value]}))
        )
        groups = answer(ledger, ask(meter.kind, *window, width, group_by=group_by))
        for bucket in groups:
            bucket["results"] = [result for result in bucket["results"] if result[dimension.name] == value]
        assert filtered == groups


@settings(max_examples=7 * EFFORT)
@given(meter=st.sampled_from(SUMS), data=st.data())
def test_widths_agree(engine: Engine, meter: Meter, data: st.DataObject) -> None:
    history = data.draw(st.lists(usages(st.just(meter.kind)), min_size=1, max_size=20), label="history")
    with new_ledger(engine) as ledger:
        fill(data, ledger, Model(), history)
        chosen = parameters(data.draw(filters(meter), label="filters"))
        days = answer(ledger, ask(meter.kind, START, END, "1d", **chosen))
        hours = answer(ledger, ask(meter.kind, START, END, "1h", limit=168, **chosen))
        minutes = answer(ledger, ask(meter.kind, START, END, "1m", limit=1440, **chosen))
        assert added_up(hours, meter, DAY) == totals(meter, days)
        assert added_up(minutes, meter, 3600) == totals(meter, hours)


@settings(max_examples=10 * EFFORT)
@given(history=histories(), data=st.data())
def test_pages_concatenate(engine: Engine, history: list[Usage], data: st.DataObject) -> None:
    model = Model()
    with new_ledger(engine) as ledger:
        fill(data, ledger, model, history)
        meter = used(model)
        width = data.draw(st.sampled_from(sorted(WIDTHS)), label="width")
        window = data.draw(windows(width, buckets=31, near=history), label="window")
        group_by = data.draw(groupings(meter), label="group_by")
        limit = data.draw(st.integers(1, min(9, most_buckets(width))), label="limit")
        paged = answer(ledger, ask(meter.kind, *window, width, group_by=group_by, limit=limit))
        # Up to 31 buckets of any width fit one page, and an unaligned window touches one more.
        first = ask(meter.kind, *window, width, group_by=group_by, limit=most_buckets(width))
        assert paged == answer(ledger, first)
        assert [bucket["start_time"] for bucket in paged] == sorted({bucket["start_time"] for bucket in paged})


@settings(max_examples=7 * EFFORT)
@given(history=histories(), data=st.data())
def test_order_of_arrival_changes_nothing(engine: Engine, history: list[Usage], data: st.DataObject) -> None:
    """As long as the same events are kept: the first one of those that contradict each other."""
    kept = list({usage.identity: usage for usage in reversed(history)}.values())
    shuffled = data.draw(st.permutations([*kept, *kept]), label="shuffled")
    with new_ledger(engine) as one, new_ledger(engine) as other:
        fill(data, one, Model(), kept)
        fill(data, other, Model(), shuffled)
        for meter in dict.fromkeys(METER_BY_KIND[usage.kind] for usage in kept):
            for width in WIDTHS:
                window = data.draw(windows(width, near=kept), label="window")
                query = ask(meter.kind, *window, width, group_by=[d.name for d in meter.groupings])
                assert answer(one, query) == answer(other, query)
