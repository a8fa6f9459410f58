"""A query for costs → one SQL statement and its arguments: quantities by rate card, times what the card says.

The engine multiplies and adds integers of 10⁻¹⁸ USD that are wider than 64 bits, and answers them as text. It reads
`prices` (`PRICES`), a table of what the cards say, beside its own tables. A stored size is charged by the hour, for
the largest size of each store in it; such an hour is priced as a whole and rounded by itself, so that no grouping can
add it up to something else.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from usageledger.buckets import Run, floor
from usageledger.ledger import answers
from usageledger.ledger.schema import FAMILIES, summed
from usageledger.ledger.sql import Coverage, Source, bucket, conditions, cover, sources
from usageledger.meters import METER_BY_KIND
from usageledger.pages import Aggregate
from usageledger.pricing.cards import BYTES_PER_GIB, PARTS, STORED_PART
from usageledger.query import Query

# One row for each part that a card prices; `rate` is in 10⁻¹⁸ USD a unit.
_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("rate_id", pa.int64()),
    pa.field("part", pa.string()),
    pa.field("rate", pa.decimal128(38, 0)),
    pa.field("line_item", pa.string()),
    pa.field("quantity_unit", pa.string()),
]
PRICES = pa.schema(_FIELDS)
BY_STORE = FAMILIES[0]
HOURS = BY_STORE.rollups[1]
FLOWS: tuple[str, ...] = tuple(part for part in PARTS if part != STORED_PART)
STORES = METER_BY_KIND["vector_stores"]
_STORE_DIMENSIONS = {dimension.name for dimension in STORES.dimensions}
_ALWAYS = ", ".join(f"'{name}'" for name, part in PARTS.items() if not part.always)
# A price is for a GiB-hour and a size is in bytes; half a unit is rounded up.
_CHARGE = "CAST(quantity AS HUGEINT) * CAST(rate AS HUGEINT)"
_AMOUNT = (
    f"CASE WHEN part = '{STORED_PART}' THEN ({_CHARGE} + {BYTES_PER_GIB // 2}) // {BYTES_PER_GIB} ELSE {_CHARGE} END"
)


def costs(query: Query, coverage: Coverage, max_results: int) -> tuple[str, list[Any]] | None:
    """The statement for one page of costs; None where its window is empty.

    Columns: `bucket`, what is grouped by, `amount` as text, and by line item `quantity` as text and `quantity_unit`.
    A query made here, not on the wire, may group by `rate_id` as well.
    """
    arguments: list[Any] = []
    names = tuple(name for name in query.group_by if name not in ("line_item", "kind", "rate_id"))
    parts = _parts(query, coverage, names, arguments)
    if parts is None:
        return None
    keys = ", ".join(("bucket", *query.group_by))
    by_item = ", CAST(SUM(quantity) AS VARCHAR) AS quantity, MIN(quantity_unit) AS quantity_unit"
    lines = ""
    chosen = dict(query.filters).get("line_item")
    if chosen:
        lines = f" WHERE line_item IN ({', '.join('?' * len(chosen))})"
        arguments += chosen
    return (
        f"{parts} SELECT {keys}, CAST(SUM({_AMOUNT}) AS VARCHAR) AS amount"
        f"{by_item if 'line_item' in query.group_by else ''} FROM parts JOIN prices USING (rate_id, part){lines} "
        f"GROUP BY {keys} LIMIT {max_results + 1}"
    ), arguments


def unpriced(query: Query, coverage: Coverage, max_results: int) -> tuple[str, list[Any]] | None:
    """The statement for usage of a window that has no price, by card and part; None where the window is empty."""
    arguments: list[Any] = []
    page = replace(query, start_time=query.page_start, end_time=query.page_end, group_by=())
    if page.start_time >= page.end_time:
        return None
    parts = _parts(page.whole, coverage, (), arguments)
    if parts is None:
        return None
    return (
        f"{parts} SELECT kind, rate_id, part, CAST(SUM(quantity) AS VARCHAR) AS quantity FROM parts "
        f"ANTI JOIN prices USING (rate_id, part) WHERE part NOT IN ({_ALWAYS}) "
        f"GROUP BY kind, rate_id, part ORDER BY kind, rate_id, part LIMIT {max_results + 1}"
    ), arguments


def _parts(query: Query, coverage: Coverage, names: tuple[str, ...], arguments: list[Any]) -> str | None:
    """`WITH … parts (bucket, kind, names, rate_id, part, quantity)`: what a window holds of every part."""
    stored = {name for name, _ in query.filters if name != "line_item"} <= _STORE_DIMENSIONS
    flows = _flows(query, coverage, names, arguments)
    sizes = _sizes(query, coverage, names, arguments) if stored else None
    keys = ", ".join(("bucket", "kind", *names, "rate_id"))
    tables = [f"flows AS ({flows})"] if flows else []
    selects = [f"SELECT {keys}, '{p}' AS part, sum_{p} AS quantity FROM flows WHERE sum_{p} > 0" for p in FLOWS]
    selects = selects if flows else []
    if sizes:
        tables.append(f"sizes AS ({sizes})")
        selects.append(f"SELECT {keys}, '{STORED_PART}' AS part, quantity FROM sizes WHERE quantity > 0")
    if not selects:
        return None
    return f"WITH {', '.join(tables)}, parts AS ({' UNION ALL '.join(selects)})"


def _flows(query: Query, coverage: Coverage, names: tuple[str, ...], arguments: list[Any]) -> str | None:
    """Sums of what adds up, by bucket, kind, rate card and `names`."""
    filters = tuple(f for f in query.filters if f[0] != "line_item")
    read = replace(query, group_by=names, filters=filters)
    keys = ", ".join(("kind", *names, "rate_id"))
    selects = []
    for run in query.runs:
        for source in sources(read, run, coverage):
            where = conditions(source, filters, arguments)
            selects.append(f"SELECT {bucket(run)}, {keys}, {', '.join(FLOWS)} FROM {source.table} WHERE {where}")
    if not selects:
        return None
    sums = ", ".join(f"{summed(part)} AS sum_{part}" for part in FLOWS)
    return f"SELECT bucket, {keys}, {sums} FROM ({' UNION ALL '.join(selects)}) AS picked GROUP BY bucket, {keys}"


def _sizes(query: Query, coverage: Coverage, names: tuple[str, ...], arguments: list[Any]) -> str | None:
    """The largest size of each store in each hour that begins in the window; the bucket is where it begins."""
    hours = (
        replace(run, start=-floor(-run.start, HOURS.seconds), end=-floor(-run.end, HOURS.seconds)) for run in query.runs
    )
    selects = [_sizes_of(query, run, coverage, names, arguments) for run in hours if run.start < run.end]
    return " UNION ALL ".join(selects) or None


def _sizes_of(query: Query, run: Run, coverage: Coverage, names: tuple[str, ...], arguments: list[Any]) -> str:
    filters = (("kind", (STORES.kind,)), *(f for f in query.filters if f[0] != "line_item"))
    dimensions = ", ".join(d.name for d in STORES.dimensions)
    hour = f"ts - ts % {HOURS.seconds} AS hour"
    selects = []
    for source in cover(run.start, run.end, [(HOURS, coverage.held[BY_STORE.name])], coverage.events_from):
        where = conditions(source, filters, arguments)
        selects.append(f"SELECT {hour}, {dimensions}, rate_id, {STORED_PART} AS size FROM {source.table} WHERE {where}")
    keys = ", ".join(name if name in _STORE_DIMENSIONS else f"CAST(NULL AS VARCHAR) AS {name}" for name in names)
    return (
        f"SELECT {bucket(run, 'hour')}, '{STORES.kind}' AS kind, {keys}{', ' if keys else ''}"
        f"rate_id, MAX(size) AS quantity FROM ({' UNION ALL '.join(selects)}) AS seen "
        f"GROUP BY hour, {dimensions}, rate_id"
    )


def largest_size(columns: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """The statement for the largest size that an event's store had in its UTC hour, by the same rate card."""
    hour = floor(columns["ts"], HOURS.seconds)
    same = [d.name for d in STORES.dimensions if columns[d.name] is not None]
    filters = [(name, (columns[name],)) for name in ("kind", "rate_id", *same)]
    arguments: list[Any] = []
    where = conditions(Source("events", hour, hour + HOURS.seconds), filters, arguments)
    nothing = "".join(f" AND {d.name} IS NULL" for d in STORES.dimensions if d.name not in same)
    return f"SELECT MAX({STORED_PART}) AS largest FROM events WHERE {where}{nothing}", arguments


def to_aggregate(query: Query, columns: Mapping[str, Any]) -> Aggregate:
    """The answer made of `columns`, sorted as usage is; amounts are integers of 10⁻¹⁸ USD."""
    values = {name: column.tolist() for name, column in columns.items()}
    order = answers.order(columns["bucket"], {name: values[name] for name in query.group_by})
    answer = {name: answers.picked(column, order) for name, column in values.items() if name != "bucket"}
    for name in {"amount", "quantity"} & answer.keys():
        answer[name] = list(map(int, answer[name]))
    return Aggregate(columns["bucket"][order].tolist(), answer)
