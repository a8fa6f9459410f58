"""Typed events → one Arrow table of the stored columns.

The parts of token totals are derived here, for whole columns at once; an event whose numbers contradict each other,
or that lies too far in the future, is left out. Why, is found for one event at a time, of as many as are listed.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from usageledger import tokens
from usageledger.buckets import LATEST_TIME
from usageledger.errors import LedgerVersionError
from usageledger.events import token_parts
from usageledger.events.typed_events import FIELDS, KIND_OF, NOT_GIVEN, has_parts, unix_seconds
from usageledger.meter import Meter
from usageledger.meters import DIMENSIONS, MEASURE_COLUMNS, METER_BY_KIND

# The stored columns, in their order, and what Python type their values have. Dimensions may be absent, as None.
COLUMNS: dict[str, type] = {
    "event_id": str,
    "ts": int,
    "kind": str,
    "provider": str,
    **{dimension.name: bool if dimension.flag else str for dimension in DIMENSIONS.values()},
    **dict.fromkeys(MEASURE_COLUMNS, int),
    "rate_id": int,
}
PAYLOAD_COLUMNS: tuple[str, ...] = tuple(name for name in COLUMNS if name != "rate_id")
EVENTS_AT_ONCE_MAX = 2_500  # of 50,000, which no processor caches, each takes twice as long
NO_CARD = 0  # the `rate_id` of an event that was not given a rate card yet
Array = np.ndarray[Any, Any]
_ARROW: dict[type, Any] = {str: pa.string(), int: pa.int64(), bool: pa.bool_()}
SCHEMA = pa.schema([pa.field(name, _ARROW[kind], nullable=name in DIMENSIONS) for name, kind in COLUMNS.items()])


def default_of(column: str) -> int | None:
    """The value of an event that says nothing of a column: no dimension, a count of 0, no rate card."""
    return None if column in DIMENSIONS else 0


def to_table(events: Sequence[Any], latest: int, *, at_once_max: int = EVENTS_AT_ONCE_MAX) -> tuple[pa.Table, Array]:
    """Makes the stored columns of `events`, those that cannot be kept left out.

    Args:
        events: typed, of any kinds, in any order.
        latest: the last timestamp (Unix seconds) that is not too far in the future.
        at_once_max: events made a table of at once.

    Returns:
        The table (`SCHEMA`, no rate card given yet), and for each of its rows the place of its event in `events`,
        ascending.
    """
    if not events:
        return SCHEMA.empty_table(), np.zeros(0, np.int64)
    if len(events) <= at_once_max:
        return _to_table(events, latest)
    starts = range(0, len(events), at_once_max)
    tables, places = zip(*(_to_table(events[s : s + at_once_max], latest) for s in starts), strict=True)
    return (
        pa.concat_tables(tables).combine_chunks(),
        np.concatenate([start + kept for start, kept in zip(starts, places, strict=True)]),
    )


def _to_table(events: Sequence[Any], latest: int) -> tuple[pa.Table, Array]:
    places: dict[str, list[int]] = {}
    for place, event in enumerate(events):
        places.setdefault(KIND_OF[type(event)], []).append(place)
    columns: dict[str, Any] = {}
    wrong = np.zeros(len(events), bool)
    for kind, at in places.items():
        fields = _columns(METER_BY_KIND[kind], [events[place] for place in at])
        bad = derive_parts(kind, fields, latest)
        if len(places) == 1:
            columns, wrong = _stored(kind, fields), bad
            break
        rows = np.array(at, np.int64)
        wrong[rows] = bad
        for name, values in _stored(kind, fields).items():
            if COLUMNS[name] is int:
                columns.setdefault(name, np.zeros(len(events), np.int64))[rows] = values
                continue
            column = columns.setdefault(name, [None] * len(events))
            for place, value in zip(at, values, strict=True):  # as fast as it gets: numpy would make copies of text
                column[place] = value
    return kept_of(make_table(columns, len(events)), wrong)


def kept_of(table: pa.Table, wrong: Array) -> tuple[pa.Table, Array]:
    """The rows that are not `wrong`, and their places."""
    kept = np.nonzero(~wrong)[0]
    return (table if len(kept) == len(wrong) else table.take(kept)), kept


def _columns(meter: Meter, events: Sequence[Any]) -> dict[str, Any]:
    """Field name → its values: tuples of strings, numpy columns of integers."""
    names = tuple(FIELDS[meter.kind])
    columns: dict[str, Any] = dict(zip(names, zip(*map(msgspec.structs.astuple, events), strict=True), strict=True))
    columns["timestamp"] = np.fromiter(map(unix_seconds, columns["timestamp"]), np.int64, len(events))
    for measure in meter.measures:
        columns[measure.name] = _counts(columns[measure.name], FIELDS[meter.kind][measure.name].default)
    return columns


def _counts(given: Sequence[int | None], default: int) -> Array:
    """The counts of a field as a column; null is a count that the event does not give."""
    try:
        return np.array(given, np.int64)
    except TypeError:
        return np.array([default if count is None else count for count in given], np.int64)


def derive_parts(kind: str, columns: dict[str, Any], latest: int) -> Array:
    """Adds the parts of token totals to `columns`.

    Returns:
        For each row, whether its values are allowed one by one but not together, or not at this time.
    """
    timestamps = columns["timestamp"]
    wrong: Array = (timestamps > latest) | (timestamps < 0) | (timestamps > LATEST_TIME)
    if has_parts(METER_BY_KIND[kind]):
        parts, contradictory = token_parts.derive(columns)
        columns.update(parts)
        wrong |= contradictory
    return wrong


def reason_of(event: Any, latest: int, now: int) -> tuple[str, str, str]:
    """Says why `to_table` left a typed event out: (code, param, message)."""
    numbers = {name: NOT_GIVEN if said is None else said for name, said in msgspec.structs.asdict(event).items()}
    return reason(KIND_OF[type(event)], numbers, unix_seconds(event.timestamp), latest, now)


def reason(kind: str, numbers: Mapping[str, int], seconds: int, latest: int, now: int) -> tuple[str, str, str]:
    """Says why an event that `derive_parts` marks cannot be kept: (code, param, message).

    Args:
        kind: of the event.
        numbers: its counts by name, `NOT_GIVEN` among them.
        seconds: its timestamp.
        latest: the last timestamp that is not too far in the future.
        now: the server's time, for the message.
    """
    if has_parts(METER_BY_KIND[kind]):
        given = {name: numbers[name] for name in tokens.FIELDS if numbers[name] >= 0}
        for field, why in tokens.complaints(given):
            code = "missing_field" if tokens.plan(frozenset(given)).missing else "contradictory_counts"
            return code, field, f"Invalid '{field}': {why}"
    hint = " Is it in milliseconds?" if seconds > 100 * now else ""
    return (
        "invalid_value",
        "timestamp",
        f"Invalid 'timestamp': {seconds} is outside of 0 to {latest}, {latest - now} seconds ahead of now.{hint}",
    )


def _stored(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The stored columns that this kind has, from its fields and the parts derived from them."""
    meter = METER_BY_KIND[kind]
    if not has_parts(meter):
        fields.update({measure.columns[0]: fields[measure.name] for measure in meter.measures})
    fields |= {"event_id": fields["id"], "ts": fields["timestamp"], "kind": [kind] * len(fields["id"])}
    names = ("event_id", "ts", "kind", "provider", *(d.name for d in meter.dimensions), *meter.columns)
    return {name: fields[name] for name in names}


