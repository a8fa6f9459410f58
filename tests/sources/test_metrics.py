"""Metrics that count: what of their points is new, in both forms of OTLP, and what cannot be counted and why."""

from collections.abc import Sequence
from typing import Any

import pytest
from tests.support.metric_bodies import BY_METRICS, CUMULATIVE, DELTA, ENVOY, SECOND, metric, point
from tests.support.otlp_bodies import as_json, as_protobuf, captured

from usageledger.events.columns import to_table
from usageledger.sources.batches import to_batch
from usageledger.sources.counters import KEPT_SECONDS, Counted, count
from usageledger.sources.otlp.reading import read_otlp
from usageledger.sources.otlp.signals import Signal
from usageledger.sources.readings import Reading, Readings, Reason
from usageledger.sources.rules import NO_RULES, Rule, Rules, signal_of

NOW = 1_795_750_000
START = NOW - 3_600
LABEL = "gen_ai.client.token.usage"
FORMS = ("json", "protobuf")


def read(body: dict[str, Any], form: str = "json", rules: Rules = NO_RULES) -> Readings:
    written = as_json(body) if form == "json" else as_protobuf(Signal.METRICS, body)
    return read_otlp(Signal.METRICS, written, is_json=form == "json", now=NOW, rules=rules)


def only(body: dict[str, Any], form: str = "json", rules: Rules = NO_RULES) -> Reading:
    (reading,) = read(body, form, rules).values()
    return reading


def events_of(readings: Sequence[Reading], known: dict[bytes, Counted] | None = None) -> list[dict[str, Any]]:
    """The events that these readings make, one after another, each identity once."""
    known = {} if known is None else known
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for reading in readings:
        made = [count(each, known, NOW) for each in sorted(reading.points, key=lambda each: each.at)]
        for event in (*reading.events, *(each for each in made if isinstance(each, dict))):
            assert found.setdefault((event["id"], event["timestamp"]), event) == event
    events = list(found.values())
    batch = to_batch(events)
    assert batch.refused.events == 0, batch.refused.listed
    _, kept = to_table(batch.typed, NOW + 1)
    assert len(kept) == len(events), "an event contradicts itself"
    return events


def sums(events: Sequence[dict[str, Any]]) -> dict[str, int]:
    """The sums of what is not 0, by short names."""
    names = {
        "num_model_requests": "requests",
        "input_tokens": "in",
        "input_cached_tokens": "cached",
        "input_cache_write_tokens": "written",
        "output_tokens": "out",
    }
    found = {short: sum(event.get(name, 0) for event in events) for name, short in names.items()}
    return {name: total for name, total in found.items() if total}


