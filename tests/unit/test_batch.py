"""Batches of events: refusals are counted and explained within a bound, and all batches of a commit are one table."""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.samples import LATEST, MANY, NOW, TODAY, decode, usage, wire

from usageledger.errors import BodyTooLargeError
from usageledger.events import columns
from usageledger.events.arrow_events import decode_table
from usageledger.events.batch import EventBatch, Limits, Refusals, Rejection, join
from usageledger.events.columns import SCHEMA
from usageledger.events.decoders import DECODERS
from usageledger.events.decoders import decode as decode_form
from usageledger.events.typed_events import ERRORS_LISTED_MAX

CONTRADICTORY = {
    "kind": "completions",
    "timestamp": TODAY,
    "input_tokens": 10,
    "input_cached_tokens": 11,
    "output_tokens": 1,
}


def good(name: str) -> dict[str, Any]:
    return wire(usage("completions", name))


def slow(name: str) -> dict[str, Any]:
    """A good event that a table is not read as whole columns for."""
    return wire(usage("images", name, size="1536x1024"))


def bad(name: str) -> dict[str, Any]:
    return CONTRADICTORY | {"id": name}


def by_json(*events: dict[str, Any]) -> EventBatch:
    return decode(msgspec.json.encode(events), lines=False, max_events=MANY)


def by_table(*events: dict[str, Any]) -> EventBatch:
    names = list(dict.fromkeys(name for event in events for name in event))
    table = pa.table({name: [event.get(name) for event in events] for name in names})
    return decode_table(table, latest=LATEST, now=NOW)


# --- refusals ----------------------------------------------------------------------------------------------------


def refusals(indexes: list[int], reasons: int = 1) -> tuple[Refusals, list[int]]:
    """Refusals of these events, with so many reasons each, and the events that were explained."""
    asked: list[int] = []

    def explain(index: int) -> Iterator[Rejection]:
        asked.append(index)
        for _ in range(reasons):
            yield Rejection(index, None, "code", None, "message")

    found = Refusals()
    found.add(indexes, explain)
    return found, asked


def test_all_are_counted_and_the_first_explained() -> None:
    found, asked = refusals(list(range(1_000)))
    assert (found.events, len(found.listed), found.omitted) == (1_000, ERRORS_LISTED_MAX, 900)
    assert asked == list(range(ERRORS_LISTED_MAX))
    found.add([1_001], lambda _: pytest.fail("nobody lists this reason"))
    assert (found.events, found.omitted) == (1_001, 901)


@given(st.sets(st.integers(0, 400)), st.sets(st.integers(0, 400)), st.integers(1, 3))
def test_refusals_of_two_stages_are_as_those_of_one(early: set[int], late: set[int], reasons: int) -> None:
    """The first by their index stay listed, whichever stage found them; and no event or reason is lost."""
    late -= early
    one, other = refusals(sorted(early), reasons)[0], refusals(sorted(late), reasons)[0]
    both = one.merged(other)
    at_once = refusals(sorted(early | late), reasons)[0]
    assert both.events == len(early | late)
    assert both.listed == at_once.listed[:ERRORS_LISTED_MAX]
    assert both == other.merged(one)
    counted = one.omitted + other.omitted + len(one.listed) + len(other.listed)
    assert both.omitted + len(both.listed) == counted


# --- one table of all --------------------------------------------------------------------------------------------


def test_rows_of_all_batches_have_their_batch_and_index() -> None:
    """Typed events and rows, of good and of contradictory ones, come in the order of batches and indexes."""
    batches = [
        by_json(good("a0"), bad("a1"), good("a2")),
        by_table(good("b0"), bad("b1"), slow("b2"), good("b3")),
        by_json(bad("c0")),
        by_table(bad("d0")),
        by_json(good("e0")),
    ]
    assert [batch.count for batch in batches] == [3, 3, 1, 0, 1]
    joined = join(batches, LATEST, NOW)
    assert joined.rows.schema == SCHEMA
    found = zip(joined.rows["event_id"].to_pylist(), joined.batches.tolist(), joined.indexes.tolist(), strict=True)
    assert list(found) == [("a0", 0, 0), ("a2", 0, 2), ("b0", 1, 0), ("b2", 1, 2), ("b3", 1, 3), ("e0", 4, 0)]
    told = {number: [(r.index, r.id, r.code) for r in each.listed] for number, each in joined.refused.items()}
    assert told == {0: [(1, "a1", "contradictory_counts")], 2: [(0, "c0", "contradictory_counts")]}
    assert [[(r.index, r.id) for r in batch.refused.listed] for batch in batches] == [
        [],
        [(1, "b1")],
        [],
        [(0, "d0")],
        [],
    ]
    assert len(batches[1].typed) == 1
    again = join(batches, LATEST, NOW)  # which changes no batch
    assert again.rows.equals(joined.rows)
    assert again.refused == joined.refused


