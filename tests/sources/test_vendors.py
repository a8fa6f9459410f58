"""Answers of vendors, as they came: which events they become, and what is not counted."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.kept import assert_kept

from usageledger.errors import BodyTooLargeError, InvalidRequestError
from usageledger.sources.batches import to_batch
from usageledger.sources.readings import Reading, Reason
from usageledger.sources.vendors import VENDORS, read_vendor

NOW = 1_794_970_000
MADE = 1_794_960_000
USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 500,
    "total_tokens": 1500,
    "prompt_tokens_details": {"cached_tokens": 400},
}
COUNTS = {"input_tokens": 1000, "input_cached_tokens": 400, "output_tokens": 500}
CHAT = {
    "id": "chatcmpl-1a",
    "object": "chat.completion",
    "created": MADE,
    "model": "gpt-4o-2024-08-06",
    "service_tier": "default",
    "choices": [{"message": {"role": "assistant", "content": "secret"}, "finish_reason": "stop"}],
    "usage": USAGE,
}
CHAT_EVENT = {
    "kind": "completions",
    "id": "response:chatcmpl-1a",
    "timestamp": MADE,
    "provider": "openai",
    "model": "gpt-4o-2024-08-06",
    "service_tier": "default",
    **COUNTS,
}
CHUNK = {"id": "chatcmpl-1a", "object": "chat.completion.chunk", "created": MADE, "model": "gpt-4o-2024-08-06"}
CHUNKS = [
    {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": []},
    CHUNK | {"choices": [{"delta": {"content": "secret"}}], "usage": None, "service_tier": "default"},
    CHUNK | {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": None},
    CHUNK | {"choices": [], "usage": USAGE},
]
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": MADE,
    "model": "gpt-5-2025-08-07",
    "service_tier": "default",
    "metadata": {"usage": "none"},
    "text": {"format": {"type": "text"}},
    "output": [{"type": "message", "content": [{"type": "output_text", "text": "secret"}]}],
    "usage": {
        "input_tokens": 1000,
        "input_tokens_details": {"cached_tokens": 400},
        "output_tokens": 500,
        "output_tokens_details": {"reasoning_tokens": 120},
        "total_tokens": 1500,
    },
}
RESPONSE_STREAM: list[dict[str, Any]] = [
    {"type": "response.created", "response": RESPONSE | {"usage": None, "output": []}},
    {"type": "response.output_text.delta", "delta": "secret"},
    {"type": "response.completed", "response": RESPONSE},
]
ANTHROPIC_USAGE = {
    "input_tokens": 90,
    "cache_read_input_tokens": 900,
    "cache_creation_input_tokens": 10,
    "cache_creation": {"ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 3},
    "output_tokens": 150,
    "service_tier": "standard",
}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [{"type": "text", "text": "secret"}],
    "usage": ANTHROPIC_USAGE,
}
MESSAGE_EVENT = {
    "kind": "completions",
    "id": "response:msg_1",
    "timestamp": NOW,
    "provider": "anthropic",
    "model": "claude-sonnet-4-5",
    "service_tier": "standard",
    "input_tokens": 1000,
    "input_cached_tokens": 900,
    "input_cache_write_tokens": 10,
    "input_cache_write_5m_tokens": 7,
    "input_cache_write_1h_tokens": 3,
    "output_tokens": 150,
}
MESSAGE_STREAM: list[dict[str, Any]] = [
    {"type": "message_start", "message": MESSAGE | {"usage": ANTHROPIC_USAGE | {"output_tokens": 1}}},
    {"type": "ping"},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "secret"}},
    {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 50, "input_tokens": None}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 150}},
    {"type": "message_stop"},
]
GEMINI: dict[str, Any] = {
    "candidates": [{"content": {"parts": [{"text": "secret"}]}, "finishReason": "STOP"}],
    "usageMetadata": {
        "promptTokenCount": 1000,
        "cachedContentTokenCount": 400,
        "candidatesTokenCount": 380,
        "thoughtsTokenCount": 120,
        "totalTokenCount": 1500,
    },
    "modelVersion": "gemini-2.5-flash",
    "responseId": "gem-1",
}
GEMINI_EVENT = {
    "kind": "completions",
    "id": "response:gem-1",
    "timestamp": NOW,
    "provider": "google",
    "model": "gemini-2.5-flash",
    **COUNTS,
}
GEMINI_STREAM = [
    GEMINI
    | {
        "candidates": [{"content": {}}],
        "usageMetadata": {"promptTokenCount": 1000, "cachedContentTokenCount": 400, "totalTokenCount": 1000},
    },
    GEMINI,
]
BEDROCK_USAGE = {
    "inputTokens": 90,
    "cacheReadInputTokens": 900,
    "cacheWriteInputTokens": 10,
    "outputTokens": 150,
    "totalTokens": 1150,
}
BEDROCK_LOG = {
    "schemaType": "ModelInvocationLog",
    "schemaVersion": "1.0",
    "timestamp": "2026-11-17T23:46:40Z",
    "accountId": "123456789012",
    "identity": {"arn": "arn:aws:iam::123456789012:user/ada"},
    "region": "us-east-1",
    "requestId": "6ba7b810",
    "operation": "Converse",
    "modelId": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "input": {"inputBodyJson": {"messages": ["secret"]}, "inputTokenCount": 90, "cacheReadInputTokenCount": 900},
    "output": {"outputBodyJson": {"text": "secret"}, "outputTokenCount": 150},
}


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


def ndjson(*objects: Any) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in objects)


def sse(*objects: Any, end: bytes = b"data: [DONE]\n\n") -> bytes:
    lines = b"".join(b"event: e\ndata: " + json.dumps(each).encode() + b"\n\n" for each in objects)
    return b": hello\n" + lines + end


def left(reading: Reading) -> dict[Reason, int]:
    return {reason: tally.count for reason, tally in reading.not_counted.items()}


ONE: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "chat": ("openai", CHAT, CHAT_EVENT),
    "legacy completions": (
        "openai",
        CHAT | {"object": "text_completion", "id": "cmpl-1"},
        CHAT_EVENT | {"id": "response:cmpl-1"},
    ),
    "responses": (
        "openai",
        RESPONSE,
        CHAT_EVENT | {"id": "response:resp_1", "model": "gpt-5-2025-08-07"},
    ),
    "azure": ("azure", CHAT, CHAT_EVENT | {"provider": "azure"}),
    "a number of Ollama's that comes again": (
        "ollama",
        CHAT | {"id": "chatcmpl-123", "service_tier": None},
        {name: value for name, value in CHAT_EVENT.items() if name not in {"id", "service_tier"}}
        | {"provider": "ollama"},
    ),
    "anthropic": ("anthropic", MESSAGE, MESSAGE_EVENT),
    "anthropic on Bedrock": ("bedrock", MESSAGE, MESSAGE_EVENT | {"provider": "aws"}),
    "gemini": ("gemini", GEMINI, GEMINI_EVENT),
    "vertex": (
        "vertex",
        GEMINI
        | {"createTime": "2026-11-17T21:00:00.123456Z"}
        | {"usageMetadata": GEMINI["usageMetadata"] | {"trafficType": "ON_DEMAND"}},
        GEMINI_EVENT | {"timestamp": 1_794_949_200, "service_tier": "on_demand"},
    ),
    "bedrock converse": (
        "bedrock",
        {
            "output": {"message": {"content": "secret"}},
            "usage": BEDROCK_USAGE,
            "serviceTier": {"type": "default"},
            "ResponseMetadata": {"RequestId": "r-1"},
        },
        {
            "kind": "completions",
            "id": "response:r-1",
            "timestamp": NOW,
            "provider": "aws",
            "service_tier": "default",
            "input_tokens": 1000,
            "input_cached_tokens": 900,
            "input_cache_write_tokens": 10,
            "output_tokens": 150,
        },
    ),
    "bedrock log": (
        "bedrock",
        BEDROCK_LOG,
        {
            "kind": "completions",
            "id": "response:6ba7b810",
            "timestamp": 1_794_959_200,
            "provider": "aws",
            "model": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "project_id": "123456789012",
            "user_id": "arn:aws:iam::123456789012:user/ada",
            "input_tokens": 990,
            "input_cached_tokens": 900,
            "output_tokens": 150,
        },
    ),
    "groq": (
        "groq",
        CHAT | {"usage": None, "x_groq": {"id": "req_1", "usage": USAGE}},
        CHAT_EVENT | {"provider": "groq"},
    ),
    "xai": ("xai", CHAT, CHAT_EVENT | {"provider": "x-ai"}),
    "cohere": (
        "cohere",
        {
            "id": "c-1",
            "message": {"content": "secret"},
            "usage": {"billed_units": {"input_tokens": 10.0, "output_tokens": 5}},
        },
        {
            "kind": "completions",
            "id": "response:c-1",
            "timestamp": NOW,
            "provider": "cohere",
            "input_tokens": 10,
            "output_tokens": 5,
        },
    ),
    "cohere embed": (
        "cohere",
        {"id": "c-2", "embeddings": {"float": [[0.1]]}, "meta": {"billed_units": {"input_tokens": 730}}},
        {"kind": "embeddings", "id": "response:c-2", "timestamp": NOW, "provider": "cohere", "input_tokens": 730},
    ),
    "mistral embeddings": (
        "mistral",
        {
            "id": "m-1",
            "object": "list",
            "data": [{"embedding": [0.1]}],
            "model": "mistral-embed",
            "usage": {"prompt_tokens": 730, "total_tokens": 730},
        },
        {
            "kind": "embeddings",
            "id": "response:m-1",
            "timestamp": NOW,
            "provider": "mistral",
            "model": "mistral-embed",
            "input_tokens": 730,
        },
    ),
    "realtime": (
        "openai",
        {
            "type": "response.done",
            "event_id": "e",
            "response": {
                "id": "resp_2",
                "object": "realtime.response",
                "status": "completed",
                "usage": {"total_tokens": 15, "input_tokens": 10, "output_tokens": 5},
            },
        },
        {
            "kind": "completions",
            "id": "response:resp_2",
            "timestamp": NOW,
            "provider": "openai",
            "input_tokens": 10,
            "output_tokens": 5,
        },
    ),
    "batch of OpenAI's": (
        "openai",
        {
            "id": "batch_req_1",
            "custom_id": "c",
            "response": {"status_code": 200, "request_id": "r", "body": CHAT},
            "error": None,
        },
        CHAT_EVENT | {"id": "response:batch_req_1", "batch": True},
    ),
    "batch of Anthropic's": (
        "anthropic",
        {
            "custom_id": "c",
            "result": {
                "type": "succeeded",
                "message": MESSAGE | {"usage": ANTHROPIC_USAGE | {"service_tier": "batch"}},
            },
        },
        {name: value for name, value in MESSAGE_EVENT.items() if name != "service_tier"} | {"batch": True},
    ),
    "batch of Gemini's": ("gemini", {"key": "k", "response": GEMINI}, GEMINI_EVENT | {"batch": True}),
    "batch of Bedrock's": (
        "bedrock",
        {"recordId": "1", "modelInput": {"messages": "secret"}, "modelOutput": MESSAGE},
        MESSAGE_EVENT | {"provider": "aws", "batch": True},
    ),
    "ollama": (
        "ollama",
        {
            "model": "llama3.2",
            "created_at": "2026-11-17T23:46:40.5Z",
            "response": "secret",
            "done": True,
            "prompt_eval_count": 10,
            "eval_count": 5,
        },
        {
            "kind": "completions",
            "timestamp": 1_794_959_200,
            "provider": "ollama",
            "model": "llama3.2",
            "input_tokens": 10,
            "output_tokens": 5,
        },
    ),
    "an image, by tokens": (
        "openai",
        {
            "created": MADE,
            "data": [{"b64_json": "secret"}],
            "size": "1024x1024",
            "usage": {
                "input_tokens": 50,
                "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
                "output_tokens": 200,
                "total_tokens": 250,
            },
        },
        {
            "kind": "completions",
            "timestamp": MADE,
            "provider": "openai",
            "input_tokens": 50,
            "input_image_tokens": 40,
            "output_tokens": 200,
            "output_image_tokens": 200,
        },
    ),
    "images, by number": (
        "openai",
        {"created": MADE, "data": [{"url": "secret"}, {"url": "secret"}], "quality": "hd"},
        {"kind": "images", "timestamp": MADE, "provider": "openai", "images": 2, "quality": "hd"},
    ),
    "a transcription, by tokens": (
        "openai",
        {
            "text": "secret",
            "usage": {
                "type": "tokens",
                "input_tokens": 14,
                "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
                "output_tokens": 45,
                "total_tokens": 59,
            },
        },
        {
            "kind": "completions",
            "timestamp": NOW,
            "provider": "openai",
            "input_tokens": 14,
            "input_audio_tokens": 14,
            "output_tokens": 45,
        },
    ),
    "a transcription, by seconds": (
        "openai",
        {"text": "secret", "usage": {"type": "duration", "seconds": 12.1}},
        {"kind": "audio_transcriptions", "timestamp": NOW, "provider": "openai", "seconds": 13},
    ),
    "speech": (
        "openai",
        {"type": "speech.audio.done", "usage": {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}},
        {
            "kind": "completions",
            "timestamp": NOW,
            "provider": "openai",
            "input_tokens": 14,
            "output_tokens": 101,
            "output_audio_tokens": 101,
        },
    ),
    "vertex embeddings": (
        "vertex",
        {
            "predictions": [
                {"embeddings": {"values": [0.1], "statistics": {"token_count": 4.0}}},
                {"embeddings": {"statistics": {"token_count": 3.0}}},
            ]
        },
        {"kind": "embeddings", "timestamp": NOW, "provider": "google", "input_tokens": 7},
    ),
}


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


STREAMS: dict[str, tuple[str, list[dict[str, Any]], dict[str, Any]]] = {
    "chat": ("openai", CHUNKS, CHAT_EVENT),
    "responses": ("openai", RESPONSE_STREAM, CHAT_EVENT | {"id": "response:resp_1", "model": "gpt-5-2025-08-07"}),
    "anthropic": ("anthropic", MESSAGE_STREAM, MESSAGE_EVENT),
    "gemini": ("gemini", GEMINI_STREAM, GEMINI_EVENT),
    "groq": (
        "groq",
        [*CHUNKS[:3], CHUNK | {"choices": [], "x_groq": {"usage": USAGE}}, CHUNKS[3]],
        CHAT_EVENT | {"provider": "groq"},
    ),
    "usage in every piece": (
        "vllm",
        [
            CHUNK | {"choices": [], "usage": USAGE | {"completion_tokens": n, "total_tokens": 1000 + n}}
            for n in (1, 500)
        ],
        {name: value for name, value in CHAT_EVENT.items() if name != "service_tier"} | {"provider": "vllm"},
    ),
    "cohere": (
        "cohere",
        [
            {"id": "c-1", "type": "message-start", "delta": {"message": {"role": "assistant"}}},
            {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "secret"}}}},
            {
                "type": "message-end",
                "delta": {
                    "finish_reason": "COMPLETE",
                    "usage": {"billed_units": {"input_tokens": 10, "output_tokens": 5}},
                },
            },
        ],
        {
            "kind": "completions",
            "id": "response:c-1",
            "timestamp": NOW,
            "provider": "cohere",
            "input_tokens": 10,
            "output_tokens": 5,
        },
    ),
    "bedrock": (
        "bedrock",
        [
            {"messageStart": {"role": "assistant"}},
            {"contentBlockDelta": {"delta": {"text": "secret"}}},
            {"messageStop": {"stopReason": "end_turn"}},
            {"metadata": {"usage": BEDROCK_USAGE, "metrics": {"latencyMs": 1}}},
        ],
        {
            "kind": "completions",
            "timestamp": NOW,
            "provider": "aws",
            "input_tokens": 1000,
            "input_cached_tokens": 900,
            "input_cache_write_tokens": 10,
            "output_tokens": 150,
        },
    ),
    "ollama": (
        "ollama",
        [
            {
                "model": "llama3.2",
                "created_at": "2026-11-17T23:46:40Z",
                "message": {"content": "secret"},
                "done": False,
            },
            {
                "model": "llama3.2",
                "created_at": "2026-11-17T23:46:41Z",
                "done": True,
                "prompt_eval_count": 10,
                "eval_count": 5,
            },
        ],
        {
            "kind": "completions",
            "timestamp": 1_794_959_200,
            "provider": "ollama",
            "model": "llama3.2",
            "input_tokens": 10,
            "output_tokens": 5,
        },
    ),
}


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
        ("openai", {"id": "batch_1", "object": "batch", "status": "completed"}, Reason.AGGREGATE),
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
