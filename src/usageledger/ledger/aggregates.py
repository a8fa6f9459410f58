"""An engine's summed rows, in any order → the `Aggregate` of a query: sorted, with every measure added up."""

from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any

import numpy as np

from usageledger.meter import Measure
from usageledger.questions.aggregate import Aggregate
from usageledger.questions.query import Query

Column = np.ndarray[Any, Any]

INT64_MAX = 2**63 - 1


def to_aggregate(query: Query, columns: Mapping[str, Column]) -> Aggregate:
    """The answer made of `columns`: `bucket`, the dimensions grouped by, and `sum_` with each stored column.

    Sums beyond 64 bits come as text.

    Rows are sorted by bucket and then by the dimensions grouped by, what has no value last.
    """
    buckets = columns["bucket"]
    names: dict[str, list[Any]] = {name: columns[name].tolist() for name in query.group_by}
    places = order(buckets, names)
    answer: dict[str, Sequence[Any]] = {name: picked(values, places) for name, values in names.items()}
    sums = {c: _numbers(columns[f"sum_{c}"])[places] for c in query.meter.columns}
    shown: dict[tuple[str, ...], list[int]] = {}
    for measure in query.meter.reported:
        # Most parts of most pages are zero, so that many measures are one and the same column.
        parts = tuple(column for column in measure.columns if sums[column].any())
        if parts not in shown:
            shown[parts] = _total(measure, [sums[column] for column in parts], len(buckets))
        answer[measure.name] = shown[parts]
    starts: list[int] = buckets[places].tolist()
    return Aggregate(starts, answer)


def order(buckets: Column, names: Mapping[str, list[Any]]) -> Column:
    """The places of the rows in sorted order."""
    key, size = np.unique(buckets, return_inverse=True)[1], len(buckets) + 1
    for values in names.values():
        distinct = sorted(set(values), key=lambda value: (value is None, value if value is not None else ""))
        rank = {value: number for number, value in enumerate(distinct)}
        if size * len(distinct) > INT64_MAX:
            key, size = np.unique(key, return_inverse=True)[1], len(key) + 1
        key = key * len(distinct) + np.fromiter(map(rank.__getitem__, values), np.int64, len(values))
        size *= len(distinct)
    return np.argsort(key, kind="stable")


def picked(values: list[Any], order: Column) -> list[Any]:
    """`values` in that order."""
    return list(map(values.__getitem__, order.tolist()))


def _numbers(sums: Column) -> Column:
    if np.issubdtype(sums.dtype, np.integer):
        return sums
    return np.array([int(text) for text in sums.tolist()], object)


def _total(measure: Measure, parts: list[Column], rows: int) -> list[int]:
    """The exact sum of `parts` for each row."""
    if not parts:
        return list(repeat(0, rows))
    if measure.adds == "sum" and sum(int(part.max()) for part in parts) > INT64_MAX:
        parts = [part.astype(object) for part in parts]
    total: list[int] = sum(parts[1:], parts[0]).tolist()
    return total
