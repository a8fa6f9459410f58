"""OTLP in protobuf → groups of items. A text stays bytes of the message until an attribute of its name is wanted."""

import math
from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogram,
    Gauge,
    Histogram,
    Metric,
    NumberDataPoint,
    Sum,
    Summary,
    SummaryDataPoint,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from usageledger.errors import InvalidRequestError
from usageledger.sources.otlp.dialects import is_usage_metric
from usageledger.sources.otlp.items import (
    FORMS,
    NO_RECORDED_VALUE,
    Attributes,
    Group,
    Groups,
    Item,
    Point,
    Value,
    read_attributes,
)
from usageledger.sources.otlp.signals import Signal

EVENT_NAME_CHARACTERS_MAX = 256
_FORMS: dict[type, str] = dict(zip((Gauge, Sum, Histogram, ExponentialHistogram, Summary), FORMS, strict=True))
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


def _metrics(body: bytes, _wanted: Callable[[str], bool]) -> Groups:
    request = ExportMetricsServiceRequest.FromString(body)
    return (
        Group(
            _all(part.resource.attributes),
            each.scope.name,
            each.scope.version,
            [item for metric in each.metrics for item in _points(metric)],
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


def _points(metric: Metric) -> Iterable[Item]:
    form = metric.WhichOneof("data")
    if form is None or not is_usage_metric(metric.name):
        return
    points: Any = getattr(metric, form)
    for point in points.data_points:
        attributes, _ = read_attributes(point.attributes, lambda _: True, _any)
        yield Item(metric.name, point.time_unix_nano, attributes, point=_number(metric, points, point))


def _number(metric: Metric, points: Any, point: Any) -> Point:
    is_sum = isinstance(points, Sum)
    is_number = isinstance(point, NumberDataPoint)
    given = point.WhichOneof("value") if is_number else "sum"
    is_given = is_number or isinstance(point, SummaryDataPoint) or point.HasField("sum")
    return Point(
        _FORMS[type(points)],
        0 if isinstance(points, Gauge | Summary) else points.aggregation_temporality,
        not is_sum or points.is_monotonic,
        metric.unit,
        point.start_time_unix_nano,
        getattr(point, given) if given and is_given else None,
        0 if is_number else point.count,
        bool(point.flags & NO_RECORDED_VALUE),
    )


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


def _any(value: AnyValue) -> Value:
    """The value of an attribute; one of no plain type as its text, since it tells counters apart."""
    plain = _plain(value)
    return str(value) if plain is None else plain
