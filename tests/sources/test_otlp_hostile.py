"""Input of OTLP that nobody would send: it is read or refused, and nothing of it is more than it is."""

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.effort import EFFORT
from tests.support.metric_bodies import BY_METRICS
from tests.support.otlp_bodies import as_json, as_protobuf, captured

from usageledger.errors import InvalidRequestError
from usageledger.sources.batches import to_batch
from usageledger.sources.counters import Counted, count
from usageledger.sources.otlp.dialects import WANTED
from usageledger.sources.otlp.reading import read_otlp
from usageledger.sources.otlp.signals import Signal
from usageledger.sources.rules import NO_RULES

NOW = 1_800_000_000
LABELS = ("anthropic-sdk", "ai-sdk-5-anthropic-google", "pydantic-logfire", "claude-code", "codex", "litellm")
BODIES = [(signal, body) for label in LABELS for signal, body in captured(label)]
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=9),
    st.sampled_from(
        [
            "",
            "\0",
            "9" * 30,
            "9" * 20,
            10**30,
            "NaN",
            "-1",
            "1e400",
            [],
            {},
            [[]],
            {"stringValue": 5},
            {"intValue": "x"},
        ]
    ),
)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to every part of a body."""
    found = [path]
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        found += places(value, (*path, key))
    return found


@st.composite
def broken(draw: st.DrawFn) -> tuple[Signal, Any]:
    """A captured body of which some parts are something else."""
    signal, body = draw(st.sampled_from(BODIES))
    body = deepcopy(body)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([path for path in places(body) if path]))
        node = body
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = draw(ODD)
    return signal, body


def read(signal: Signal, body: bytes, *, is_json: bool) -> None:
    try:
        rules = BY_METRICS if signal == Signal.METRICS else NO_RULES
        readings = read_otlp(signal, body, is_json=is_json, now=NOW, rules=rules)
    except InvalidRequestError:
        return
    for reading in readings.values():
        known: dict[bytes, Counted] = {}
        new = [found for point in reading.points if isinstance(found := count(point, known, NOW), dict)]
        for events in (reading.events, new):
            batch = to_batch(events)
            assert batch.count + batch.refused.events == len(events)


@settings(max_examples=30 * EFFORT)
@given(broken())
def test_json_with_odd_parts_is_read_or_refused(case: tuple[Signal, Any]) -> None:
    signal, body = case
    read(signal, json.dumps(body).encode(), is_json=True)


@settings(max_examples=30 * EFFORT)
@given(st.sampled_from(BODIES), st.data())
def test_protobuf_that_is_cut_or_changed_is_read_or_refused(case: tuple[Signal, Any], data: st.DataObject) -> None:
    signal, body = case
    written = bytearray(as_protobuf(signal, body))
    for _ in range(data.draw(st.integers(0, 3))):
        written[data.draw(st.integers(0, len(written) - 1))] = data.draw(st.integers(0, 255))
    read(signal, bytes(written[: data.draw(st.integers(0, len(written)))]), is_json=False)


@pytest.mark.parametrize("signal", list(Signal))
@given(body=st.binary(max_size=64))
def test_bytes_are_read_or_refused(signal: Signal, body: bytes) -> None:
    for is_json in (False, True):
        read(signal, body, is_json=is_json)


def test_an_attribute_without_a_name_is_none_of_those_that_count() -> None:
    for signal, captured_body in BODIES:
        body = deepcopy(captured_body)
        for part in places(body):
            node: Any = body
            for key in part:
                node = node[key]
            if isinstance(node, dict) and "attributes" in node:
                node["attributes"].append({"key": "", "value": {"stringValue": "5"}})
        read(signal, as_json(body), is_json=True)
        assert "" not in WANTED


def test_a_span_inside_of_itself_ends() -> None:
    signal, body = BODIES[0]
    body = deepcopy(body)
    for span in body["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        span["parentSpanId"] = span["spanId"]
        span["attributes"] = [each for each in span["attributes"] if each["key"] != "gen_ai.response.id"]
    readings = read_otlp(signal, as_json(body), is_json=True, now=NOW)
    assert sum(len(reading.events) for reading in readings.values()) == 2
