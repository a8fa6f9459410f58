"""OTLP/HTTP: usage of real bodies in the ledger, answers in the request's type, errors that exporters understand."""

import gzip
import json
from typing import Any

import httpx
import pytest
import zstandard
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from tests.server.support import NOW, MakeKey, Serve, Server
from tests.support.ledger_double import LedgerDouble
from tests.support.otlp_bodies import as_json, as_protobuf, captured

from usageledger.errors import LedgerUnavailableError, RegistryError
from usageledger.ledger import Ledger
from usageledger.registry import Registry
from usageledger.server.api.otlp import OTLP_PATHS
from usageledger.sources.otlp.signals import Signal

pytestmark = pytest.mark.anyio
PROTOBUF, JSON = "application/x-protobuf", "application/json"
START = 1_795_700_000  # of the hour of the captured bodies, about


@pytest.fixture
def clock() -> Any:
    return lambda: START + 86_400.0


def span(**given: Any) -> dict[str, Any]:
    """A body with one span of a chat; attributes with `_` for the dots of their names."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.provider.name": "openai",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        **given,
    }
    values = [
        {"key": name, "value": {"stringValue": value} if isinstance(value, str) else {"intValue": str(value)}}
        for name, value in attributes.items()
        if value is not None
    ]
    one = {
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "spanId": "b7ad6b7169203331",
        "name": "chat gpt-4o",
        "kind": 3,
        "endTimeUnixNano": str(START * 10**9),
        "attributes": values,
    }
    return {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "unheard.of", "version": "1"}, "spans": [one]}]}]}


async def send(server: Server, signal: Signal, body: bytes, kind: str = JSON, **headers: str) -> httpx.Response:
    return await server.post(f"/v1/{signal}", content=body, headers={"content-type": kind, **headers})


async def used(server: Server, kind: str = "completions") -> tuple[int, int, int]:
    """(requests, tokens in, tokens out) of all that is in the ledger."""
    answer = await server.get(
        f"/v1/organization/usage/{kind}", params={"start_time": START - 86_400, "bucket_width": "all"}
    )
    assert answer.status_code == 200, answer.text
    results = answer.json()["data"][0]["results"]
    return tuple(sum(r.get(n, 0) for r in results) for n in ("num_model_requests", "input_tokens", "output_tokens"))


async def sources(server: Server) -> dict[str, dict[str, Any]]:
    listed = (await server.get("/v1/sources")).json()["data"]
    return {source["emitter"]: source for source in listed}


@pytest.mark.parametrize("kind", [JSON, PROTOBUF])
async def test_a_captured_agent_is_in_the_next_answer_and_counts_once(serve: Serve, ledger: Ledger, kind: str) -> None:
    async with serve(ledger) as server:
        for _ in range(2):
            for signal, body in captured("claude-code"):
                content = as_json(body) if kind == JSON else as_protobuf(signal, body)
                answer = await send(server, signal, content, kind)
                assert answer.status_code == 200
                assert answer.headers["content-type"] == kind
                assert answer.content == (b"{}" if kind == JSON else b"")
        assert await used(server) == (1, 1000, 150)
        found = await sources(server)
    events = found["com.anthropic.claude_code.events"]
    assert (events["version"], events["counted"], events["sent_again"]) == ("2.1.197", 1, 1)
    assert [(note["reason"], note["count"]) for note in events["notes"]] == [("cache_lifetime_unknown", 2)]
    left = found["com.anthropic.claude_code"]["not_counted"]
    assert [(each["reason"], each["count"], each["example"]) for each in left] == [
        ("other_signal", 8, "claude_code.token.usage")
    ]
    assert all(each["meaning"] and each["remedy"] for each in left)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
async def test_compressed_bodies_are_read(serve: Serve, ledger: Ledger, encoding: str) -> None:
    body = as_protobuf(*captured("anthropic-sdk")[0])
    packed = gzip.compress(body) if encoding == "gzip" else zstandard.compress(body)
    async with serve(ledger) as server:
        answer = await send(server, Signal.TRACES, packed, PROTOBUF, **{"content-encoding": encoding})
        assert answer.status_code == 200, answer.content
        assert await used(server) == (2, 2000, 300)


@pytest.mark.parametrize("path", sorted(OTLP_PATHS))
@pytest.mark.parametrize("kind", [JSON, PROTOBUF])
async def test_an_empty_body_succeeds(serve: Serve, ledger: Ledger, path: str, kind: str) -> None:
    async with serve(ledger) as server:
        answer = await server.post(path, content=b"", headers={"content-type": kind, "x-test-connection": "true"})
    assert (answer.status_code, answer.content) == (200, b"{}" if kind == JSON else b"")


async def test_spans_come_by_put_as_well(serve: Serve, ledger: Ledger) -> None:
    """OpenRouter's webhook may be set so."""
    signal, body = captured("openai-traceloop")[0]
    async with serve(ledger) as server:
        for method in ("PUT", "POST"):
            headers = {"content-type": JSON}
            answer = await server.request(method, f"/v1/{signal}", content=as_json(body), headers=headers)
            assert (answer.status_code, answer.json()) == (200, {})
        assert await used(server) == (4, 4000, 2000)


