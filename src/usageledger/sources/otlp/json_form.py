"""OTLP in JSON → groups of items.

Senders differ in what the specification leaves open: 64-bit numbers come as texts and as numbers, enumerations as
numbers and by name, absent things as null. An attribute stays undecoded text until its name says that it is wanted, so
prompts and answers are never read.
"""

import math
from collections.abc import Callable, Iterable

import msgspec
from msgspec import Struct

from usageledger.errors import InvalidRequestError
from usageledger.sources.otlp.dialects import is_usage_metric
from usageledger.sources.otlp.items import (
    FORMS,
    NO_RECORDED_VALUE,
    Group,
    Groups,
    Item,
    Point,
    Temporality,
    Value,
    read_attributes,
)

_Number = int | str | float | None


class _KeyValue(Struct, gc=False):
    key: str = ""
    value: msgspec.Raw = msgspec.Raw(b"null")


class _Value(Struct, gc=False):
    stringValue: str | None = None  # noqa: N815 - names of the wire, here and below
    intValue: _Number = None  # noqa: N815
    doubleValue: _Number = None  # noqa: N815
    boolValue: bool | None = None  # noqa: N815


class _Resource(Struct):
    attributes: list[_KeyValue] | None = None


class _Scope(Struct):
    name: str | None = None
    version: str | None = None


class _Status(Struct):
    code: int | str | None = None


class _Span(Struct):
    name: str | None = None
    traceId: str | None = None  # noqa: N815
    spanId: str | None = None  # noqa: N815
    parentSpanId: str | None = None  # noqa: N815
    kind: int | str | None = None
    endTimeUnixNano: _Number = None  # noqa: N815
    attributes: list[_KeyValue] | None = None
    status: _Status | None = None


class _LogRecord(Struct):
    timeUnixNano: _Number = None  # noqa: N815
    observedTimeUnixNano: _Number = None  # noqa: N815
    eventName: str | None = None  # noqa: N815
    body: msgspec.Raw = msgspec.Raw(b"null")
    traceId: str | None = None  # noqa: N815
    spanId: str | None = None  # noqa: N815
    attributes: list[_KeyValue] | None = None


class _Point(Struct):
    startTimeUnixNano: _Number = None  # noqa: N815
    timeUnixNano: _Number = None  # noqa: N815
    asInt: _Number = None  # noqa: N815
    asDouble: _Number = None  # noqa: N815
    sum: _Number = None
    count: _Number = None
    flags: _Number = None
    attributes: list[_KeyValue] | None = None


class _Points(Struct):
    aggregationTemporality: int | str | None = None  # noqa: N815
    isMonotonic: bool | None = None  # noqa: N815
    dataPoints: list[_Point] | None = None  # noqa: N815


class _Metric(Struct):
    name: str | None = None
    unit: str | None = None
    gauge: _Points | None = None
    sum: _Points | None = None
    histogram: _Points | None = None
    exponentialHistogram: _Points | None = None  # noqa: N815
    summary: _Points | None = None


class _ScopeItems(Struct):
    scope: _Scope | None = None
    spans: list[_Span] | None = None
    logRecords: list[_LogRecord] | None = None  # noqa: N815
    metrics: list[_Metric] | None = None


class _ResourceItems(Struct):
    resource: _Resource | None = None
    scopeSpans: list[_ScopeItems] | None = None  # noqa: N815
    scopeLogs: list[_ScopeItems] | None = None  # noqa: N815
    scopeMetrics: list[_ScopeItems] | None = None  # noqa: N815


class _Request(Struct):
    resourceSpans: list[_ResourceItems] | None = None  # noqa: N815
    resourceLogs: list[_ResourceItems] | None = None  # noqa: N815
    resourceMetrics: list[_ResourceItems] | None = None  # noqa: N815


_request: msgspec.json.Decoder[_Request] = msgspec.json.Decoder(_Request)
_value: msgspec.json.Decoder[_Value] = msgspec.json.Decoder(_Value)
_ERROR, _CLIENT = (2, "STATUS_CODE_ERROR"), (3, "SPAN_KIND_CLIENT")


def read_json(body: bytes, wanted: Callable[[str], bool]) -> Groups:
    """Reads a body; of attributes those whose names are `wanted`.

    Raises:
        InvalidRequestError: it is not JSON, or not of the form of OTLP.
    """
    try:
        request = _request.decode(body) if body.strip() else _Request()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise InvalidRequestError(f"The body is not OTLP in JSON: {reason}", code="invalid_json") from None
    return _groups(request, wanted)


