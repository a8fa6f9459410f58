"""A query for costs → one SQL statement and its arguments: quantities by rate card, times what the card says.

The engine multiplies and adds integers that are wider than 64 bits, and answers them as text. A rate comes in two
halves of at most 10¹², so that no product of a count leaves 128 bits: their sums are answered, as `high` and `low`. It
reads `prices` (`PRICES`), a table of what the cards say, beside its own tables. A stored size is charged by the hour,
for the largest size of each store in it; such an hour is priced as a whole and rounded by itself, so that no grouping
can add it up to something else.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from usageledger.buckets import Run, floor
from usageledger.ledger import aggregates
from usageledger.ledger.schema import EVENTS_TABLE, FAMILIES
from usageledger.ledger.statements.dialect import Dialect
from usageledger.ledger.statements.sql import Sql
from usageledger.ledger.statements.usage_sums import Coverage, Source, bucket, conditions, cover, summed_up
from usageledger.pricing.cards import PARTS, STORED_PART, STORES
from usageledger.pricing.money import RATE_STEP, UNITS
from usageledger.questions.aggregate import Aggregate
from usageledger.questions.query import Query

# One row for each part that a card prices; a rate is `rate_high` * `RATE_STEP` + `rate_low`, in 10⁻¹⁸/9 USD a unit.
# `provisional_day` is the day of a card whose price is provisional, else `CONFIRMED`.
_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("rate_id", pa.int64()),
    pa.field("part", pa.string()),
    pa.field("rate_high", pa.int64()),
    pa.field("rate_low", pa.int64()),
    pa.field("line_item", pa.string()),
    pa.field("quantity_unit", pa.string()),
    pa.field("provisional_day", pa.int64()),
]
PRICES = pa.schema(_FIELDS)
CONFIRMED = -1
BY_STORE = FAMILIES[0]
HOURS = BY_STORE.rollups[1]
FLOWS: tuple[str, ...] = tuple(part for part in PARTS if part != STORED_PART)
_STORE_DIMENSIONS = {dimension.name for dimension in STORES.dimensions}
_OPTIONAL = ", ".join(f"'{name}'" for name, price in PARTS.items() if price.optional)


def costs(query: Query, coverage: Coverage, max_results: int, dialect: Dialect) -> Sql | None:
    """The statement for one page of costs; None where its window is empty.

    Columns: `bucket`, what is grouped by, `high` and `low` of the amount as text, and by line item `quantities` as text
    and `unit`. A query made here, not on the wire, may group by `rate_id` as well.
    """
    arguments: list[Any] = []
    names = tuple(name for name in query.group_by if name not in ("line_item", "kind", "rate_id"))
    parts = _parts(query, coverage, names, dialect, arguments)
    if parts is None:
        return None
    keys = ", ".join(("bucket", *query.group_by))
    by_item = f", {_quantities(dialect)} AS quantities, MIN(quantity_unit) AS unit"
    lines = ""
    chosen = dict(query.filters).get("line_item")
    if chosen:
        lines = f" WHERE line_item IN ({', '.join('?' * len(chosen))})"
        arguments += chosen
    high, low = (dialect.as_text(f"SUM({half})") for half in _halves(dialect))
    return Sql(
        f"{parts} SELECT {keys}, {high} AS high, {low} AS low"
        f"{by_item if 'line_item' in query.group_by else ''} FROM parts JOIN prices USING (rate_id, part){lines} "
        f"GROUP BY {keys} LIMIT {max_results + 1}",
        arguments,
    )


def unpriced(query: Query, coverage: Coverage, newest_card: int, max_results: int, dialect: Dialect) -> Sql | None:
    """The statement for usage of a window that has no price, by card and part; None where the window is empty.

    Cards after `newest_card` are left out: an engine without snapshots may see an event whose card came later.
    """
    found = _of_page(query, coverage, dialect)
    return found and replace(
        found,
        text=f"{found.text} SELECT kind, rate_id, part, {_quantities(dialect)} AS quantities "
        f"FROM parts {dialect.anti_join} prices USING (rate_id, part) "
        f"WHERE part NOT IN ({_OPTIONAL}) AND rate_id <= {newest_card} "
        f"GROUP BY kind, rate_id, part ORDER BY kind, rate_id, part LIMIT {max_results + 1}",
    )


def count_cards(
    query: Query, coverage: Coverage, newest_card: int, confirmed_through: int, dialect: Dialect
) -> Sql | None:
    """The statement for how many cards of a window lack a price, and how many of a later day have a provisional one.

    Args:
        query: of costs.
        coverage: of the snapshot.
        newest_card: later ones are left out.
        confirmed_through: the start of the last day whose prices are confirmed.
        dialect: of the engine.
    """
    found = _of_page(query, coverage, dialect)
    chosen = dict(query.filters).get("line_item", ())
    lines = f" AND line_item IN ({', '.join('?' * len(chosen))})" if chosen else ""
    unpriced, provisional = (
        f"COUNT(DISTINCT CASE WHEN {condition} THEN rate_id END)"
        for condition in (
            f"COALESCE(line_item, '') = '' AND part NOT IN ({_OPTIONAL})",  # engines join nothing as NULL or as ''
            f"provisional_day > {confirmed_through}{lines}",
        )
    )
    return found and Sql(
        f"{found.text} SELECT {unpriced} AS unpriced, {provisional} AS provisional "
        f"FROM parts LEFT JOIN prices USING (rate_id, part) WHERE rate_id <= {newest_card}",
        [*found.arguments, *chosen],
    )


def _of_page(query: Query, coverage: Coverage, dialect: Dialect) -> Sql | None:
    """`WITH … parts`: all that the page of a query holds, whatever its line item."""
    page = replace(query, start_time=query.page_start, end_time=query.page_end, group_by=())
    arguments: list[Any] = []
    if page.start_time >= page.end_time:
        return None
    parts = _parts(page.whole, coverage, (), dialect, arguments)
    return None if parts is None else Sql(parts, arguments)


def _quantities(dialect: Dialect) -> str:
    return dialect.as_text(f"SUM({dialect.widened('quantity')})")


def _halves(dialect: Dialect) -> tuple[str, str]:
    """`high` and `low` of an amount; that of a size as `charge` rounds it."""
    high, low = (f"{dialect.widened('quantity')} * rate_{half}" for half in ("high", "low"))
    whole = UNITS << PARTS[STORED_PART].unit_bits
    rest = f"{dialect.widened(f'({high}) % {whole}')} * {RATE_STEP} + {low} + {whole // 2}"
    stored = (f"{UNITS} * ({dialect.quotient.format(half, whole)})" for half in (high, rest))
    first, second = (
        f"CASE WHEN part = '{STORED_PART}' THEN {of_size} ELSE {half} END"
        for of_size, half in zip(stored, (high, low), strict=True)
    )
    return first, second


def _parts(
    query: Query, coverage: Coverage, names: tuple[str, ...], dialect: Dialect, arguments: list[Any]
) -> str | None:
    """`WITH … parts (bucket, kind, names, rate_id, part, quantity)`: what a window holds of every part."""
    filters = tuple(f for f in query.filters if f[0] != "line_item")
    stored = {name for name, _ in filters} <= _STORE_DIMENSIONS
    flows = summed_up(query, coverage, ("kind", *names, "rate_id"), FLOWS, filters, dialect, arguments, wide=True)
    sizes = _sizes(query, coverage, names, dialect, arguments) if stored else None
    keys = ", ".join(("bucket", "kind", *names, "rate_id"))
    tables = [f"flows AS ({flows})"] if flows else []
    selects = [dialect.parts(keys, [(part, f"sum_{part}") for part in FLOWS], "flows")] if flows else []
    if sizes:
        tables.append(f"sizes AS ({sizes})")
        selects.append(f"SELECT {keys}, '{STORED_PART}' AS part, quantity FROM sizes WHERE quantity > 0")
    if not selects:
        return None
    return f"WITH {', '.join(tables)}, parts AS ({' UNION ALL '.join(selects)})"


def _sizes(
    query: Query, coverage: Coverage, names: tuple[str, ...], dialect: Dialect, arguments: list[Any]
) -> str | None:
    """The largest size of each store in each hour that begins in the window; the bucket is where it begins."""
    hours = (
        replace(run, start=-floor(-run.start, HOURS.seconds), end=-floor(-run.end, HOURS.seconds)) for run in query.runs
    )
    selects = [_sizes_of(run, query, coverage, names, dialect, arguments) for run in hours if run.start < run.end]
    return " UNION ALL ".join(selects) or None


def _sizes_of(  # noqa: PLR0913, PLR0917 - a statement has this many parts
    run: Run, query: Query, coverage: Coverage, names: tuple[str, ...], dialect: Dialect, arguments: list[Any]
) -> str:
    """Tables are grouped by themselves first: shards then answer with an hour of a store, not with every size of it."""
    filters = (("kind", (STORES.kind,)), *(f for f in query.filters if f[0] != "line_item"))
    stores = ", ".join(("hour", *(d.name for d in STORES.dimensions), "rate_id"))
    held = coverage.held.get(BY_STORE.name)
    selects = []
    for source in cover(run.start, run.end, [(HOURS, held)] if held else [], coverage.events_from):
        where = conditions(source, filters, arguments)
        columns = stores.replace("hour", f"ts - ts % {HOURS.seconds} AS hour", 1)
        table = dialect.table(source.table)
        selects.append(f"SELECT {columns}, MAX({STORED_PART}) AS size FROM {table} WHERE {where} GROUP BY {stores}")
    keys = ", ".join(name if name in _STORE_DIMENSIONS else f"CAST(NULL AS {dialect.text}) AS {name}" for name in names)
    return (
        f"SELECT {bucket(run, 'hour')}, '{STORES.kind}' AS kind, {keys}{', ' if keys else ''}"
        f"rate_id, MAX(size) AS quantity FROM ({' UNION ALL '.join(selects)}) AS seen GROUP BY {stores}"
    )


def largest_size(columns: Mapping[str, Any], dialect: Dialect) -> Sql:
    """The statement for the largest size that an event's store had in its UTC hour, by the same rate card."""
    hour = floor(columns["ts"], HOURS.seconds)
    same = [d.name for d in STORES.dimensions if columns[d.name] is not None]
    filters = [(name, (columns[name],)) for name in ("kind", "rate_id", *same)]
    arguments: list[Any] = []
    where = conditions(Source(EVENTS_TABLE, hour, hour + HOURS.seconds), filters, arguments)
    nothing = "".join(f" AND {d.name} IS NULL" for d in STORES.dimensions if d.name not in same)
    return Sql(f"SELECT MAX({STORED_PART}) AS largest FROM {dialect.events} WHERE {where}{nothing}", arguments)


def to_aggregate(query: Query, columns: Mapping[str, Any]) -> Aggregate:
    """The answer made of `columns`, sorted as usage is; amounts are integers of 10⁻¹⁸/9 USD."""
    values = {name: column.tolist() for name, column in columns.items()}
    order = aggregates.order(columns["bucket"], {name: values[name] for name in query.group_by})
    answer = {name: aggregates.picked(column, order) for name, column in values.items() if name != "bucket"}
    halves = zip(answer.pop("high"), answer.pop("low"), strict=True)
    answer["amount"] = [int(high) * RATE_STEP + int(low) for high, low in halves]
    if "quantities" in answer:
        answer["quantity"] = list(map(int, answer.pop("quantities")))
        answer["quantity_unit"] = answer.pop("unit")
    return Aggregate(columns["bucket"][order].tolist(), answer)