async def test_numbers_that_contradict_each_other_are_refused_with_both(serve: Serve, ledger: Ledger) -> None:
    body = as_json(span(**{"gen_ai.usage.cache_read.input_tokens": 11}))
    async with serve(ledger) as server:
        answer = await send(server, Signal.TRACES, body)
        assert answer.status_code == 200
        partial = answer.json()["partialSuccess"]
        assert partial["rejectedSpans"] == "1"
        assert "10 tokens of input are less than 11" in partial["errorMessage"]
        assert "0af7651916cd43dd8448eb211c80319c:b7ad6b7169203331" in partial["errorMessage"]
        assert await used(server) == (0, 0, 0)
        assert [each["reason"] for each in (await sources(server))["unheard.of"]["not_counted"]] == ["refused"]


async def test_a_refusal_in_protobuf_says_how_many(serve: Serve, ledger: Ledger) -> None:
    body = as_protobuf(Signal.TRACES, span(**{"gen_ai.usage.total_tokens": 99}))
    async with serve(ledger) as server:
        answer = await send(server, Signal.TRACES, body, PROTOBUF)
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert partial.rejected_spans == 1
    assert "total of 99 tokens is not the 10 of input and 5 of output" in partial.error_message


async def test_a_time_too_far_ahead_is_refused_and_said(serve: Serve, ledger: Ledger) -> None:
    body = span()
    body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["endTimeUnixNano"] = str((START + 10 * 86_400) * 10**9)
    async with serve(ledger) as server:
        answer = await send(server, Signal.TRACES, as_json(body))
    assert "Invalid 'timestamp'" in answer.json()["partialSuccess"]["errorMessage"]


async def test_a_response_that_comes_another_way_counts_once_and_other_numbers_are_listed(
    serve: Serve, ledger: Ledger
) -> None:
    def told(second: int, output: int, scope: str) -> bytes:
        body = span(**{"gen_ai.response.id": "msg_0123456789abcdef", "gen_ai.usage.output_tokens": output})
        (one,) = body["resourceSpans"][0]["scopeSpans"]
        one["scope"]["name"] = scope
        one["spans"][0] |= {"endTimeUnixNano": str((START + second) * 10**9), "spanId": f"{second:016x}"}
        return as_json(body)

    async with serve(ledger) as server:
        for second, output, scope in ((0, 5, "client"), (7, 5, "gateway"), (9, 6, "other"), (0, 5, "client")):
            assert (await send(server, Signal.TRACES, told(second, output, scope))).json() == {}
        assert await used(server) == (1, 10, 5)
        found = await sources(server)
    assert (found["client"]["counted"], found["client"]["sent_again"]) == (1, 1)
    for scope, reason in (("gateway", "same_response"), ("other", "other_numbers")):
        assert found[scope]["counted"] == 0
        assert [(each["reason"], each["count"]) for each in found[scope]["not_counted"]] == [(reason, 1)]


async def test_an_unknown_emitter_that_follows_the_conventions_counts(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        assert (await send(server, Signal.TRACES, as_json(span()))).json() == {}
        assert await used(server) == (1, 10, 5)


async def test_spans_of_other_things_are_taken_without_a_word(serve: Serve, ledger: Ledger) -> None:
    body = span()
    attributes = body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"]
    attributes[:] = [{"key": "http.request.method", "value": {"stringValue": "POST"}}]
    async with serve(ledger) as server:
        assert (await send(server, Signal.TRACES, as_json(body))).json() == {}
        assert await sources(server) == {}


async def test_numbers_in_no_known_form_are_listed_and_not_counted(serve: Serve, ledger: Ledger) -> None:
    body = span(**dict.fromkeys(("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")))
    attributes = body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"]
    attributes[:] = [{"key": "my.prompt_tokens", "value": {"intValue": "7"}}]
    async with serve(ledger) as server:
        assert (await send(server, Signal.TRACES, as_json(body))).json() == {}
        found = (await sources(server))["unheard.of"]
    assert [(each["reason"], each["count"]) for each in found["not_counted"]] == [("unknown_dialect", 1)]
    assert found["counted"] == 0


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"{", JSON), (b"[]", JSON), (b'{"resourceSpans": 5}', JSON), (b"\xff\xff", PROTOBUF), (b"{}", "text/plain")],
)
async def test_a_body_that_cannot_be_read_is_a_status_in_its_type(
    serve: Serve, ledger: Ledger, body: bytes, kind: str
) -> None:
    async with serve(ledger) as server:
        answer = await send(server, Signal.TRACES, body, kind)
    assert answer.status_code == (415 if kind == "text/plain" else 400)
    if kind == JSON:
        assert answer.json()["code"] == 3
        assert "not OTLP" in answer.json()["message"]
    else:
        assert answer.headers["content-type"] == PROTOBUF
        assert b"\x08\x03\x12" in answer.content


