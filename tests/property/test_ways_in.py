"""Calls that come by several ways, in any order, again and again: each counts once, whatever came first."""

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.effort import EFFORT

from usageledger.events.batch import join
from usageledger.ledger import open_ledger
from usageledger.ledger.statements.sql import Sql
from usageledger.sources.batches import to_batch
from usageledger.sources.litellm import read_litellm
from usageledger.sources.otlp.reading import read_otlp
from usageledger.sources.otlp.signals import Signal
from usageledger.sources.readings import Readings
from usageledger.sources.vendors import read_vendor

NOW = 1_794_970_000
WAYS = ("client", "gateway", "litellm", "answer")
Told = tuple[int, str, int]  # the number of a call, a way, and the second at which it says that the call ended


def id_of(call: int) -> str:
    return f"chatcmpl-{call:024d}"


def usage(call: int) -> dict[str, Any]:
    return {
        "prompt_tokens": 100 + call,
        "completion_tokens": 10 + call,
        "total_tokens": 110 + 2 * call,
        "prompt_tokens_details": {"cached_tokens": call},
    }


def span(call: int, way: str, second: int) -> dict[str, Any]:
    attributes = {
        "gen_ai.operation.name": {"stringValue": "chat"},
        "gen_ai.provider.name": {"stringValue": "openai"},
        "gen_ai.response.id": {"stringValue": id_of(call)},
        "gen_ai.response.model": {"stringValue": "gpt-4o"},
        "gen_ai.usage.input_tokens": {"intValue": str(100 + call)},
        "gen_ai.usage.cache_read.input_tokens": {"intValue": str(call)},
        "gen_ai.usage.output_tokens": {"intValue": str(10 + call)},
    }
    return {
        "traceId": f"{way.encode().hex():0>32}",
        "spanId": f"{call + 1:016x}",
        "endTimeUnixNano": str((NOW + second) * 10**9),
        "attributes": [{"key": key, "value": value} for key, value in attributes.items()],
    }


def read(told: list[Told]) -> list[Readings]:
    """Reads what is told in one batch, by the ways in which it is."""
    by_way: dict[str, list[tuple[int, int]]] = {}
    for call, way, second in told:
        by_way.setdefault(way, []).append((call, second))
    found = []
    for way, calls in by_way.items():
        if way in ("client", "gateway"):
            spans = [span(call, way, second) for call, second in calls]
            body: Any = {"resourceSpans": [{"scopeSpans": [{"scope": {"name": way}, "spans": spans}]}]}
            found.append(read_otlp(Signal.TRACES, msgspec.json.encode(body), is_json=True, now=NOW))
        elif way == "litellm":
            about = {"call_type": "acompletion", "custom_llm_provider": "openai", "model": "gpt-4o"}
            body = [
                {"id": id_of(c), "endTime": NOW + s + 0.5, "metadata": {"usage_object": usage(c)}, **about}
                for c, s in calls
            ]
            found.append(read_litellm(msgspec.json.encode(body), now=NOW))
        else:
            body = [
                {"id": id_of(c), "object": "chat.completion", "created": NOW + s, "model": "gpt-4o", "usage": usage(c)}
                for c, s in calls
            ]
            found.append(read_vendor("openai", msgspec.json.encode(body), now=NOW))
    return found


@settings(max_examples=6 * EFFORT)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(WAYS), st.integers(0, 90)), max_size=6), max_size=6)
)
def test_each_call_counts_once(batches: list[list[Told]]) -> None:
    with TemporaryDirectory() as folder, closing(open_ledger(f"duckdb:///{Path(folder) / 'ledger.duckdb'}")) as ledger:
        for told in batches:
            for readings in read(told):
                for reading in readings.values():
                    joined = join([to_batch(reading.events)], NOW + 1000, NOW)
                    assert not joined.refused
                    if joined.rows.num_rows:
                        ledger.append(joined.rows)
        with ledger.snapshot() as snapshot:
            sums = "COUNT(*), SUM(input_text_tokens + input_cached_text_tokens), SUM(input_cached_text_tokens), "
            found = snapshot.read(Sql(f"SELECT {sums} SUM(output_text_tokens) FROM events"))
    calls = {call for told in batches for call, _, _ in told}
    right = (len(calls), sum(100 + c for c in calls), sum(calls), sum(10 + c for c in calls))
    assert tuple(int(column[0] or 0) for column in found.values()) == right
