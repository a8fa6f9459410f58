"""`usageledger.capture`: what passes is as without it, and each answer's usage reaches the ledger once."""

import asyncio
import base64
import gzip
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
import zstandard
from tests.capturing.conftest import Start
from tests.support.faulty_server import KEY, Faulty, answer, cut, cut_body, streamed
from tests.support.vendor_answers import (
    CHAT,
    CHUNK,
    CHUNKS,
    COUNTS,
    GEMINI,
    GEMINI_STREAM,
    MESSAGE,
    MESSAGE_STREAM,
    RESPONSE,
    RESPONSE_STREAM,
    ndjson,
    sse,
)

import usageledger
from usageledger.capturing import CaptureCounts, recorder
from usageledger.capturing.recorder import Recorder
from usageledger.client import EventSender, SettingsError

CHAT_PATH = "/chat/completions"
ASKED: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "secret"}]}
LIBRARIES = [httpx, httpx2]
OLLAMA = {"model": "llama3", "created_at": "2026-11-17T21:00:00Z", "prompt_eval_count": 1000, "eval_count": 500}

# vendor, path, answer, what its event says beside its tokens
ANSWERS: dict[str, tuple[str, str, Any, dict[str, Any]]] = {
    "chat": ("openai", CHAT_PATH, CHAT, {"id": "response:chatcmpl-1a", "model": "gpt-4o-2024-08-06"}),
    "responses": ("openai", "/responses", RESPONSE, {"id": "response:resp_1"}),
    "messages": ("anthropic", "/messages", MESSAGE, {"input_cached_tokens": 900, "output_tokens": 150}),
    "gemini": ("google", "/models/gemini-2.5-flash:generateContent", GEMINI, {"provider": "google", **COUNTS}),
    "converse": (
        "bedrock",
        "/model/anthropic.claude-sonnet-4-5%3A0/converse",
        {"output": {}, "usage": {"inputTokens": 7, "outputTokens": 3, "totalTokens": 10}},
        {"provider": "aws", "model": "anthropic.claude-sonnet-4-5:0", "input_tokens": 7, "output_tokens": 3},
    ),
    "ollama": ("ollama", "/api/chat", OLLAMA | {"done": True}, {"input_tokens": 1000, "output_tokens": 500}),
    "embeddings": (
        "openai",
        "/embeddings",
        {"object": "list", "data": [{"embedding": [0.1]}], "usage": {"prompt_tokens": 730, "total_tokens": 730}},
        {"kind": "embeddings", "model": "gpt-4o", "input_tokens": 730},
    ),
}
# vendor, path, media type, body, what its event says
STREAMS: dict[str, tuple[str, str, str, bytes, dict[str, Any]]] = {
    "chat": ("openai", CHAT_PATH, "text/event-stream", sse(*CHUNKS), COUNTS),
    "responses": ("openai", "/responses", "text/event-stream; charset=utf-8", sse(*RESPONSE_STREAM, end=b""), COUNTS),
    "messages": ("anthropic", "/messages", "text/event-stream", sse(*MESSAGE_STREAM, end=b""), {"output_tokens": 150}),
    "gemini": (
        "google",
        "/models/g:streamGenerateContent?alt=sse",
        "text/event-stream",
        sse(*GEMINI_STREAM, end=b""),
        COUNTS,
    ),
    "gemini as an array": (
        "google",
        "/models/g:streamGenerateContent",
        "application/json",
        json.dumps(GEMINI_STREAM).encode(),
        COUNTS,
    ),
    "ollama": (
        "ollama",
        "/api/generate",
        "application/x-ndjson",
        ndjson({"model": "llama3", "response": "secret", "done": False}, OLLAMA | {"done": True}),
        {"input_tokens": 1000, "output_tokens": 500},
    ),
}
IS_JSON = {"content_type": "application/json"}


def frame(name: bytes, payload: Any) -> bytes:
    """A frame of Amazon's event streams, with checksums of nothing."""
    headers = b"".join(
        bytes([len(key)]) + key + b"\x07" + len(value).to_bytes(2, "big") + value
        for key, value in ((b":event-type", name), (b":message-type", b"event"))
    )
    body = json.dumps(payload).encode()
    length = 16 + len(headers) + len(body)
    return length.to_bytes(4, "big") + len(headers).to_bytes(4, "big") + bytes(4) + headers + body + bytes(4)


