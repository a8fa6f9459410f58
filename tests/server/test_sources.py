"""What gateways and vendors send: their usage in the ledger, once over all ways, and what is not counted."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.server.support import MakeKey, Serve, Server
from tests.server.test_otlp import START, clock, send, sources, span, used
from tests.support.ledger_double import LedgerDouble
from tests.support.otlp_bodies import CAPTURED, as_json, captured

from usageledger.errors import LedgerUnavailableError
from usageledger.ledger import Ledger
from usageledger.registry import Registry
from usageledger.sources.rules import Rule, origin_of

__all__ = ["clock"]
pytestmark = pytest.mark.anyio
CHAT = {
    "id": "chatcmpl-AbCdEf0123456789",
    "object": "chat.completion",
    "created": START,
    "model": "gpt-4o-2024-08-06",
    "usage": {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500},
}

CLOUDEVENT: dict[str, Any] = {
    "specversion": "1.0",
    "type": "litellm_tokens",
    "id": "1",
    "source": "litellm-proxy",
    "time": datetime.fromtimestamp(START, UTC).isoformat(),
    "subject": "user_1",
    "data": {"model": "gpt-4o", "provider": "openai", "prompt_tokens": 1000, "completion_tokens": 500},
}


def litellm_bodies() -> list[bytes]:
    return [path.read_bytes() for path in sorted(Path(CAPTURED).glob("litellm-*.json"))]


async def post(server: Server, source: str, content: bytes, **query: str) -> dict[str, Any]:
    headers = {"content-type": "application/json", "user-agent": "litellm/1.110.2"}
    answer = await server.post(f"/v1/sources/{source}", content=content, params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_litellms_batches_count_once_and_its_spans_of_the_same_calls_do_not(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        for _ in range(2):
            for content in litellm_bodies():
                await post(server, "litellm", content)
        counted = await used(server)
        assert counted[0] == 8
        for signal, body in captured("litellm"):
            assert (await send(server, signal, as_json(body))).json() == {}
        assert await used(server) == counted
        found = await sources(server)
    assert (found["litellm"]["counted"], found["litellm"]["version"]) == (9, "1.110.2")


async def test_a_vendors_answer_counts_once(serve: Serve, ledger: Ledger) -> None:
    content = as_json(CHAT)
    async with serve(ledger) as server:
        told = await post(server, "openai", content, project_id="proj_a", user_id="user_1")
        assert told == {
            "object": "source.batch",
            "accepted": 1,
            "duplicates": 0,
            "rejected": 0,
            "not_counted": {},
            "errors": [],
        }
        assert (await post(server, "openai", content, project_id="proj_a", user_id="user_1"))["duplicates"] == 1
        assert await used(server) == (1, 1000, 500)
        grouped = await server.get(
            "/v1/organization/usage/completions",
            params={"start_time": START - 60, "bucket_width": "all", "group_by": ["project_id", "user_id", "model"]},
        )
    (result,) = grouped.json()["data"][0]["results"]
    assert (result["project_id"], result["user_id"], result["model"]) == ("proj_a", "user_1", "gpt-4o-2024-08-06")


async def test_an_answer_that_contradicts_itself_is_refused_with_its_numbers(serve: Serve, ledger: Ledger) -> None:
    usage = CHAT["usage"] | {"total_tokens": 7}  # type: ignore[operator]
    async with serve(ledger) as server:
        told = await post(server, "openai", as_json(CHAT | {"usage": usage}))
    assert (told["accepted"], told["rejected"], told["not_counted"]) == (0, 1, {"refused": 1})
    (error,) = told["errors"]
    assert "chatcmpl-AbCdEf0123456789" in error["id"]
    assert "1000" in error["message"]


async def test_an_unknown_source_is_refused_with_those_there_are(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        answer = await server.post("/v1/sources/openia", json=CHAT)
    assert answer.status_code == 400
    assert "'openai'" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("query", "named"),
    [({"project_id": ""}, "project_id"), ({"model": "m" * 257}, "model"), ({"team": "a"}, "team")],
)
async def test_a_wrong_parameter_is_refused_by_its_name(
    serve: Serve, ledger: Ledger, query: dict[str, str], named: str
) -> None:
    async with serve(ledger) as server:
        answer = await server.post("/v1/sources/openai", json=CHAT, params=query)
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == named
        assert await used(server) == (0, 0, 0)


async def test_a_key_needs_the_scope_to_write(serve: Serve, ledger: Ledger, key: MakeKey) -> None:
    async with serve(ledger) as server:
        headers = {"authorization": f"Bearer {key('api.usage.read')}"}
        assert (await server.post("/v1/sources/litellm", json=[], headers=headers)).status_code == 403


async def test_a_ledger_that_cannot_write_is_answered_with_503(serve: Serve, double: LedgerDouble) -> None:
    double.failure = LedgerUnavailableError("The ledger could not write: no space left.")
    async with serve(double) as server:
        answer = await server.post("/v1/sources/openai", json=CHAT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "overloaded")
    assert int(answer.headers["retry-after"]) in (1, 2)


async def grouped(server: Server, field: str) -> set[str | None]:
    answer = await server.get(
        "/v1/organization/usage/completions",
        params={"start_time": START - 86_400, "bucket_width": "all", "group_by": [field]},
    )
    return {result[field] for result in answer.json()["data"][0]["results"]}


async def test_rules_say_for_whom_it_was_in_every_way(serve: Serve, ledger: Ledger, registry: Registry) -> None:
    registry.source_rules.set(
        [
            Rule("project_id", (origin_of("metadata.user_api_key_user_id"), origin_of("value:rest"))),
            Rule("user_id", (origin_of("header:x-user"),)),
            Rule("api_key_id", (origin_of("gen_ai.request.model"),), emitter="unheard*"),
        ],
        now=START,
    )
    async with serve(ledger) as server:
        headers = {"content-type": "application/json", "x-user": "from header"}
        await server.post("/v1/traces", content=as_json(span()), headers=headers)
        await server.post("/v1/sources/openai", json=CHAT, headers=headers, params={"project_id": "asked"})
        for content in litellm_bodies():
            await server.post("/v1/sources/litellm", content=content, headers=headers)
        assert await grouped(server, "project_id") == {"rest", "u_1"}
        assert await grouped(server, "user_id") == {"from header"}
        assert await grouped(server, "api_key_id") >= {"gpt-4o"}


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("application/cloudevents+json", as_json(CLOUDEVENT)),
        (
            "application/cloudevents-batch+json",
            json.dumps([CLOUDEVENT, CLOUDEVENT | {"id": "2", "data": {"tokens": 9}}, 1]).encode(),
        ),
        ("application/json", json.dumps([CLOUDEVENT]).encode()),
    ],
)
async def test_cloudevents_count_once(serve: Serve, ledger: Ledger, content_type: str, content: bytes) -> None:
    headers = {"content-type": content_type}
    async with serve(ledger) as server:
        for accepted in (1, 0):
            answer = await server.post("/v1/sources/cloudevents", content=content, headers=headers)
            assert answer.status_code == 200, answer.text
            assert (answer.json()["accepted"], answer.json()["duplicates"]) == (accepted, 1 - accepted)
        assert await used(server) == (1, 1000, 500)
        assert (await sources(server))["cloudevents"]["counted"] == 1
    batch = content_type.endswith("batch+json")
    assert answer.json()["not_counted"] == ({"refused": 1, "unknown_dialect": 1} if batch else {})


async def test_a_body_of_cloudevents_that_is_no_json_is_refused(serve: Serve, ledger: Ledger) -> None:
    headers = {"content-type": "application/cloudevents+json"}
    async with serve(ledger) as server:
        answer = await server.post("/v1/sources/cloudevents", content=b"{", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")
