"""The vendors' own SDKs, captured: what they return is as without, and usage arrives once a call."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import httpx
import httpx2
import pytest
from anthropic import Anthropic, AsyncAnthropic
from openai import AsyncOpenAI, OpenAI, RateLimitError
from tests.capturing.conftest import Start
from tests.support.faulty_server import Faulty, answer, cut, streamed
from tests.support.vendor_answers import CHAT, CHUNKS, COUNTS, MESSAGE, MESSAGE_STREAM, RESPONSE, RESPONSE_STREAM, sse

from usageledger.capturing.transports import http_clients

IS_JSON = {"content_type": "application/json"}
MESSAGES: list[Any] = [{"role": "user", "content": "secret"}]


def said(ledger: Faulty) -> list[dict[str, Any]]:
    return [{name: event.get(name) for name in COUNTS} for event in ledger.events]


def test_openai(vendor: Faulty, ledger: Faulty, start: Start) -> None:
    """Calls that fail and are sent again by the SDK count once."""
    failing = answer(500, {"error": {"message": "later"}}, retry_after="0")
    stream = streamed(sse(*CHUNKS[1:]))
    vendor.steps += [failing, cut, answer(200, CHAT, **IS_JSON), stream, answer(200, RESPONSE, **IS_JSON)]
    vendor.steps += [streamed(sse(*RESPONSE_STREAM, end=b"")), answer(429, {"error": {"message": "no"}})]
    with OpenAI(api_key="sk-x", base_url=vendor.url, max_retries=2) as client:
        capture = start(client, vendor="openai")
        given = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        assert given.usage
        assert given.usage.prompt_tokens == 1000
        options: Any = {"include_usage": True}
        chunks = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True, stream_options=options)
        assert [bool(chunk.usage) for chunk in chunks] == [False, False, True]
        assert client.responses.create(model="gpt-5", input="secret").id == "resp_1"
        with client.responses.create(model="gpt-5", input="secret", stream=True) as events:
            assert [event.type for event in events][-1] == "response.completed"
        with pytest.raises(RateLimitError):
            client.with_options(max_retries=0).chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert capture.flush(10)
    assert said(ledger) == [COUNTS] * 4
    assert capture.counts.answers == capture.counts.counted == 4


def test_openai_asking_for_usage(vendor: Faulty, ledger: Faulty, start: Start) -> None:
    vendor.steps.append(streamed(sse(*CHUNKS[1:])))

    async def run() -> None:
        async with AsyncOpenAI(api_key="sk-x", base_url=vendor.url) as client:
            capture = start(client, vendor="openai", ask_for_usage=True)
            chunks = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
            assert [len(chunk.choices) async for chunk in chunks] == [1, 1, 0]
            assert await asyncio.to_thread(capture.flush, 10)

    asyncio.run(run())
    assert json.loads(vendor.asked[0].body)["stream_options"] == {"include_usage": True}
    assert said(ledger) == [COUNTS]


def test_openai_with_an_httpx_client_of_the_application(vendor: Faulty, ledger: Faulty, start: Start) -> None:
    vendor.steps.append(answer(200, CHAT, **IS_JSON))
    with httpx2.Client() as own, OpenAI(api_key="sk-x", base_url=vendor.url, http_client=own) as client:
        capture = start(own, vendor="openai")
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert capture.flush(10)
    assert said(ledger) == [COUNTS]


def test_anthropic(vendor: Faulty, ledger: Faulty, start: Start) -> None:
    vendor.steps += [answer(200, MESSAGE | {"stop_reason": "end_turn"}, **IS_JSON)]
    vendor.steps += [streamed(sse(*MESSAGE_STREAM, end=b"").replace(b"event: e\n", b""))]
    with Anthropic(api_key="sk-x", base_url=vendor.url.removesuffix("/v1")) as client:
        capture = start(client, vendor="anthropic")
        given = client.messages.create(model="claude-x", max_tokens=10, messages=MESSAGES)
        assert given.usage.cache_read_input_tokens == 900
        for _ in client.messages.create(model="c", max_tokens=10, messages=MESSAGES, stream=True):
            pass
    assert capture.flush(10)
    assert [event["input_cached_tokens"] for event in ledger.events] == [900, 900]

    async def run() -> None:
        vendor.steps.append(answer(200, MESSAGE | {"stop_reason": "end_turn"}, **IS_JSON))
        async with AsyncAnthropic(api_key="sk-x", base_url=vendor.url.removesuffix("/v1")) as client:
            capture = start(client, vendor="anthropic")
            await client.messages.create(model="claude-x", max_tokens=10, messages=MESSAGES)
            assert await asyncio.to_thread(capture.flush, 10)

    asyncio.run(run())
    assert len(ledger.events) == 3


def test_where_other_sdks_keep_their_clients() -> None:
    """Those of google-genai, Mistral and Cohere, which are not installed here: objects of their form."""
    one, other = httpx.Client(), httpx.AsyncClient()
    google = SimpleNamespace(_api_client=SimpleNamespace(_httpx_client=one, _async_httpx_client=other))
    mistral = SimpleNamespace(sdk_configuration=SimpleNamespace(client=one, async_client=other))
    cohere = SimpleNamespace(_client_wrapper=SimpleNamespace(httpx_client=SimpleNamespace(httpx_client=one)))
    assert http_clients(google) == http_clients(mistral) == [one, other]
    assert http_clients(cohere) == http_clients(one) == [one]


def test_a_client_with_another_one_for_each_event_loop(vendor: Faulty, ledger: Faulty, start: Start) -> None:
    """As that of google-genai."""

    class PerLoop(httpx.AsyncClient):
        _inner_client_cls: Any = httpx.AsyncClient

        def __init__(self) -> None:
            super().__init__()
            self._loop_clients: dict[Any, httpx.AsyncClient] = {}

        async def send(self, request: httpx.Request, **given: Any) -> httpx.Response:
            loop = asyncio.get_running_loop()
            if loop not in self._loop_clients:
                self._loop_clients[loop] = self._inner_client_cls()
            return await self._loop_clients[loop].send(request, **given)

    vendor.steps += [answer(200, CHAT, **IS_JSON)] * 3
    client = PerLoop()

    async def ask() -> None:
        await client.post(f"{vendor.url}/chat/completions", json={})
        await client._loop_clients[asyncio.get_running_loop()].aclose()

    capture = start(client, vendor="openai")
    asyncio.run(ask())
    asyncio.run(ask())
    capture.close()
    asyncio.run(ask())
    assert capture.counts.counted == 2
    assert said(ledger) == [COUNTS] * 2
