"""A vendor on loopback whose answers have fixed numbers: OpenAI, Anthropic and Gemini, answers and streams.

OpenAI: 1,000 tokens in, of which 400 from the cache, and 500 out, of which 120 of reasoning. Anthropic: 90, 900 from
the cache, 7 written to it for five minutes and 3 for an hour, and 150 out. Gemini: 1,000, of which 400 from the cache,
and 380 with 120 of thoughts. Embeddings: 730.
"""

import itertools
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

OPENAI = {
    "prompt_tokens": 1000,
    "completion_tokens": 500,
    "total_tokens": 1500,
    "prompt_tokens_details": {"cached_tokens": 400, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 120,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
RESPONSES = {
    "input_tokens": 1000,
    "input_tokens_details": {"cached_tokens": 400, "cache_write_tokens": 0},
    "output_tokens": 500,
    "output_tokens_details": {"reasoning_tokens": 120},
    "total_tokens": 1500,
}
ANTHROPIC = {
    "input_tokens": 90,
    "cache_read_input_tokens": 900,
    "cache_creation_input_tokens": 10,
    "cache_creation": {"ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 3},
    "output_tokens": 150,
    "service_tier": "standard",
}
GEMINI = {
    "promptTokenCount": 1000,
    "cachedContentTokenCount": 400,
    "candidatesTokenCount": 380,
    "thoughtsTokenCount": 120,
    "totalTokenCount": 1500,
}
MISSING = "missing"  # the model that it does not have
EMBEDDED = {"prompt_tokens": 730, "total_tokens": 730}

Events = Iterator[tuple[str | None, dict[str, Any]]]


def chat(asked: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": "hello"}
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": asked["model"],
        "service_tier": "default",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": OPENAI,
    }


def chat_stream(asked: dict[str, Any]) -> Events:
    whole = chat(asked)
    chunk = {key: whole[key] for key in ("id", "created", "model", "service_tier")}
    chunk["object"] = "chat.completion.chunk"
    for delta, reason in (({"role": "assistant", "content": "hel"}, None), ({"content": "lo"}, None), ({}, "stop")):
        yield None, chunk | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], "usage": None}
    if (asked.get("stream_options") or {}).get("include_usage"):
        yield None, chunk | {"choices": [], "usage": OPENAI}


def response(asked: dict[str, Any], status: str = "completed") -> dict[str, Any]:
    content = [{"type": "output_text", "text": "hello", "annotations": []}]
    output = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": content}
    return {
        "id": f"resp_{uuid.uuid4().hex}",
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "model": asked["model"],
        "service_tier": "default",
        "output": [output] if status == "completed" else [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": RESPONSES if status == "completed" else None,
    }


def response_stream(asked: dict[str, Any]) -> Events:
    whole = response(asked)
    number = itertools.count()
    begun = whole | {"status": "in_progress", "output": [], "usage": None}
    yield "response.created", {"type": "response.created", "sequence_number": next(number), "response": begun}
    yield "response.completed", {"type": "response.completed", "sequence_number": next(number), "response": whole}


def embedding(asked: dict[str, Any]) -> dict[str, Any]:
    vector = {"object": "embedding", "index": 0, "embedding": [0.0, 1.0]}
    return {"object": "list", "model": asked["model"], "data": [vector], "usage": EMBEDDED}


def message(asked: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"msg_{uuid.uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "model": asked["model"],
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": ANTHROPIC,
    }


def message_stream(asked: dict[str, Any]) -> Events:
    whole = message(asked)
    begun = whole | {"content": [], "stop_reason": None, "usage": ANTHROPIC | {"output_tokens": 1}}
    yield "message_start", {"type": "message_start", "message": begun}
    start = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    yield "content_block_start", start
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}}
    yield "content_block_delta", delta
    yield "content_block_stop", {"type": "content_block_stop", "index": 0}
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    yield "message_delta", {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 150}}
    yield "message_stop", {"type": "message_stop"}


def gemini(_: dict[str, Any]) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": "hello"}]}
    return {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": GEMINI,
        "modelVersion": "gemini-2.5-flash",
        "responseId": uuid.uuid4().hex,
    }


def gemini_stream(asked: dict[str, Any]) -> Events:
    whole = gemini(asked)
    yield None, whole | {"usageMetadata": {"promptTokenCount": 1000, "totalTokenCount": 1000}}
    yield None, whole


_ANSWERS = {
    "/chat/completions": (chat, chat_stream),
    "/responses": (response, response_stream),
    "/embeddings": (embedding, None),
    "/messages": (message, message_stream),
    ":generateContent": (gemini, None),
    ":streamGenerateContent": (gemini, gemini_stream),
}
_NOTHING = {"error": {"message": "There is nothing here.", "type": "not_found_error"}}


@dataclass(frozen=True)
class Vendor:
    """Its address, and the paths of the calls that it answered with usage."""

    url: str
    served: list[str] = field(default_factory=list[str])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: list[str]

    def do_GET(self) -> None:
        self._answer(_NOTHING, 404)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        path = self.path.partition("?")[0]
        whole, stream = next((found for end, found in _ANSWERS.items() if path.endswith(end)), (None, None))
        if whole is None or asked.get("model") == MISSING:
            self._answer(_NOTHING, 404)
            return
        self.served.append(path)
        if stream and (asked.get("stream") or stream is gemini_stream):
            self._stream(stream(asked), ends=path.endswith("/chat/completions"))
        else:
            self._answer(whole(asked))

    def _answer(self, value: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("request-id", f"req_{uuid.uuid4().hex}")
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, events: Events, *, ends: bool) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("request-id", f"req_{uuid.uuid4().hex}")
        self.end_headers()
        texts = [(f"event: {name}\n" if name else "") + f"data: {json.dumps(event)}\n\n" for name, event in events]
        for text in [*texts, *(["data: [DONE]\n\n"] if ends else [])]:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(text.encode()), text.encode()))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@contextmanager
def fake_vendor() -> Iterator[Vendor]:
    """Runs it."""
    served: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"served": served}))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Vendor(f"http://127.0.0.1:{server.server_port}", served)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