# Label → what its metrics say. Metrics of most emitters do not tell what came from the cache.
CAPTURED = {
    "openai-traceloop": {"requests": 3, "in": 2730, "out": 1000},
    "openai-v2": {"requests": 2, "in": 1730, "out": 500},
    "pydantic-logfire": {"requests": 4, "in": 2103, "out": 657},
    "claude-code": {"in": 1000, "cached": 900, "written": 10, "out": 150},
    "claude-code-protobuf": {"in": 1000, "cached": 900, "written": 10, "out": 150},
    "codex": {"in": 1000, "cached": 400, "out": 500},
    "gemini-cli": {"in": 1000, "cached": 400, "out": 500},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("label", CAPTURED)
def test_the_metrics_of_a_captured_emitter_give_its_totals_however_often_they_come(label: str, form: str) -> None:
    bodies = [body for signal, body in captured(label) if signal == Signal.METRICS]
    readings = [reading for body in bodies for reading in read(body, form, BY_METRICS).values()]
    assert sums(events_of(readings)) == CAPTURED[label]
    assert sums(events_of([*readings, *readings[::-1]])) == CAPTURED[label]
    assert not [refused for reading in readings for refused in reading.refused]


@pytest.mark.parametrize("label", CAPTURED)
def test_its_other_signals_do_not_count_then(label: str) -> None:
    for signal, body in captured(label):
        if signal != Signal.METRICS:
            found = read_otlp(signal, as_json(body), is_json=True, now=NOW, rules=BY_METRICS)
            assert not [event for reading in found.values() for event in reading.events]
            assert all(set(each.not_counted) <= set(Reason) - {Reason.REFUSED} for each in found.values())


def test_an_emitter_whose_other_signals_may_count_counts_by_metrics_only_where_a_rule_says_so() -> None:
    body = metric(point("input", 100, START, NOW), scope="unheard.of")
    assert only(body).not_counted.keys() == {Reason.OTHER_SIGNAL}
    assert sums(events_of([only(body, rules=BY_METRICS)])) == {"requests": 1, "in": 100}


def span() -> dict[str, Any]:
    given = {"llm.token_count.prompt": "7", "llm.token_count.completion": "5", "openinference.span.kind": "LLM"}
    pairs = [{"key": name, "value": {"stringValue": value}} for name, value in given.items()]
    one = {"traceId": "1" * 32, "spanId": "2" * 16, "endTimeUnixNano": str(NOW * SECOND), "attributes": pairs}
    return {"resourceSpans": [{"scopeSpans": [{"scope": {"name": ENVOY}, "spans": [one]}]}]}


def test_the_gateway_that_counts_by_metrics_may_count_by_spans() -> None:
    of_spans = Rules([Rule("signal", (signal_of("traces"),), emitter="envoy*")])
    told = as_json(span())
    (left,) = read_otlp(Signal.TRACES, told, is_json=True, now=NOW).values()
    assert not left.events
    assert left.not_counted.keys() == {Reason.OTHER_SIGNAL}
    (counted,) = read_otlp(Signal.TRACES, told, is_json=True, now=NOW, rules=of_spans).values()
    assert sums(counted.events) == {"in": 7, "out": 5}
    assert only(metric(point("input", 9, START, NOW)), rules=of_spans).not_counted.keys() == {Reason.OTHER_SIGNAL}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("temporality", [DELTA, CUMULATIVE])
def test_parts_of_the_input_and_requests_count_once(temporality: int, form: str) -> None:
    body = metric(
        point("input", 1000.0, START, NOW, 3),
        point("cached_input", 400.0, START, NOW, 3),
        point("cache_creation_input", 10.0, START, NOW, 2),
        point("output", 500.0, START, NOW, 3),
        point("reasoning", 120.0, START, NOW, 3),
        point("total", 1500.0, START, NOW, 3),
        point("input", 730.0, START, NOW, 2, further={"gen_ai.operation.name": "embeddings"}),
        temporality=temporality,
    )
    reading = only(body, form)
    events = events_of([reading, only(body, form)])
    assert sums(events) == {"requests": 5, "in": 1730, "cached": 400, "written": 10, "out": 500}
    assert {event["kind"] for event in events} == {"completions", "embeddings"}
    assert {event["timestamp"] for event in events} == {NOW}
    assert {event["model"] for event in events} == {"gpt-4o"}
    assert {event["project_id"] for event in events} == {"gateway"}
    assert {reason: tally.count for reason, tally in reading.not_counted.items()} == {Reason.AGGREGATE: 2}


def test_what_is_not_a_use_of_a_model_is_left_with_the_reason() -> None:
    operations = ("count_tokens", "image_generation", "invoke_agent")
    body = metric(*(point("input", 5, START, NOW, further={"gen_ai.operation.name": name}) for name in operations))
    left = {reason: tally.count for reason, tally in only(body).not_counted.items()}
    assert left == {Reason.UNKNOWN_KIND: 2, Reason.AGGREGATE: 1}
    assert only(metric(point("audio_input", 5, START, NOW))).not_counted.keys() == {Reason.UNKNOWN_DIALECT}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("body", "why"),
    [
        (metric(point("input", 1.5, START, NOW)), "(input): 1.5 is no number of tokens"),
        (metric(point("input", -1, START, NOW)), "-1"),
        (metric(point("input", "NaN", START, NOW)), "nan is no number"),
        (metric(point("input", "Infinity", START, NOW)), "inf is no number"),
        (metric(point("input", 1e300, START, NOW)), "1e+300 is no number"),
        (metric(point("input", None, START, NOW)), "it has no sum"),
        (metric(point("input", 5, 0, NOW)), "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta"),
        (metric(point("input", 5, NOW + 1, NOW)), "does not say what it counts"),
        (metric(point("input", 5, START, 0)), "it has no time"),
        (metric(point("input", 5, START, NOW), temporality=0), "neither delta nor cumulative"),
        (metric(point("input", 5, START, NOW), form="summary"), "a summary does not count"),
        (metric(point("cached_input", 5, START, NOW), temporality=DELTA), "an input that is not given"),
        (
            metric(point("input", 5, START, NOW), point("cached_input", 6, START, NOW), temporality=DELTA),
            "5 tokens of input are less than 6",
        ),
    ],
)
def test_what_cannot_be_counted_is_refused_with_the_value(body: dict[str, Any], why: str, form: str) -> None:
    reading = only(body, form)
    assert (reading.events, reading.points) == ([], [])
    assert reading.not_counted[Reason.REFUSED].count == 1
    ((label, told),) = reading.refused
    assert label == LABEL
    assert why in told


