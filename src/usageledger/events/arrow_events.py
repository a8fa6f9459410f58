"""Events that come as tables, Arrow IPC streams and Parquet files: the same events, rules and answers as in JSON.

A column is a field, and null is a field that the event does not have. Rows that are plainly right are checked and
turned into stored columns, whole columns at once. Every other row is written as JSON and read as an event of a JSON
body is, so that it is taken or refused for the same reasons and in the same words.
"""

import math
import sys
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from usageledger.buckets import LATEST_TIME
from usageledger.events.batch import EVENT_BYTES, EventBatch, Limits, Refusals, Rejection
from usageledger.events.columns import kept_of, make_table, reason
from usageledger.events.field_columns import ALLOWED, FIELD, NAMES, REQUIRED, codes_of, stored
from usageledger.events.json_events import decode_texts
from usageledger.events.table_bodies import read_arrow, read_parquet
from usageledger.events.typed_events import COUNT_MAX, FIELDS, ID_CHARACTERS_MAX, NOT_GIVEN
from usageledger.fields import NAME_CHARACTERS_MAX
from usageledger.meters import DIMENSIONS, METER_BY_KIND, METERS

COUNTS = frozenset(measure.name for meter in METERS for measure in meter.measures)
UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

Array = np.ndarray[Any, Any]


def decode_arrow(body: bytes, limits: Limits) -> EventBatch:
    """Reads an Arrow IPC stream; raises as `read_arrow` does."""
    table = read_arrow(body, limits.events_max, limits.bytes_max)
    return decode_table(table, latest=limits.latest, now=limits.now)


def decode_parquet(body: bytes, limits: Limits) -> EventBatch:
    """Reads a Parquet file; raises as `read_parquet` does."""
    table = read_parquet(body, limits.events_max, limits.bytes_max)
    return decode_table(table, latest=limits.latest, now=limits.now)


def decode_table(table: pa.Table, *, latest: int, now: int) -> EventBatch:
    """Reads the events of a table as `table_bodies` makes it; `latest` and `now` as in `Limits`."""
    columns = {name: _plain(table[name]) for name in table.column_names}
    texts, numbers, right = _check(columns, table.num_rows)
    good = np.nonzero(right)[0]
    batch = decode_texts(_texts_of(columns, np.nonzero(~right)[0]))
    if len(good) < table.num_rows:
        texts = {name: values.take(pa.array(good)) for name, values in texts.items()}
        numbers = {name: values[good] for name, values in numbers.items()}
    columns, wrong = stored(codes_of(texts["kind"]), texts, numbers, latest)
    rows, kept = kept_of(make_table(columns, len(good)), wrong)
    contradictory = Refusals()
    if len(kept) < len(good):

        def explain(row: int) -> Iterator[Rejection]:
            kind, event_id = texts["kind"][row].as_py(), texts["id"][row].as_py()
            why = reason(kind, _numbers_at(row, kind, numbers), int(numbers["timestamp"][row]), latest, now)
            yield Rejection(int(good[row]), event_id, *why)

        contradictory.add(np.nonzero(wrong)[0].tolist(), explain)
    batch.rows, batch.row_indexes = rows, good[kept]
    batch.refused = batch.refused.merged(contradictory)
    values = chain.from_iterable(map(msgspec.structs.astuple, batch.typed))
    objects = EVENT_BYTES * (batch.count + len(batch.refused.listed))
    batch.size = rows.get_total_buffer_size() + sum(map(sys.getsizeof, values)) + objects
    return batch


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
    if not pa.types.is_string(kinds.type):
        kinds = pa.nulls(rows, pa.string())
    codes = codes_of(kinds)
    right = codes >= 0
    texts: dict[str, Any] = {"kind": kinds, "id": pa.nulls(rows, pa.string())}
    numbers: dict[str, Array] = {"timestamp": np.full(rows, NOT_GIVEN)}
    for name, column in columns.items():
        if name not in FIELD:
            right &= name == "kind" or ~_present(column)
            continue
        if FIELD[name].python == (str,):
            texts[name], fits = _text(name, column)
        else:
            numbers[name], fits = _number(name, column, bool in FIELD[name].python)
        right &= ~_present(column) | (fits & ALLOWED[NAMES.index(name)][codes])
    for name, required in zip(NAMES, REQUIRED, strict=True):
        if required.any():
            right &= ~required[codes] | (_present(columns[name]) if name in columns else False)
    return texts, numbers, right


def _text(name: str, column: Any) -> tuple[Any, Array]:
    """A column of text, and which of its values are allowed."""
    if not pa.types.is_string(column.type):
        return pa.nulls(len(column), pa.string()), np.zeros(len(column), bool)
    length: Array = pc.utf8_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    values = DIMENSIONS[name].values if name in DIMENSIONS else ()
    allowed = pc.is_in(column, pa.array(values)) if values else pc.invert(pc.match_substring(column, "\0"))
    fits: Array = allowed.fill_null(False).to_numpy(zero_copy_only=False)
    return column, fits & (length > 0) & (length <= (ID_CHARACTERS_MAX if name == "id" else NAME_CHARACTERS_MAX))


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
    return values, (values >= 0) & (values <= (LATEST_TIME if name == "timestamp" else COUNT_MAX))


def _texts_of(columns: Mapping[str, Any], rows: Array) -> list[tuple[int, bytes]]:
    """Writes these rows as JSON, each with its index."""
    names = list(columns)
    chosen = zip(*(columns[name].take(pa.array(rows)).to_pylist() for name in names), strict=True)
    given = chosen if names else iter([()] * len(rows))
    return [
        (
            index,
            msgspec.json.encode(
                {name: _said(name, value) for name, value in zip(names, row, strict=True) if value is not None}
            ),
        )
        for index, row in zip(rows.tolist(), given, strict=True)
    ]


def _said(name: str, value: Any) -> Any:
    """The value as JSON can say it: null of a float that is no number would be a count that is not given."""
    is_wrong = name in COUNTS and isinstance(value, float) and not math.isfinite(value)
    return str(value) if is_wrong else value


def _numbers_at(row: int, kind: str, numbers: Mapping[str, Array]) -> dict[str, int]:
    """Gives the counts of one row by name, with the default of each that it lacks."""
    names = (measure.name for measure in METER_BY_KIND[kind].measures)
    found = {name: int(numbers[name][row]) if name in numbers else NOT_GIVEN for name in names}
    return {name: FIELDS[kind][name].default if value < 0 else value for name, value in found.items()}