def _groups(request: _Request, wanted: Callable[[str], bool]) -> Groups:
    for part in (*(request.resourceSpans or ()), *(request.resourceLogs or ()), *(request.resourceMetrics or ())):
        resource, _ = read_attributes(part.resource.attributes or () if part.resource else (), lambda _: True, _plain)
        for scoped in (*(part.scopeSpans or ()), *(part.scopeLogs or ()), *(part.scopeMetrics or ())):
            scope = scoped.scope or _Scope()
            group = Group(resource, scope.name or "", scope.version or "")
            group.items += (_span(span, wanted) for span in scoped.spans or ())
            group.items += (_record(record, wanted) for record in scoped.logRecords or ())
            for metric in scoped.metrics or ():
                group.items += _points(metric)
            yield group


def _span(span: _Span, wanted: Callable[[str], bool]) -> Item:
    attributes, counts_others = read_attributes(span.attributes or (), wanted, _plain)
    return Item(
        span.name or "",
        _integer(span.endTimeUnixNano),
        attributes,
        counts_others,
        (span.traceId or "").lower(),
        (span.spanId or "").lower(),
        (span.parentSpanId or "").lower(),
        span.kind in _CLIENT,
        span.status is not None and span.status.code in _ERROR,
    )


def _record(record: _LogRecord, wanted: Callable[[str], bool]) -> Item:
    attributes, counts_others = read_attributes(record.attributes or (), wanted, _plain)
    name = attributes.get("event.name") or record.eventName or _text(record.body)
    time = _integer(record.timeUnixNano) or _integer(record.observedTimeUnixNano)
    return Item(
        str(name), time, attributes, counts_others, (record.traceId or "").lower(), (record.spanId or "").lower()
    )


def _points(metric: _Metric) -> Iterable[Item]:
    if not is_usage_metric(metric.name or ""):
        return
    for form in FORMS:
        points: _Points | None = getattr(metric, form)
        for point in points.dataPoints or () if points else ():
            attributes, _ = read_attributes(point.attributes or (), lambda _: True, _any)
            yield Item(metric.name or "", _integer(point.timeUnixNano), attributes, point=_number(metric, form, point))


def _number(metric: _Metric, form: str, point: _Point) -> Point:
    points: _Points = getattr(metric, form)
    given = next((each for each in (point.asInt, point.asDouble, point.sum) if each is not None), None)
    temporality = points.aggregationTemporality
    if isinstance(temporality, str):
        temporality = next((each for each in Temporality if temporality.endswith(f"_{each.name}")), 0)
    return Point(
        form,
        temporality or Temporality.UNKNOWN,
        form != "sum" or points.isMonotonic is True,
        metric.unit or "",
        _integer(point.startTimeUnixNano),
        _counted(given),
        _integer(point.count),
        bool(_integer(point.flags) & NO_RECORDED_VALUE),
    )


def _counted(given: _Number) -> int | float | None:
    """The number of a point; one that is none stays what it is, so that it can be named."""
    if isinstance(given, str):
        try:
            return int(given) if given.lstrip("-").isdigit() else float(given)
        except ValueError:
            return math.nan
    return given


def _any(raw: msgspec.Raw) -> Value:
    """The value of an attribute; one of no plain type as its text, since it tells counters apart."""
    value = _plain(raw)
    return bytes(raw).decode(errors="replace") if value is None else value


def _plain(raw: msgspec.Raw) -> Value | None:
    """The value of an attribute; None for one that is not given, or is of no plain type."""
    try:
        value = _value.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if value.stringValue is not None:
        return value.stringValue
    if value.boolValue is not None:
        return value.boolValue
    if value.intValue is not None:
        return _integer(value.intValue)
    if value.doubleValue is not None:
        return _double(value.doubleValue)
    return None


def _text(raw: msgspec.Raw) -> str:
    """The name of an event, where the body of its record is that; longer texts are content."""
    value = _plain(raw) if len(bytes(raw)) <= 256 else None  # noqa: PLR2004 - characters of a name
    return value if isinstance(value, str) else ""


def _integer(given: _Number) -> int:
    """A number of 64 bits; 0 for what is none."""
    if isinstance(given, str):
        number = int(given) if given.isascii() and given.lstrip("-").isdigit() and len(given) <= 20 else 0  # noqa: PLR2004 - digits of 64 bits
    else:
        number = int(given) if given is not None and math.isfinite(given) else 0
    return number if -(2**63) <= number < 2**64 else 0


def _double(given: str | float) -> float | None:
    try:
        number = float(given)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