def test_numbers_of_gauges_and_of_sums_that_fall_do_not_count() -> None:
    one = {"startTimeUnixNano": str(START * SECOND), "timeUnixNano": str(NOW * SECOND), "asInt": "5"}
    one["attributes"] = point("input", 1, 1, 1)["attributes"]
    for form, why in (("gauge", "a gauge does not count"), ("sum", "not monotonic")):
        body = metric(one, form=form)
        body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0][form].pop("isMonotonic", None)
        for wire in FORMS:
            assert why in only(body, wire).refused[0][1]
    body = metric(one, form="sum")
    assert [sums(events_of([only(body, wire)])) for wire in FORMS] == [{"in": 5}] * 2, "a sum tells no requests"


@pytest.mark.parametrize("form", FORMS)
def test_an_exponential_histogram_and_an_empty_point(form: str) -> None:
    assert sums(events_of([only(metric(point("input", 9, START, NOW), form="exponentialHistogram"), form)])) == {
        "requests": 1,
        "in": 9,
    }
    empty = metric(point("input", 9, START, NOW) | {"flags": 1})
    assert (only(empty, form).points, only(empty, form).not_counted) == ([], {})


def story(*points: tuple[float, int, int]) -> tuple[dict[str, int], list[str]]:
    """The sums of a history of (total, start, time) of one series, and what is refused of it."""
    known: dict[bytes, Counted] = {}
    events, refused = [], []
    for total, start, at in points:
        (each,) = only(metric(point("input", total, START + start, START + at, int(total)))).points
        found = count(each, known, NOW)
        if isinstance(found, str):
            refused.append(found)
        elif found:
            events.append(found)
    return {name: total for name, total in sums(events).items() if name == "in"}, refused


def test_what_is_new_in_a_counter() -> None:
    assert story((100, 1, 10), (100, 1, 20), (250, 1, 30), (100, 1, 10), (250, 1, 30)) == ({"in": 250}, [])
    assert story((250, 1, 30), (100, 1, 10), (100, 1, 20), (260, 1, 40)) == ({"in": 260}, []), "reordered"
    assert story((100, 1, 10), (40, 15, 20), (60, 15, 30)) == ({"in": 160}, []), "begun anew"
    assert story((100, 1, 10), (5, 2, 11), (130, 1, 20), (9, 2, 21)) == ({"in": 139}, []), "two processes"
    assert story((100, 1, 10), (50, 10, 20), (70, 20, 30), (70, 20, 30)) == ({"in": 220}, []), "a start that moves on"
    assert story((0, 1, 10), (0, 1, 20)) == ({}, [])


def test_two_processes_of_one_counter_are_told_and_never_too_much() -> None:
    total, (fell,) = story((100, 1, 10), (50, 1, 11), (110, 1, 20))
    assert total == {"in": 110}
    assert "50" in fell
    assert "100" in fell
    assert "service.instance.id" in fell
    assert story((100, 1, 10), (120, 1, 10))[0] == {"in": 100}
    assert len(story((100, 1, 10), (120, 1, 9))[1]) == 1


def test_a_total_of_which_nobody_knows_the_start_counts_from_then_on() -> None:
    total, (why,) = story((100, 10, 10), (130, 10, 20))
    assert (total, "counted from here on" in why) == ({"in": 30}, True)
    long_ago = -KEPT_SECONDS - 10_000
    assert story((100, long_ago, 10), (150, long_ago, 20))[0] == {"in": 50}


def test_parts_that_come_without_their_total_count_with_the_next() -> None:
    known: dict[bytes, Counted] = {}
    bodies = [
        metric(point("input", 1000, START, START + 10)),
        metric(point("cached_input", 400, START, START + 10)),
        metric(point("input", 1300, START, START + 20), point("cached_input", 450, START, START + 20)),
        metric(point("input", 1500, START, START + 30), point("cached_input", 450, START, START + 30)),
    ]
    found = [sums(events_of([only(body)], known)) for body in bodies]
    assert found == [
        {"requests": 1, "in": 1000},
        {},
        {"in": 300, "cached": 300},
        {"in": 200, "cached": 150},
    ]


def test_what_differs_in_anything_is_another_counter() -> None:
    bodies = [
        metric(point("input", 5, START, NOW)),
        metric(point("input", 5, START - 1, NOW)),
        metric(point("input", 5, START, NOW, further={"user.id": "u"})),
        metric(point("input", 5, START, NOW), resource={"service.instance.id": "2"}),
        metric(point("input", 5, START, NOW), form="exponentialHistogram"),
    ]
    keys = {only(body).points[0].counter for body in bodies}
    assert len(keys) == len(bodies)
