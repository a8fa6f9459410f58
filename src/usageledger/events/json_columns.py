"""Large bodies of plain JSON → stored columns, whole columns at once: no object is made for an event or its values.

A body is plain where its texts have no escapes, and its names and values stand as JSON writers put them: a name right
behind `{`, or behind a comma and at most one space, and a value of the field's type behind `:` and at most one space.
Then each quotation mark begins or ends a text, and their places tell where everything is. msgspec says that it is JSON.

A body that is not plain, or has an event that is wrong, is left to `json_events`, which makes the same of a plain one.
"""

import re
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from usageledger.events import field_columns
from usageledger.events.batch import EVENT_BYTES, EventBatch, Limits
from usageledger.events.columns import make_table
from usageledger.events.field_columns import ALLOWED, FIELD, NAMES, REQUIRED
from usageledger.events.typed_events import COUNT_MAX, ID_CHARACTERS_MAX, NOT_GIVEN
from usageledger.meters import DIMENSIONS

COUNT_DIGITS = len(str(COUNT_MAX))
TEXT_BYTES_MAX = ID_CHARACTERS_MAX  # that each field may have, whatever its characters
TEXTS_MAX = 2 * len(NAMES)  # of an event
BYTES_MAX = 2**31 - 1  # that 32 bits can tell places in
WORD = 8  # bytes that digits are read by
SPACES = b" \t\r\n"

Array = np.ndarray[Any, Any]

_any: msgspec.json.Decoder[msgspec.Raw] = msgspec.json.Decoder(msgspec.Raw)  # checks without keeping anything
_NAMES = pa.array(NAMES)
_TEXT, _NUMBER, _FLAG, _NULL, _OTHER = range(5)


def _form(name: str) -> int:
    python = FIELD[name].python if name in FIELD else (str,)
    return _TEXT if python == (str,) else _FLAG if python == (bool,) else _NUMBER


def _by_byte(values: dict[bytes, int], default: int) -> Array:
    table = np.full(256, default)
    for first, value in values.items():
        table[list(first)] = value
    return table


_POWERS = 10 ** np.arange(WORD + 1)
# By the first byte of a value: its form, and how long it is where that tells it.
_FORMS = _by_byte({b'"': _TEXT, b"0123456789": _NUMBER, b"tf": _FLAG, b"n": _NULL}, _OTHER)
_LENGTHS = _by_byte({b"tn": 4, b"f": 5}, 0)
# By the place of a name: the form of its values, and whether null is one.
_FORM_OF = np.array([_form(name) for name in NAMES])
_HAS_NULL = np.array([name not in {"kind", "id", "timestamp", "provider"} for name in NAMES])


class _NotPlainError(Exception):
    """A body is not plain, or something is wrong with an event."""


def _check(right: Any) -> None:
    if not right:
        raise _NotPlainError


@dataclass(slots=True)
class _Members:
    """Names of a body, in its order, and the value of each.

    Attributes:
        events: the number of the event of each, ascending.
        names: the place of each in `strings`.
        strings: at even places the texts of the body, at odd ones what is between them.
        forms: of their values. A text stands two places behind its name.
        numbers: for a number its value, for true and false 1 and 0, else `NOT_GIVEN`.
    """

    events: Array
    names: Array
    strings: Any
    forms: Array
    numbers: Array


