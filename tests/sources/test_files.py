"""Files of others: the totals of hand-made ones of each format, what is not counted, and hostile lines."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.kept import assert_kept
from tests.support.otlp_bodies import as_json, captured

from usageledger.cli.event_files import read_records
from usageledger.sources.explanations import REASONS
from usageledger.sources.files import FORMATS
from usageledger.sources.files.origin import Origin
from usageledger.sources.litellm import read_litellm
from usageledger.sources.otlp.reading import read_otlp
from usageledger.sources.otlp.signals import Signal
from usageledger.sources.readings import Reading, Reason

FILES = Path(__file__).parent / "files"
NOW = 1_795_000_000
Events = list[dict[str, Any]]

# File → format, events, and of all: input, cached, written, output.
TOTALS = [
    ("claude-code.jsonl", "claude-code", 4, 2310 + 50 + 25, 2000 + 20, 300, 159 + 40 + 7),
    ("codex.jsonl", "codex", 4, 1000 + 2000 + 300 + 800, 400 + 1500, 0, 500 + 100 + 30 + 80),
    ("codex-fork.jsonl", "codex", 1, 50, 40, 0, 5),
    ("codex-subagent.jsonl", "codex", 2, 60 + 70, 50 + 60, 0, 6 + 7),
    ("gemini-cli.json", "gemini-cli", 2, 1020 + 100, 400, 0, 500 + 10),
    ("gemini-cli.jsonl", "gemini-cli", 1, 1020, 400, 0, 500),
    ("openai-batch.jsonl", "openai-batch", 3, 100 + 200 + 8, 40, 0, 50),
    ("anthropic-batch.jsonl", "anthropic-batch", 1, 115, 100, 5, 7),
    ("bedrock.jsonl", "bedrock", 1, 30, 20, 0, 9),
    ("litellm.jsonl", "litellm", 3, 1000 + 1000 + 730, 400 + 900, 10 + 10, 500 + 150),
    ("litellm.csv", "litellm", 3, 1000 + 1000 + 730, 400 + 900, 10 + 10, 500 + 150),
    ("langfuse.jsonl", "langfuse", 4, 1000 + 1000 + 100 + 8, 400 + 900 + 40, 10, 500 + 150 + 20),
    ("langfuse.csv", "langfuse", 4, 1000 + 1000 + 100 + 8, 400 + 900 + 40, 10, 500 + 150 + 20),
    ("langfuse-api.json", "langfuse", 1, 10, 0, 0, 5),
    ("langsmith.jsonl", "langsmith", 2, 2000, 400 + 900, 10, 650),
    ("cloudevents.jsonl", "cloudevents", 3, 123 + 100, 0, 0, 45 + 20),
    ("cloudflare.json", "cloudflare", 3, 300, 0, 0, 40),
    ("portkey.jsonl", "portkey", 2, 1100, 400, 0, 520),
    ("helicone.jsonl", "helicone", 3, 100 + 1000 + 1000, 900 + 400, 10, 20 + 150 + 500),
    ("kong.jsonl", "kong", 3, 100 + 28 + 89, 0, 0, 20 + 20 + 56),
]
# File → what is not counted.
LEFT = {
    "claude-code.jsonl": {Reason.FAILED_CALL: 1, Reason.NO_USAGE: 1},
    "codex-fork.jsonl": {Reason.SAME_RESPONSE: 2},
    "codex-subagent.jsonl": {Reason.SAME_RESPONSE: 2},
    "gemini-cli.json": {Reason.NO_USAGE: 1},
    "openai-batch.jsonl": {Reason.FAILED_CALL: 2},
    "anthropic-batch.jsonl": {Reason.FAILED_CALL: 2},
    "litellm.jsonl": {Reason.CACHE_HIT: 1, Reason.FAILED_CALL: 1, Reason.UNKNOWN_KIND: 1},
    "litellm.csv": {Reason.CACHE_HIT: 1, Reason.FAILED_CALL: 1, Reason.UNKNOWN_KIND: 1},
    "langfuse.jsonl": {Reason.AGGREGATE: 1, Reason.NO_USAGE: 1, Reason.REFUSED: 1},
    "langfuse.csv": {Reason.AGGREGATE: 1, Reason.NO_USAGE: 1, Reason.REFUSED: 1},
    "langsmith.jsonl": {Reason.AGGREGATE: 1, Reason.FAILED_CALL: 1, Reason.NO_USAGE: 1},
    "cloudevents.jsonl": {Reason.UNKNOWN_DIALECT: 1, Reason.NO_USAGE: 1, Reason.REFUSED: 1},
    "cloudflare.json": {Reason.CACHE_HIT: 1, Reason.FAILED_CALL: 1, Reason.NO_USAGE: 1},
    "portkey.jsonl": {Reason.CACHE_HIT: 1, Reason.FAILED_CALL: 1},
    "helicone.jsonl": {Reason.CACHE_HIT: 1, Reason.FAILED_CALL: 1},
    "kong.jsonl": {Reason.CACHE_HIT: 1},
}


def read_texts(name: str, texts: Iterator[bytes] | list[bytes], file: str = "a-file") -> tuple[Events, Reading]:
    reading = Reading()
    events = list(FORMATS[name].read(texts, Origin(file, NOW, NOW), reading))
    assert_kept(events)
    return events, reading


def texts_of(file: str) -> list[bytes]:
    with (FILES / file).open("rb") as opened:
        return [record.text for record in read_records(opened, file, own=False)]


def read_file(file: str) -> tuple[Events, Reading]:
    name = next(name for each, name, *_ in TOTALS if each == file)
    return read_texts(name, texts_of(file), f"/home/ada/.gemini/tmp/shop/chats/{file}")


def left(reading: Reading) -> dict[Reason, int]:
    return {reason: tally.count for reason, tally in reading.not_counted.items()}


@pytest.mark.parametrize(("file", "name", "count", "whole", "cached", "written", "output"), TOTALS)
def test_totals(file: str, name: str, count: int, whole: int, cached: int, written: int, output: int) -> None:
    events, reading = read_texts(name, texts_of(file))
    names = ("input_tokens", "input_cached_tokens", "input_cache_write_tokens", "output_tokens")
    assert [sum(event.get(each, 0) for event in events) for each in names] == [whole, cached, written, output]
    assert len(events) == count
    assert len({event["id"] for event in events}) == count
    assert left(reading) == LEFT.get(file, {})
    assert "secret" not in repr((events, reading))


def test_every_format_has_a_file() -> None:
    assert {name for _, name, *_ in TOTALS} == FORMATS.keys()
    assert {path.name for path in FILES.iterdir()} == {file for file, *_ in TOTALS}
    assert set(Reason) == REASONS.keys()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def changed(value: Any, path: list[int], to: Any) -> Any:
    """`value` with the part that the numbers lead to put in place of another."""
    if not path or not isinstance(value, dict | list) or not value:
        return to
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = keys[path[0] % len(keys)]
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[key] = changed(value[key], path[1:], to)
    return copy


@pytest.mark.parametrize(("file", "name"), [(file, name) for file, name, *_ in TOTALS])
@given(place=st.integers(0, 100), path=st.lists(st.integers(0, 20), min_size=1, max_size=5), to=JSON_VALUES)
def test_a_changed_line_raises_nothing(file: str, name: str, place: int, path: list[int], to: Any) -> None:
    texts = texts_of(file)
    at = place % len(texts)
    texts[at] = json.dumps(changed(json.loads(texts[at]), path, to)).encode()
    reading = Reading()
    assert isinstance(list(FORMATS[name].read(texts, Origin("a-file", NOW, NOW), reading)), list)


HOSTILE = [b"{", b"null", b"[]", b"1", b'"x"', b"\xff", b"{}", b"[" * 100_000, b'{"type": 1}', b'{"a": "\\ud800"}']


@pytest.mark.parametrize("name", FORMATS)
def test_hostile_lines_are_left_and_the_others_count(name: str) -> None:
    file = next(file for file, each, *_ in TOTALS if each == name)
    texts = texts_of(file)
    events, _ = read_texts(name, texts)
    found, reading = read_texts(name, [*HOSTILE, *texts])
    assert found == events
    assert left(reading)[Reason.REFUSED] >= len(HOSTILE) - 3
    assert all(why for _, why in reading.refused)


def test_the_last_line_of_a_message_counts_with_all_it_says() -> None:
    events, _ = read_file("claude-code.jsonl")
    assert events[0] == {
        "kind": "completions",
        "id": "response:req_msg_01A",
        "timestamp": 1_793_610_003,
        "provider": "anthropic",
        "model": "claude-sonnet-4-5-20250929",
        "project_id": "shop",
        "service_tier": "standard",
        "input_tokens": 2310,
        "input_cached_tokens": 2000,
        "input_cache_write_tokens": 300,
        "input_cache_write_5m_tokens": 100,
        "input_cache_write_1h_tokens": 200,
        "output_tokens": 159,
    }
    assert [event["provider"] for event in events] == ["anthropic", "anthropic", "anthropic", "aws"]
    assert events[2]["kind"] == "web_search_calls"
    assert events[2]["num_requests"] == 2


def test_a_call_of_claude_code_has_one_id_in_its_telemetry_and_its_files() -> None:
    ((signal, logs),) = (each for each in captured("claude-code") if each[0] is Signal.LOGS)
    (told,) = read_otlp(signal, as_json(logs), is_json=True, now=NOW).values()
    usage = {"input_tokens": 90, "output_tokens": 150}
    message = {"id": "msg_1", "stop_reason": "end_turn", "usage": usage}
    lines = [{"type": "assistant", "message": message, "requestId": id_} for id_ in ("req_anth1", None)]
    (event,), _ = read_texts("claude-code", [json.dumps(lines[0]).encode()])
    assert event["id"] == told.events[0]["id"] == "response:req_anth1"
    (event,), _ = read_texts("claude-code", [json.dumps(lines[1]).encode()])
    assert event["id"] == "response:msg_1"


def test_a_message_that_is_being_written_is_left_for_the_next_time() -> None:
    lines = texts_of("claude-code.jsonl")[:4]
    events, reading = read_texts("claude-code", lines)
    assert [event["output_tokens"] for event in events] == [3]
    reading = Reading()
    assert list(FORMATS["claude-code"].read(lines, Origin("a-file", 1_793_610_060, NOW), reading)) == []
    assert left(reading) == {Reason.NO_USAGE: 1}


def test_a_codex_session_says_model_project_and_tier_of_each_turn() -> None:
    events, _ = read_file("codex.jsonl")
    assert [(event["model"], event.get("service_tier")) for event in events] == [
        ("gpt-5.1-codex", None),
        ("gpt-5.1-codex", None),
        ("gpt-5.1", "priority"),
        ("gpt-5.1", "priority"),
    ]
    assert {event["project_id"] for event in events} == {"shop"}
    assert events[3]["id"] == "response:resp_compact"


def test_a_gemini_chat_is_of_the_project_whose_folder_it_is_in() -> None:
    assert {event["project_id"] for event in read_file("gemini-cli.jsonl")[0]} == {"shop"}
    events, _ = read_texts("gemini-cli", texts_of("gemini-cli.jsonl"), f"/x/tmp/{'ab' * 32}/chats/session-1.json")
    assert "project_id" not in events[0]


def test_a_spend_log_is_the_entry_of_the_same_call() -> None:
    """The same call by either way is one event, to the last field."""
    entry = json.loads((Path(__file__).parent / "captured" / "litellm-1.json").read_bytes())[0]
    (event,) = (
        each for reading in read_litellm(json.dumps(entry).encode(), now=NOW).values() for each in reading.events
    )
    row = {
        "request_id": entry["id"],
        "litellm_call_id": entry["litellm_call_id"],
        "call_type": entry["call_type"],
        "endTime": datetime.fromtimestamp(entry["endTime"], UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
        "model": entry["model"],
        "custom_llm_provider": entry["custom_llm_provider"],
        "api_key": "",
        "team_id": "team_1",
        "user": "u_1",
        "metadata": json.dumps({"usage_object": entry["metadata"]["usage_object"]}),
    }
    assert read_texts("litellm", [json.dumps(row).encode()])[0] == [event]


def test_spend_logs_of_either_form_are_the_same() -> None:
    assert read_file("litellm.csv")[0] == read_file("litellm.jsonl")[0]


def test_lines_of_a_batch_cost_what_batches_do() -> None:
    assert all(event["batch"] for event in read_file("openai-batch.jsonl")[0])


def test_exports_say_provider_model_project_and_user() -> None:
    about = ("provider", "model", "project_id", "user_id")
    found = {
        file: [tuple(event.get(name) for name in about) for event in read_file(file)[0]]
        for file in (
            "langfuse.csv",
            "langsmith.jsonl",
            "cloudflare.json",
            "portkey.jsonl",
            "helicone.jsonl",
            "kong.jsonl",
        )
    }
    assert found["langfuse.csv"][:3] == [
        ("openai", "gpt-4o", "p1", "u_1"),
        ("anthropic", "claude-sonnet-4-5", "p1", "u_1"),
        ("unknown", "gpt-4o", "p1", "u_1"),
    ]
    assert found["langsmith.jsonl"] == [
        ("openai", "gpt-4o-mini", "shop", "u_1"),
        ("google", "gemini-2.5-pro", "shop", None),
    ]
    assert found["cloudflare.json"][1] == ("google", "gemini-2.5-flash", "shop", "u_1")
    assert found["portkey.jsonl"][0] == ("openai", "gpt-4o", None, "u_1")
    assert found["helicone.jsonl"][1] == ("anthropic", "claude-sonnet-4-5", "shop", "u_1")
    assert found["kong.jsonl"][1] == ("cohere", "command", None, "ada")
    assert {event["api_key_id"] for event in read_file("kong.jsonl")[0]} == {"key-1"}


def test_an_answer_in_a_log_is_the_response_it_is() -> None:
    for file, response in (("portkey.jsonl", "chatcmpl-Pk2abc"), ("helicone.jsonl", "chatcmpl-He3abc")):
        assert f"response:{response}" in {event["id"] for event in read_file(file)[0]}


def test_lifetimes_of_cache_writes_are_kept_apart() -> None:
    for file in ("langfuse.jsonl", "langsmith.jsonl"):
        event = read_file(file)[0][1]
        assert (event["input_cache_write_5m_tokens"], event["input_cache_write_1h_tokens"]) == (7, 3)


def test_events_of_one_type_of_tokens_are_one_request_together() -> None:
    events, _ = read_file("cloudevents.jsonl")
    assert [event.get("num_model_requests") for event in events] == [0, None, None]
    assert events[0] == {
        "kind": "completions",
        "id": "cloudevents:chat-app:1",
        "timestamp": 1_793_952_000,
        "provider": "openai",
        "model": "gpt-4o",
        "project_id": "chat-app",
        "user_id": "customer-1",
        "num_model_requests": 0,
        "input_tokens": 123,
        "output_tokens": 0,
    }


def test_what_says_no_time_has_that_of_its_file() -> None:
    row = {"id": "x", "provider": "openai", "model": "m", "tokens_in": 1, "tokens_out": 1}
    reading = Reading()
    (event,) = FORMATS["cloudflare"].read([json.dumps(row).encode()], Origin("a-file", NOW, NOW - 1000), reading)
    assert event["timestamp"] == NOW - 1000
