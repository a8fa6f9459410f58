"""Wire events → validated columns.

`decode` reads a request's body into typed events, fast when every event is right. An event that is not is read again,
slowly, so that each of its fields that is wrong is named with what was expected and what came. `to_table` turns typed
events into one Arrow table of the stored columns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches
from typing import Annotated, Any, Literal, cast

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Meta

from usageledger import tokens
from usageledger.buckets import LATEST_TIME
from usageledger.errors import BodyTooLargeError, InvalidRequestError
from usageledger.meters import DIMENSIONS, MEASURE_COLUMNS, METER_BY_KIND, METERS, Dimension, Meter

LARGEST_COUNT = 2**53 - 1  # beyond it, JSON readers that use doubles lose digits
LONGEST_ID = 128
LONGEST_NAME = 256
NOT_GIVEN = -1
LONGEST_SHOWN = 100

Count = Annotated[int, Meta(ge=0, le=LARGEST_COUNT)]
Name = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]
EventId = Annotated[str, Meta(min_length=1, max_length=LONGEST_ID)]
Timestamp = Annotated[int, Meta(ge=0, le=LATEST_TIME)] | Annotated[datetime, Meta(tz=True)]

# The stored columns, in their order, and what Python type their values have. Dimensions may be absent, as None.
COLUMNS: dict[str, type] = {
    "event_id": str,
    "ts": int,
    "kind": str,
    "provider": str,
    **{dimension.name: bool if dimension.flag else str for dimension in DIMENSIONS.values()},
    **dict.fromkeys(MEASURE_COLUMNS, int),
}
_ARROW: dict[type, Any] = {str: pa.string(), int: pa.int64(), bool: pa.bool_()}
SCHEMA = pa.schema([pa.field(name, _ARROW[kind], nullable=name in DIMENSIONS) for name, kind in COLUMNS.items()])


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
            _count(m.name, NOT_GIVEN if _has_parts(meter) and m.default is None else _default(m.default))
            for m in meter.measures
        ),
    )


def _default(value: int | None) -> Any:
    return msgspec.NODEFAULT if value is None else value


def _has_parts(meter: Meter) -> bool:
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
_KIND_OF: dict[type, str] = {struct: kind for kind, struct in STRUCTS.items()}
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

    events: list[Any]
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
            return _decode_slowly(_split(body, lines=lines), max_events)
        events = _fast(body, lines=lines)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _decode_slowly(_split(body, lines=lines), max_events)
    _check_size(len(events), max_events)
    return Decoded(events, range(len(events)), [], len(events))


def _fast(body: bytes, *, lines: bool) -> list[Any]:
    if lines:
        events = _one.decode_lines(body)
        if len(events) != sum(1 for line in body.split(b"\n") if line.strip()):
            raise msgspec.DecodeError("not one event a line")
        return events
    return _many.decode(body) if body.lstrip()[:1] == b"[" else [_one.decode(body)]


def _check_size(count: int, max_events: int) -> None:
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


def _decode_slowly(raws: list[bytes], max_events: int) -> Decoded:
    _check_size(len(raws), max_events)
    decoded = Decoded([], [], [], len(raws))
    indexes: list[int] = []
    for index, raw in enumerate(raws):
        try:
            event = _one.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            decoded.rejections.extend(_explain(index, raw, str(error)))
            continue
        if _NUL in raw and (rejections := list(_explain(index, raw, None))):
            decoded.rejections.extend(rejections)
            continue
        decoded.events.append(event)
        indexes.append(index)
    decoded.indexes = indexes
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


# --- typed events → one table ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a well-formed event cannot be kept: its place among the events given, and the reason."""

    position: int
    code: str
    param: str
    message: str


def to_table(events: Sequence[Any], latest: int, now: int) -> tuple[pa.Table, np.ndarray[Any, Any], list[Problem]]:
    """The stored columns of `events`, those that cannot be kept left out.

    Args:
        events: as `decode` made them, of any kinds, in any order.
        latest: the last timestamp (Unix seconds) that is not too far in the future.
        now: the server's time, for the message.

    Returns:
        The table (`SCHEMA`), for each of its rows the place of its event in `events`, and the problems.
    """
    if not events:
        return SCHEMA.empty_table(), np.zeros(0, np.int64), []
    places: dict[str, list[int]] = {}
    for place, event in enumerate(events):
        places.setdefault(_KIND_OF[type(event)], []).append(place)
    columns: dict[str, Any] = {}
    problems: dict[int, Problem] = {}
    for kind, at in places.items():
        fields = _columns(METER_BY_KIND[kind], [events[place] for place in at])
        for problem in _refusals(kind, fields, latest, now):
            problems.setdefault(at[problem.position], replace(problem, position=at[problem.position]))
        if len(places) == 1:
            columns = _stored(kind, fields)
            break
        for name, values in _stored(kind, fields).items():
            if name not in columns:
                columns[name] = np.zeros(len(events), np.int64 if COLUMNS[name] is int else object)
                columns[name][:] = 0 if COLUMNS[name] is int else None
            columns[name][at] = values
    table = _table(columns, len(events))
    kept = np.setdiff1d(np.arange(len(events)), np.fromiter(problems, np.int64))
    return (table.take(kept) if problems else table), kept, list(problems.values())


