"""Wire events → typed events.

`decode_right` reads a request's body, fast when every event is right. Otherwise `decode_wrong` reads one event after
the other, so that each of its fields that is wrong is named with what was expected and what came.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from usageledger.buckets import LATEST_TIME
from usageledger.errors import BodyTooLargeError, InvalidRequestError
from usageledger.fields import LONGEST_NAME, Field, shown
from usageledger.hints import did_you_mean
from usageledger.json_text import elements, is_array, names_given_twice
from usageledger.meters import METERS, Dimension, Meter

LARGEST_COUNT = 2**53 - 1  # beyond it, JSON readers that use doubles lose digits
LONGEST_ID = 128
NOT_GIVEN = -1
MOST_ERRORS_LISTED = 100  # reasons in one answer; those of further events are counted, not looked for
MOST_ERRORS_OF_AN_EVENT = 10

Count = Annotated[int, Meta(ge=0, le=LARGEST_COUNT)]
Name = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]
EventId = Annotated[str, Meta(min_length=1, max_length=LONGEST_ID)]
Timestamp = Annotated[int, Meta(ge=0, le=LATEST_TIME)] | Annotated[datetime, Meta(tz=True)]


class Rejection(msgspec.Struct, frozen=True, omit_defaults=False):
    """One reason why one event of a request was refused, as the answer lists it."""

    index: int
    id: str | None
    code: str
    param: str | None
    message: str


def _count(name: str, default: Any) -> Field:
    return Field(name, Count, (int,), "an integer", f"an integer from 0 to {LARGEST_COUNT}", default)


def _dimension(dimension: Dimension) -> Field:
    if dimension.flag:
        return Field(dimension.name, bool | None, (bool,), "true or false", "true or false", None)
    kind: Any = Name
    rule = f"1 to {LONGEST_NAME} characters"
    if dimension.values:
        rule = "one of " + ", ".join(f"'{value}'" for value in dimension.values)
        kind = Literal[dimension.values]
        if dimension.pattern:
            rule += ", or another size such as '1536x1024' or 'auto'"
            # `$` also matches before a newline at the end.
            kind = Annotated[str, Meta(pattern=rf"(?:{dimension.pattern})\Z")]
    return Field(dimension.name, kind | None, (str,), "a string", rule, None)


def _fields(meter: Meter) -> tuple[Field, ...]:
    """The fields of an event of this kind, `kind` itself left out."""
    timestamp = "Unix seconds (not milliseconds) or an RFC 3339 time with a time zone"
    return (
        Field("id", EventId, (str,), "a string", f"1 to {LONGEST_ID} characters"),
        Field("timestamp", Timestamp, (int, str), timestamp, f"{timestamp}, from 1970 to 9999"),
        Field("provider", Name, (str,), "a string", f"1 to {LONGEST_NAME} characters", "openai"),
        *(_dimension(dimension) for dimension in meter.dimensions),
        *(
            _count(m.name, NOT_GIVEN if has_parts(meter) and m.default is None else _default(m.default))
            for m in meter.measures
        ),
    )


def _default(value: int | None) -> Any:
    return msgspec.NODEFAULT if value is None else value


def has_parts(meter: Meter) -> bool:
    """Whether its token numbers may come as totals, as parts or as both."""
    return any(len(measure.columns) > 1 for measure in meter.measures)


FIELDS: dict[str, dict[str, Field]] = {m.kind: {f.name: f for f in _fields(m)} for m in METERS}


def _struct(meter: Meter) -> type[msgspec.Struct]:
    fields = FIELDS[meter.kind].values()
    return msgspec.defstruct(
        f"{meter.kind.title().replace('_', '')}Event",
        [(f.name, f.rule_type) if f.default is msgspec.NODEFAULT else (f.name, f.rule_type, f.default) for f in fields],
        tag_field="kind",
        tag=meter.kind,
        forbid_unknown_fields=True,
        kw_only=True,
        omit_defaults=True,  # for `_repeats`
        gc=False,
    )


STRUCTS: dict[str, type[msgspec.Struct]] = {meter.kind: _struct(meter) for meter in METERS}
KIND_OF: dict[type, str] = {struct: kind for kind, struct in STRUCTS.items()}
_union: Any = None
for _member in STRUCTS.values():
    _union = _member if _union is None else _union | _member
_one: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_union)
_many: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[_union])
_object: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])
_objects: msgspec.json.Decoder[list[dict[str, msgspec.Raw]]] = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_any: msgspec.json.Decoder[msgspec.Raw] = msgspec.json.Decoder(msgspec.Raw)  # checks without keeping anything
_encode = msgspec.json.Encoder().encode
_NUL = b"\\u0000"  # the one way to write a NUL in JSON; not every engine can store it
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_LINE = re.compile(rb"\S[^\n]*")


@dataclass(slots=True)
class Decoded:
    """The events of one request that are well formed, their places in it, and the refusals so far.

    Attributes:
        omitted: events that are refused as well, of which `rejections` says nothing.
    """

    events: Sequence[Any]
    indexes: Sequence[int]
    rejections: list[Rejection]
    total: int
    omitted: int = 0


def decode(body: bytes, *, lines: bool, max_events: int) -> Decoded:
    """The events of a body: one JSON object or an array of them, or with `lines` one object a line (NDJSON).

    Raises:
        InvalidRequestError: the body cannot be read at all.
        BodyTooLargeError: more than `max_events` events.
    """
    right = decode_right(body, lines=lines, max_events=max_events)
    return right or decode_wrong(body, lines=lines, max_events=max_events)


def decode_right(body: bytes, *, lines: bool, max_events: int) -> Decoded | None:
    """The events of a body, as `decode` has them, where each of them is well formed; else None, soon.

    Raises:
        BodyTooLargeError: more than `max_events` events.
    """
    if _NUL in body or (lines and body.count(b"\n") > 2 * max_events):
        return None
    try:
        events = _fast(body, lines=lines)
    except _UNREADABLE:
        return None
    check_size(len(events), max_events)
    return None if _repeats(body, events, lines=lines) else Decoded(events, range(len(events)), [], len(events))


def decode_wrong(body: bytes, *, lines: bool, max_events: int) -> Decoded:
    """The events of a body, as `decode` has them, of which some are not well formed; raises what `decode` does."""
    return decode_slowly(_split(body, lines=lines, max_events=max_events))


def _fast(body: bytes, *, lines: bool) -> list[Any]:
    if lines:
        events = _one.decode_lines(body)
        if len(events) != sum(1 for line in body.split(b"\n") if line.strip()):
            raise msgspec.DecodeError("not one event a line")
        return events
    return _many.decode(body) if is_array(body) else [_one.decode(body)]


def _repeats(body: bytes, events: list[Any], *, lines: bool = False) -> bool:
    """Whether a text of events, which are right else, gives a field of one of them twice.

    The reader of JSON takes the last of two and says nothing. But each name stands before a colon, and written anew
    from what was read, the events have fewer colons than the text where any was read for nothing. They have as many
    where none was, but for defaults that the text gives, and times in other zones: then the fields are counted.
    """
    # An escaped colon, or an offset such as +0100, could make up for one.
    escaped = b"\\" in body and (b"u003a" in body or b"u003A" in body)
    if not escaped and not any(type(e.timestamp) is datetime and e.timestamp.utcoffset() for e in events):
        anew = _encode(events)
        more = body.count(b":") - anew.count(b":")
        if not more or more == body.count(b'+00:00"') - anew.count(b'+00:00"'):  # which is written as Z
            return False
    read = _object.decode_lines(body) if lines else _objects.decode(body) if is_array(body) else _object.decode(body)
    return _colons_of(read) != body.count(b":")


def _colons_of(read: Any) -> int:
    return _encode(read).count(b":")


def check_size(count: int, max_events: int) -> None:
    """Raises BodyTooLargeError for more than `max_events` events."""
    if count > max_events:
        raise BodyTooLargeError(f"Too many events: {count}. A request carries at most {max_events}.")


def _split(body: bytes, *, lines: bool, max_events: int) -> list[bytes]:
    """The text of each event of a body.

    Raises:
        InvalidRequestError: the body cannot be read at all.
        BodyTooLargeError: more than `max_events` events.
    """
    if not lines:
        try:
            _any.decode(body if is_array(body) else body.decode())
        except _UNREADABLE as error:
            raise InvalidRequestError(f"The body is not JSON: {_reason(error)}", code="invalid_json") from None
    found = _lines(body) if lines else elements(body) if is_array(body) else iter([body])
    raws = list(islice(found, max_events + 1))
    if len(raws) > max_events:
        raise BodyTooLargeError(f"Too many events: more than {max_events}, which is the most that a request carries.")
    if lines and raws and not any(map(_readable, raws)):
        raise InvalidRequestError("The body is not NDJSON: not one of its lines is JSON.", code="invalid_json")
    return raws


def _lines(body: bytes) -> Iterator[bytes]:
    return (line[0] for line in _LINE.finditer(body))


def _readable(raw: bytes) -> bool:
    try:
        _any.decode(raw)
    except _UNREADABLE:
        return False
    return True


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def decode_slowly(raws: Sequence[bytes]) -> Decoded:
    """The events of these texts, each read by itself, and why others are refused: the first reasons, all of some."""
    events: list[Any] = []
    indexes: list[int] = []
    decoded = Decoded(events, indexes, [], len(raws))
    for index, raw in enumerate(raws):
        event = _read(raw)
        if event is not None:
            events.append(event)
            indexes.append(index)
        elif len(decoded.rejections) < MOST_ERRORS_LISTED:
            decoded.rejections.extend(_explain(index, raw))
        else:
            decoded.omitted += 1
    return decoded


def _read(raw: bytes) -> Any:
    """The event of a text, or None where it is not right."""
    try:
        event = _one.decode(raw)
    except _UNREADABLE:
        return None
    if _NUL in raw and any("\0" in value for value in msgspec.structs.astuple(event) if isinstance(value, str)):
        return None
    return None if _repeats(raw, [event]) else event


def _explain(index: int, raw: bytes) -> Iterator[Rejection]:
    """Why `raw` is not an event: every reason, but at most `MOST_ERRORS_OF_AN_EVENT`."""
    try:
        raw.decode()
        _any.decode(raw)
        event = _object.decode(raw)
    except msgspec.ValidationError:
        yield Rejection(index, None, "invalid_type", None, f"An event is an object, got {shown(_plain(raw))}")
        return
    except _UNREADABLE as unreadable:
        yield Rejection(index, None, "invalid_json", None, f"The event is not JSON: {_reason(unreadable)}")
        return
    event_id = _identity(event)
    found = list(islice(_problems(raw, event), MOST_ERRORS_OF_AN_EVENT + 1))
    for place, (code, param, message) in enumerate(found[:MOST_ERRORS_OF_AN_EVENT], 1):
        more = " More is wrong with this event than is listed." if MOST_ERRORS_OF_AN_EVENT == place < len(found) else ""
        yield Rejection(index, event_id, code, param, message + more)


def _identity(event: dict[str, msgspec.Raw]) -> str | None:
    given = _plain(event.get("id", b"null"))
    return given[:LONGEST_ID] if isinstance(given, str) else None


def _problems(raw: bytes, event: dict[str, msgspec.Raw]) -> Iterator[tuple[str, str | None, str]]:
    """(code, param, message) for each thing that is wrong with an event."""
    twice = names_given_twice(raw) if _colons_of(event) < raw.count(b":") else ()
    for name, first, second in twice:
        yield "duplicate_field", name[:LONGEST_NAME], given_twice(name, first, second)
    if "kind" not in event:
        yield "missing_field", "kind", f"Missing required field: 'kind'. {_kinds()}"
        return
    kind = _plain(event["kind"])
    fields = FIELDS.get(kind) if isinstance(kind, str) else None
    if fields is None:
        hint = did_you_mean(kind if isinstance(kind, str) else shown(kind), tuple(FIELDS))
        yield "invalid_value", "kind", f"Invalid 'kind': {shown(kind)}.{hint} {_kinds()}"
        return
    known = tuple(fields)
    for name, value in event.items():
        if name == "kind":
            continue
        if name not in fields:
            yield "unknown_field", name[:LONGEST_NAME], f"Unknown field: {shown(name)}.{did_you_mean(name, known)}"
        elif problem := fields[name].problem(_plain(value)):
            yield problem[0], name, problem[1]
    for field in fields.values():
        if field.default is msgspec.NODEFAULT and field.name not in event:
            yield "missing_field", field.name, f"Missing required field: '{field.name}', {field.noun}"


def _kinds() -> str:
    return "Supported kinds are: " + ", ".join(f"'{kind}'" for kind in FIELDS) + "."


def given_twice(name: str, first: bytes, second: bytes) -> str:
    """Says that an object gives a name twice, and the two texts of its value."""
    return f"Field given twice: {shown(name)}, as {shown(_plain(first))} and as {shown(_plain(second))}."


def _plain(raw: bytes | msgspec.Raw) -> Any:
    """The value of a text of JSON; arrays, objects and what cannot be read stay texts, which are of no field's type."""
    text = bytes(raw)
    if text[:1] not in (b"[", b"{"):
        try:
            return msgspec.json.decode(text)
        except _UNREADABLE:
            pass
    return msgspec.Raw(text)
