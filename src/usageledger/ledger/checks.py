"""Looks for what must not be in an engine's tables: its half of `usageledger verify`. No findings mean all is well.

`read` runs a statement and answers its columns; every statement is in the subset that all engines answer alike.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from usageledger.buckets import LATEST_TIME
from usageledger.events import LARGEST_COUNT, LONGEST_ID
from usageledger.ledger.costs import FLOWS
from usageledger.ledger.dialect import Dialect
from usageledger.ledger.protocol import CardUse
from usageledger.ledger.schema import FACET_LIST, FAMILIES, Family, Rollup, facets_of_events
from usageledger.ledger.sql import Held
from usageledger.meters import DAY_SECONDS, FACETS, GAUGES, MEASURE_COLUMNS, METERS
from usageledger.parts import CACHE_WRITE, CACHED, UNCACHED
from usageledger.pricing import Subject
from usageledger.pricing.cards import STORED_PART, STORES

STRETCH_EVENTS = 1_000_000  # events compared with their sums at once, so that memory does not grow with the ledger

Read = Callable[[str], Mapping[str, Any]]


def malformed(read: Read, limit: int, dialect: Dialect) -> list[str]:
    """Events with an unknown kind, a time or count out of range, an id too long, or counts of another kind."""
    kinds = ", ".join(f"'{meter.kind}'" for meter in METERS)
    wrong = [
        f"kind NOT IN ({kinds})",
        f"ts NOT BETWEEN 0 AND {LATEST_TIME}",
        f"char_length(event_id) NOT BETWEEN 1 AND {LONGEST_ID}",
        *(f"{column} NOT BETWEEN 0 AND {LARGEST_COUNT}" for column in MEASURE_COLUMNS),
        *(
            f"(kind = '{meter.kind}' AND ({' OR '.join(f'{c} <> 0' for c in foreign)}))"
            for meter in METERS
            if (foreign := [column for column in MEASURE_COLUMNS if column not in meter.columns])
        ),
    ]
    return _words(read(f"SELECT event_id, ts, kind FROM {dialect.events} WHERE {' OR '.join(wrong)} LIMIT {limit}"))


def doubled(read: Read, limit: int, dialect: Dialect) -> list[str]:
    """Identities that count more than once."""
    return _words(
        read(
            f"SELECT event_id, ts, COUNT(*) AS times FROM {dialect.events} GROUP BY event_id, ts HAVING COUNT(*) > 1 "
            f"ORDER BY ts, event_id LIMIT {limit}"
        )
    )


def rollup_differences(read: Read, limit: int) -> list[str]:
    """Groups whose sums differ between a rollup and the events that it holds, either way round."""
    states = read("SELECT family, covered, until FROM rollup_state")
    rows = zip(*(values.tolist() for values in states.values()), strict=True)
    held = {family: Held(covered, until) for family, covered, until in rows}
    found: list[str] = []
    for where in _stretches(read):
        for family in FAMILIES:
            for rollup in family.rollups:
                found += _words(read(_differences(family, rollup, where, held[family.name]) + f" LIMIT {limit}"))
        if len(found) >= limit:
            break
    return found[:limit]


def facet_differences(read: Read, limit: int) -> list[str]:
    """Values that the events of a day have and its facets lack, or the other way round."""
    found: list[str] = []
    keys = FACET_LIST
    for where in _stretches(read):
        events = [f"SELECT 1 AS side, {keys} FROM ({facets_of_events(name, where)}) AS told" for name in FACETS]
        facets = f"SELECT -1 AS side, {keys} FROM facets WHERE {where}"
        found += _words(
            read(
                f"SELECT {keys} FROM ({' UNION ALL '.join((*events, facets))}) AS sides GROUP BY {keys} "
                f"HAVING SUM(side) <> 0 ORDER BY {keys} LIMIT {limit}"
            )
        )
        if len(found) >= limit:
            break
    return found[:limit]


def _stretches(read: Read) -> Iterator[str]:
    """Conditions that cut all of time into stretches of whole days with so many events each."""
    days = read(f"SELECT ts - ts % {DAY_SECONDS} AS day, COUNT(*) AS times FROM events GROUP BY 1 ORDER BY 1")
    condition = f"ts >= {read('SELECT events_from FROM retention')['events_from'][0]}"
    events = 0
    for day, times in zip(days["day"].tolist(), days["times"].tolist(), strict=True):
        if events and events + times > STRETCH_EVENTS:
            yield f"{condition} AND ts < {day}"
            condition, events = f"ts >= {day}", 0
        events += times
    yield condition


def _differences(family: Family, rollup: Rollup, where: str, held: Held) -> str:
    span = f"ts - ts % {rollup.seconds} AS span"
    keys = ", ".join(family.keys)
    columns = ", ".join((span, keys, *MEASURE_COLUMNS))
    inside = f"{where} AND ts < {held.until}"
    both = (
        f"SELECT 1 AS side, {columns} FROM events WHERE {inside} AND commit_number <= {held.covered} UNION ALL "
        f"SELECT -1 AS side, {columns} FROM {rollup.table} WHERE {inside}"
    )
    # Sums are not cast to 64 bits: what is too large to be answered can still be compared.
    differ = [
        f"MAX(CASE side WHEN 1 THEN {c} END) <> MAX(CASE side WHEN -1 THEN {c} END)"
        if c in GAUGES
        else f"SUM(side * {c}) <> 0"
        for c in MEASURE_COLUMNS
    ]
    return (
        f"SELECT '{rollup.table}' AS rollup, span, {keys} FROM ({both}) AS sides GROUP BY span, {keys} "
        f"HAVING MAX(side) < 1 OR MIN(side) > -1 OR {' OR '.join(differ)} ORDER BY span, {keys}"
    )


def cards_used(read: Read, dialect: Dialect) -> list[CardUse]:
    """Which rate cards events have, by what the events say."""
    tokens = " + ".join((*UNCACHED, *CACHED, *CACHE_WRITE))
    texts = ("model", "service_tier", "size", "quality", "context_level")
    second = f"ts % {DAY_SECONDS}"
    found = read(
        f"SELECT rate_id, ts - ts % {DAY_SECONDS} AS day, kind, provider, COALESCE(batch, FALSE) AS in_batch, "
        f"{', '.join(texts)}, MIN({tokens}) AS least, MAX({tokens}) AS most, MIN({second}) AS earliest, "
        f"MAX({second}) AS latest, COUNT(*) AS times FROM {dialect.events} "
        f"GROUP BY rate_id, day, kind, provider, in_batch, {', '.join(texts)} ORDER BY day, rate_id"
    )
    rows = zip(*(values.tolist() for values in found.values()), strict=True)
    uses: list[CardUse] = []
    for rate_id, day, kind, provider, batch, *rest in rows:
        named = dict(zip(texts, rest[: len(texts)], strict=True))
        subject = Subject(day=day, kind=kind, provider=provider, batch=bool(batch), **named)
        uses.append(CardUse(rate_id, subject, *rest[len(texts) :]))
    return uses


def quantities(read: Read, start: int, end: int, dialect: Dialect) -> list[tuple[int, str, int]]:
    """(`rate_id`, part, quantity) of events; a size is a row for each store and hour, with its largest."""
    inside = f"ts >= {start} AND ts < {end}"
    sums = ", ".join(f"{dialect.as_text(f'SUM({dialect.widened(part)})')} AS {part}_sum" for part in FLOWS)
    found = read(f"SELECT rate_id, {sums} FROM {dialect.events} WHERE {inside} GROUP BY rate_id")
    rate_ids = found["rate_id"].tolist()
    summed = [
        (rate_id, part, int(text))
        for part in FLOWS
        for rate_id, text in zip(rate_ids, found[f"{part}_sum"].tolist(), strict=True)
    ]
    stores = ", ".join(dimension.name for dimension in STORES.dimensions)
    sizes = read(
        f"SELECT rate_id, MAX({STORED_PART}) AS largest FROM {dialect.events} "
        f"WHERE {inside} AND kind = '{STORES.kind}' GROUP BY rate_id, ts - ts % 3600, {stores}"
    )
    seen = zip(sizes["rate_id"].tolist(), sizes["largest"].tolist(), strict=True)
    return [*summed, *((rate_id, STORED_PART, size) for rate_id, size in seen)]


def _words(columns: Mapping[str, Any]) -> list[str]:
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    return [", ".join(f"{name}={value}" for name, value in zip(columns, row, strict=True)) for row in rows]