def decode_plain(body: bytes, limits: Limits, *, lines: bool) -> EventBatch | None:
    """Reads a plain body in which all is right; None for any other.

    Args:
        body: an array of JSON objects, or with `lines` one object a line (NDJSON).
        limits: of its events.
        lines: whether it is NDJSON.
    """
    try:
        members = _members(body, limits.events_max, lines=lines)
        fields = _columns(members)
    except (_NotPlainError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    columns, wrong = field_columns.stored(*fields, limits.latest)
    if wrong.any():
        return None
    rows = make_table(columns, len(wrong))
    return EventBatch(rows=rows, row_indexes=np.arange(len(wrong)), size=len(body) + EVENT_BYTES * len(wrong))


def _members(body: bytes, events_max: int, *, lines: bool) -> _Members:
    """Finds all names and values of a body. What is not plain is raised."""
    marks = _marks(body, events_max, lines=lines)
    data = np.frombuffer(body + bytes(WORD), np.uint8)
    opening, closing = marks[::2], marks[1::2]
    lengths = closing - opening - 1
    _check(lengths.min() and lengths.max() <= TEXT_BYTES_MAX)
    is_name = data.take(closing + 1) == ord(":")
    names = np.flatnonzero(is_name)
    _check(is_name[0])
    is_text = ~np.append(is_name, True)[names + 1]  # a value that is no text has no text behind it but the next name
    _check(len(names) + np.count_nonzero(is_text) == len(opening))  # each text is a name or the value of one
    before = opening.take(names)
    is_first = data.take(before - 1) == ord("{")
    first = np.flatnonzero(is_first)
    _check(is_first[0] and len(first) <= events_max)
    forms, numbers = np.full(len(names), _TEXT), np.full(len(names), NOT_GIVEN)
    ends = closing.take(names + is_text) + 1
    others = np.flatnonzero(~is_text)
    forms[others], numbers[others], ends[others] = _others(data, ends[others] + 1)
    texts = names[is_text]
    _check_one_space(data, closing.take(texts) + 2, opening.take(texts + 1))
    _check(body[: before[0]].strip(SPACES) == (b"{" if lines else b"[{"))
    _check(body[ends[-1] :].strip(SPACES) == (b"}" if lines else b"}]"))
    _check(not lines or body.count(b"\n", before[0], body.rindex(b"}")) == len(first) - 1)
    _check_between(data, ends[:-1], before[1:], first[1:] - 1, separator=b"\n" if lines else b",")
    events = np.repeat(np.arange(len(first)), np.diff(first, append=len(names)))
    return _Members(events, 2 * names, _strings(body, marks), forms, numbers)


def _others(data: Array, places: Array) -> tuple[Array, Array, Array]:
    """Reads values that are no texts, from behind the colon: their forms, their numbers, and the places behind them."""
    places = places + (data.take(places) == ord(" "))
    first = data.take(places)
    forms, ends, numbers = _FORMS.take(first), places + _LENGTHS.take(first), (first == ord("t")).astype(np.int64)
    numbers[forms == _NULL] = NOT_GIVEN
    at = np.flatnonzero(forms == _NUMBER)
    numbers[at], ends[at] = _numbers(data, places[at])
    return forms, numbers, ends


def _check_one_space(data: Array, places: Array, ends: Array) -> None:
    """Checks that there is nothing from `places` to `ends`, or one space."""
    apart = places != ends
    if apart.any():
        _check((ends - places <= 1).all() and (data[places[apart]] == ord(" ")).all())


def _check_between(data: Array, ends: Array, names: Array, last: Array, separator: bytes) -> None:
    """Checks what is between the ends of values and the next names, of which `last` are those of two events."""
    gaps, ends = names - ends, ends[last]
    apart = gaps[last]
    gaps[last] = 0
    _check(gaps.max(initial=0) <= len(", "))  # of one event: a comma, as no value is an array or object
    _check((data[ends] == ord("}")).all() and (data[ends + 1] == ord(separator)).all())
    _check(((apart == len("},{")) | ((apart == len("}, {")) & (data[ends + 2] == ord(" ")))).all())


def _marks(body: bytes, events_max: int, *, lines: bool) -> Array:
    """The place of each quotation mark of a body that is JSON without escapes."""
    _check(len(body) <= BYTES_MAX and b"\\" not in body)
    is_mark = np.frombuffer(body, np.uint8) == ord('"')
    _check(0 < np.count_nonzero(is_mark) <= 2 * TEXTS_MAX * events_max)
    if not body.isascii():
        body.decode()
    if lines:
        _check(body.count(b"\n") <= 2 * events_max)
        _any.decode_lines(body)
    else:
        _any.decode(body)
    return np.flatnonzero(is_mark)


def _strings(body: bytes, marks: Array) -> Any:
    """The texts between all of `marks`, as they are in the body: nothing is copied."""
    offsets = marks.astype(np.int32)
    offsets[::2] += 1
    return pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets.data), pa.py_buffer(body))