def with_cards(rows: pa.Table, rate_ids: np.ndarray[Any, np.dtype[np.int64]]) -> pa.Table:
    """Gives each of `rows` (`SCHEMA`, and perhaps more columns) its rate card."""
    at = rows.column_names.index("rate_id")
    return rows.set_column(at, rows.schema.field(at), pa.array(rate_ids))


def conform(rows: pa.Table) -> pa.Table:
    """Rows that another version stored, in the columns of this one, with the default of each that they lack.

    Raises:
        LedgerVersionError: they have a column that this version does not know.
    """
    if rows.schema.equals(SCHEMA):
        return rows
    refuse_unknown("The journal", rows.column_names, COLUMNS)
    return make_table({name: rows[name].combine_chunks() for name in rows.column_names}, rows.num_rows)


def refuse_unknown(place: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raises LedgerVersionError where a stored column is none of those that this version knows."""
    if unknown := set(names).difference(known):
        raise LedgerVersionError(
            f"{place} has columns that this UsageLedger does not know, such as {min(unknown)!r}: "
            "use a newer UsageLedger."
        )


def make_table(columns: dict[str, Any], rows: int) -> pa.Table:
    """Makes an Arrow table; where `columns` lacks one, every row has its default."""
    arrays: list[Any] = []
    for name, kind in COLUMNS.items():
        array: Any
        if name in columns:
            given = columns[name]
            array = given if isinstance(given, pa.Array) else pa.array(given, _ARROW[kind])
        elif (default := default_of(name)) is None:
            array = pa.nulls(rows, _ARROW[kind])
        else:
            array = pa.repeat(pa.scalar(default, _ARROW[kind]), rows)
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=SCHEMA)