async def test_a_key_is_needed_and_its_scope(serve: Serve, ledger: Ledger, key: MakeKey) -> None:
    async with serve(ledger) as server:
        for given, status in (("Bearer sk-wrong-wrong-wrong", 401), (f"Bearer {key('api.usage.read')}", 403)):
            answer = await server.post(
                "/v1/logs", content=b"{}", headers={"content-type": JSON, "authorization": given}
            )
            assert (answer.status_code, answer.headers["content-type"]) == (status, JSON)
            assert set(answer.json()) == {"code", "message"}


async def test_what_may_succeed_another_time_is_answered_with_503_soon(serve: Serve, double: LedgerDouble) -> None:
    double.failure = LedgerUnavailableError("The ledger could not write: no space left.")
    async with serve(double) as server:
        answer = await send(server, Signal.TRACES, as_json(span()))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] in ("1", "2")
    assert answer.json()["code"] == 14


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/sources/openai"])
async def test_a_registry_that_fails_is_answered_with_503_and_logged(
    serve: Serve,
    ledger: Ledger,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    path: str,
) -> None:
    def fail() -> None:
        raise RegistryError("The registry failed: disk I/O error.")

    monkeypatch.setattr(registry.source_rules, "list", fail)
    async with serve(ledger) as server:
        answer = await server.post(path, content=b"{}", headers={"content-type": JSON})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert f"POST '{path}': The registry failed: disk I/O error." in caplog.text


async def test_content_is_never_kept(serve: Serve, ledger: Ledger, settings: Any) -> None:
    secret = "the words of a prompt"
    body = span(**{"gen_ai.input.messages": secret, "gen_ai.prompt.0.content": secret, "input.value": secret})
    async with serve(ledger) as server:
        await send(server, Signal.TRACES, as_json(body))
        assert await used(server) == (1, 10, 5)
    for file in settings.data.rglob("*"):
        assert not file.is_file() or secret.encode() not in file.read_bytes()


async def test_a_log_answer_has_its_own_form(serve: Serve, ledger: Ledger) -> None:
    record = {
        "timeUnixNano": str(START * 10**9),
        "body": {"stringValue": "claude_code.api_request"},
        "attributes": [
            {"key": name, "value": {"intValue": value}}
            for name, value in {"input_tokens": "1.5", "output_tokens": "2"}.items()
        ],
    }
    record["attributes"][0]["value"] = {"doubleValue": 1.5}  # type: ignore[index]
    body = {
        "resourceLogs": [
            {"scopeLogs": [{"scope": {"name": "com.anthropic.claude_code.events"}, "logRecords": [record]}]}
        ]
    }
    async with serve(ledger) as server:
        answer = await send(server, Signal.LOGS, as_protobuf(Signal.LOGS, body), PROTOBUF)
    partial = ExportLogsServiceResponse.FromString(answer.content).partial_success
    assert partial.rejected_log_records == 1
    assert "'input_tokens' is 1.5" in partial.error_message


async def test_no_source_is_an_empty_list(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        assert (await server.get("/v1/sources")).json() == {"object": "list", "data": []}
        assert json.loads((await server.get("/v1/sources?limit=1")).text)["error"]["param"] == "limit"


async def test_an_emitter_whose_name_no_database_can_keep_is_listed(serve: Serve, ledger: Ledger) -> None:
    body = span(**{"gen_ai.response.id": None})
    body["resourceSpans"][0]["scopeSpans"][0]["scope"] = {"name": "a\0b" + "n" * 300, "version": "\0"}
    async with serve(ledger) as server:
        assert (await send(server, Signal.TRACES, as_json(body))).json() == {}
        (source,) = (await server.get("/v1/sources")).json()["data"]
    assert (source["emitter"], source["version"]) == ("a\ufffdb" + "n" * 125, "\ufffd")
    assert source["counted"] == 1


async def test_counts_of_sources_outlive_a_restart(serve: Serve, ledger: Ledger) -> None:
    for total in (1, 2):
        async with serve(ledger) as server:
            assert (await send(server, Signal.TRACES, as_json(span()))).status_code == 200
            found = (await sources(server))["unheard.of"]
            assert found["counted"] + found["sent_again"] == total
            assert NOW < found["first_seen_at"] <= found["last_seen_at"]
