"""Data points of metrics → points of counters and events: for emitters whose metrics are the signal that counts."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from usageledger.events.typed_events import COUNT_MAX
from usageledger.sources.otlp.dialect import Dialect, Layout, Tokens, layout_of
from usageledger.sources.otlp.dialects import dialect_of, dialects_of
from usageledger.sources.otlp.items import Group, Item, Point, Temporality, Value
from usageledger.sources.otlp.senders import Sender, provider_of
from usageledger.sources.otlp.signals import Signal
from usageledger.sources.readings import CounterPoint, PartPoint, Reading, Readings, Reason
from usageledger.sources.values import NANOSECONDS

DIGEST_BYTES = 16
NANOSECONDS_MAX = 2**63 - 1  # in the year 2262
_PARTS = (Tokens.CACHED_OF_INPUT, Tokens.WRITTEN_OF_INPUT)
_HISTOGRAMS = ("histogram", "exponentialHistogram")
_Family = tuple[str, str, int, int, tuple[tuple[str, Value], ...]]


class UncountableError(Exception):
    """A point that cannot be counted; the message says why."""


@dataclass(frozen=True, slots=True)
class _Series:
    """A data point that counts tokens."""

    row: Dialect
    item: Item
    point: Point
    tokens: Tokens
    kind: str
    total: int
    counter: bytes

    @property
    def requests(self) -> int:
        """The number of requests that it says."""
        says = self.row.counts_requests and self.tokens is Tokens.INPUT and self.point.form in _HISTOGRAMS
        return self.point.count if says else 0


def read_metrics(group: Group, sender: Sender, readings: Readings) -> None:
    """Reads the points of a group; those of an emitter whose other signals count are left."""
    rows = dialects_of(Signal.METRICS, group.scope, group.version)
    reading = readings.of(sender.emitter({})) if group.items else Reading()
    families: dict[_Family, list[_Series]] = {}
    for item in group.items:
        row = dialect_of(rows, item)
        if row is None or not row.token_types or sender.signal != Signal.METRICS:
            reading.leave(Reason.OTHER_SIGNAL, item.name)
            continue
        try:
            found = _series(row, group, item)
        except UncountableError as error:
            reading.leave(Reason.REFUSED, item.name, f"{_named(item, row)}: {error}")
            continue
        if isinstance(found, Reason):
            reading.leave(found, item.name)
        elif found:
            families.setdefault(_family(found), []).append(found)
    for series in families.values():
        _read_family(series, sender, reading)


def _series(row: Dialect, group: Group, item: Item) -> _Series | Reason | None:
    """The series of a point; why it does not count, or None where it says nothing.

    Raises:
        UncountableError: its number cannot be counted.
    """
    point = item.point
    if point is None or point.is_empty:
        return None
    tokens = row.token_types.get(str(item.attributes.get(row.tokens_by, "")))
    kind = _kind(row, item)
    if tokens is None:
        return Reason.UNKNOWN_DIALECT
    if tokens is Tokens.REPEATED:
        return Reason.AGGREGATE
    if isinstance(kind, Reason):
        return kind
    total = _tokens(point)
    if kind != "completions" and tokens is not Tokens.INPUT:
        return Reason.UNKNOWN_KIND if total else None
    _check_times(item, point)
    return _Series(row, item, point, tokens, kind, total, _digest(group, item, point))


def _kind(row: Dialect, item: Item) -> str | Reason:
    if not row.operation:
        return "completions"
    operation = str(item.attributes.get(row.operation, ""))
    return row.kinds.get(operation) or (Reason.AGGREGATE if operation in row.parents else Reason.UNKNOWN_KIND)


def _tokens(point: Point) -> int:
    """The number of tokens.

    Raises:
        UncountableError: it is none.
    """
    value = point.value
    if point.form in ("gauge", "summary"):
        raise UncountableError(f"a {point.form} does not count; send a counter or a histogram")
    if not point.is_monotonic:
        raise UncountableError("a sum that is not monotonic does not count")
    if value is None:
        raise UncountableError("it has no sum")
    if not 0 <= value <= COUNT_MAX or value != int(value):
        raise UncountableError(f"{value!r:.100} is no number of tokens from 0 to {COUNT_MAX}")
    if not 0 <= point.count <= COUNT_MAX:
        raise UncountableError(f"{point.count!r:.100} is no number of observations")
    return int(value)


def _check_times(item: Item, point: Point) -> None:
    """Raises UncountableError where the times do not say what the number is of."""
    if not 0 < item.nanoseconds <= NANOSECONDS_MAX:
        raise UncountableError("it has no time")
    if point.temporality == Temporality.DELTA:
        return
    if point.temporality != Temporality.CUMULATIVE:
        raise UncountableError("its aggregation temporality is neither delta nor cumulative")
    if not 0 < point.start <= item.nanoseconds:
        raise UncountableError(
            f"a total at {item.nanoseconds} that began at {point.start} does not say what it counts: have the emitter "
            "send 'start_time_unix_nano', or deltas (OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta)"
        )


def _digest(group: Group, item: Item, point: Point) -> bytes:
    """A digest of a counter: of all that tells its series from others, and of its start."""
    about = (group.scope, group.version, item.name, point.form, point.temporality, point.unit, point.start)
    whole = (sorted(group.resource.items()), about, sorted(item.attributes.items()))
    return hashlib.blake2b(ascii(whole).encode(), digest_size=DIGEST_BYTES).digest()


def _family(series: _Series) -> _Family:
    """The points of which the total of one may include those of others: all but their type of tokens is the same."""
    item, point = series.item, series.point
    others = {name: each for name, each in item.attributes.items() if name != series.row.tokens_by}
    return item.name, point.form, point.temporality, item.nanoseconds, tuple(sorted(others.items()))


def _read_family(family: list[_Series], sender: Sender, reading: Reading) -> None:
    """Reads points of one time: the parts of input count with the input, the others by themselves."""
    inputs = sorted((series for series in family if series.tokens is Tokens.INPUT), key=_order)
    parts = list({series.counter: series for series in family if series.tokens in _PARTS}.values())
    is_delta = family[0].point.temporality == Temporality.DELTA
    for series in family:
        if series.tokens not in _PARTS:
            mine = parts if inputs and series.counter == inputs[0].counter else []
            event = _event(series, sender)
            if is_delta:
                _read_delta(series, mine, event, reading)
            else:
                reading.points.append(_point(series, mine, event))
    if is_delta and parts and not inputs:
        for series in filter(lambda series: series.total, parts):
            why = f"{_named(series.item, series.row)}: {series.total} tokens of an input that is not given with them"
            reading.leave(Reason.REFUSED, series.item.name, why)


def _order(series: _Series) -> tuple[str, bytes]:
    """The order of inputs of one time, the first of which includes the parts: `input` stands before `tool`."""
    return str(series.item.attributes.get(series.row.tokens_by)), series.counter


def _event(series: _Series, sender: Sender) -> dict[str, Any]:
    """The fields of an event beside what is counted, its id and its time."""
    row, attributes = series.row, series.item.attributes
    layout: Layout = layout_of(row, tuple(attributes))
    provider = provider_of(str(attributes[layout.provider]) if layout.provider else row.provider, row)
    event: dict[str, Any] = {"kind": series.kind, "provider": provider, **sender.who_of(row, layout, attributes)}
    if series.kind == "completions":
        event |= {"input_tokens": 0, "output_tokens": 0}
        event |= {"service_tier": str(attributes[layout.tier])} if layout.tier else {}
    if layout.model:
        event["model"] = str(attributes[layout.model])
    return event


def _point(series: _Series, parts: Iterable[_Series], event: dict[str, Any]) -> CounterPoint:
    fields = series.tokens.fields
    return CounterPoint(
        series.counter,
        series.point.start,
        series.item.nanoseconds,
        series.total,
        series.requests,
        fields,
        event,
        series.item.name,
        tuple(PartPoint(each.tokens.fields[0], each.counter, each.point.start, each.total) for each in parts),
    )


def _read_delta(series: _Series, parts: list[_Series], event: dict[str, Any], reading: Reading) -> None:
    """A delta is an event by itself, which its series and its times identify."""
    if not series.total and not series.requests:
        return
    found = {each.tokens.fields[0]: 0 for each in parts}
    for each in parts:
        found[each.tokens.fields[0]] += each.total
    if sum(found.values()) > series.total:
        told = f"{series.total} tokens of input are less than {sum(found.values())} that they should include"
        reading.leave(Reason.REFUSED, series.item.name, f"{_named(series.item, series.row)}: {told}")
        return
    counts = dict.fromkeys(series.tokens.fields, series.total) | found
    event |= counts | {
        "num_model_requests": series.requests,
        "id": f"counter:{series.counter.hex()}:{series.item.nanoseconds}",
        "timestamp": series.item.nanoseconds // NANOSECONDS,
    }
    reading.events.append(event)


def _named(item: Item, row: Dialect) -> str:
    given = item.attributes.get(row.tokens_by)
    return f"{item.name} ({given})" if given is not None else item.name
