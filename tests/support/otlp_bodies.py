"""Captured bodies of OTLP in the two forms of the wire."""

import base64
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from usageledger.sources.otlp.signals import Signal

CAPTURED = Path(__file__).parents[1] / "sources" / "captured"
_REQUESTS: dict[Signal, type[Message]] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
}
_IDS = ("traceId", "spanId", "parentSpanId")


def captured(label: str) -> list[tuple[Signal, dict[str, Any]]]:
    """Reads the bodies that an emitter sent, in their order, each with its signal."""
    found = []
    for path in sorted((CAPTURED / label).glob("*-v1_*.json")):
        recorded = json.loads(path.read_text("utf-8"))
        found.append((Signal(recorded["path"].rpartition("/")[2]), recorded["body"]))
    return found


def as_json(body: dict[str, Any]) -> bytes:
    """Writes a body as JSON."""
    return json.dumps(body).encode()


def as_protobuf(signal: Signal, body: dict[str, Any]) -> bytes:
    """Writes a body as protobuf."""
    return ParseDict(_with_base64(deepcopy(body)), _REQUESTS[signal]()).SerializeToString()


def _with_base64(node: Any) -> Any:
    """Protobuf's own JSON has ids in base64, and no attribute that is null."""
    if isinstance(node, dict):
        node = {key: _with_base64(value) for key, value in node.items() if value is not None}
        for name in _IDS:
            if name in node:
                node[name] = base64.b64encode(bytes.fromhex(node[name])).decode()
        return node
    return [_with_base64(each) for each in node] if isinstance(node, list) else node
