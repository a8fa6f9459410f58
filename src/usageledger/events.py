"""Wire events → typed events.

`decode` reads a request's body, fast when every event is right. An event that is not is read again, slowly, so that
each of its fields that is wrong is named with what was expected and what came.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import Meta

from usageledger.buckets import LATEST_TIME
from usageledger.errors import BodyTooLargeError, InvalidRequestError
from usageledger.meters import METERS, Dimension, Meter

LARGEST_COUNT = 2**53 - 1  # beyond it, JSON readers that use doubles lose digits
LONGEST_ID = 128
LONGEST_NAME = 256
NOT_GIVEN = -1
LONGEST_SHOWN = 100

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


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an event: how it is read, and how its rule is put in words."""

    name: str
    rule_type: Any
    python: tuple[type, ...]
    noun: str
    rule: str
    default: Any = msgspec.NODEFAULT

    def problem(self, value: Any) -> tuple[str, str] | None:
        """(code, message) where `value` is not allowed, else None."""
        if isinstance(value, str) and "\0" in value:
            return "invalid_value", f"Invalid '{self.name}': expected text without NUL characters, got {_shown(value)}"
        try:
            msgspec.convert(value, self.rule_type)
        except msgspec.ValidationError:
            wrong_type = type(value) not in self.python
            expected = self.noun if wrong_type else self.rule
            code = "invalid_type" if wrong_type else "invalid_value"
            return code, f"Invalid '{self.name}': expected {expected}, got {_shown(value)}"
        return None


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
        gc=False,
    )


STRUCTS: dict[str, type[msgspec.Struct]] = {meter.kind: _struct(meter) for meter in METERS}
KIND_OF: dict[type, str] = {struct: kind for kind, struct in STRUCTS.items()}
_union: Any = None
for _member in STRUCTS.values():
    _union = _member if _union is None else _union | _member
_one: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_union)
_many: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[_union])
_NUL = b"\\u0000"  # the one way to write a NUL in JSON; not every engine can store it
_raws: msgspec.json.Decoder[list[msgspec.Raw]] = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(slots=True)
class Decoded:
    """The events of one request that are well formed, their places in it, and the refusals so far."""

    events: Sequence[Any]
    indexes: Sequence[int]
    rejections: list[Rejection]
    total: int


def decode(body: bytes, *, lines: bool, max_events: int) -> Decoded:
    """The events of a body: one JSON object or an array of them, or with `lines` one object a line (NDJSON).

    Raises:
        InvalidRequestError: the body cannot be read at all.
        BodyTooLargeError: more than `max_events` events.
    """
    try:
        if _NUL in body:
            return decode_slowly(_split(body, lines=lines), max_events)
        events = _fast(body, lines=lines)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return decode_slowly(_split(body, lines=lines), max_events)
    check_size(len(events), max_events)
    return Decoded(events, range(len(events)), [], len(events))


def _fast(body: bytes, *, lines: bool) -> list[Any]:
    if lines:
        events = _one.decode_lines(body)
        if len(events) != sum(1 for line in body.split(b"\n") if line.strip()):
            raise msgspec.DecodeError("not one event a line")
        return events
    return _many.decode(body) if body.lstrip()[:1] == b"[" else [_one.decode(body)]


def check_size(count: int, max_events: int) -> None:
    """Raises BodyTooLargeError for more than `max_events` events."""
    if count > max_events:
        raise BodyTooLargeError(f"Too many events: {count}. A request carries at most {max_events}.")


def _split(body: bytes, *, lines: bool) -> list[bytes]:
    """The raw text of each event of a body."""
    if lines:
        raws = [line for line in body.split(b"\n") if line.strip()]
        if raws and not any(_readable(raw) for raw in raws):
            raise InvalidRequestError("The body is not NDJSON: not one of its lines is JSON.", code="invalid_json")
        return raws
    try:
        if body.lstrip()[:1] == b"[":
            return [bytes(raw) for raw in _raws.decode(body)]
        msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequestError(f"The body is not JSON: {_reason(error)}", code="invalid_json") from None
    return [body]


def _readable(raw: bytes) -> bool:
    try:
        msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def decode_slowly(raws: list[bytes], max_events: int) -> Decoded:
    """The events of these texts, each read by itself, and every reason why others are refused.

    Raises:
        BodyTooLargeError: more than `max_events`.
    """
    check_size(len(raws), max_events)
    events: list[Any] = []
    indexes: list[int] = []
    decoded = Decoded(events, indexes, [], len(raws))
    for index, raw in enumerate(raws):
        try:
            event = _one.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            decoded.rejections.extend(_explain(index, raw, str(error)))
            continue
        if _NUL in raw and (rejections := list(_explain(index, raw, None))):
            decoded.rejections.extend(rejections)
            continue
        events.append(event)
        indexes.append(index)
    return decoded


def _explain(index: int, raw: bytes, error: str | None) -> Iterator[Rejection]:
    """Every reason why `raw` is not an event; `error` is the reader's own, said where nothing more exact is found."""
    try:
        whole: Any = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as unreadable:
        yield Rejection(index, None, "invalid_json", None, f"The event is not JSON: {_reason(unreadable)}")
        return
    if not isinstance(whole, dict):
        yield Rejection(index, None, "invalid_type", None, f"An event is an object, got {_shown(whole)}")
        return
    event = cast("dict[str, Any]", whole)
    given = event.get("id")
    event_id = given[:LONGEST_ID] if isinstance(given, str) else None
    found = False
    for code, param, message in _problems(event):
        found = True
        yield Rejection(index, event_id, code, param, message)
    if error and not found:
        yield Rejection(index, event_id, "invalid_value", None, error)


def _problems(event: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(code, param, message) for each thing that is wrong with an event."""
    if "kind" not in event:
        yield "missing_field", "kind", f"Missing required field: 'kind'. {_kinds()}"
        return
    kind = event["kind"]
    fields = FIELDS.get(kind) if isinstance(kind, str) else None
    if fields is None:
        hint = did_you_mean(str(kind), FIELDS)
        yield "invalid_value", "kind", f"Invalid 'kind': {_shown(kind)}.{hint} {_kinds()}"
        return
    for name, value in event.items():
        if name == "kind":
            continue
        if name not in fields:
            yield "unknown_field", name[:LONGEST_NAME], f"Unknown field: {_shown(name)}.{did_you_mean(name, fields)}"
        elif problem := fields[name].problem(value):
            yield problem[0], name, problem[1]
    for field in fields.values():
        if field.default is msgspec.NODEFAULT and field.name not in event:
            yield "missing_field", field.name, f"Missing required field: '{field.name}', {field.noun}"


def _kinds() -> str:
    return "Supported kinds are: " + ", ".join(f"'{kind}'" for kind in FIELDS) + "."


def did_you_mean(word: str, known: Sequence[str] | dict[str, Any]) -> str:
    """` Did you mean 'models'?`, or nothing where no known word is close."""
    close = get_close_matches(word[:LONGEST_NAME], list(known), n=1)
    return f" Did you mean '{close[0]}'?" if close else ""


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."
