"""OTLP in protobuf → groups of items. A text stays bytes of the message until an attribute of its name is wanted."""

import math
from collections.abc import Callable, Iterable

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from usageledger.errors import InvalidRequestError
from usageledger.sources.otlp.items import Attributes, Group, Groups, Item, Value, read_attributes
from usageledger.sources.otlp.signals import Signal

EVENT_NAME_CHARACTERS_MAX = 256
_CLIENT, _ERROR = Span.SPAN_KIND_CLIENT, Status.STATUS_CODE_ERROR


def read_protobuf(signal: Signal, body: bytes, wanted: Callable[[str], bool]) -> Groups:
    """Reads a body; of attributes those whose names are `wanted`.

    Raises:
        InvalidRequestError: it is not protobuf of this signal.
    """
    read = {Signal.TRACES: _spans, Signal.LOGS: _records, Signal.METRICS: _metrics}[signal]
    try:
        return read(body, wanted)
    except DecodeError as error:
        raise InvalidRequestError(f"The body is not OTLP in protobuf: {error}", code="invalid_protobuf") from None


def _spans(body: bytes, wanted: Callable[[str], bool]) -> Groups:
    request = ExportTraceServiceRequest.FromString(body)
    return (
        Group(
            _all(part.resource.attributes), each.scope.name, each.scope.version, [_span(s, wanted) for s in each.spans]
        )
        for part in request.resource_spans
        for each in part.scope_spans
    )


def _records(body: bytes, wanted: Callable[[str], bool]) -> Groups:
    request = ExportLogsServiceRequest.FromString(body)
    return (
        Group(
            _all(part.resource.attributes),
            each.scope.name,
            each.scope.version,
            [_record(record, wanted) for record in each.log_records],
        )
        for part in request.resource_logs
        for each in part.scope_logs
    )


def _metrics(body: bytes, wanted: Callable[[str], bool]) -> Groups:
    request = ExportMetricsServiceRequest.FromString(body)
    return (
        Group(
            _all(part.resource.attributes),
            each.scope.name,
            each.scope.version,
            [item for metric in each.metrics for item in _points(metric, wanted)],
        )
        for part in request.resource_metrics
        for each in part.scope_metrics
    )


def _span(span: Span, wanted: Callable[[str], bool]) -> Item:
    attributes, counts_others = read_attributes(span.attributes, wanted, _plain)
    return Item(
        span.name,
        span.end_time_unix_nano,
        attributes,
        counts_others,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.kind == _CLIENT,
        span.status.code == _ERROR,
    )


def _record(record: LogRecord, wanted: Callable[[str], bool]) -> Item:
    attributes, counts_others = read_attributes(record.attributes, wanted, _plain)
    name = attributes.get("event.name") or record.event_name or record.body.string_value[:EVENT_NAME_CHARACTERS_MAX]
    time = record.time_unix_nano or record.observed_time_unix_nano
    return Item(str(name), time, attributes, counts_others, record.trace_id.hex(), record.span_id.hex())


def _points(metric: Metric, wanted: Callable[[str], bool]) -> Iterable[Item]:
    for points in (metric.gauge, metric.sum, metric.histogram, metric.exponential_histogram):
        for point in points.data_points:
            attributes, _ = read_attributes(point.attributes, wanted, _plain)
            yield Item(metric.name, point.time_unix_nano, attributes)


def _all(pairs: Iterable[KeyValue]) -> Attributes:
    return read_attributes(pairs, lambda _: True, _plain)[0]


def _plain(value: AnyValue) -> Value | None:
    """The value of an attribute; None for one that is not given, or is of no plain type."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value
    if kind == "int_value":
        return value.int_value
    if kind == "bool_value":
        return value.bool_value
    if kind == "double_value":
        return value.double_value if math.isfinite(value.double_value) else None
    return None
