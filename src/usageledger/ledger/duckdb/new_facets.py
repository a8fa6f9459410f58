"""Facets: the values that each dimension has on each day, for lists of projects, users, keys or models to pick from.

A commit writes the values that its day did not have yet. Those of recent days are remembered, so that most commits
write nothing and look nothing up.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from usageledger.buckets import DAY_SECONDS
from usageledger.ledger.schema import EVENTS_TABLE, FACET_COLUMNS, FAMILIES, facets_of_events
from usageledger.meters import FACETS

Group = tuple[int, str, str]  # start of the day, kind, dimension


class Known:
    """At most `kept_max` values that the ledger has for certain. It may have others: those are looked up."""

    def __init__(self, kept_max: int) -> None:
        self._kept_max = kept_max
        self._values: dict[Group, set[str]] = {}

    def others(self, found: dict[Group, set[str]]) -> pa.Table:
        """Those of `found` that are not known, as rows of `facets`."""
        known = ((group, values.difference(self._values.get(group, ()))) for group, values in found.items())
        new = {group: list(values) for group, values in known if values}
        # By column, since there may be very many: a tuple for each row takes ten times as long.
        places = np.repeat(np.arange(len(new)), list(map(len, new.values())))
        groups = zip(*new, strict=True) if new else ((), (), ())
        types: tuple[Any, ...] = (pa.int64(), pa.string(), pa.string())
        columns: list[Any] = [pa.array(column, kind).take(places) for column, kind in zip(groups, types, strict=True)]
        columns.append(pa.array(list(chain.from_iterable(new.values())), pa.string()))
        return pa.Table.from_arrays(columns, names=list(FACET_COLUMNS))

    def note(self, found: dict[Group, set[str]]) -> None:
        """Remembers what the ledger now has; where that is too much, only what was just found, or nothing."""
        for group, values in found.items():
            self._values.setdefault(group, set()).update(values)
        if _count(self._values) > self._kept_max:
            self._values = found if _count(found) <= self._kept_max else {}


def missing(writer: duckdb.DuckDBPyConnection) -> list[str]:
    """Lists the statements that fill the facets of dimensions that were none for the version that kept the events."""
    has = {name for (name,) in writer.execute("SELECT DISTINCT dimension FROM facets").fetchall()}
    dropped = "ts < (SELECT events_from FROM retention)"
    lacking = [
        (name, source, where)
        for name in FACETS
        if name not in has
        for source, where in ((EVENTS_TABLE, "TRUE"), (FAMILIES[-1].rollups[0].table, dropped))
    ]
    # One statement for all, since each is planned anew: that takes longer than to carry it out.
    asked = [
        f"(SELECT {number} FROM {source} WHERE {name} IS NOT NULL AND {where} LIMIT 1)"
        for number, (name, source, where) in enumerate(lacking)
    ]
    found = sorted(writer.execute(" UNION ALL ".join(asked)).fetchall()) if asked else []
    return [
        f"INSERT INTO facets {facets_of_events(name, where, source)}"
        for (n,) in found
        for name, source, where in [lacking[n]]
    ]


def _count(values: dict[Group, set[str]]) -> int:
    return sum(map(len, values.values()))


def found_in(rows: pa.Table) -> dict[Group, set[str]]:
    """The values of every dimension in `rows` (`columns.SCHEMA`), by day and kind."""
    found: dict[Group, set[str]] = {}
    days, day_codes = np.unique(rows["ts"].to_numpy() // DAY_SECONDS, return_inverse=True)
    kinds = rows["kind"].combine_chunks().dictionary_encode()
    kind_names: list[Any] = kinds.dictionary.to_pylist()
    groups = day_codes * len(kinds.dictionary) + kinds.indices.to_numpy()
    named = [(int(day) * DAY_SECONDS, kind) for day in days for kind in kind_names]
    for dimension in FACETS:
        column = rows[dimension].combine_chunks()
        if column.null_count < len(column):
            for group, values in _values(groups, column):
                found[(*named[group], dimension)] = values
    return found


def _values(groups: np.ndarray[Any, Any], column: Any) -> Iterator[tuple[int, set[str]]]:
    """The distinct values of a column in each group of its rows."""
    encoded = column.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy()
    size = len(encoded.dictionary)
    pairs = np.sort(pc.unique(pa.array((groups * size + codes)[codes >= 0])).to_numpy())
    places, first = np.unique(pairs // size, return_index=True)
    values: list[Any] = encoded.dictionary.to_pylist()
    for group, chosen in zip(places.tolist(), np.split(pairs % size, first[1:]), strict=True):
        yield group, set(map(values.__getitem__, chosen.tolist()))
