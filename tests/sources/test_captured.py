"""Bodies that real emitters sent: each gives the right totals in both forms of OTLP, alone, twice and shuffled.

The fake vendors behind them had fixed numbers. OpenAI: 1,000 tokens in, of which 400 from the cache, and 500 out, of
which 120 of reasoning. Anthropic: 90, 900 from and 10 to the cache, and 150. Gemini: 1,000, of which 400 from the
cache, and 380 + 120 of thoughts. Embeddings: 730.
"""

import random
from collections import Counter
from copy import deepcopy
from typing import Any

import pytest
from tests.support.otlp_bodies import CAPTURED, as_json, as_protobuf, captured

from usageledger.events.columns import to_table
from usageledger.sources.batches import to_batch
from usageledger.sources.otlp.reading import read_otlp
from usageledger.sources.otlp.signals import Signal
from usageledger.sources.readings import Note, Readings, Reason

LATER = 2_000_000_000
FORMS = ("json", "protobuf")


def totals(input_: int, cached: int, output: int, written: int = 0, calls: int = 0, embedded: int = 0) -> Counter[str]:
    """The totals of an emitter, without those that are 0."""
    found = Counter(
        {"calls": calls, "input": input_, "cached": cached, "written": written, "output": output, "embedded": embedded}
    )
    return +found


OPENAI = totals(4000, 1600, 2000, calls=4, embedded=730)
# Label → its totals, and what is not counted and why.
TRUTH: dict[str, tuple[Counter[str], dict[Reason | Note, int]]] = {
    "openai-traceloop": (OPENAI, {Reason.NO_USAGE: 1, Reason.OTHER_SIGNAL: 10}),
    "openai-openinference": (OPENAI, {Reason.NO_USAGE: 1}),
    # No spans of the Responses API, and nothing is said of the cache.
    "openai-v2": (totals(2000, 0, 1000, calls=2, embedded=730), {Reason.NO_USAGE: 1, Reason.OTHER_SIGNAL: 6}),
    "openai-v2-latest": (totals(2000, 0, 1000, calls=2, embedded=730), {Reason.NO_USAGE: 1, Reason.OTHER_SIGNAL: 10}),
    "anthropic-sdk": (totals(2000, 1800, 300, 20, calls=2), {}),
    "anthropic-traceloop": (totals(2000, 1800, 300, 20, calls=2), {Reason.SAME_RESPONSE: 2}),
    "pydantic-logfire": (
        totals(1000 + 103 + 1000, 400 + 900, 500 + 7 + 150, 10, calls=4),
        {Reason.AGGREGATE: 3, Reason.SAME_RESPONSE: 1, Reason.OTHER_SIGNAL: 12},
    ),
    # Of a stream a first span knows neither response nor usage, and a second one all of it.
    "logfire": (
        totals(4000 + 2000, 1600 + 1800, 2000 + 300, 20, calls=6, embedded=730),
        {Reason.NO_USAGE: 1},
    ),
    "langchain-openinference": (totals(1000, 400, 500, calls=1), {}),
    "langchain-traceloop": (totals(1000, 400, 500, calls=1), {}),
    "ai-sdk-7": (totals(3000, 1200, 1500, calls=3, embedded=730), {Reason.AGGREGATE: 4}),
    "ai-sdk-7-legacy": (totals(3000, 1200, 1500, calls=3, embedded=730), {Reason.AGGREGATE: 4}),
    # Only streams say how much came from the cache.
    "ai-sdk-5": (totals(3000, 400, 1500, calls=3, embedded=730), {Reason.AGGREGATE: 4}),
    # Its own numbers leave out what was cached; the vendor's block beside them has all.
    "ai-sdk-5-anthropic-google": (totals(3000, 2200, 800, 20, calls=3), {Reason.AGGREGATE: 3}),
    # A stream that was not asked for its usage was counted by LiteLLM, and a made-up answer says 10 and 20.
    "litellm": (
        totals(6000 + 8 + 10, 5 * 400 - 400 + 1800, 4 * 500 + 2 * 150 + 1 + 20, 20, calls=8, embedded=730),
        {Note.ESTIMATED: 1, Reason.OTHER_SIGNAL: 38},
    ),
    "claude-code": (
        totals(1000, 900, 150, 10, calls=1),
        {Reason.OTHER_SIGNAL: 5, Note.CACHE_LIFETIME_UNKNOWN: 1},
    ),
    "claude-code-protobuf": (
        totals(1000, 900, 150, 10, calls=1),
        {Reason.OTHER_SIGNAL: 4, Note.CACHE_LIFETIME_UNKNOWN: 1},
    ),
    "codex": (totals(1000, 400, 500, calls=1), {Reason.OTHER_SIGNAL: 8}),
    "gemini-cli": (totals(1000, 400, 500, calls=1), {Reason.OTHER_SIGNAL: 8}),
}


