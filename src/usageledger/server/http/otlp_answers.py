"""Answers of OTLP/HTTP, in the request's own type: of success, of partial success, and the status of an error."""

from typing import Any

import msgspec
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.requests import Request
from starlette.responses import Response

from usageledger.errors import RequestError
from usageledger.sources.otlp.signals import Signal

PROTOBUF, JSON = "application/x-protobuf", "application/json"
MESSAGE_BYTES_MAX = 8_000
# The codes of google.rpc that stand for statuses of HTTP.
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 413: 3, 415: 3, 429: 8, 503: 14}
_REJECTED = {Signal.TRACES: "rejectedSpans", Signal.LOGS: "rejectedLogRecords", Signal.METRICS: "rejectedDataPoints"}


def media_type_of(request: Request) -> str:
    """The type that answers have: the request's, or protobuf."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return JSON if given == JSON else PROTOBUF


def success(request: Request, signal: Signal, rejected: int, message: str) -> Response:
    """Answers a request of which all was taken, but for `rejected` items, which are not to be sent again."""
    as_json = media_type_of(request) == JSON
    if as_json:
        partial: dict[str, Any] = {_REJECTED[signal]: str(rejected), "errorMessage": message}
        return Response(msgspec.json.encode({"partialSuccess": partial} if message else {}), media_type=JSON)
    if not message:
        return Response(b"", media_type=PROTOBUF)
    answer: Any
    if signal == Signal.TRACES:
        answer = ExportTraceServiceResponse()
        answer.partial_success.rejected_spans = rejected
    elif signal == Signal.LOGS:
        answer = ExportLogsServiceResponse()
        answer.partial_success.rejected_log_records = rejected
    else:
        answer = ExportMetricsServiceResponse()
        answer.partial_success.rejected_data_points = rejected
    answer.partial_success.error_message = message
    return Response(answer.SerializeToString(), media_type=PROTOBUF)


def failure(request: Request, error: RequestError) -> Response:
    """Answers a request that failed, with a `google.rpc.Status`."""
    headers = {} if error.retry_after is None else {"retry-after": str(error.retry_after)}
    if error.status == 401:  # noqa: PLR2004 - RFC 9110 asks for the challenge on 401
        headers["www-authenticate"] = "Bearer"
    code, message = _CODES.get(error.status, 2), error.message.encode("utf-8", "replace")[:MESSAGE_BYTES_MAX]
    if media_type_of(request) == JSON:
        body = msgspec.json.encode({"code": code, "message": message.decode("utf-8", "ignore")})
        return Response(body, error.status, headers, JSON)
    return Response(b"\x08" + bytes([code]) + b"\x12" + _length(message) + message, error.status, headers, PROTOBUF)


def _length(field: bytes) -> bytes:
    """The length of a field as protobuf writes it, seven bits a byte."""
    left, written = len(field), bytearray()
    while left > 0x7F:  # noqa: PLR2004 - seven bits
        written.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes(written) + bytes([left])