def _numbers(data: Array, places: Array) -> tuple[Array, Array]:
    """Reads the digits that begin at `places`: the numbers, and the places behind them."""
    numbers, ends = np.zeros(len(places), np.int64), places.copy()
    words = np.ndarray(len(data) - WORD + 1, "<u8", data, strides=(1,))
    left = np.arange(len(places))
    while len(left):
        digits, count = _leading_digits(words[ends[left]])
        numbers[left] = numbers[left] * _POWERS.take(count) + digits
        ends[left] += count
        _check((ends[left] - places[left]).max() <= COUNT_DIGITS)
        left = left[count == WORD]
    return numbers, ends


def _leading_digits(words: Array) -> tuple[Array, Array]:
    """The number that the first bytes of each word are the digits of, and how many these are."""
    values = words ^ _bytes(0x30)  # each digit as its value, and every other byte as more than 9
    others = ((values + _bytes(0x7F - 9)) | values) & _bytes(0x80)
    count = (np.bitwise_count((others & -others) - 1) >> 3).astype(np.int64)
    values <<= (8 * (WORD - count)).astype(np.uint64)
    for bits, mask in ((8, 0x00FF00FF00FF00FF), (16, 0x0000FFFF0000FFFF), (32, 0xFFFFFFFF)):
        values = (values * 10 ** (bits // 8) + (values >> bits)) & mask
    return values.astype(np.int64), count


def _bytes(byte: int) -> int:
    """Makes a word of one byte, again and again."""
    return int.from_bytes(bytes([byte] * WORD))


def _columns(members: _Members) -> tuple[Array, dict[str, Any], dict[str, Array]]:
    """The places of kinds, the fields of text and those of numbers. An event that is not well formed is raised."""
    codes = pc.index_in(members.strings.take(pa.array(members.names)), _NAMES)
    _check(not codes.null_count)
    fields = codes.to_numpy().astype(np.intp)
    nulls = np.flatnonzero(members.forms != _FORM_OF.take(fields))
    _check((members.forms[nulls] == _NULL).all() and _HAS_NULL[fields[nulls]].all())
    _check(members.numbers.max() <= COUNT_MAX)
    at = np.full((len(NAMES), members.events[-1] + 1), -1)  # by field and event, the place of its member
    at[fields, members.events] = np.arange(len(fields))
    given = at >= 0
    _check(np.count_nonzero(given) == len(fields))  # none is given twice
    used = np.flatnonzero(given.any(axis=1)).tolist()
    places = np.append(np.where(members.forms == _TEXT, members.names + 2, -1), -1)  # the last is that of no member
    texts = {NAMES[place]: _taken(members.strings, places[at[place]]) for place in used if _FORM_OF[place] == _TEXT}
    numbers = np.append(members.numbers, NOT_GIVEN)
    _check("kind" in texts and all(_is_right(name, values) for name, values in texts.items()))
    kinds = field_columns.codes_of(texts["kind"])
    _check((kinds >= 0).all() and (ALLOWED.take(kinds, axis=1) | ~given).all())
    given[fields[nulls], members.events[nulls]] = False
    _check((given | ~REQUIRED.take(kinds, axis=1)).all())
    return kinds, texts, {NAMES[place]: numbers[at[place]] for place in used if _FORM_OF[place] != _TEXT}


def _taken(strings: Any, places: Array) -> Any:
    """The strings at these places; less than 0 is null."""
    missing = places < 0
    return strings.take(pa.array(places, mask=missing) if missing.any() else pa.array(places))


def _is_right(name: str, values: Any) -> bool:
    """Returns true if a field may have all of these texts, of which each has a length that is allowed."""
    dimension = DIMENSIONS.get(name)
    if not dimension or not dimension.values:
        return True
    others = set(pc.unique(values).to_pylist()) - {None, *dimension.values}
    return all(dimension.pattern and re.search(rf"(?:{dimension.pattern})\Z", other) for other in others)
