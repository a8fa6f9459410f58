"""Answers of vendors, as they came: which events they become, and what is not counted."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.kept import assert_kept
from tests.support.vendor_answers import (
    ANTHROPIC_USAGE,
    BEDROCK_LOG,
    BEDROCK_USAGE,
    CHAT,
    CHAT_EVENT,
    CHUNK,
    CHUNKS,
    MADE,
    MESSAGE,
    MESSAGE_EVENT,
    MESSAGE_STREAM,
    NOW,
    ONE,
    RESPONSE,
    STREAMS,
    USAGE,
    ndjson,
    sse,
)

from usageledger.errors import BodyTooLargeError, InvalidRequestError
from usageledger.sources.batches import to_batch
from usageledger.sources.readings import Reading, Reason
from usageledger.sources.vendors import VENDORS, read_vendor


def read(vendor: str, body: Any, **options: Any) -> Reading:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    readings = read_vendor(vendor, text, now=NOW, **options)
    found = Reading()
    for reading in readings.values():
        found.events += reading.events
        found.not_counted |= reading.not_counted
        found.notes |= reading.notes
        found.refused += reading.refused
    assert_kept(found.events)
    assert "secret" not in repr(readings)
    return found


def left(reading: Reading) -> dict[Reason, int]:
    return {reason: tally.count for reason, tally in reading.not_counted.items()}


@pytest.mark.parametrize(("vendor", "answer", "event"), ONE.values(), ids=ONE.keys())
def test_an_answer_is_one_event_in_whatever_form_it_comes(
    vendor: str, answer: dict[str, Any], event: dict[str, Any]
) -> None:
    for body in (json.dumps(answer).encode(), json.dumps([answer]).encode(), ndjson(answer), sse(answer)):
        reading = read(vendor, body)
        assert left(reading) == {}
        (found,) = reading.events
        if "id" not in event:
            assert found["id"].startswith("answer:")
            found = {name: value for name, value in found.items() if name != "id"}
        assert found == event


@pytest.mark.parametrize(("vendor", "pieces", "event"), STREAMS.values(), ids=STREAMS.keys())
def test_a_stream_is_one_event_by_its_last_usage(
    vendor: str, pieces: list[dict[str, Any]], event: dict[str, Any]
) -> None:
    for body in (sse(*pieces), ndjson(*pieces), json.dumps(pieces).encode()):
        reading = read(vendor, body)
        (found,) = reading.events
        assert {name: value for name, value in found.items() if name in event} == event
        assert left(reading) == {}


@pytest.mark.parametrize(("vendor", "pieces", "event"), STREAMS.values(), ids=STREAMS.keys())
def test_a_stream_that_was_cut_gives_less_or_nothing_and_says_so(
    vendor: str, pieces: list[dict[str, Any]], event: dict[str, Any]
) -> None:
    whole = sse(*pieces)
    for length in sorted({*range(0, len(whole), 37), *(len(whole) - n for n in range(1, 40))}):
        try:
            reading = read(vendor, whole[:length])
        except InvalidRequestError:
            continue
        assert len(reading.events) <= 1
        for found in reading.events:
            assert found["input_tokens"] <= event["input_tokens"]
            assert found["output_tokens"] <= event["output_tokens"]
    first = next(index for index, each in enumerate(pieces) if each.get("object") != "")
    assert left(read(vendor, sse(pieces[first]))) in ({Reason.NO_USAGE: 1}, {})


def test_streams_of_one_body_are_told_apart() -> None:
    again = [chunk | {"id": "chatcmpl-2b"} if chunk["id"] else chunk for chunk in CHUNKS]
    reading = read("openai", sse(*CHUNKS) + sse(*again))
    assert [event["id"] for event in reading.events] == ["response:chatcmpl-1a", "response:chatcmpl-2b"]
    two = read("anthropic", sse(*MESSAGE_STREAM, *MESSAGE_STREAM[:3], *MESSAGE_STREAM))
    assert len(two.events) == 2
    assert left(two) == {Reason.NO_USAGE: 1}


@pytest.mark.parametrize(
    "chunk",
    [{"id": "cmpl-7", "object": "text_completion"}, {"id": "chatcmpl-7"}, {"id": None, "object": "text_completion"}],
)
def test_answers_whose_ids_come_again_count_each(chunk: dict[str, Any]) -> None:
    pieces = [CHUNK | chunk | {"usage": USAGE | {"service": n}} for n in range(2)]
    reading = read("ollama", ndjson(*pieces))
    assert [event["input_tokens"] for event in reading.events] == [1000, 1000]
    assert len({event["id"] for event in reading.events}) == 2


def test_the_model_of_answers_that_name_none_is_the_one_that_is_said() -> None:
    usage = {"usage": BEDROCK_USAGE}
    assert read("bedrock", usage, model="anthropic.claude").events[0]["model"] == "anthropic.claude"
    assert read("openai", CHAT, model="other").events[0]["model"] == "gpt-4o-2024-08-06"
    heard = {
        "type": "conversation.item.input_audio_transcription.completed",
        "transcript": "secret",
        "usage": {"type": "duration", "seconds": 3},
    }
    (event,) = read("openai", heard, model="gpt-realtime").events
    assert (event["kind"], event["seconds"], event.get("model")) == ("audio_transcriptions", 3, None)


def test_searches_and_advice_are_events_of_their_own() -> None:
    entry = {"input_tokens": 5, "output_tokens": 7}
    usage = ANTHROPIC_USAGE | {
        "server_tool_use": {"web_search_requests": 2},
        "iterations": [
            {"type": "compaction", **entry},
            {"type": "advisor_message", "model": "claude-opus-4-6", **entry},
        ],
    }
    whole, searches, compaction, advice = read("anthropic", MESSAGE | {"usage": usage}).events
    assert whole == MESSAGE_EVENT
    assert searches == {
        "kind": "web_search_calls",
        "id": "response:msg_1:web_search",
        "timestamp": NOW,
        "provider": "anthropic",
        "model": "claude-sonnet-4-5",
        "num_requests": 2,
    }
    assert (compaction["id"], compaction["model"]) == ("response:msg_1:iteration:0", "claude-sonnet-4-5")
    assert (advice["id"], advice["model"], advice["input_tokens"]) == (
        "response:msg_1:iteration:1",
        "claude-opus-4-6",
        5,
    )


def test_calls_of_tools_in_responses_are_events_of_their_own() -> None:
    output = [
        {"type": "web_search_call", "action": {"type": "search", "query": "secret"}},
        {"type": "web_search_call", "action": {"type": "open_page"}},
        {"type": "web_search_call"},
        {"type": "file_search_call", "queries": ["secret"]},
        {"type": 5},
    ]
    web = {"type": "web_search_preview_2025_03_11", "search_context_size": "low"}
    tools = [web, {"type": "file_search", "vector_store_ids": ["vs_1"]}, {"type": "function", "name": "secret"}]
    _, searches, in_files = read("openai", RESPONSE | {"output": output, "tools": tools}).events
    assert searches == {
        "kind": "web_search_calls",
        "id": "response:resp_1:web_search",
        "timestamp": MADE,
        "provider": "openai",
        "model": "gpt-5-2025-08-07",
        "num_requests": 2,
        "tool": "web_search_preview",
        "context_level": "low",
    }
    assert (in_files["num_requests"], in_files["vector_store_id"]) == (1, "vs_1")
    _, searches, in_files = read("openai", RESPONSE | {"output": output, "tools": [*tools, *tools]}).events
    assert not {"tool", "context_level"} & set(searches)
    assert "vector_store_id" not in in_files


def test_a_picture_written_as_text_is_another_models() -> None:
    svg = {"model": "svg-1", "input_tokens": 3, "output_tokens": 4, "reasoning_tokens": 1, "total_tokens": 7}
    answer = {"created": MADE, "data": [{}], "usage": {"input_tokens": 50, "output_tokens": 200}, "svg_usage": svg}
    image, text = read("openai", answer, model="gpt-image-2").events
    assert (image["model"], image["output_image_tokens"]) == ("gpt-image-2", 200)
    assert (text["model"], text["input_tokens"], text["output_tokens"]) == ("svg-1", 3, 4)
    assert text["id"] == image["id"] + ":svg"


def test_equal_answers_without_an_id_count_each_and_the_same_again() -> None:
    embeddings = {"object": "list", "data": [], "model": "m", "usage": {"prompt_tokens": 5, "total_tokens": 5}}
    body = ndjson(embeddings, embeddings)
    first, second = read("openai", body).events
    assert first["id"] != second["id"]
    assert [event["id"] for event in read("openai", body).events] == [first["id"], second["id"]]


@pytest.mark.parametrize(
    ("vendor", "answer", "reason"),
    [
        ("openai", CHAT | {"usage": None}, Reason.NO_USAGE),
        ("openai", {"id": "modr-1", "model": "omni-moderation-latest", "results": [{}]}, Reason.NO_USAGE),
        ("openai", {"id": "batch_1", "object": "batch", "usage": RESPONSE["usage"]}, Reason.AGGREGATE),
        ("openai", {"error": {"message": "secret", "code": "x"}}, Reason.FAILED_CALL),
        ("openai", {"id": "b", "custom_id": "c", "response": {"status_code": 500, "body": {}}}, Reason.FAILED_CALL),
        ("openai", {"id": "b", "custom_id": "c", "response": None, "error": {"code": "x"}}, Reason.FAILED_CALL),
        ("anthropic", {"type": "error", "error": {"type": "overloaded_error"}}, Reason.FAILED_CALL),
        ("anthropic", {"custom_id": "c", "result": {"type": "expired"}}, Reason.FAILED_CALL),
        ("bedrock", BEDROCK_LOG | {"errorCode": "Throttling", "output": None}, Reason.FAILED_CALL),
        ("cohere", {"id": "c", "results": [{}], "meta": {"billed_units": {"search_units": 1}}}, Reason.UNKNOWN_KIND),
        ("openai", CHAT | {"usage": USAGE | {"total_tokens": 7}}, Reason.REFUSED),
        ("openai", CHAT | {"id": ["odd"]}, Reason.REFUSED),
        ("openai", {}, Reason.NO_USAGE),
    ],
)
def test_the_reason_of_what_is_not_counted(vendor: str, answer: dict[str, Any], reason: Reason) -> None:
    reading = read(vendor, answer)
    assert left(reading) == {reason: 1}
    assert not reading.events


def test_a_refusal_names_the_response_and_its_numbers() -> None:
    reading = read("openai", CHAT | {"usage": USAGE | {"total_tokens": 7}})
    ((example, why),) = reading.refused
    assert example == "response:chatcmpl-1a"
    assert why == "the total (7) is not the input (1000) plus the output (500)"


def test_lines_that_are_no_json_are_refused_and_the_others_count() -> None:
    reading = read("openai", b"oops\n" + ndjson(CHAT) + b'{"id": \n[]\n')
    assert len(reading.events) == 1
    assert left(reading) == {Reason.REFUSED: 3}


@pytest.mark.parametrize("body", [b"", b"oops", b"\xff\xfe", b'{"a":', b"[" * 100_000])
def test_a_body_that_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        read_vendor("openai", body, now=NOW)


def test_an_unknown_vendor_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(InvalidRequestError, match=r"Did you mean 'anthropic'.*'bedrock'") as refused:
        read_vendor("antropic", b"{}", now=NOW)
    assert refused.value.param == "vendor"
    assert all(repr(vendor) in refused.value.message for vendor in VENDORS)


@pytest.mark.parametrize("body", [ndjson(*[CHAT] * 4), sse(*[CHUNK | {"id": str(n)} for n in range(4)])])
def test_a_body_has_at_most_so_many_responses(body: bytes) -> None:
    read_vendor("openai", body, now=NOW, items_max=4)
    with pytest.raises(BodyTooLargeError):
        read_vendor("openai", body, now=NOW, items_max=3)


PIECES = [
    *(answer for _, answer, _ in ONE.values()),
    *(piece for _, pieces, _ in STREAMS.values() for piece in pieces),
]
KEYS = sorted({key for piece in PIECES for key in piece})
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([value for piece in PIECES for value in piece.values()]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def objects_like_those(draw: st.DrawFn) -> dict[str, Any]:
    piece: dict[str, Any] = draw(st.sampled_from(PIECES))
    return piece | {draw(st.sampled_from(KEYS)): draw(VALUES)}


OBJECTS = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8) | objects_like_those()


@given(st.lists(OBJECTS | VALUES, max_size=4), st.sampled_from(list(VENDORS)), st.sampled_from([ndjson, sse, None]))
def test_any_json_is_read_or_refused(objects: list[Any], vendor: str, form: Any) -> None:
    body = form(*objects) if form else json.dumps(objects).encode()
    try:
        readings = read_vendor(vendor, body, now=NOW)
    except InvalidRequestError:
        return
    for reading in readings.values():
        to_batch(reading.events)


@given(st.binary(max_size=200) | st.builds(base64.b64decode, st.just(base64.b64encode(sse(*CHUNKS)))))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for prefix in (b"", b"data: ", b"[", b'{"usage":'):
        try:
            read_vendor("openai", prefix + body, now=NOW)
        except InvalidRequestError:
            continue


HOSTILE = {
    "half a character": rb'"\ud800"',
    "a NUL": rb'"\u0000"',
    "a number beyond all floats": b"1e400",
    "digits without end": b"9" * 5_000,
    "a fraction": b"90.5",
    "bytes that are no UTF-8": b'"\xff"',
    "depth": b"[" * 5_000 + b"]" * 5_000,
    "an object": b'{"type": {}}',
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("name", ["id", "model", "created", "prompt_tokens", "service_tier", "content"])
def test_hostile_values_harm_only_their_own_answer(name: str, value: bytes) -> None:
    text = json.dumps(CHAT | {"choices": [{"content": "mark"}]}).encode()
    mark = {"content": b'"mark"', "prompt_tokens": b"1000", "created": str(MADE).encode()}.get(name)
    mark = mark or json.dumps(CHAT[name]).encode()
    spoilt = text.replace(mark, value, 1)
    assert spoilt != text
    for body in (ndjson(CHAT) + spoilt, b"data: " + spoilt + b"\n\ndata: " + json.dumps(CHAT).encode()):
        readings = read_vendor("openai", body, now=NOW)
        (reading,) = readings.values()
        batch = to_batch(reading.events)
        assert batch.count + batch.refused.events + sum(left(reading).values()) == 2
        assert CHAT_EVENT in reading.events
