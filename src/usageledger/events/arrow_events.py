"""Events that come as tables, Arrow IPC streams and Parquet files: the same events, rules and answers as in JSON.

A column is a field, and null is a field that the event does not have. Rows that are plainly right are checked and
turned into stored columns, whole columns at once. Every other row is written as JSON and read as an event of a JSON
body is, so that it is taken or refused for the same reasons and in the same words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from usageledger.buckets import LATEST_TIME
from usageledger.events.columns import Problem, complaints_of, make_table
from usageledger.events.json_events import (
    FIELDS,
    LARGEST_COUNT,
    LONGEST_ID,
    NOT_GIVEN,
    Decoded,
    decode_slowly,
    has_parts,
)
from usageledger.fields import LONGEST_NAME
from usageledger.meters import DIMENSIONS, MEASURE_COLUMNS, METER_BY_KIND

ARROW_TYPES = ("application/vnd.apache.arrow.stream",)
PARQUET_TYPES = ("application/vnd.apache.parquet",)
KINDS = tuple(FIELDS)
UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Identity:
    """What an answer says of an event that is refused."""

    id: str
    timestamp: int


class TableEvents(Sequence[Any]):
    """The events of one table that are well formed: those already in stored columns, and `others` as typed events.

    Attributes:
        rows: `columns.SCHEMA`, no rate card given yet.
        places: for each of `rows`, its place among these events.
        problems: events that cannot be kept, by their place.
        other_places: for each of `others`, its place.
    """

    def __init__(
        self, rows: pa.Table, places: Array, problems: list[Problem], others: list[Any], other_places: Array
    ) -> None:
        self.rows, self.places, self.problems = rows, places, problems
        self.others, self.other_places = others, other_places
        self._refused: dict[int, Identity] = {}

    def __len__(self) -> int:
        return len(self.places) + len(self.problems) + len(self.others)

    def note(self, place: int, identity: Identity) -> None:
        """Remembers what an event is called that is among `problems`, and so in no row."""
        self._refused[place] = identity

    def __getitem__(self, place: Any) -> Any:
        if place in self._refused:
            return self._refused[place]
        found = np.nonzero(self.other_places == place)[0]
        if len(found):
            return self.others[found[0]]
        row = int(np.nonzero(self.places == place)[0][0])
        return Identity(self.rows["event_id"][row].as_py(), self.rows["ts"][row].as_py())


def decode_table(table: pa.Table, *, latest: int, now: int) -> Decoded:
    """The events of a table as `table_bodies` reads it; `latest` and `now` as `columns.to_table` has them."""
    columns = {name: _plain(table[name]) for name in table.column_names}
    texts, numbers, right = _check(columns, table.num_rows)
    good = np.nonzero(right)[0]
    slow, slow_at = _decode_slowly(columns, np.nonzero(~right)[0])
    indexes = np.sort(np.concatenate([good, slow_at]))
    rows, kept, problems = _stored(
        {name: values.take(pa.array(good)) for name, values in texts.items()},
        {name: values[good] for name, values in numbers.items()},
        latest,
        now,
    )
    places = np.searchsorted(indexes, good)
    events = TableEvents(rows, places[kept], [], list(slow.events), np.searchsorted(indexes, slow_at))
    for problem in problems:
        place = int(places[problem.position])
        index = good[problem.position]
        events.note(place, Identity(texts["id"][int(index)].as_py(), int(numbers["timestamp"][index])))
        events.problems.append(replace(problem, position=place))
    return Decoded(events, indexes.tolist(), slow.rejections, table.num_rows, slow.omitted)


def _plain(column: Any) -> Any:
    """A column as text, numbers or true and false, as JSON has them; times with a zone as Unix seconds."""
    kind = column.type
    column = column.combine_chunks() if len(column) else pa.array([], kind)  # not every type can be made of no chunks
    if not pa.types.is_timestamp(kind):
        return column
    if kind.tz is None:
        return column.cast(pa.string())
    units = column.cast(pa.int64())
    seconds = np.floor_divide(units.fill_null(0).to_numpy(zero_copy_only=False), UNITS_PER_SECOND[kind.unit])
    return pa.array(seconds, mask=~_present(column))


def _present(column: Any) -> Array:
    found: Array = column.is_valid().to_numpy(zero_copy_only=False)
    return found


def _check(columns: Mapping[str, Any], rows: int) -> tuple[dict[str, Any], dict[str, Array], Array]:
    """Columns of text and of numbers (`NOT_GIVEN` for null), by field, and which rows are plainly right."""
    kinds = columns.get("kind", pa.nulls(rows))
    codes: Array = np.full(rows, -1)
    if pa.types.is_string(kinds.type):
        codes = pc.index_in(kinds, pa.array(KINDS)).fill_null(-1).to_numpy(zero_copy_only=False)
    right = codes >= 0
    texts: dict[str, Any] = {"kind": kinds}
    numbers: dict[str, Array] = {}
    for name in dict.fromkeys((*columns, *(name for fields in FIELDS.values() for name in fields))):
        if name == "kind":
            continue
        fields = [FIELDS[kind].get(name) for kind in KINDS]
        column = columns.get(name, pa.nulls(rows))
        present = _present(column)
        allowed = np.array([field is not None for field in fields])
        required = np.array([field is not None and field.default is msgspec.NODEFAULT for field in fields])
        right &= np.where(present, allowed[codes], ~required[codes])
        known = next((field for field in fields if field), None)
        if known is None:
            continue
        if known.python == (str,):
            texts[name], fits = _text(name, column)
        else:
            numbers[name], fits = _number(name, column, bool in known.python)
        right &= fits | ~present
    return texts, numbers, right


def _text(name: str, column: Any) -> tuple[Any, Array]:
    """A column of text, and which of its values are allowed."""
    if not pa.types.is_string(column.type):
        return pa.nulls(len(column), pa.string()), np.zeros(len(column), bool)
    length: Array = pc.utf8_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    values = DIMENSIONS[name].values if name in DIMENSIONS else ()
    allowed = pc.is_in(column, pa.array(values)) if values else pc.invert(pc.match_substring(column, "\0"))
    fits: Array = allowed.fill_null(False).to_numpy(zero_copy_only=False)
    return column, fits & (length > 0) & (length <= (LONGEST_ID if name == "id" else LONGEST_NAME))


def _number(name: str, column: Any, flag: bool) -> tuple[Array, Array]:
    """A column of integers, true and false among them as 1 and 0, and which of its values are allowed."""
    is_right = pa.types.is_boolean(column.type) if flag else pa.types.is_integer(column.type)
    nothing = np.full(len(column), NOT_GIVEN), np.zeros(len(column), bool)
    if not is_right:
        return nothing
    try:
        values = column.cast(pa.int64()).fill_null(NOT_GIVEN).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return nothing  # some are beyond 64 bits
    return values, (values >= 0) & (values <= (LATEST_TIME if name == "timestamp" else LARGEST_COUNT))


def _decode_slowly(columns: Mapping[str, Any], rows: Array) -> tuple[Decoded, Array]:
    """The events of these rows by way of JSON, and the row of each; refusals have the rows as their indexes."""
    names = list(columns)
    chosen = zip(*(columns[name].take(pa.array(rows)).to_pylist() for name in names), strict=True)
    given = chosen if names else iter([()] * len(rows))
    raws = [
        msgspec.json.encode({name: value for name, value in zip(names, row, strict=True) if value is not None})
        for row in given
    ]
    decoded = decode_slowly(raws)
    for place, rejection in enumerate(decoded.rejections):
        decoded.rejections[place] = msgspec.structs.replace(rejection, index=int(rows[rejection.index]))
    return decoded, rows[np.array(decoded.indexes, np.int64)]


def _stored(
    texts: Mapping[str, Any], numbers: Mapping[str, Array], latest: int, now: int
) -> tuple[pa.Table, Array, list[Problem]]:
    """The stored columns of rows that are right, those that cannot be kept left out: as `columns.to_table`."""
    kinds, rows = texts["kind"], len(texts["kind"])
    stored: dict[str, Array] = {name: np.zeros(rows, np.int64) for name in MEASURE_COLUMNS}
    problems: list[Problem] = []
    for kind in pc.unique(kinds).to_pylist() if rows else []:
        meter = METER_BY_KIND[kind]
        at = np.nonzero(pc.equal(kinds, kind).to_numpy(zero_copy_only=False))[0]
        fields = {"timestamp": numbers["timestamp"][at]}
        for measure in meter.measures:
            values, default = numbers[measure.name][at], FIELDS[kind][measure.name].default
            fields[measure.name] = values if default is msgspec.NODEFAULT else np.where(values < 0, default, values)
        wrong = complaints_of(kind, fields, latest, now)
        problems += [replace(problem, position=int(at[problem.position])) for problem in wrong]
        for measure in meter.measures if not has_parts(meter) else ():
            stored[measure.columns[0]][at] = fields[measure.name]
        for column in meter.columns if has_parts(meter) else ():
            stored[column][at] = fields[column]
    columns: dict[str, Any] = {"event_id": texts["id"], "ts": numbers["timestamp"], "kind": kinds, **stored}
    columns["provider"] = texts["provider"].fill_null(FIELDS[KINDS[0]]["provider"].default)
    for name, dimension in DIMENSIONS.items():
        flags = numbers[name] if dimension.flag else None
        columns[name] = texts[name] if flags is None else pa.array(flags == 1, mask=flags < 0)
    first: dict[int, Problem] = {}
    for problem in problems:
        first.setdefault(problem.position, problem)
    table = make_table(columns, rows)
    kept = np.setdiff1d(np.arange(rows), np.fromiter(first, np.int64))
    return (table.take(kept) if first else table), kept, list(first.values())
