"""Metrics over HTTP: totals that grow count once, whatever fails in between; what cannot be counted is said."""

import asyncio
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from tests.server.support import NOW, Clock, Serve, Server
from tests.support.metric_bodies import DELTA, metric, point
from tests.support.otlp_bodies import as_json, as_protobuf

from usageledger.errors import LedgerUnavailableError, RegistryError
from usageledger.ledger import Ledger
from usageledger.registry import Registry
from usageledger.sources.otlp.signals import Signal
from usageledger.sources.rules import Rule, signal_of

pytestmark = pytest.mark.anyio
URL = "/v1/metrics"
JSON, PROTOBUF = "application/json", "application/x-protobuf"
START = NOW - 3_600


def totals(in_: float, out: float | str, at: int, **about: Any) -> dict[str, Any]:
    return metric(point("input", in_, START, at), point("output", out, START + 1, at), **about)


async def send(server: Server, body: dict[str, Any], kind: str = JSON) -> Any:
    content = as_json(body) if kind == JSON else as_protobuf(Signal.METRICS, body)
    return await server.post(URL, content=content, headers={"content-type": kind})


async def used(server: Server, start: int = NOW - 7 * 86_400) -> tuple[int, int, int]:
    """(requests, tokens in, tokens out) of all that is in the ledger."""
    answer = await server.get("/v1/organization/usage/completions", params={"start_time": start, "bucket_width": "all"})
    (bucket,) = answer.json()["data"]
    names = ("num_model_requests", "input_tokens", "output_tokens")
    requests, in_, out = (sum(result[name] for result in bucket["results"]) for name in names)
    return requests, in_, out


@pytest.mark.parametrize("kind", [JSON, PROTOBUF])
async def test_a_gateway_that_has_only_metrics_is_counted(serve: Serve, ledger: Ledger, kind: str) -> None:
    async with serve(ledger) as server:
        for in_, out, ago in ((100, 10, 60), (100, 10, 50), (250, 30, 40), (250, 30, 40), (100, 10, 60)):
            answer = await send(server, totals(in_, out, NOW - ago), kind)
            assert (answer.status_code, answer.content) == (200, b"{}" if kind == JSON else b"")
        assert await used(server) == (1, 250, 30)
        (source,) = (await server.get("/v1/sources")).json()["data"]
    assert (source["emitter"], source["version"], source["counted"]) == ("envoyproxy/ai-gateway", "1", 4)
    assert source["not_counted"] == []


async def test_deltas_count_by_themselves_and_once(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        for ago in (60, 60, 50):
            assert (await send(server, totals(100, 10, NOW - ago, temporality=DELTA))).status_code == 200
        assert await used(server) == (2, 200, 20)


async def test_totals_that_contradict_each_other_are_refused_in_the_answer(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        await send(server, totals(100, 10, NOW - 60))
        partial = (await send(server, totals(50, 11, NOW - 50))).json()["partialSuccess"]
        assert partial["rejectedDataPoints"] == "1"
        assert "total of 50 (1 observations) at a later time than that of 100" in partial["errorMessage"]
        assert "service.instance.id" in partial["errorMessage"]
        assert await used(server) == (1, 100, 11)
        answer = await send(server, totals(-1, "NaN", NOW), PROTOBUF)
        refused = ExportMetricsServiceResponse.FromString(answer.content).partial_success
        assert refused.rejected_data_points == 2
        (source,) = (await server.get("/v1/sources")).json()["data"]
        ((reason, count, example),) = [(e["reason"], e["count"], e["example"]) for e in source["not_counted"]]
    assert (reason, count, example) == ("refused", 3, "gen_ai.client.token.usage")


async def test_a_time_too_far_ahead_is_refused_and_counts_later(serve: Serve, ledger: Ledger, clock: Clock) -> None:
    async with serve(ledger) as server:
        ahead = totals(100, 10, NOW + 9_000)
        partial = (await send(server, ahead)).json()["partialSuccess"]
        assert partial["rejectedDataPoints"] == "2"
        assert "ahead of the server's" in partial["errorMessage"]
        clock.now += 10_000
        assert (await send(server, ahead)).json() == {}
        assert await used(server) == (1, 100, 10)


async def test_a_rule_has_the_metrics_of_an_emitter_counted(serve: Serve, ledger: Ledger, registry: Registry) -> None:
    body = totals(100, 10, NOW - 60, scope="my-gateway")
    async with serve(ledger) as server:
        await send(server, body)
        assert await used(server) == (0, 0, 0)
        (source,) = (await server.get("/v1/sources")).json()["data"]
        (left,) = source["not_counted"]
        assert left["reason"] == "other_signal"
        assert "usageledger sources map --emitter NAME signal=metrics" in left["remedy"]
    registry.source_rules.set([Rule("signal", (signal_of("metrics"),), emitter="my-*")], now=NOW)
    async with serve(ledger) as server:
        await send(server, body)
        assert await used(server) == (1, 100, 10)


@pytest.mark.parametrize("kept", [False, True])
async def test_what_was_claimed_when_a_server_failed_is_kept_before_what_comes_next(
    serve: Serve, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    """The failed points are not sent again: the next ones have more, and the ledger gets both parts."""
    append = ledger.append

    def failing(rows: Any) -> Any:
        if kept:
            append(rows)
        raise LedgerUnavailableError("away")

    async with serve(ledger) as server:
        await send(server, totals(100, 10, NOW - 60))
        with monkeypatch.context() as patch:
            patch.setattr(ledger, "append", failing)
            answer = await send(server, totals(250, 30, NOW - 50))
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert await used(server) == ((1, 250, 30) if kept else (1, 100, 10))
        assert (await send(server, totals(400, 40, NOW - 40))).status_code == 200
        assert await used(server) == (1, 400, 40)


async def test_a_registry_that_fails_is_tried_again(
    serve: Serve, ledger: Ledger, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> Any:
        raise RegistryError("The registry is locked.")

    async with serve(ledger) as server:
        for name in ("claim", "settle"):
            with monkeypatch.context() as patch:
                patch.setattr(registry.counters, name, failing)
                answer = await send(server, totals(100, 10, NOW - 60))
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
            assert await used(server) == ((0, 0, 0) if name == "claim" else (1, 100, 10))
        assert (await send(server, totals(100, 10, NOW - 60))).status_code == 200
        assert await used(server) == (1, 100, 10)


async def test_many_counters_in_one_request_and_many_requests_of_one_counter(serve: Serve, ledger: Ledger) -> None:
    def of_many(total: int, at: int) -> dict[str, Any]:
        return metric(*(point("input", total, START, at, further={"user.id": f"u{n}"}) for n in range(2_000)))

    async with serve(ledger) as server:
        for total, ago in ((3, 60), (5, 50), (5, 50)):
            assert (await send(server, of_many(total, NOW - ago), PROTOBUF)).status_code == 200
        assert await used(server) == (2_000, 10_000, 0)
        one = [totals(10 * step, step, NOW - 100 + step, resource={"host": "h"}) for step in range(1, 16)]
        answers = await asyncio.gather(*(send(server, body) for body in one))
        while again := [body for body, answer in zip(one, answers, strict=True) if answer.status_code == 503]:
            one, answers = again, await asyncio.gather(*(send(server, body) for body in again))
        assert {answer.status_code for answer in answers} == {200}
        assert await used(server) == (2_001, 10_150, 15)