def unix_seconds(timestamp: int | datetime) -> int:
    """Whole Unix seconds of an event's timestamp; a fraction of a second is cut off."""
    return int(timestamp.timestamp() // 1) if isinstance(timestamp, datetime) else timestamp


def _columns(meter: Meter, events: Sequence[Any]) -> dict[str, Any]:
    """Field name → its values: tuples of strings, numpy columns of integers."""
    names = tuple(FIELDS[meter.kind])
    columns: dict[str, Any] = dict(zip(names, zip(*map(msgspec.structs.astuple, events), strict=True), strict=True))
    columns["timestamp"] = np.fromiter(map(unix_seconds, columns["timestamp"]), np.int64, len(events))
    for measure in meter.measures:
        columns[measure.name] = np.array(columns[measure.name], np.int64)
    return columns


def _refusals(kind: str, columns: dict[str, Any], latest: int, now: int) -> Iterator[Problem]:
    """The rows whose values are allowed one by one but not together, or not at this time."""
    timestamps = columns["timestamp"]
    if _has_parts(METER_BY_KIND[kind]):
        yield from _derive_parts(columns)
    for row in np.nonzero((timestamps > latest) | (timestamps < 0) | (timestamps > LATEST_TIME))[0].tolist():
        seconds = int(timestamps[row])
        hint = " Is it in milliseconds?" if seconds > 100 * now else ""
        yield Problem(
            row,
            "invalid_value",
            "timestamp",
            f"Invalid 'timestamp': {seconds} is outside of 0 to {latest}, {latest - now} seconds ahead of now.{hint}",
        )


def _derive_parts(columns: dict[str, Any]) -> Iterator[Problem]:
    """Adds the parts to `columns`; yields the rows whose numbers contradict each other."""
    given = np.stack([columns[name] for name in tokens.FIELDS])
    present = given >= 0
    patterns = (present * (1 << np.arange(len(tokens.FIELDS)))[:, None]).sum(axis=0)
    parts = {part: np.zeros(len(patterns), np.int64) for part in tokens.PARTS}
    for pattern in np.unique(patterns).tolist():
        rows = np.nonzero(patterns == pattern)[0]
        named = {name: given[i][rows] for i, name in enumerate(tokens.FIELDS) if pattern >> i & 1}
        made = tokens.plan(frozenset(named))
        wrong = np.full(len(rows), bool(made.missing))
        for check in made.checks:
            rest = check.rest(named)
            wrong |= (rest != 0) if check.exact else (rest < 0)
        for part, expression in made.parts.items():
            parts[part][rows] = tokens.evaluate(expression, named)
        for row in np.nonzero(wrong)[0].tolist():
            numbers = {name: int(column[row]) for name, column in named.items()}
            field, reason = next(tokens.complaints(numbers))
            code = "missing_field" if made.missing else "contradictory_counts"
            yield Problem(int(rows[row]), code, field, f"Invalid '{field}': {reason}")
    columns.update(parts)


def _stored(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The stored columns that this kind has, from its fields and the parts derived from them."""
    meter = METER_BY_KIND[kind]
    if not _has_parts(meter):
        fields.update({measure.columns[0]: fields[measure.name] for measure in meter.measures})
    fields |= {"event_id": fields["id"], "ts": fields["timestamp"], "kind": [kind] * len(fields["id"])}
    names = ("event_id", "ts", "kind", "provider", *(d.name for d in meter.dimensions), *meter.columns)
    return {name: fields[name] for name in names}


def _table(columns: dict[str, Any], rows: int) -> pa.Table:
    """One Arrow table; what a kind has in the columns of others is no dimension, and a count of 0."""
    arrays: list[Any] = []
    for name, kind in COLUMNS.items():
        array: Any
        if name in columns:
            array = pa.array(columns[name], _ARROW[kind])
        elif name in DIMENSIONS:
            array = pa.nulls(rows, _ARROW[kind])
        else:
            array = pa.repeat(pa.scalar(0, _ARROW[kind]), rows)
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=SCHEMA)
