"""A `Query` → one SQL statement and its arguments, in the subset that every engine answers alike.

Names come from METERS and are never a request's; every value of a request is bound.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from usageledger.buckets import Run, floor, iso
from usageledger.errors import InvalidRequestError
from usageledger.ledger.schema import EVENTS_TABLE, FAMILIES, Rollup
from usageledger.ledger.statements.dialect import Dialect
from usageledger.ledger.statements.sql import Sql
from usageledger.meter import Meter
from usageledger.questions.facet import Facet
from usageledger.questions.query import Filter, Query


@dataclass(frozen=True, slots=True)
class Held:
    """The events that a family of rollups holds: of the commits up to `covered`, at times before `until`."""

    covered: int
    until: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """The events that rollups hold, by the name of their family, and the time since which events are kept."""

    held: Mapping[str, Held]
    events_from: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """A table, and the span of it (Unix seconds, end exclusive) that a query reads.

    Attributes:
        after: of `events`: only those of commits with a greater number.
    """

    table: str
    start: int
    end: int
    after: int | None = None


Level = tuple[Rollup, Held]


def sources(query: Query, run: Run, coverage: Coverage) -> list[Source]:
    """Lists the tables to read for a run of buckets: the coarsest rollups that fit, finer ones at its edges, or events.

    Raises:
        InvalidRequestError: some of it is in dropped events only.
    """
    read = {*query.group_by, *(name for name, _ in query.filters)}
    levels = [
        (rollup, coverage.held[family.name])
        for family in FAMILIES
        if family.name in coverage.held and read <= set(family.keys)
        for rollup in family.rollups
        if run.width % rollup.seconds == run.origin % rollup.seconds == 0
    ]
    return cover(run.start, run.end, levels, coverage.events_from)


def cover(start: int, end: int, levels: Sequence[Level], events_from: int) -> list[Source]:
    """A window by the tables of these levels, and by the events where they have nothing; raises as `sources` does."""
    found = list(_cover(start, end, sorted(levels, key=lambda level: -level[0].seconds)))
    for source in found:
        if source.table == EVENTS_TABLE and source.after is None and source.start < events_from:
            raise InvalidRequestError(
                f"The events before {events_from} ({iso(events_from)}) were dropped after their time, and sums of them "
                f"are kept by {_spans(levels)}: ask for wider buckets, a window of whole ones, or fewer groupings.",
                code="events_dropped",
            )
    return _joined(found)


def _spans(levels: Sequence[Level]) -> str:
    seconds = min((rollup.seconds for rollup, _ in levels), default=0)
    return f"spans of {seconds} seconds" if seconds else "other dimensions or longer spans"


def _cover(start: int, end: int, levels: Sequence[Level]) -> Iterator[Source]:
    if start >= end:
        return
    if not levels:
        yield Source(EVENTS_TABLE, start, end)
        return
    (rollup, held), *finer = levels
    left, right = -floor(-start, rollup.seconds), min(floor(end, rollup.seconds), held.until)
    if left >= right:
        yield from _cover(start, end, finer)
        return
    yield Source(rollup.table, left, right)
    yield Source(EVENTS_TABLE, left, right, held.covered)
    yield from _cover(start, left, finer)
    yield from _cover(right, end, finer)


def _joined(sources: Sequence[Source]) -> list[Source]:
    """The same with what later commits brought read at once where its spans touch."""
    found = [source for source in sources if source.after is None]
    tails = sorted((s for s in sources if s.after is not None), key=lambda s: (s.after or 0, s.start))
    for tail in tails:
        last = found[-1] if found else tail
        if last.after == tail.after and last.end == tail.start:
            found[-1] = replace(last, end=tail.end)
        else:
            found.append(tail)
    return found


def aggregate(
    query: Query, coverage: Coverage, max_results: int, dialect: Dialect, *, wide: bool = False
) -> Sql | None:
    """The statement for one page of `query`; None where its window is empty.

    Columns: `bucket`, the dimensions grouped by, and `sum_` with each of the meter's stored columns; in no order. One
    row more than `max_results` is asked for, so that too many can be told from just enough. Sums are of 64 bits, and
    the statement fails where one does not fit; with `wide` they are text, which takes longer, and all of them fit.
    """
    meter = query.meter
    # A gauge's largest size is taken for each store by itself, so its rows are first grouped by every dimension.
    names = tuple(d.name for d in meter.dimensions) if _has_gauge(meter) else query.group_by
    arguments: list[Any] = []
    filters = (("kind", (meter.kind,)), *query.filters)
    statement = summed_up(query, coverage, names, meter.columns, filters, dialect, arguments, wide=wide)
    if statement is None:
        return None
    if _has_gauge(meter):
        keys = ", ".join(("bucket", *query.group_by))
        largest = ", ".join(f"sum_{c} AS {c}" for c in meter.columns)
        sums = ", ".join(f"{dialect.total(c, wide=wide)} AS sum_{c}" for c in meter.columns)
        stores = f"SELECT {keys}, {largest} FROM ({statement}) AS stores"
        statement = f"SELECT {keys}, {sums} FROM ({stores}) AS largest GROUP BY {keys}"
    if wide:
        texts = (f"{dialect.as_text(f'sum_{c}')} AS sum_{c}" for c in meter.columns)
        statement = f"SELECT {', '.join(('bucket', *query.group_by, *texts))} FROM ({statement}) AS wide"
    return Sql(f"{statement} LIMIT {max_results + 1}", arguments)


def facets(facet: Facet, limit: int, dialect: Dialect) -> Sql:
    """The statement for the first `limit` values of a dimension, as the column `value`, in their order.

    Where `facet.named` has any, it reads them as the column `id` of a table `named`.
    """
    arguments: list[Any] = []
    kinds = (("kind", (facet.kind,)),) if facet.kind else ()
    if dialect.facets:
        value, given = "value", (("dimension", (facet.dimension,)), *kinds)
    else:
        value, given = facet.dimension, kinds
    where = conditions(Source("", facet.start, facet.end), given, arguments)
    if facet.search:
        found = dialect.has.format(value)
        arguments.append(facet.search)
        where += f" AND ({found} OR {value} IN (SELECT id FROM named))" if facet.named else f" AND {found}"
    return Sql(
        f"SELECT DISTINCT {value} AS value FROM {dialect.facets or dialect.events} "
        f"WHERE {where} AND {value} IS NOT NULL ORDER BY value LIMIT {limit}",
        arguments,
        reads=frozenset({dialect.facets or EVENTS_TABLE}),
    )


def _has_gauge(meter: Meter) -> bool:
    return any(measure.adds == "gauge" for measure in meter.measures)


def summed_up(  # noqa: PLR0913, PLR0917 - a statement has this many parts
    query: Query,
    coverage: Coverage,
    names: tuple[str, ...],
    columns: Sequence[str],
    filters: tuple[Filter, ...],
    dialect: Dialect,
    arguments: list[Any],
    *,
    wide: bool,
) -> str | None:
    """The statement for `columns`, each as `sum_` with its name, by bucket and `names`; None for an empty window.

    Where each run of buckets is in one table, that table is grouped by itself: shards then add up their own rows.
    """
    keys = ", ".join(("bucket", *names))
    sums = ", ".join(f"{dialect.summed(column, wide=wide)} AS sum_{column}" for column in columns)
    read = replace(query, group_by=names, filters=filters)
    runs = [(run, found) for run in query.runs if (found := sources(read, run, coverage))]
    alone = all(len(found) == 1 for _, found in runs)
    selects = [
        f"SELECT {', '.join((bucket(run), *names))}, {sums if alone else ', '.join(columns)} "
        f"FROM {dialect.table(source.table)} WHERE {conditions(source, filters, arguments)}"
        f"{f' GROUP BY {keys}' if alone else ''}"
        for run, found in runs
        for source in found
    ]
    both = " UNION ALL ".join(selects)
    if not selects or (alone and len(selects) == 1):
        return both or None
    return (
        f"SELECT * FROM ({both}) AS runs" if alone else f"SELECT {keys}, {sums} FROM ({both}) AS picked GROUP BY {keys}"
    )


def bucket(run: Run, time: str = "ts") -> str:
    """The start of the bucket that `time` falls in, as a column; plain where buckets are aligned to UTC."""
    since = f"({time} - {run.origin})" if run.origin % run.width else time
    return f"{time} - {since} % {run.width} AS bucket"


def conditions(source: Source, filters: Iterable[Filter], arguments: list[Any]) -> str:
    """Makes the conditions on rows of a span that `filters` select; adds their values to `arguments`."""
    parts = ["ts >= ?", "ts < ?"]
    arguments += [source.start, source.end]
    if source.after is not None:
        parts.append(f"commit_number > {source.after}")
    for name, values in filters:
        parts.append(f"{name} IN ({', '.join('?' * len(values))})" if len(values) > 1 else f"{name} = ?")
        arguments += values
    return " AND ".join(parts)
