"""A `Query` → one SQL statement and its arguments, in the subset that every engine answers alike.

Names come from METERS and are never a request's; every value of a request is bound.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from usageledger.buckets import Run, floor
from usageledger.ledger.protocol import Facet
from usageledger.ledger.schema import DELTAS, ROLLUP_DIMENSIONS, ROLLUPS, summed
from usageledger.meters import Meter
from usageledger.query import Filter, Query


@dataclass(frozen=True, slots=True)
class Source:
    """A table, and the span of it (Unix seconds, end exclusive) that a query reads."""

    table: str
    start: int
    end: int


def sources(query: Query, run: Run) -> list[Source]:
    """What to read for a run of buckets: the coarsest rollup that fits, and finer tables at its unaligned edges."""
    start, end = run.start, run.end
    if start >= end:
        return []
    read = {*query.group_by, *(name for name, _ in query.filters)}
    fitting = [(r.table, r.seconds) for r in ROLLUPS if run.width % r.seconds == run.origin % r.seconds == 0]
    if not fitting or not read <= set(ROLLUP_DIMENSIONS):
        return [Source("events", start, end)]
    deltas = Source(DELTAS.table, _ceil(start, DELTAS.seconds), floor(end, DELTAS.seconds))
    return [s for s in (*_cover(start, end, [*fitting, ("events", 1)]), deltas) if s.start < s.end]


def _ceil(seconds: int, width: int) -> int:
    return -floor(-seconds, width)


def _cover(start: int, end: int, levels: list[tuple[str, int]]) -> Iterator[Source]:
    (table, width), *finer = levels
    left, right = _ceil(start, width), floor(end, width)
    if left >= right:
        if finer:
            yield from _cover(start, end, finer)
        return
    yield Source(table, left, right)
    if finer:
        yield from _cover(start, left, finer)
        yield from _cover(right, end, finer)


def aggregate(query: Query, max_results: int) -> tuple[str, list[Any]] | None:
    """The statement for one page of `query`; None where its window is empty.

    Columns: `bucket`, the dimensions grouped by, and `sum_` with each of the meter's stored columns; in no order. One
    row more than `max_results` is asked for, so that too many can be told from just enough.
    """
    meter = query.meter
    # A gauge's largest size is taken for each store by itself, so its rows are first grouped by every dimension.
    names = tuple(d.name for d in meter.dimensions) if _has_gauge(meter) else query.group_by
    arguments: list[Any] = []
    selects = [_select(query, run, source, names, arguments) for run in query.runs for source in sources(query, run)]
    if not selects:
        return None
    keys = ", ".join(("bucket", *names))
    statement = (
        f"SELECT {keys}, {', '.join(f'{summed(c)} AS sum_{c}' for c in meter.columns)} "
        f"FROM ({' UNION ALL '.join(selects)}) AS picked GROUP BY {keys}"
    )
    if _has_gauge(meter):
        keys = ", ".join(("bucket", *query.group_by))
        largest = ", ".join(f"sum_{c} AS {c}" for c in meter.columns)
        sums = ", ".join(f"CAST(SUM({c}) AS BIGINT) AS sum_{c}" for c in meter.columns)
        stores = f"SELECT {keys}, {largest} FROM ({statement}) AS stores"
        statement = f"SELECT {keys}, {sums} FROM ({stores}) AS largest GROUP BY {keys}"
    return f"{statement} LIMIT {max_results + 1}", arguments


def facets(facet: Facet, max_results: int) -> tuple[str, list[Any]]:
    """The statement for the values of a dimension, as the column `value`; in no order, one more than `max_results`."""
    arguments: list[Any] = []
    kinds = (("kind", (facet.kind,)),) if facet.kind else ()
    where = conditions(Source("facets", facet.start, facet.end), (("dimension", (facet.dimension,)), *kinds), arguments)
    return f"SELECT DISTINCT value FROM facets WHERE {where} LIMIT {max_results + 1}", arguments


def _has_gauge(meter: Meter) -> bool:
    return any(measure.adds == "gauge" for measure in meter.measures)


def _select(query: Query, run: Run, source: Source, names: tuple[str, ...], arguments: list[Any]) -> str:
    columns = ", ".join((bucket(run), *names, *query.meter.columns))
    where = conditions(source, (("kind", (query.meter.kind,)), *query.filters), arguments)
    return f"SELECT {columns} FROM {source.table} WHERE {where}"


def bucket(run: Run) -> str:
    """The start of a row's bucket, as a column; plain where buckets are aligned to UTC."""
    since = f"(ts - {run.origin})" if run.origin % run.width else "ts"
    return f"ts - {since} % {run.width} AS bucket"


def conditions(source: Source, filters: Iterable[Filter], arguments: list[Any]) -> str:
    """What holds of the rows of a span that `filters` select; their values are added to `arguments`."""
    parts = ["ts >= ?", "ts < ?"]
    arguments += [source.start, source.end]
    for name, values in filters:
        parts.append(f"{name} IN ({', '.join('?' * len(values))})" if len(values) > 1 else f"{name} = ?")
        arguments += values
    return " AND ".join(parts)