def read(form: str, signal: Signal, body: dict[str, Any]) -> Readings:
    written = as_json(body) if form == "json" else as_protobuf(signal, body)
    return read_otlp(signal, written, is_json=form == "json", now=LATER)


def counted(readings: list[Readings]) -> Counter[str]:
    """The totals of all events, each identity once, by the ledger's own derivation."""
    events = {
        (event["id"], event["timestamp"]): event for each in readings for r in each.values() for event in r.events
    }
    batch = to_batch(list(events.values()))
    assert batch.refused.events == 0, batch.refused.listed
    table, kept = to_table(batch.typed, LATER)
    assert len(kept) == len(events)
    sums: dict[str, int] = {
        name: int(table[name].to_numpy().sum()) for name in table.column_names if name.endswith("_tokens")
    }
    kinds = Counter(table["kind"].to_pylist())
    embedded = sum(e["input_tokens"] for e in events.values() if e["kind"] == "embeddings")
    inputs = sum(count for name, count in sums.items() if name.startswith("input_"))
    return +Counter(
        {
            "calls": kinds["completions"],
            "input": inputs - embedded,
            "cached": sum(count for name, count in sums.items() if name.startswith("input_cached_")),
            "written": sum(count for name, count in sums.items() if name.startswith("input_cache_write_")),
            "output": sum(count for name, count in sums.items() if name.startswith("output_")),
            "embedded": embedded,
        }
    )


def left_out(readings: list[Readings]) -> dict[Reason | Note, int]:
    found: Counter[Reason | Note] = Counter()
    for each in readings:
        for reading in each.values():
            found.update({reason: tally.count for reason, tally in reading.not_counted.items()})
            found.update({note: tally.count for note, tally in reading.notes.items()})
    return dict(found)


def test_every_captured_label_has_its_truth() -> None:
    assert {path.name for path in CAPTURED.iterdir() if path.is_dir()} == set(TRUTH)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("label", TRUTH)
def test_a_captured_emitter_gives_its_totals(label: str, form: str) -> None:
    readings = [read(form, signal, body) for signal, body in captured(label)]
    assert counted(readings) == TRUTH[label][0]
    assert left_out(readings) == TRUTH[label][1]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("label", TRUTH)
def test_a_captured_emitter_that_sends_twice_and_shuffled_gives_the_same(label: str, form: str) -> None:
    bodies = captured(label)
    again = [(signal, shuffled(body)) for signal, body in bodies]
    readings = [read(form, signal, body) for signal, body in (*again, *bodies)]
    assert counted(readings) == TRUTH[label][0]


def shuffled(node: Any) -> Any:
    """The same body with all of its lists in another order, as a collector may send it."""
    node = deepcopy(node)
    order = random.Random(20261127)

    def shuffle(part: Any) -> None:
        if isinstance(part, dict):
            for key, value in part.items():
                if isinstance(value, list) and key != "bounds":
                    order.shuffle(value)
                shuffle(value)
        elif isinstance(part, list):
            for each in part:
                shuffle(each)

    shuffle(node)
    return node


@pytest.mark.parametrize("label", TRUTH)
def test_both_forms_give_the_same_events(label: str) -> None:
    for signal, body in captured(label):
        assert read("json", signal, body) == read("protobuf", signal, body)


@pytest.mark.parametrize(
    ("provider", "counts"),
    [
        ("openai.chat", {"input_tokens": 90, "output_tokens": 150}),
        ("anthropic.messages", {"input_uncached_tokens": 90, "output_tokens": 150}),
        ("google.vertex.anthropic.messages", {"input_uncached_tokens": 90, "output_tokens": 150}),
        ("google.generative-ai", {"input_tokens": 90, "output_tokens": 170}),
    ],
)
def test_what_the_ai_sdks_numbers_include_depends_on_the_interface(provider: str, counts: dict[str, int]) -> None:
    attributes = {
        "ai.operationId": {"stringValue": "ai.streamText.doStream"},
        "ai.model.provider": {"stringValue": provider},
        "ai.model.id": {"stringValue": "m"},
        "ai.usage.inputTokens": {"intValue": "90"},
        "ai.usage.outputTokens": {"intValue": "150"},
        "ai.usage.reasoningTokens": {"intValue": "20"},
    }
    span = {
        "traceId": "1" * 32,
        "spanId": "1" * 16,
        "endTimeUnixNano": "1",
        "attributes": [{"key": key, "value": value} for key, value in attributes.items()],
    }
    body = {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "ai"}, "spans": [span]}]}]}
    (reading,) = read("json", Signal.TRACES, body).values()
    (event,) = reading.events
    assert {name: event[name] for name in event if name.endswith("_tokens")} == counts
    assert event["provider"] == provider.partition(".")[0]