@pytest.mark.parametrize("form", [by_json, by_table])
def test_events_without_sense_are_told_apart_the_same_way_in_every_form(form: Any) -> None:
    late = good("late") | {"timestamp": LATEST + 1}
    open_input = {"kind": "decisions", "id": "open", "timestamp": TODAY, "output_tokens": 1}
    batch = form(late, bad("bad"), good("good"), open_input, bad("both") | {"timestamp": LATEST + 1})
    joined = join([batch], LATEST, NOW)
    refused = batch.refused.merged(joined.refused.get(0, Refusals()))
    assert joined.rows["event_id"].to_pylist() == ["good"]
    assert [(r.index, r.id, r.code, r.param) for r in refused.listed] == [
        (0, "late", "invalid_value", "timestamp"),
        (1, "bad", "contradictory_counts", "input_cached_tokens"),
        (3, "open", "missing_field", "input_tokens"),
        (4, "both", "contradictory_counts", "input_cached_tokens"),
    ]


@pytest.mark.parametrize("form", [by_json, by_table])
@pytest.mark.parametrize("made", [bad, lambda name: good(name) | {"timestamp": LATEST + 1}])
def test_reasons_are_made_only_as_far_as_they_are_listed(form: Any, made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    reason = columns.reason

    def counted(kind: str, *given: Any) -> tuple[str, str, str]:
        asked.append(kind)
        return reason(kind, *given)

    monkeypatch.setattr(columns, "reason", counted)
    monkeypatch.setattr("usageledger.events.arrow_events.reason", counted)
    batches = [form(*(made(f"{number} {n}") for n in range(300))) for number in range(2)]
    joined = join(batches, LATEST, NOW)
    for number, batch in enumerate(batches):
        refused = batch.refused.merged(joined.refused.get(number, Refusals()))
        assert (refused.events, len(refused.listed), refused.omitted) == (300, ERRORS_LISTED_MAX, 200)
    assert len(asked) == 2 * ERRORS_LISTED_MAX


def test_no_batch_has_rows_of_another() -> None:
    """What batches have in common, such as no rows, cannot be changed by one of them."""
    one, other = EventBatch(), EventBatch()
    one.refused.add([1], lambda index: [Rejection(index, None, "code", None, "message")])
    assert (other.refused.events, other.count, other.rows.schema) == (0, 0, SCHEMA)
    assert np.array_equal(other.row_indexes, np.zeros(0, np.int64))


# --- decoders ----------------------------------------------------------------------------------------------------


def bodies(*events: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """The same events by every media type."""
    table = pa.table({name: [event[name] for event in events] for name in events[0]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    parquet = pa.BufferOutputStream()
    pq.write_table(table, parquet)
    for media_type in DECODERS:
        if "arrow" in media_type:
            yield media_type, sink.getvalue().to_pybytes()
        elif "parquet" in media_type:
            yield media_type, parquet.getvalue().to_pybytes()
        elif media_type == "application/json":
            yield media_type, msgspec.json.encode(events)
        else:
            yield media_type, b"\n".join(map(msgspec.json.encode, events))


def test_every_form_gives_the_same_rows() -> None:
    events = [good(f"{n}") for n in range(5)]
    limits = Limits(5, MANY, LATEST, NOW)
    tables = [join([decode_form(kind, body, limits)], LATEST, NOW).rows for kind, body in bodies(*events)]
    assert len(tables) == len(DECODERS) == 5
    assert tables[0].num_rows == 5
    assert all(table.equals(tables[0]) for table in tables)


def test_every_form_has_the_same_bound() -> None:
    for kind, body in bodies(*(good(f"{n}") for n in range(5))):
        with pytest.raises(BodyTooLargeError, match=r"^Too many events: 5\. A request carries at most 4\.$"):
            decode_form(kind, body, Limits(4, MANY, LATEST, NOW))
