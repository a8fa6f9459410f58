"""Spans of OTLP in protobuf and JSON beside a bare decoder and plain events: `python -m bench.sources`."""

import argparse
import base64
import json
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench.figures import show
from bench.ingestion import CONNECTIONS, recent
from bench.load import request_bytes, run
from bench.measure import KEY, Served, figure, served

SPANS = 512  # in a request, as SDKs send them
PROTOBUF = "application/x-protobuf"
TARGET = 40_000


def spans_of(number: int) -> list[dict[str, Any]]:
    """Spans of chats as OpenLLMetry sends them, each with a response of its own."""
    found = []
    for place, second in enumerate(recent(SPANS, age_seconds=60)):
        one = number * SPANS + place
        attributes: dict[str, str | int] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-2024-08-06",
            "gen_ai.user": f"user_{one % 100}",
            "gen_ai.is_streaming": "false",
            "gen_ai.openai.api_base": "https://api.openai.com/v1/",
            "gen_ai.response.model": "gpt-4o-2024-08-06",
            "gen_ai.response.id": f"chatcmpl-{one:028d}",
            "gen_ai.response.finish_reasons": "stop",
            "openai.response.service_tier": "default",
            "gen_ai.usage.total_tokens": 1500 + one % 500,
            "gen_ai.usage.output_tokens": 500,
            "gen_ai.usage.input_tokens": 1000 + one % 500,
            "gen_ai.usage.cache_read.input_tokens": 400,
            "gen_ai.usage.reasoning_tokens": 120,
        }
        values = [
            {"key": key, "value": {"stringValue": value} if isinstance(value, str) else {"intValue": str(value)}}
            for key, value in attributes.items()
        ]
        ids = {"traceId": f"{one:032x}", "spanId": f"{one + 1:016x}"}
        ends = {"endTimeUnixNano": f"{second}000000000"}
        found.append({**ids, "name": "openai.chat", "kind": 3, **ends, "attributes": values})
    return found


def body_of(number: int) -> dict[str, Any]:
    """One request."""
    scope = {"name": "opentelemetry.instrumentation.openai.v1", "version": "0.62.4"}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "bench"}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": spans_of(number)}]}]}


def as_protobuf(body: dict[str, Any]) -> bytes:
    """A request in protobuf, whose JSON has ids in another form."""
    for span in body["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for name in ("traceId", "spanId"):
            span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    return ParseDict(body, ExportTraceServiceRequest()).SerializeToString()


def as_events(number: int) -> bytes:
    """The same usage as plain events."""
    events = []
    for span in spans_of(number):
        said = {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}
        events.append(
            {
                "kind": "completions",
                "id": f"response:{said['gen_ai.response.id']}",
                "timestamp": int(span["endTimeUnixNano"]) // 10**9,
                "model": said["gen_ai.response.model"],
                "user_id": said["gen_ai.user"],
                "project_id": "bench",
                "service_tier": "default",
                "input_tokens": int(said["gen_ai.usage.input_tokens"]),
                "input_cached_tokens": 400,
                "output_tokens": 500,
            }
        )
    return msgspec.json.encode(events)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=200_000)
    show(list(figures(parser.parse_args().spans)), "a bare decoder")


def figures(spans: int) -> Iterator[dict[str, Any]]:
    """Measures each form on a server of its own."""
    count = -(-spans // SPANS)
    bare = [as_protobuf(body_of(number)) for number in range(20)]
    began = time.process_time()
    for body in bare:
        ExportTraceServiceRequest.FromString(body)
    decoded = len(bare) * SPANS / (time.process_time() - began)
    forms = {
        "spans/s of OTLP, protobuf": ("/v1/traces", PROTOBUF, lambda number: as_protobuf(body_of(number))),
        "spans/s of OTLP, JSON": ("/v1/traces", "application/json", lambda n: json.dumps(body_of(n)).encode()),
        "the same usage as plain events": ("/v1/events", "application/json", as_events),
    }
    for words, (path, kind, made) in forms.items():
        with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as server:
            rate, work = measured(server, [partial(made, number) for number in range(count)], path, kind)
        yield figure(words, rate, "spans/s", target=TARGET, floor=decoded)
        yield figure("  the server's processor time", work, "µs/span")


def measured(server: Served, bodies: list[Any], path: str, kind: str) -> tuple[float, float]:
    """Spans a second, and microseconds of the server's processors a span, its upkeep with it."""
    before, seconds = server.processor_seconds, 0.0
    for start in range(0, len(bodies), 50):
        some = [request_bytes(path, KEY, make(), media_type=kind) for make in bodies[start : start + 50]]
        seconds += run(server.port, some, CONNECTIONS)[0]
    server.settle()
    spans = len(bodies) * SPANS
    return spans / seconds, (server.processor_seconds - before) / spans * 1e6


if __name__ == "__main__":
    main()
