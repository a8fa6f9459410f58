"""Groups of OTLP items → readings: which of them are calls, what each used, and which of several tell of one call."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from usageledger.sources.otlp.blocks import ContradictionError, is_estimate
from usageledger.sources.otlp.counts import counts_of
from usageledger.sources.otlp.dialect import Dialect, Layout, layout_of
from usageledger.sources.otlp.dialects import FAILURES, WANTED, dialect_of, dialects_of
from usageledger.sources.otlp.items import Attributes, Group, Item
from usageledger.sources.otlp.json_form import read_json
from usageledger.sources.otlp.metrics import read_metrics
from usageledger.sources.otlp.protobuf_form import read_protobuf
from usageledger.sources.otlp.senders import Sender, provider_of
from usageledger.sources.otlp.signals import Signal
from usageledger.sources.readings import Emitter, Note, Readings, Reason, response_event_id, short_id
from usageledger.sources.rules import NO_RULES, Rules
from usageledger.sources.values import NANOSECONDS, is_unique, vendors_id

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


def read_otlp(signal: Signal, body: bytes, *, is_json: bool, now: int, rules: Rules = NO_RULES) -> Readings:
    """Reads a body of OTLP.

    Args:
        signal: of its path.
        body: decompressed.
        is_json: or else it is protobuf.
        now: the time of items that give none, Unix seconds.
        rules: of the operator.

    Raises:
        InvalidRequestError: it cannot be read at all.
    """
    wanted = (WANTED | rules.attributes).__contains__ if rules.attributes else WANTED.__contains__
    groups = read_json(body, wanted) if is_json else read_protobuf(signal, body, wanted)
    readings = Readings()
    calls: list[_Call] = []
    silent: list[tuple[Emitter, Item]] = []
    parents: dict[_Span, str] = {}
    for group in groups:
        parents.update({(item.trace_id, item.span_id): item.parent_id for item in group.items if item.parent_id})
        sender = Sender(group, rules)
        if signal == Signal.METRICS:
            read_metrics(group, sender, readings)
        else:
            for call in _calls(signal, group, sender, readings, now):
                if isinstance(call, _Call):
                    calls.append(call)
                else:
                    silent.append(call)
    wrappers = {outer for call in calls for outer in _outers(call.item, parents)} if silent else set[_Span]()
    for emitter, item in silent:
        is_wrapper = (item.trace_id, item.span_id) in wrappers
        readings.of(emitter).leave(Reason.AGGREGATE if is_wrapper else Reason.NO_USAGE, item.label)
    for call in _said_once(calls, parents, readings):
        reading = readings.of(call.emitter)
        reading.events.append(call.event)
        if call.note:
            reading.note(call.note, call.item.label)
    return readings


def _calls(
    signal: Signal, group: Group, sender: Sender, readings: Readings, now: int
) -> Iterator[_Call | tuple[Emitter, Item]]:
    """Finds the calls of a group, and those that do not say how much they used; the rest is noted."""
    rows = dialects_of(signal, group.scope, group.version)
    for item in group.items:
        row = dialect_of(rows, item)
        call = _judged(row, sender, item, now) if row else _unknown(item)
        if isinstance(call, _Call):
            yield call
        elif call is Reason.NO_USAGE:
            yield sender.emitter(item.attributes), item
        elif isinstance(call, Reason):
            readings.of(sender.emitter(item.attributes)).leave(call, item.label)
        elif isinstance(call, str):
            readings.of(sender.emitter(item.attributes)).leave(Reason.REFUSED, item.label, call)


def _unknown(item: Item) -> Reason | None:
    if item.name in FAILURES:
        return Reason.FAILED_CALL
    return Reason.UNKNOWN_DIALECT if item.counts_others else None


def _judged(row: Dialect, sender: Sender, item: Item, now: int) -> _Call | Reason | str | None:
    """The call that an item tells of; or why it is not counted; None where it has nothing to do with usage."""
    attributes = item.attributes
    layout = layout_of(row, tuple(attributes))
    if not row.is_counted or sender.signal not in (None, row.signal):
        return Reason.OTHER_SIGNAL if layout.says or "total" in layout.numbers else None
    kind = _kind(row, item, says=layout.says)
    if row.cache_hit and str(attributes.get(row.cache_hit)).lower() == "true":
        kind = Reason.CACHE_HIT
    if isinstance(kind, Reason):
        return kind if layout.says or item.counts_others else _unknown(item)
    given = str(attributes[layout.provider]) if layout.provider else row.provider
    provider = provider_of(given, row)
    try:
        counts = counts_of(row, layout, kind, attributes, provider, given)
    except ContradictionError as contradiction:
        return str(contradiction)
    if counts and not (item.failed and not any(counts.values())):
        event = {"kind": kind, "timestamp": _seconds(item, now), "provider": provider, **counts}
        return _call(row, layout, sender, item, event)
    if item.failed:
        return Reason.FAILED_CALL if layout.says or row.is_call else None
    is_call = row.is_call and (not row.answered or row.answered in attributes)
    return Reason.NO_USAGE if layout.says or is_call else None


def _call(row: Dialect, layout: Layout, sender: Sender, item: Item, event: dict[str, Any]) -> _Call:
    attributes = item.attributes
    response_id = vendors_id(str(attributes[layout.response_id])) if layout.response_id else ""
    if not is_unique(response_id):
        response_id = ""
    event["id"] = _event_id(row, sender.scope, item, response_id)
    event |= sender.who_of(row, layout, attributes)
    if layout.model:
        event["model"] = str(attributes[layout.model])
    if layout.tier and event["kind"] == "completions":
        tier = str(attributes[layout.tier])
        event |= {"batch": True} if tier == "batch" else {"service_tier": tier}
    return _Call(sender.emitter(attributes), item, event, response_id, _note(event, attributes))


def _note(event: dict[str, Any], attributes: Attributes) -> Note | None:
    written = event.get("input_cache_write_tokens")
    if written and "input_cache_write_5m_tokens" not in event and "input_cache_write_1h_tokens" not in event:
        return Note.CACHE_LIFETIME_UNKNOWN
    return Note.ESTIMATED if is_estimate(attributes) else None


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


def _event_id(row: Dialect, scope: str, item: Item, response_id: str) -> str:
    if response_id:
        return response_event_id(response_id)
    if row.identity and all(name in item.attributes for name in row.identity):
        return short_id("otlp:", scope, *(str(item.attributes[name]) for name in row.identity))
    if item.span_id.strip("0") and row.signal == Signal.TRACES:
        return short_id("otlp:", item.trace_id, item.span_id)
    whole = msgspec.json.encode([scope, item.name, item.nanoseconds, sorted(item.attributes.items())])
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
