"""LiteLLM's batches: the totals of captured ones, the fields of events, and what is not counted."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.kept import assert_kept

from usageledger.errors import BodyTooLargeError, InvalidRequestError
from usageledger.sources.batches import to_batch
from usageledger.sources.litellm import KINDS, call_event_id, read_litellm
from usageledger.sources.readings import Emitter, Note, Reading, Reason, Tally
from usageledger.sources.vendors import read_vendor

NOW = 1_794_970_000
CAPTURED = Path(__file__).parent / "captured"
ENTRIES: list[dict[str, Any]] = [
    entry for name in ("litellm-1", "litellm-8") for entry in json.loads((CAPTURED / f"{name}.json").read_bytes())
]
CHAT, STREAM, UNASKED, ANTHROPIC, ANTHROPIC_STREAM, GEMINI, EMBEDDING, RESPONSES, MOCK = ENTRIES


def read(*entries: Any, body: bytes | None = None) -> Reading:
    body = json.dumps(entries).encode() if body is None else body
    reading = read_litellm(body, now=NOW, version="1.110.2")[Emitter("litellm", "1.110.2")]
    assert_kept(reading.events)
    return reading


def with_usage(entry: dict[str, Any], usage: Any, **fields: Any) -> dict[str, Any]:
    return entry | {"metadata": entry["metadata"] | {"usage_object": usage}} | fields


def left(reading: Reading) -> dict[Reason, int]:
    return {reason: tally.count for reason, tally in reading.not_counted.items()}


def totals(events: list[dict[str, Any]], provider: str) -> tuple[int, ...]:
    of = [event for event in events if event["provider"] == provider and event["kind"] == "completions"]
    names = ("input_tokens", "input_cached_tokens", "input_cache_write_tokens", "output_tokens")
    return (len(of), *(sum(event.get(name, 0) for event in of) for name in names))


ARRAY = json.dumps(ENTRIES).encode()
LINES = b"\n".join(json.dumps(entry).encode() for entry in ENTRIES)


@pytest.mark.parametrize("body", [ARRAY, LINES])
def test_captured_batches_have_the_right_totals(body: bytes) -> None:
    reading = read(body=body)
    # three answers, an estimate of 8 and 1, and a mock of 10 and 20
    assert totals(reading.events, "openai") == (5, 3 * 1000 + 8 + 10, 3 * 400, 0, 3 * 500 + 1 + 20)
    assert totals(reading.events, "anthropic") == (2, 2 * 1000, 2 * 900, 2 * 10, 2 * 150)
    assert totals(reading.events, "google") == (1, 1000, 400, 0, 500)
    (embedding,) = (event for event in reading.events if event["kind"] == "embeddings")
    assert embedding["input_tokens"] == 730
    assert left(reading) == {}
    assert reading.notes == {Note.ESTIMATED: Tally(1, "response:chatcmpl-fake3")}


def test_an_entry_alone_is_read() -> None:
    assert read(body=json.dumps(CHAT).encode()).events == [
        {
            "kind": "completions",
            "id": "response:chatcmpl-fake1",
            "timestamp": 1_795_747_091,
            "provider": "openai",
            "model": "gpt-4o-2024-08-06",
            "project_id": "team_1",
            "user_id": "u_1",
            "input_tokens": 1000,
            "input_cached_tokens": 400,
            "output_tokens": 500,
        }
    ]


def test_cache_writes_of_5_minutes_and_an_hour_are_told_apart() -> None:
    (event,) = read(ANTHROPIC).events
    assert (event["input_cache_write_5m_tokens"], event["input_cache_write_1h_tokens"]) == (7, 3)
    usage = ANTHROPIC["metadata"]["usage_object"]
    untold = usage | {"prompt_tokens_details": usage["prompt_tokens_details"] | {"cache_creation_token_details": None}}
    assert read(with_usage(ANTHROPIC, untold)).notes == {
        Note.CACHE_LIFETIME_UNKNOWN: Tally(1, f"response:{ANTHROPIC['id']}")
    }


def test_cached_tokens_are_the_larger_of_both_places() -> None:
    usage = {
        "prompt_tokens": 3000,
        "completion_tokens": 5,
        "total_tokens": 3005,
        "prompt_tokens_details": {"cached_tokens": 0},
        "cache_read_input_tokens": 2455,
    }
    assert read(with_usage(ANTHROPIC, usage)).events[0]["input_cached_tokens"] == 2455


def test_who_it_was() -> None:
    metadata = CHAT["metadata"] | {
        "user_api_key_team_id": None,
        "user_api_key_user_id": "",
        "user_api_key_hash": "88dc",
    }
    entry = CHAT | {"metadata": metadata | {"user_api_key_project_id": "proj_1"}, "end_user": "ada"}
    (event,) = read(entry).events
    assert (event["project_id"], event["user_id"], event["api_key_id"]) == ("proj_1", "ada", "88dc")
    (event,) = read(CHAT | {"metadata": metadata | {"user_api_key_hash": "sk-secret"}}).events
    assert not {"project_id", "user_id", "api_key_id"} & set(event)


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("vertex_ai", "google"),
        ("bedrock", "aws"),
        ("bedrock_converse", "aws"),
        ("xai", "x-ai"),
        ("hosted_vllm", "vllm"),
    ],
)
def test_providers_have_the_names_of_prices(provider: str, name: str) -> None:
    assert read(CHAT | {"custom_llm_provider": provider}).events[0]["provider"] == name


def test_a_call_is_the_same_response_as_the_vendors_answer_and_a_span_of_the_caller() -> None:
    answer = {
        "object": "response",
        "created_at": 1_795_747_095,
        "usage": {"input_tokens": 1000, "output_tokens": 500},
    }
    for response_id in ("resp_fake8", RESPONSES["id"]):  # asked for by itself, or through LiteLLM
        (answers,) = read_vendor("openai", json.dumps(answer | {"id": response_id}).encode(), now=NOW).values()
        assert read(RESPONSES).events[0]["id"] == answers.events[0]["id"] == "response:resp_fake8"
    assert read(ANTHROPIC).events[0]["id"] == "response:chatcmpl-a59bcce3-9875-4486-8cf2-54e33faf4471"


def test_a_spend_log_is_the_same_call() -> None:
    for entry in ENTRIES:
        assert call_event_id(entry["id"], entry["litellm_call_id"]) == read(entry).events[0]["id"]
    assert call_event_id("chatcmpl-123", "7a7d") == "response:7a7d"
    assert call_event_id(None, None) is None
    assert read(CHAT | {"id": None, "litellm_call_id": ""}).events[0]["id"].startswith("litellm:")


@pytest.mark.parametrize(
    "response_id",
    ["resp_fake8", "resp_!!", "resp_" + base64.b64encode(b"\xff").decode(), "resp_" + "a" * 5000, "resp_\u00e9"],
)
def test_an_id_that_wraps_nothing_stays(response_id: str) -> None:
    assert read(RESPONSES | {"id": response_id}).events[0]["id"] == call_event_id(response_id, None)


ZERO = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (CHAT | {"cache_hit": True}, Reason.CACHE_HIT),
        (CHAT | {"cache_hit": "True"}, Reason.CACHE_HIT),
        (CHAT | {"status": "failure"}, Reason.FAILED_CALL),
        (CHAT | {"call_type": "arerank"}, Reason.UNKNOWN_KIND),
        (CHAT | {"call_type": None}, Reason.UNKNOWN_KIND),
        (with_usage(CHAT, ZERO), Reason.NO_USAGE),
        (with_usage(CHAT, None) | ZERO, Reason.NO_USAGE),
        (with_usage(CHAT, None, call_type="pass_through_endpoint", total_tokens=None) | ZERO, Reason.NO_USAGE),
        (with_usage(CHAT, ZERO, call_type="aspeech"), Reason.NO_USAGE),
        (with_usage(CHAT, ZERO, call_type="amoderation"), Reason.NO_USAGE),
        (with_usage(CHAT, {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 7}), Reason.REFUSED),
        (CHAT | {"id": 5}, Reason.REFUSED),
        (5, Reason.REFUSED),
    ],
)
def test_the_reason_of_what_is_not_counted(entry: Any, reason: Reason) -> None:
    reading = read(entry)
    assert left(reading) == {reason: 1}
    assert not reading.events


def test_other_kinds_are_counted_by_what_is_charged() -> None:
    image = {"input_tokens": 50, "output_tokens": 200, "total_tokens": 250}
    asked = {"n": 2, "size": "1024x1024", "prompt": "secret"}
    by_tokens, by_number, seconds, heard = read(
        with_usage(CHAT, image, call_type="aimage_generation"),
        with_usage(CHAT, None, call_type="image_edit", model_parameters=asked) | ZERO,
        with_usage(CHAT, {"type": "duration", "seconds": 12.1}, call_type="atranscription"),
        with_usage(CHAT, {"prompt_tokens": 14, "completion_tokens": 45, "total_tokens": 59}, call_type="transcription"),
    ).events
    assert (by_tokens["kind"], by_tokens["output_image_tokens"]) == ("completions", 200)
    assert [by_number[name] for name in ("kind", "images", "size", "source")] == [
        "images",
        2,
        "1024x1024",
        "image.edit",
    ]
    assert (seconds["kind"], seconds["seconds"]) == ("audio_transcriptions", 13)
    assert (heard["kind"], heard["input_tokens"]) == ("completions", 14)


@pytest.mark.parametrize(
    ("call_type", "kind"),
    [
        ("anthropic_messages", "completions"),
        ("aanthropic_messages", "completions"),
        ("_arealtime", "completions"),
        ("_aresponses_websocket", "completions"),
        ("agenerate_content_stream", "completions"),
        ("adecisions", "decisions"),
        ("embedding", "embeddings"),
        ("moderation", "moderations"),
    ],
)
def test_call_types_have_kinds(call_type: str, kind: str) -> None:
    assert read(CHAT | {"call_type": call_type}).events[0]["kind"] == kind


def test_searches_are_events_of_their_own() -> None:
    usage = ANTHROPIC["metadata"]["usage_object"] | {"server_tool_use": {"web_search_requests": 2}}
    _, searches = read(with_usage(ANTHROPIC, usage)).events
    assert (searches["kind"], searches["num_requests"]) == ("web_search_calls", 2)
    assert searches["id"] == f"response:{ANTHROPIC['id']}:web_search"


def test_usage_of_older_versions_is_read_from_the_entry() -> None:
    (event,) = read(with_usage(CHAT, None)).events
    assert (event["input_tokens"], event["output_tokens"]) == (1000, 500)
    assert "input_cached_tokens" not in event


def test_a_stream_of_a_vendor_that_gives_no_details_is_no_estimate() -> None:
    assert not read(UNASKED | {"custom_llm_provider": "hosted_vllm"}).notes
    assert not read(UNASKED | {"stream": None}).notes


def test_a_body_has_at_most_so_many_entries_and_is_json() -> None:
    with pytest.raises(BodyTooLargeError):
        read_litellm(ARRAY, now=NOW, items_max=8)
    for body in (b"", b"oops"):
        with pytest.raises(InvalidRequestError):
            read_litellm(body, now=NOW)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(list(KINDS)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(sorted(CHAT["metadata"]["usage_object"])), inner, max_size=4)
    ),
    max_leaves=8,
)


@st.composite
def entries_like_captured_ones(draw: st.DrawFn) -> dict[str, Any]:
    entry = with_usage(draw(st.sampled_from(ENTRIES)), draw(VALUES))
    return entry | {draw(st.sampled_from(sorted(CHAT))): draw(VALUES)}


@given(st.lists(entries_like_captured_ones() | VALUES, max_size=3))
def test_any_json_is_read_or_refused(entries: list[Any]) -> None:
    try:
        readings = read_litellm(json.dumps(entries).encode(), now=NOW)
    except InvalidRequestError:
        return  # JSON has no NaN
    for reading in readings.values():
        to_batch(reading.events)
