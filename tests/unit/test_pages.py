"""Aggregated rows → a page: order of keys, clamped buckets, and the types that JSON has to show."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.samples import DAY, TODAY, ask, pieces

from usageledger.meter import Meter
from usageledger.meters import METER_BY_KIND, METERS
from usageledger.questions.aggregate import Aggregate, too_many_results
from usageledger.questions.pages import RESULTS, results_json
from usageledger.questions.query import Query

RECORDED = Path(__file__).parent.parent / "contract" / "data" / "recorded"
NOTHING = Aggregate([], {})


def name_of(meter: Meter) -> str:
    return meter.kind


def text_of(query: Query, aggregate: Aggregate, next_page: str | None = None) -> str:
    return b"".join(pieces(query, aggregate, next_page)).decode()


def page_of(query: Query, aggregate: Aggregate, next_page: str | None = None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text_of(query, aggregate, next_page))
    return found


def zeros(meter: Meter, rows: int) -> dict[str, Any]:
    return {measure.name: [0] * rows for measure in meter.reported}


@pytest.mark.parametrize("meter", METERS, ids=name_of)
def test_order_of_keys(meter: Meter) -> None:
    query = ask(meter.kind, TODAY, TODAY + 5, "1m")
    page = page_of(query, Aggregate([TODAY], zeros(meter, 1)), "page_x")
    assert list(page) == ["object", "data", "has_more", "next_page"]
    (bucket,) = page["data"]
    assert list(bucket) == ["object", "start_time", "end_time", "start_time_iso", "end_time_iso", "results"]
    (result,) = bucket["results"]
    assert list(result) == ["object", *(m.name for m in meter.reported), *(d.name for d in meter.groupings)]
    assert (page["object"], bucket["object"], result["object"]) == ("page", "bucket", meter.object)


def test_a_whole_page_to_the_letter() -> None:
    query = ask("file_search_calls", 1780704000 + 5, 1780704000 + DAY + 5, group_by=["project_id", "vector_store_id"])
    aggregate = Aggregate(
        [1780704000, 1780704000],
        {"project_id": ['a"\n', None], "vector_store_id": ["é☃", "b"], "num_requests": [2**53 - 1, 0]},
    )
    shape = (
        '{"object":"organization.usage.file_searches.result","num_requests":%s,"project_id":%s,'
        '"user_id":null,"api_key_id":null,"vector_store_id":%s}'
    )
    assert text_of(query, aggregate, "page_abc=") == (
        '{"object":"page","data":['
        '{"object":"bucket","start_time":1780704005,"end_time":1780790400,'
        '"start_time_iso":"2026-06-06T00:00:05+00:00","end_time_iso":"2026-06-07T00:00:00+00:00","results":['
        + shape % (2**53 - 1, '"a\\"\\n"', '"é☃"')
        + ","
        + shape % (0, "null", '"b"')
        + "]},"
        '{"object":"bucket","start_time":1780790400,"end_time":1780790405,'
        '"start_time_iso":"2026-06-07T00:00:00+00:00","end_time_iso":"2026-06-07T00:00:05+00:00","results":[]}'
        '],"has_more":true,"next_page":"page_abc="}'
    )


def test_the_last_page_says_so() -> None:
    page = page_of(ask("images", TODAY, TODAY + DAY), NOTHING)
    assert (page["has_more"], page["next_page"]) == (False, None)
    page = page_of(ask("images", TODAY, TODAY + DAY), NOTHING, "page_x")
    assert (page["has_more"], page["next_page"]) == (True, "page_x")


def test_a_window_without_buckets() -> None:
    query = Query(METERS[0], TODAY, TODAY, True, METERS[0].width("1d"), (), (), 7, TODAY)
    assert text_of(query, NOTHING) == '{"object":"page","data":[],"has_more":false,"next_page":null}'


def test_empty_buckets_are_answered_too() -> None:
    """As recorded: every bucket of the window, with the same keys and values but for their order on the page."""
    recorded = json.loads((RECORDED / "costs_live_2026-06.json").read_text())["empty"]
    start, end = recorded["data"][0]["start_time"], recorded["data"][-1]["end_time"]
    page = page_of(ask("completions", start, end), NOTHING)
    assert page == recorded
    assert [list(bucket) for bucket in page["data"]] == [list(bucket) for bucket in recorded["data"]]


def test_rows_go_to_the_bucket_they_belong_to() -> None:
    """Rows carry the aligned start of their bucket, though the outermost buckets are clamped."""
    query = ask("code_interpreter_sessions", TODAY + 5, TODAY + 4 * 3600 - 5, "1h")
    aggregate = Aggregate([TODAY, TODAY, TODAY + 3 * 3600], {"num_sessions": [1, 2, 3]})
    data = page_of(query, aggregate)["data"]
    assert [[result["num_sessions"] for result in bucket["results"]] for bucket in data] == [[1, 2], [], [], [3]]
    assert [(bucket["start_time"], bucket["end_time"]) for bucket in data] == [
        (TODAY + 5, TODAY + 3600),
        (TODAY + 3600, TODAY + 7200),
        (TODAY + 7200, TODAY + 10800),
        (TODAY + 10800, TODAY + 4 * 3600 - 5),
    ]


def test_a_page_after_the_first_starts_where_it_starts() -> None:
    query = ask("code_interpreter_sessions", TODAY + 5, TODAY + DAY, "1h", limit=2)
    query = Query(**{f: getattr(query, f) for f in query.__slots__} | {"page_start": TODAY + 3600})
    aggregate = Aggregate([TODAY + 7200], {"num_sessions": [7]})
    data = page_of(query, aggregate)["data"]
    assert [(bucket["start_time"], len(bucket["results"])) for bucket in data] == [(TODAY + 3600, 0), (TODAY + 7200, 1)]


@pytest.mark.parametrize("meter", METERS, ids=name_of)
def test_types_on_the_wire(meter: Meter) -> None:
    """Counts are integers, flags are booleans, and what was not grouped by or not carried is null."""
    names = [d.name for d in meter.groupings]
    values: dict[str, list[Any]] = {d.name: [True if d.flag else "x", None] for d in meter.groupings}
    counts: dict[str, list[Any]] = {m.name: [2**53 - 1, 0] for m in meter.reported}
    query = ask(meter.kind, TODAY, TODAY + 60, "1m", group_by=names)
    text = text_of(query, Aggregate([TODAY, TODAY], values | counts))
    first, second = json.loads(text)["data"][0]["results"]
    for measure in meter.reported:
        assert f'"{measure.name}":{2**53 - 1},' in text
        assert type(first[measure.name]) is type(second[measure.name]) is int
    for dimension in meter.groupings:
        assert first[dimension.name] is (True) if dimension.flag else first[dimension.name] == "x"
        assert second[dimension.name] is None
    ungrouped = page_of(ask(meter.kind, TODAY, TODAY + 60, "1m"), Aggregate([TODAY], zeros(meter, 1)))
    assert all(ungrouped["data"][0]["results"][0][name] is None for name in names)


def test_what_is_not_on_the_wire_is_not_answered() -> None:
    assert "quality" not in RESULTS["images"].__struct_fields__
    assert "vector_store_id" not in RESULTS["vector_stores"].__struct_fields__
    assert set(RESULTS) == set(METER_BY_KIND)


@given(st.integers(0, 3 * DAY), st.integers(1, 200), st.sampled_from([60, 3600, DAY]), st.data())
def test_rows_fall_into_buckets_of_any_window(start: int, count: int, seconds: int, data: st.DataObject) -> None:
    width = {60: "1m", 3600: "1h", DAY: "1d"}[seconds]
    query = ask("moderations", TODAY + start, TODAY + start + count, width, limit=31)
    first = (TODAY + start) // seconds * seconds
    rows = sorted(data.draw(st.lists(st.integers(0, len(query.buckets) - 1), max_size=9)))
    aggregate = Aggregate(
        [first + row * seconds for row in rows], {"input_tokens": rows, "num_model_requests": [1] * len(rows)}
    )
    page = page_of(query, aggregate)
    assert len(page["data"]) == len(query.buckets)
    counts = [count for count, _ in results_json(query, aggregate)]
    assert counts == [len(bucket["results"]) for bucket in page["data"]]
    for number, bucket in enumerate(page["data"]):
        assert [result["input_tokens"] for result in bucket["results"]] == [row for row in rows if row == number]


def test_no_piece_of_a_page_is_larger_than_a_bucket() -> None:
    """A large page is sent in pieces, so that it does not hold up other requests."""
    query = ask("moderations", TODAY, TODAY + 10 * 60, "1m")
    starts = sorted([TODAY + 60 * number for number in range(10)] * 50)
    aggregate = Aggregate(starts, {"input_tokens": starts, "num_model_requests": starts})
    parts = list(pieces(query, aggregate))
    assert sum(part.count(b"organization.usage.moderations.result") for part in parts) == 500
    assert max(part.count(b"organization.usage.moderations.result") for part in parts) == 50


def test_too_many_results() -> None:
    error = too_many_results(5)
    assert (error.status, error.param, error.code) == (400, "limit", "too_many_results")
    assert error.message.startswith("This page has more than 5 results: ask for fewer buckets with 'limit'")
