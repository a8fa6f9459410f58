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
from usageledger.errors import LedgerVersionError
from usageledger.events.field_columns import KINDS, stored
from usageledger.events.typed_events import FIELDS, KIND_OF, NOT_GIVEN, has_parts, unix_seconds
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
    codes = np.zeros(len(events), np.intp)
    texts: dict[str, list[str | None]] = {}
    numbers: dict[str, Array] = {}
    for kind, at in places.items():
        rows = np.array(at, np.int64)
        codes[rows] = KINDS.index(kind)
        values = zip(*(msgspec.structs.astuple(events[place]) for place in at), strict=True)
        for field, given in zip(FIELDS[kind].values(), values, strict=True):
            if field.python == (str,):
                if any(given):
                    _put(texts.setdefault(field.name, [None] * len(events)), at, given)
            elif (found := _numbers(field.name, given)) is not None:
                numbers.setdefault(field.name, np.full(len(events), NOT_GIVEN))[rows] = found
    columns, wrong = stored(
        codes, {name: pa.array(given, pa.string()) for name, given in texts.items()}, numbers, latest
    )
    return kept_of(make_table(columns, len(events)), wrong)


def _put(column: list[str | None], places: Iterable[int], values: Iterable[str | None]) -> None:
    for place, value in zip(places, values, strict=True):  # as fast as it gets: numpy would make copies of text
        column[place] = value


def _numbers(name: str, given: Sequence[Any]) -> Array | None:
    """The numbers of a field as a column, `NOT_GIVEN` for null; None where there are none."""
    if name == "timestamp":
        return np.fromiter(map(unix_seconds, given), np.int64, len(given))
    if given[0] in {None, NOT_GIVEN} and given.count(given[0]) == len(given):
        return None
    try:
        return np.array(given, np.int64)
    except TypeError:
        return np.array([NOT_GIVEN if number is None else number for number in given], np.int64)


def kept_of(table: pa.Table, wrong: Array) -> tuple[pa.Table, Array]:
    """The rows that are not `wrong`, and their places."""
    kept = np.nonzero(~wrong)[0]
    return (table if len(kept) == len(wrong) else table.take(kept)), kept


def reason_of(event: Any, latest: int, now: int) -> tuple[str, str, str]:
    """Says why `to_table` left a typed event out: (code, param, message)."""
    numbers = {name: NOT_GIVEN if said is None else said for name, said in msgspec.structs.asdict(event).items()}
    return reason(KIND_OF[type(event)], numbers, unix_seconds(event.timestamp), latest, now)


def reason(kind: str, numbers: Mapping[str, int], seconds: int, latest: int, now: int) -> tuple[str, str, str]:
    """Says why an event that `field_columns.stored` marks cannot be kept: (code, param, message).

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
