"""Columns of fields, as events of any kinds give them → the stored columns.

Fields are named as in events. Texts are Arrow arrays. Numbers are of numpy, less than 0 where an event gives none; true
and false are 1 and 0. A field that no event gives may be left out.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from usageledger import tokens
from usageledger.buckets import LATEST_TIME
from usageledger.events import token_parts
from usageledger.events.typed_events import FIELDS, NOT_GIVEN, has_parts
from usageledger.meters import DIMENSIONS, MEASURE_COLUMNS, METERS

Array = np.ndarray[Any, Any]

KINDS = tuple(FIELDS)
FIELD = {name: field for fields in FIELDS.values() for name, field in fields.items()}  # of any kind that has it
NAMES = ("kind", *FIELD)
# By name and kind: the fields that an event of the kind may have, and those that it must have.
ALLOWED = np.array([[name == "kind" or name in FIELDS[kind] for kind in KINDS] for name in NAMES])
REQUIRED = np.array(
    [
        [name == "kind" or (name in FIELDS[kind] and FIELDS[kind][name].default is msgspec.NODEFAULT) for kind in KINDS]
        for name in NAMES
    ]
)
_KINDS = pa.array(KINDS)
_WITH_PARTS = np.array([has_parts(meter) for meter in METERS])
_PARTS = np.array([MEASURE_COLUMNS.index(part) for part in tokens.PARTS])
_PROVIDER = FIELDS[KINDS[0]]["provider"].default


def _single_counts() -> dict[tuple[str, str], tuple[Array, Array]]:
    """Counts that are one stored column: (name, column) → by kind, whether it has that count, and its default."""
    found: dict[tuple[str, str], tuple[Array, Array]] = {}
    for code, meter in enumerate(METERS):
        for measure in meter.measures:
            if _WITH_PARTS[code] and measure.name in tokens.FIELDS:
                continue
            nothing = np.zeros(len(KINDS), bool), np.zeros(len(KINDS), np.int64)
            has, defaults = found.setdefault((measure.name, measure.columns[0]), nothing)
            has[code], defaults[code] = True, measure.default or 0
    return found


_SINGLE_COUNTS = _single_counts()


def codes_of(kinds: Any) -> Array:
    """The place of each kind in `KINDS`, -1 for what is none."""
    codes: Array = pc.index_in(kinds, _KINDS).fill_null(-1).to_numpy(zero_copy_only=False)
    return codes


def stored(
    codes: Array, texts: Mapping[str, Any], numbers: Mapping[str, Array], latest: int
) -> tuple[dict[str, Any], Array]:
    """Makes the stored columns of events that are well formed.

    Args:
        codes: the place of the kind of each in `KINDS`.
        texts: the other fields of text; `id` has no nulls.
        numbers: the other fields.
        latest: the last timestamp (Unix seconds) that is not too far in the future.

    Returns:
        The columns, for `columns.make_table`, and for each row, whether its values are allowed one by one but not
        together, or not at this time.
    """
    timestamps = numbers["timestamp"]
    wrong: Array = (timestamps > latest) | (timestamps < 0) | (timestamps > LATEST_TIME)
    columns: dict[str, Any] = {"event_id": texts["id"], "ts": timestamps, "kind": _KINDS.take(codes)}
    columns["provider"] = texts["provider"].fill_null(_PROVIDER) if "provider" in texts else [_PROVIDER] * len(codes)
    for name, dimension in DIMENSIONS.items():
        if dimension.flag and name in numbers:
            columns[name] = pa.array(numbers[name] == 1, mask=numbers[name] < 0)
        elif name in texts:
            columns[name] = texts[name]
    counts, contradictory = _counts(codes, numbers)
    return columns | counts, wrong | contradictory


def _counts(codes: Array, numbers: Mapping[str, Array]) -> tuple[dict[str, Array], Array]:
    """Makes the stored counts, and marks the rows whose numbers contradict each other."""
    stored_counts = np.zeros((len(MEASURE_COLUMNS), len(codes)), np.int64)
    counts = dict(zip(MEASURE_COLUMNS, stored_counts, strict=True))
    wrong, nothing = np.zeros(len(codes), bool), np.full(len(codes), NOT_GIVEN)
    rows = np.flatnonzero(_WITH_PARTS[codes])
    if len(rows):
        parts, wrong[rows] = token_parts.derive({name: numbers.get(name, nothing)[rows] for name in tokens.FIELDS})
        stored_counts[_PARTS[:, None], rows] = [*parts.values()]
    for (name, column), (has, defaults) in _SINGLE_COUNTS.items():
        if name in numbers or defaults.any():
            values = numbers.get(name, nothing)
            np.copyto(counts[column], np.where(values < 0, defaults[codes], values), where=has[codes])
    return counts, wrong
