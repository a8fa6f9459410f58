"""Answers of vendors as they came, by name: the vendor, the answer or the pieces of its stream, and its event."""

import json
from typing import Any

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


def ndjson(*objects: Any) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in objects)


def sse(*objects: Any, end: bytes = b"data: [DONE]\n\n") -> bytes:
    lines = b"".join(b"event: e\ndata: " + json.dumps(each).encode() + b"\n\n" for each in objects)
    return b": hello\n" + lines + end


OLLAMA_EVENT = {
    "kind": "completions",
    "timestamp": 1_794_959_200,
    "provider": "ollama",
    "model": "llama3.2",
    "input_tokens": 10,
    "output_tokens": 5,
}

ONE: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "chat": ("openai", CHAT, CHAT_EVENT),
    "legacy completions": (
        "openai",
        CHAT | {"object": "text_completion", "id": "cmpl-1a2b"},
        CHAT_EVENT | {"id": "response:cmpl-1a2b"},
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
        OLLAMA_EVENT,
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
        OLLAMA_EVENT,
    ),
}
