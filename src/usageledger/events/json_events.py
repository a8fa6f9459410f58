"""Bodies of JSON → batches of typed events.

`decode_right` reads a request's body, fast when every event is right. Otherwise `decode_wrong` reads one event after
the other, so that each of its fields that is wrong is named with what was expected and what came.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec

from usageledger.errors import BodyTooLargeError, InvalidRequestError
from usageledger.events.batch import EVENT_BYTES, EventBatch, Limits, Refusals, Rejection, check_count
from usageledger.events.typed_events import FIELDS, ID_CHARACTERS_MAX, STRUCTS
from usageledger.fields import NAME_CHARACTERS_MAX, Field, shown
from usageledger.hints import did_you_mean
from usageledger.json_text import elements, is_array, names_given_twice

ERRORS_PER_EVENT_MAX = 10
WIDE = 5  # bytes of a character, where one of its text is not ASCII: Python keeps its UTF-8 beside it

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


def decode_right(body: bytes, limits: Limits, *, lines: bool) -> EventBatch | None:
    """Reads a body in which every event is well formed, and soon; None for any other.

    Args:
        body: one JSON object or an array of them, or with `lines` one object a line (NDJSON).
        limits: of its events.
        lines: whether it is NDJSON.

    Raises:
        BodyTooLargeError: too many events.
    """
    if _has(_NUL, body) or (lines and body.count(b"\n") > 2 * limits.events_max):
        return None
    try:
        events = _fast(body, lines=lines)
    except _UNREADABLE:
        return None
    check_count(len(events), limits.events_max)
    if _repeats(body, events, lines=lines):
        return None
    return EventBatch(events, range(len(events)), size=_size(body, len(events)))


def decode_wrong(body: bytes, limits: Limits, *, lines: bool) -> EventBatch:
    """Reads a body, as `decode_right` does, of which some events are not well formed.

    Raises:
        InvalidRequestError: the body cannot be read at all.
        BodyTooLargeError: too many events.
    """
    batch = decode_texts(list(enumerate(_split(body, lines=lines, max_events=limits.events_max))))
    batch.size = _size(body, len(batch.typed) + len(batch.refused.listed))
    return batch


def _size(body: bytes, objects: int) -> int:
    is_ascii = body.isascii() and not _has(b"\\u", body)
    return len(body) * (1 if is_ascii else WIDE) + EVENT_BYTES * objects


def _has(escape: bytes, body: bytes) -> bool:
    """Returns true if there is such an escape; a backslash alone is looked for fifty times as fast."""
    return b"\\" in body and escape in body


def _fast(body: bytes, *, lines: bool) -> list[Any]:
    if lines:
        events = _one.decode_lines(body)
        if len(events) != sum(1 for line in body.split(b"\n") if line.strip()):
            raise msgspec.DecodeError("not one event a line")
        return events
    return _many.decode(body) if is_array(body) else [_one.decode(body)]


def _repeats(body: bytes, events: list[Any], *, lines: bool = False) -> bool:
    """Returns true if one of these events, which are valid otherwise, gives a field twice.

    The JSON reader keeps the last of two without a word. Since each name stands before a colon, the events written
    anew have fewer colons than the text if a field was given twice. Defaults that the text gives, and times in other
    zones, make a difference too: then the fields are counted.
    """
    # An escaped colon, or an offset such as +0100, could make up for one.
    escaped = _has(b"u003a", body) or _has(b"u003A", body)
    if not escaped and not any(type(e.timestamp) is datetime and e.timestamp.utcoffset() for e in events):
        anew = _encode(events)
        more = body.count(b":") - anew.count(b":")
        if not more or more == body.count(b'+00:00"') - anew.count(b'+00:00"'):  # which is written as Z
            return False
    read = _object.decode_lines(body) if lines else _objects.decode(body) if is_array(body) else _object.decode(body)
    return _colons_of(read) != body.count(b":")


def _colons_of(read: Any) -> int:
    return _encode(read).count(b":")


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


def decode_texts(texts: Sequence[tuple[int, bytes]]) -> EventBatch:
    """Reads texts of events and their indexes, each by itself; those that are not well formed are refused."""
    events: list[Any] = []
    indexes: list[int] = []
    wrong: list[tuple[int, bytes]] = []
    for index, raw in texts:
        event = _read(raw)
        if event is None:
            wrong.append((index, raw))
        else:
            events.append(event)
            indexes.append(index)
    refused = Refusals()
    refused.add(wrong, _explain)
    return EventBatch(events, indexes, refused=refused)


def _read(raw: bytes) -> Any:
    """The event of a text, or None where it is not right."""
    try:
        event = _one.decode(raw)
    except _UNREADABLE:
        return None
    if _has(_NUL, raw) and any("\0" in value for value in msgspec.structs.astuple(event) if isinstance(value, str)):
        return None
    return None if _repeats(raw, [event]) else event


def _explain(text: tuple[int, bytes]) -> Iterator[Rejection]:
    """Finds why the text at an index is not an event: every reason, but at most `ERRORS_PER_EVENT_MAX`."""
    index, raw = text
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
    found = list(islice(_problems(raw, event), ERRORS_PER_EVENT_MAX + 1))
    for place, (code, param, message) in enumerate(found[:ERRORS_PER_EVENT_MAX], 1):
        more = " More is wrong with this event than is listed." if ERRORS_PER_EVENT_MAX == place < len(found) else ""
        yield Rejection(index, event_id, code, param, message + more)


def _identity(event: dict[str, msgspec.Raw]) -> str | None:
    given = _plain(event.get("id", b"null"))
    return given[:ID_CHARACTERS_MAX] if isinstance(given, str) else None


def _problems(raw: bytes, event: dict[str, msgspec.Raw]) -> Iterator[tuple[str, str | None, str]]:
    """(code, param, message) for each thing that is wrong with an event."""
    twice = names_given_twice(raw) if _colons_of(event) < raw.count(b":") else ()
    for name, first, second in twice:
        yield "duplicate_field", name[:NAME_CHARACTERS_MAX], given_twice(name, first, second)
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
    # A count that is null is one that the event does not give.
    event = {name: raw for name, raw in event.items() if bytes(raw) != b"null" or not _is_count(fields.get(name))}
    for name, value in event.items():
        if name == "kind":
            continue
        if name not in fields:
            yield (
                "unknown_field",
                name[:NAME_CHARACTERS_MAX],
                f"Unknown field: {shown(name)}.{did_you_mean(name, known)}",
            )
        elif problem := fields[name].problem(_plain(value)):
            yield problem[0], name, problem[1]
    for field in fields.values():
        if field.default is msgspec.NODEFAULT and field.name not in event:
            yield "missing_field", field.name, f"Missing required field: '{field.name}', {field.noun}"


def _is_count(field: Field | None) -> bool:
    return field is not None and field.python == (int,)


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
