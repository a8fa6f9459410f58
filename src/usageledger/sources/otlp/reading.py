"""Groups of OTLP items → readings: which of them are calls, what each used, and which of several tell of one call."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from usageledger.pricing.names import provider_name
from usageledger.sources.litellm import vendors_id
from usageledger.sources.otlp.blocks import ContradictionError, is_estimate
from usageledger.sources.otlp.counts import counts_of
from usageledger.sources.otlp.dialects import (
    FAILURES,
    WANTED,
    Dialect,
    Names,
    dialect_of,
    dialects_of,
    is_usage_metric,
)
from usageledger.sources.otlp.items import NANOSECONDS, Attributes, Group, Item
from usageledger.sources.otlp.json_form import read_json
from usageledger.sources.otlp.protobuf_form import read_protobuf
from usageledger.sources.otlp.signals import Signal
from usageledger.sources.readings import Emitter, Note, Readings, Reason, response_event_id, short_id
from usageledger.sources.values import is_unique

_UNNAMED_SERVICE = "unknown_service"
DEPTH_MAX = 64  # of spans inside of each other
_Span = tuple[str, str]  # the ids of its trace and its own
_COUNTED = ("input_tokens", "input_uncached_tokens", "output_tokens")


@dataclass(slots=True)
class _Call:
    """A call that an item tells of."""

    emitter: Emitter
    item: Item
    event: dict[str, Any]
    response_id: str
    note: Note | None


def read_otlp(signal: Signal, body: bytes, *, is_json: bool, now: int) -> Readings:
    """Reads a body of OTLP.

    Args:
        signal: of its path.
        body: decompressed.
        is_json: or else it is protobuf.
        now: the time of items that give none, Unix seconds.

    Raises:
        InvalidRequestError: it cannot be read at all.
    """
    groups = read_json(body, WANTED.__contains__) if is_json else read_protobuf(signal, body, WANTED.__contains__)
    readings = Readings()
    calls: list[_Call] = []
    silent: list[tuple[Emitter, Item]] = []
    parents: dict[_Span, str] = {}
    for group in groups:
        parents.update({(item.trace_id, item.span_id): item.parent_id for item in group.items if item.parent_id})
        if signal == Signal.METRICS:
            _read_metrics(group, readings)
        else:
            for call in _calls(signal, group, readings, now):
                if isinstance(call, _Call):
                    calls.append(call)
                else:
                    silent.append(call)
    inner = {outer for call in calls for outer in _outers(call.item, parents)}
    for emitter, item in silent:
        is_wrapper = (item.trace_id, item.span_id) in inner
        readings.of(emitter).leave(Reason.AGGREGATE if is_wrapper else Reason.NO_USAGE, item.label)
    for call in _said_once(calls, parents, readings):
        reading = readings.of(call.emitter)
        reading.events.append(call.event)
        if call.note:
            reading.note(call.note, call.item.label)
    return readings


def _read_metrics(group: Group, readings: Readings) -> None:
    for item in group.items:
        if is_usage_metric(item.name):
            readings.of(_emitter(group, {})).leave(Reason.OTHER_SIGNAL, item.name)


def _emitter(group: Group, attributes: Attributes) -> Emitter:
    name = group.scope or str(group.resource.get("service.name", "")) or "unnamed"
    version = group.version or _version_in(attributes) or str(group.resource.get("service.version", ""))
    return Emitter(name[:128], version[:128])


def _version_in(attributes: Attributes) -> str:
    """The version that the AI SDK has in its user agent, `ai/5.0.277`."""
    name, _, version = str(attributes.get("ai.request.headers.user-agent", "")).partition("/")
    return version.partition(" ")[0] if name == "ai" else ""


def _calls(signal: Signal, group: Group, readings: Readings, now: int) -> Iterator[_Call | tuple[Emitter, Item]]:
    """Finds the calls of a group, and those that do not say how much they used; the rest is noted."""
    rows = dialects_of(signal, group.scope, group.version)
    for item in group.items:
        row = dialect_of(rows, item)
        call = _judged(row, group, item, now) if row else _unknown(item)
        if call is Reason.NO_USAGE:
            yield _emitter(group, item.attributes), item
        elif isinstance(call, Reason):
            readings.of(_emitter(group, item.attributes)).leave(call, item.label)
        elif isinstance(call, str):
            readings.of(_emitter(group, item.attributes)).leave(Reason.REFUSED, item.label, call)
        elif call:
            yield call


def _unknown(item: Item) -> Reason | None:
    if item.name in FAILURES:
        return Reason.FAILED_CALL
    return Reason.UNKNOWN_DIALECT if item.others else None


def _judged(row: Dialect, group: Group, item: Item, now: int) -> _Call | Reason | str | None:
    """The call that an item tells of; or why it is not counted; None where it has nothing to do with usage."""
    attributes = item.attributes
    says = any(name in attributes for name in (*row.numbers.input, *row.numbers.uncached, *row.numbers.output))
    if not row.is_counted:
        return Reason.OTHER_SIGNAL if says or any(name in attributes for name in row.numbers.total) else None
    kind = _kind(row, item, says=says)
    if row.cache_hit and str(attributes.get(row.cache_hit)).lower() == "true":
        kind = Reason.CACHE_HIT
    if isinstance(kind, Reason):
        return kind if says or item.others else _unknown(item)
    provider = _first(row.providers, attributes) or row.provider
    if row.dotted_providers:
        provider = provider.partition(".")[0]
    provider = provider_name(provider) or provider
    try:
        counts = counts_of(row, kind, attributes, provider)
    except ContradictionError as contradiction:
        return str(contradiction)
    if counts and not (item.failed and not any(counts.values())):
        return _call(row, group, item, {"kind": kind, "timestamp": _seconds(item, now), "provider": provider, **counts})
    silent = Reason.FAILED_CALL if item.failed else Reason.NO_USAGE
    return silent if says or row.is_call else None


def _call(row: Dialect, group: Group, item: Item, event: dict[str, Any]) -> _Call:
    attributes = item.attributes
    response_id = vendors_id(_first(row.response_id, attributes))
    if not is_unique(response_id):
        response_id = ""
    event |= {"id": _event_id(row, group, item, response_id), **_who(row, group, attributes)}
    if model := _first(row.models, attributes):
        event["model"] = model
    if event["kind"] == "completions" and (tier := _first(row.tiers, attributes)):
        event |= {"batch": True} if tier == "batch" else {"service_tier": tier}
    note = None
    if event.get("input_cache_write_tokens") and not any(name.endswith(("5m_tokens", "1h_tokens")) for name in event):
        note = Note.CACHE_LIFETIME_UNKNOWN
    elif is_estimate(attributes):
        note = Note.ESTIMATED
    return _Call(_emitter(group, attributes), item, event, response_id, note)


def _kind(row: Dialect, item: Item, *, says: bool) -> str | Reason:
    """The kind of events of an item; or why it is none."""
    if not row.operation:
        return "completions"
    operation = str(item.attributes.get(row.operation, ""))
    kind = row.kinds.get(operation) or row.kinds.get(operation.rpartition(".")[2])
    if kind:
        return kind
    if operation in row.parents:
        return Reason.AGGREGATE
    # Before the conventions named operations, calls of a model were spans of clients.
    return "completions" if says and not operation and item.is_client else Reason.UNKNOWN_DIALECT


def _first(names: Names, attributes: Attributes) -> str:
    return next((str(attributes[name]) for name in names if attributes.get(name) not in (None, "")), "")


def _who(row: Dialect, group: Group, attributes: Attributes) -> dict[str, str]:
    found = {
        field: _first(names, attributes) or _first(names, group.resource)
        for field, names in (
            ("project_id", row.who.project),
            ("user_id", row.who.user),
            ("api_key_id", row.who.api_key),
        )
    }
    return {field: name for field, name in found.items() if name and not name.startswith(_UNNAMED_SERVICE)}


def _event_id(row: Dialect, group: Group, item: Item, response_id: str) -> str:
    if response_id:
        return response_event_id(response_id)
    if row.identity and all(item.attributes.get(name) not in (None, "") for name in row.identity):
        return short_id("otlp:", group.scope, *(str(item.attributes[name]) for name in row.identity))
    if item.span_id.strip("0") and row.signal == Signal.TRACES:
        return short_id("otlp:", item.trace_id, item.span_id)
    whole = msgspec.json.encode([group.scope, item.name, item.nanoseconds, sorted(item.attributes.items())])
    return f"otlp:{hashlib.sha256(whole).hexdigest()}"


def _seconds(item: Item, now: int) -> int:
    """The time of an item, Unix seconds: its end, since vendors bill what is complete."""
    if item.nanoseconds > 0:
        return item.nanoseconds // NANOSECONDS
    try:
        return int(datetime.fromisoformat(str(item.attributes["event.timestamp"])).timestamp())
    except (KeyError, ValueError, OverflowError):
        return now


def _said_once(calls: list[_Call], parents: dict[_Span, str], readings: Readings) -> Iterator[_Call]:
    """Those of the calls in one request that no other of them tells of as well.

    Of several with one response id the one that says most stays. A span whose numbers an inner one of its own repeats
    is a wrapper around it, unless the vendor's ids say that they are two.
    """
    best: dict[str, _Call] = {}
    for call in calls:
        if call.response_id:
            known = best.setdefault(call.response_id, call)
            if len(call.event) > len(known.event):
                best[call.response_id] = call
    wrappers = set(_wrappers(calls, parents))
    for number, call in enumerate(calls):
        if call.response_id and best[call.response_id] is not call:
            readings.of(call.emitter).leave(Reason.SAME_RESPONSE, call.item.label)
        elif number in wrappers:
            readings.of(call.emitter).leave(Reason.AGGREGATE, call.item.label)
        else:
            yield call


def _wrappers(calls: list[_Call], parents: dict[_Span, str]) -> Iterator[int]:
    """Finds the calls, by their numbers, whose counts a call inside of them repeats."""
    spans = {(call.item.trace_id, call.item.span_id): number for number, call in enumerate(calls) if call.item.span_id}
    for call in calls:
        for outer in _outers(call.item, parents):
            number = spans.get(outer)
            if number is not None and _repeats(calls[number], call):
                yield number


def _outers(item: Item, parents: dict[_Span, str]) -> Iterator[_Span]:
    """The spans that an item is inside of, as far as the request tells."""
    outer = item.parent_id
    for _ in range(DEPTH_MAX):
        if not outer:
            return
        yield item.trace_id, outer
        outer = parents.get((item.trace_id, outer), "")


def _repeats(outer: _Call, inner: _Call) -> bool:
    if outer is inner or (outer.response_id and inner.response_id):
        return False
    return all(outer.event.get(name) == inner.event.get(name) for name in _COUNTED)