AMAZON = "application/vnd.amazon.eventstream"
CONVERSE = [
    frame(b"messageStart", {"role": "assistant"}),
    frame(b"contentBlockDelta", {"delta": {"text": "secret"}, "contentBlockIndex": 0}),
    frame(b"messageStop", {"stopReason": "end_turn"}),
    frame(b"metadata", {"usage": {"inputTokens": 7, "outputTokens": 3, "totalTokens": 10}, "metrics": {}}),
]
STREAMS["converse"] = (
    "bedrock",
    "/model/some.model-v1%3A0/converse-stream",
    AMAZON,
    b"".join(CONVERSE),
    {"input_tokens": 7, "output_tokens": 3, "model": "some.model-v1:0"},
)
STREAMS["messages by Bedrock"] = (
    "bedrock",
    "/model/some.model-v1%3A0/invoke-with-response-stream",
    AMAZON,
    b"".join(
        frame(b"chunk", {"bytes": base64.b64encode(json.dumps(each).encode()).decode(), "p": "abc"})
        for each in MESSAGE_STREAM
    ),
    {"output_tokens": 150, "provider": "aws"},
)


def pieces(body: bytes, size: int = 37) -> list[bytes]:
    return [body[place : place + size] for place in range(0, len(body), size)]


def says(event: dict[str, Any], said: dict[str, Any]) -> bool:
    return said.items() <= event.items()


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer(name: str, library: Any, vendor: Faulty, ledger: Faulty, start: Start) -> None:
    whose, path, body, said = ANSWERS[name]
    vendor.steps.append(answer(200, body, **IS_JSON))
    with library.Client() as client:
        capture = start(client, vendor=whose, project_id="checkout", user_id="ada", api_key_id="key_1")
        came = client.post(vendor.url + path, json=ASKED)
    assert came.json() == body
    assert capture.flush(10)
    (event,) = ledger.events
    assert says(event, said | {"project_id": "checkout", "user_id": "ada", "api_key_id": "key_1"})
    assert "secret" not in json.dumps(event)
    assert capture.counts == CaptureCounts(answers=1, counted=1, events=1)
    assert capture.sent.delivered == 1


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream(name: str, library: Any, vendor: Faulty, ledger: Faulty, start: Start) -> None:
    whose, path, media_type, body, said = STREAMS[name]
    chunks = pieces(body)
    vendor.steps.append(streamed(*chunks, media_type=media_type))

    async def read() -> list[bytes]:
        async with library.AsyncClient() as client:
            capture = start(client, vendor=whose)
            async with client.stream("POST", vendor.url + path, json=ASKED) as came:
                found = [chunk async for chunk in came.aiter_raw()]
            assert await asyncio.to_thread(capture.flush, 10)
            return found

    assert b"".join(asyncio.run(read())) == body
    (event,) = ledger.events
    assert says(event, said)


@pytest.mark.parametrize("media_type", ["text/event-stream", "application/json"])
@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstandard.ZstdCompressor().compress)]
)
def test_compressed(
    encoding: str, compress: Callable[[bytes], bytes], media_type: str, vendor: Faulty, ledger: Faulty, start: Start
) -> None:
    body = sse(*CHUNKS) if media_type == "text/event-stream" else json.dumps(CHAT).encode()
    vendor.steps.append(streamed(*pieces(compress(body)), media_type=media_type, content_encoding=encoding))
    with httpx.Client() as client:
        capture = start(client, vendor="openai")
        assert client.post(vendor.url + CHAT_PATH, json=ASKED).content == body
    assert capture.flush(10)
    (event,) = ledger.events
    assert says(event, COUNTS)


def test_a_stream_passes_piece_by_piece(vendor: Faulty, start: Start) -> None:
    """The second piece is sent only after the first one has reached the application."""
    seen = threading.Event()
    first, second = sse(CHUNKS[1], end=b""), sse(CHUNKS[3])

    def wait(handler: Any) -> None:
        streamed(first, whole=False)(handler)
        assert seen.wait(10)
        handler.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(second), second))

    vendor.steps.append(wait)
    with httpx.Client() as client:
        capture = start(client, vendor="openai")
        with client.stream("POST", vendor.url + CHAT_PATH, json=ASKED) as came:
            parts = came.iter_raw()
            assert next(parts) == first
            seen.set()
            assert b"".join(parts) == second
    assert capture.counts.counted == 1


def test_a_stream_that_is_left_counts_what_it_had_said(vendor: Faulty, ledger: Faulty, start: Start) -> None:
    cut_early, cut_late = sse(*MESSAGE_STREAM[:3], end=b""), sse(*MESSAGE_STREAM[:6], end=b"")
    with httpx.Client() as client:
        capture = start(client, vendor="anthropic")
        for body in (cut_early, cut_late):
            vendor.steps.append(streamed(body))
            with client.stream("POST", vendor.url + "/messages", json=ASKED) as came:
                next(came.iter_raw())
    assert capture.counts == CaptureCounts(answers=2, counted=1, events=1, unknown=1)
    assert capture.flush(10)
    assert [event["output_tokens"] for event in ledger.events] == [150]


def test_a_stream_that_breaks_breaks_for_the_application(vendor: Faulty, start: Start) -> None:
    vendor.steps += [streamed(sse(*CHUNKS[:2], end=b""), whole=False), cut_body]
    with httpx.Client() as client:
        capture = start(client, vendor="openai")
        for _ in range(2):
            with pytest.raises(httpx.RemoteProtocolError):
                client.post(vendor.url + CHAT_PATH, json=ASKED)
    assert capture.counts == CaptureCounts(answers=2, unknown=2)


def test_a_stream_without_usage_is_unknown_and_told_once(
    vendor: Faulty, ledger: Faulty, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    with httpx.Client() as client:
        capture = start(client, vendor="openai")
        for _ in range(3):
            vendor.steps.append(streamed(sse(*CHUNKS[:3])))
            client.post(vendor.url + CHAT_PATH, json=ASKED | {"stream": True})
    assert capture.counts == CaptureCounts(answers=3, unknown=3)
    assert capture.flush(10)
    assert not ledger.asked
    (line,) = [record.getMessage() for record in caplog.records if record.name == "usageledger.capture"]
    assert "stream_options.include_usage" in line


@pytest.mark.parametrize("given", [{}, {"stream_options": {"include_obfuscation": False}}, {"stream_options": None}])
def test_usage_is_asked_for_where_that_was_switched_on(
    given: dict[str, Any], vendor: Faulty, ledger: Faulty, start: Start
) -> None:
    body = sse(*CHUNKS)
    vendor.steps.append(streamed(body))
    asked = ASKED | {"stream": True, "temperature": 0.30} | given
    with httpx.Client() as client:
        capture = start(client, vendor="openai", ask_for_usage=True)
        came = client.post(vendor.url + CHAT_PATH, json=asked, headers={"x-own": "1"})
    assert came.content == body  # with the chunk that has no choices
    options = given.get("stream_options") or {}
    assert json.loads(vendor.asked[0].body) == asked | {"stream_options": {**options, "include_usage": True}}
    assert vendor.asked[0].headers["x-own"] == "1"
    assert vendor.asked[0].headers["content-length"] == str(len(vendor.asked[0].body))
    assert capture.flush(10)
    assert len(ledger.events) == 1


@pytest.mark.parametrize(
    ("whose", "path", "given"),
    [
        ("openai", CHAT_PATH, {"stream": True, "stream_options": {"include_usage": True}}),
        ("openai", CHAT_PATH, {}),
        ("openai", "/responses", {"stream": True}),
        ("mistral", CHAT_PATH, {"stream": True}),
    ],
)
def test_no_other_request_is_changed(
    whose: str, path: str, given: dict[str, Any], vendor: Faulty, start: Start
) -> None:
    with httpx.Client() as client:
        start(client, vendor=whose, ask_for_usage=True)
        client.post(vendor.url + path, json=ASKED | given)
    assert json.loads(vendor.asked[0].body) == ASKED | given


def test_for_whom(vendor: Faulty, ledger: Faulty, start: Start) -> None:
    """Blocks count before arguments, inner ones before outer ones, each for its own task."""
    vendor.steps += [answer(200, CHAT | {"id": f"c-{number}"}, **IS_JSON) for number in range(4)]

    async def ask(client: httpx.AsyncClient, user: str) -> None:
        with usageledger.attributes(user_id=user):
            await asyncio.sleep(0.01)
            await client.post(vendor.url + CHAT_PATH, json=ASKED)

    async def run() -> None:
        async with httpx.AsyncClient() as client:
            capture = start(client, vendor="openai", project_id="shop", user_id="nobody")
            await asyncio.gather(*(ask(client, user) for user in ("ada", "bob")))
            with usageledger.attributes(project_id="search", user_id=None):
                await ask(client, "eve")
            await client.post(vendor.url + CHAT_PATH, json=ASKED)
            assert await asyncio.to_thread(capture.flush, 10)

    asyncio.run(run())
    found = sorted((event["project_id"], event["user_id"]) for event in ledger.events)
    assert found == [("search", "eve"), ("shop", "ada"), ("shop", "bob"), ("shop", "nobody")]


def test_errors_and_other_requests_are_not_read(vendor: Faulty, start: Start) -> None:
    vendor.steps += [answer(429, {"error": {}}), cut, answer(200, {"data": []}), answer(200, CHAT, **IS_JSON)]
    with httpx.Client() as client:
        capture = start(client, vendor="openai")
        assert client.post(vendor.url + CHAT_PATH, json=ASKED).status_code == 429
        with pytest.raises(httpx.RemoteProtocolError):
            client.post(vendor.url + CHAT_PATH, json=ASKED)
        assert client.get(vendor.url + "/models").json() == {"data": []}
        assert client.get(vendor.url + CHAT_PATH).json() == CHAT
    assert capture.counts == CaptureCounts()


@pytest.mark.parametrize("body", [b"".join(CONVERSE[:3]), b"".join(CONVERSE)[:-5], b"no frames at all"])
def test_frames_without_their_end_are_unknown(body: bytes, vendor: Faulty, start: Start) -> None:
    vendor.steps.append(streamed(*pieces(body), media_type=AMAZON))
    with httpx.Client() as client:
        capture = start(client, vendor="bedrock")
        assert client.post(f"{vendor.url}/model/m/converse-stream", json={}).content == body
    assert capture.counts == CaptureCounts(answers=1, unknown=1)


def test_what_is_no_answer_passes_and_is_unknown(vendor: Faulty, start: Start) -> None:
    bodies = [b"\xff", b"", b"[" * 5000, b'{"usage": 3}', b"{"]
    with httpx.Client() as client:
        capture = start(client, vendor="openai")
        for body in bodies:
            vendor.steps.append(answer(200, body, **IS_JSON))
            assert client.post(vendor.url + CHAT_PATH, content=b"\xff{").content == body
        vendor.steps.append(answer(200, b"sound", content_type="audio/mpeg"))
        assert client.post(vendor.url + "/audio/speech", json=ASKED).content == b"sound"
    counts = capture.counts
    assert counts.answers == len(bodies) + 1 == counts.unknown + counts.not_counted
    assert counts.unknown >= 4


def test_a_defect_is_logged_once_and_felt_by_no_call(
    vendor: Faulty, start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    with httpx.Client() as client:
        capture = start(client, vendor="openai")
        for name in ("record", "call"):
            monkeypatch.setattr(Recorder, name, fail)
            for _ in range(2):
                vendor.steps.append(answer(200, CHAT, **IS_JSON))
                assert client.post(vendor.url + CHAT_PATH, json=ASKED).json() == CHAT
    assert capture.counts == CaptureCounts(answers=2, unknown=2)
    assert [record.levelno for record in caplog.records if record.name == "usageledger.capture"] == [logging.ERROR]


def test_equal_answers_without_an_id_are_two(vendor: Faulty, ledger: Faulty, start: Start) -> None:
    body = ANSWERS["embeddings"][2]
    vendor.steps += [answer(200, body, **IS_JSON)] * 2
    with httpx.Client() as client:
        capture = start(client, vendor="openai")
        for _ in range(2):
            client.post(vendor.url + "/embeddings", json=ASKED)
    assert capture.flush(10)
    assert len({event["id"] for event in ledger.events}) == 2


def test_many_threads(vendor: Faulty, ledger: Faulty, start: Start) -> None:
    vendor.steps += [answer(200, CHAT | {"id": f"c-{number}"}, **IS_JSON) for number in range(80)]
    with httpx.Client() as client:
        capture = start(client, vendor="openai")

        def ask() -> None:
            for _ in range(10):
                client.post(vendor.url + CHAT_PATH, json=ASKED)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert capture.counts == CaptureCounts(answers=80, counted=80, events=80)
    assert capture.flush(10)
    assert len({event["id"] for event in ledger.events}) == len(ledger.events) == 80


def test_an_answer_that_is_given_up_while_another_one_is_counted(vendor: Faulty, start: Start) -> None:
    """The collector of garbage, or a handler of a signal, may end an answer whatever its thread is about."""
    vendor.steps.append(streamed(sse(*CHUNKS)))
    with httpx.Client() as client:
        capture = start(client, vendor="openai")
        with client.stream("POST", vendor.url + CHAT_PATH, json=ASKED) as came:
            parts = came.iter_raw()
            next(parts)
            with recorder._lock:
                del parts
                came.close()
    assert capture.counts.answers == 1


def test_a_ledger_that_is_away_gets_events_later(vendor: Faulty, ledger: Faulty, start: Start) -> None:
    ledger.steps += [cut, answer(503, {"error": {}}, retry_after="0")]
    vendor.steps.append(answer(200, CHAT, **IS_JSON))
    with httpx.Client() as client:
        capture = start(client, vendor="openai")
        client.post(vendor.url + CHAT_PATH, json=ASKED)
    assert capture.flush(30)
    assert capture.sent.delivered == 1
    assert len({event["id"] for event in ledger.events}) == 1


def test_two_clients_share_a_sender(vendor: Faulty, ledger: Faulty) -> None:
    vendor.steps += [answer(200, CHAT | {"id": f"c-{number}"}, **IS_JSON) for number in range(2)]
    with EventSender(KEY, ledger.url) as sender:
        for project in ("one", "two"):
            with (
                httpx.Client() as client,
                usageledger.capture(client, vendor="openai", project_id=project, sender=sender),
            ):
                client.post(vendor.url + CHAT_PATH, json=ASKED)
        assert sender.flush(10)
    assert sorted(event["project_id"] for event in ledger.events) == ["one", "two"]


def test_a_transport_that_is_no_network_and_one_of_a_proxy(ledger: Faulty, start: Start) -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=CHAT)

    mounts = {"http://proxied": httpx.MockTransport(handle)}
    with httpx.Client(transport=httpx.MockTransport(handle), mounts=mounts) as client:
        capture = start(client)
        for host in ("https://api.openai.com", "http://proxied", "https://x.openai.azure.com"):
            assert client.post(f"{host}/v1{CHAT_PATH}", json=ASKED).json() == CHAT
    assert capture.counts.counted == 2
    assert capture.flush(10)
    assert {event["provider"] for event in ledger.events} == {"openai", "azure"}


def test_a_form_names_the_model(vendor: Faulty, ledger: Faulty, start: Start) -> None:
    vendor.steps.append(answer(200, {"text": "secret", "usage": {"type": "duration", "seconds": 7.2}}, **IS_JSON))
    with httpx.Client() as client:
        capture = start(client, vendor="openai")
        client.post(f"{vendor.url}/audio/transcriptions", data={"model": "whisper-1"}, files={"file": b"sound"})
    assert capture.flush(10)
    (event,) = ledger.events
    assert says(event, {"kind": "audio_transcriptions", "model": "whisper-1", "seconds": 8})


def test_closing_leaves_the_client_as_it_was(vendor: Faulty, start: Start) -> None:
    vendor.steps += [answer(200, CHAT, **IS_JSON)] * 2
    with httpx.Client() as client:
        before = client._transport, client._mounts
        capture = start(client, vendor="openai")
        with pytest.raises(SettingsError, match="captured already"):
            start(client)
        client.post(vendor.url + CHAT_PATH, json=ASKED)
        capture.close()
        assert (client._transport, client._mounts) == before
        client.post(vendor.url + CHAT_PATH, json=ASKED)
    assert capture.counts.answers == 1
    assert capture.sent.delivered == 1


def test_what_cannot_be_captured(start: Start) -> None:
    with pytest.raises(SettingsError, match="dict has no httpx client"):
        start({})
    with httpx.Client() as client:
        with pytest.raises(SettingsError, match="expected one of openai, azure"):
            start(client, vendor="opnai")
        with pytest.raises(SettingsError, match="no API key"):
            usageledger.capture(client)
        start(client)  # none of these had left anything behind


def test_an_unknown_host_is_told_once(vendor: Faulty, start: Start, caplog: pytest.LogCaptureFixture) -> None:
    vendor.steps += [answer(200, CHAT | {"choices": CHUNK}, **IS_JSON)] * 2
    with httpx.Client() as client:
        capture = start(client)
        for _ in range(2):
            client.post(vendor.url + CHAT_PATH, json=ASKED)
    assert capture.counts == CaptureCounts()
    (line,) = [record.getMessage() for record in caplog.records if record.name == "usageledger.capture"]
    assert "127.0.0.1" in line
    assert "vendor=" in line


def test_a_child_of_a_fork_captures_as_well(vendor: Faulty, ledger: Faulty, tmp_path: Path) -> None:
    program = f"""
import os, httpx, usageledger
client = httpx.Client()
capture = usageledger.capture(client, vendor="openai", api_key="{KEY}", base_url="{ledger.url}")
client.post("{vendor.url}{CHAT_PATH}", json={{}})
child = os.fork()
if child == 0:
    httpx.Client.__init__(client)
    again = usageledger.capture(client, vendor="openai", sender=capture.sender)
    client.post("{vendor.url}{CHAT_PATH}", json={{}})
    assert again.counts.counted == 1
    os._exit(0 if capture.flush(10) else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    vendor.steps += [answer(200, CHAT | {"id": f"c-{number}"}, **IS_JSON) for number in range(2)]
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, cwd=tmp_path)
    assert sorted(event["id"] for event in ledger.events) == ["response:c-0", "response:c-1"]
