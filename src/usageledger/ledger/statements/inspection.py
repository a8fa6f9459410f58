"""Looks for what must not be in an engine's tables: its half of `usageledger verify`. No findings mean all is well.

`read` runs a statement and answers its columns; every statement is in the subset that all engines answer alike.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from usageledger.buckets import LATEST_TIME
from usageledger.events.typed_events import LARGEST_COUNT, LONGEST_ID
from usageledger.ledger.protocol import CardUse
from usageledger.ledger.schema import EVENTS_TABLE, EVER, FACET_LIST, FAMILIES, Rollup, facets_of_events
from usageledger.ledger.statements.cost_sums import FLOWS
from usageledger.ledger.statements.dialect import Dialect
from usageledger.ledger.statements.usage_sums import Held
from usageledger.meters import DAY_SECONDS, FACETS, GAUGES, MEASURE_COLUMNS, METERS
from usageledger.parts import CACHE_WRITE, CACHED, UNCACHED
from usageledger.pricing import Subject
from usageledger.pricing.cards import STORED_PART, STORES

STRETCH_ROWS = 1_000_000  # compared with their sums at once, so that memory does not grow with the ledger

# The finest sums by time, and those by the most dimensions; a finer rollup, a coarser one, and the keys of both.
FINEST, DETAILED = FAMILIES[0].rollups[-1], FAMILIES[-1].rollups[0]
_FINER: tuple[tuple[Rollup, Rollup, tuple[str, ...]], ...] = (
    *((finer, coarser, family.keys) for family in FAMILIES for coarser, finer in pairwise(family.rollups)),
    *((DETAILED, family.rollups[0], family.keys) for family in FAMILIES[:-1]),
)

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
    """Groups whose sums differ between a rollup and the events that it holds, either way round.

    Of dropped events the finer sums are all that there is to compare with, and the sums by more dimensions.
    """
    states = read("SELECT family, covered, until FROM rollup_state")
    rows = zip(*(values.tolist() for values in states.values()), strict=True)
    held = {family: Held(covered, until) for family, covered, until in rows}
    events_from = _events_from(read)
    found = _words(read(f"SELECT event_id, ts, kind FROM events WHERE ts < {events_from} LIMIT {limit}"))
    for where in _stretches(read, EVENTS_TABLE, events_from, EVER):
        for family in FAMILIES:
            inside = f"{where} AND ts < {held[family.name].until}"
            events = f"events WHERE {inside} AND commit_number <= {held[family.name].covered}"
            for rollup in family.rollups:
                found += _words(read(_differences(rollup, family.keys, events, inside, limit)))
        if len(found) >= limit:
            return found[:limit]
    for where in _stretches(read, FINEST.table, 0, events_from):
        for finer, rollup, keys in _FINER:
            found += _words(read(_differences(rollup, keys, f"{finer.table} WHERE {where}", where, limit)))
        if len(found) >= limit:
            break
    return found[:limit]


def facet_differences(read: Read, limit: int) -> list[str]:
    """Values that events of a day, or sums of dropped ones, have and its facets lack, or the other way round."""
    found: list[str] = []
    keys = FACET_LIST
    events_from = _events_from(read)
    for source, start, end in ((EVENTS_TABLE, events_from, EVER), (DETAILED.table, 0, events_from)):
        for where in _stretches(read, source, start, end):
            told = [
                f"SELECT 1 AS side, {keys} FROM ({facets_of_events(name, where, source)}) AS told" for name in FACETS
            ]
            facets = f"SELECT -1 AS side, {keys} FROM facets WHERE {where}"
            found += _words(
                read(
                    f"SELECT {keys} FROM ({' UNION ALL '.join((*told, facets))}) AS sides GROUP BY {keys} "
                    f"HAVING SUM(side) <> 0 ORDER BY {keys} LIMIT {limit}"
                )
            )
            if len(found) >= limit:
                return found[:limit]
    return found


def _events_from(read: Read) -> int:
    return int(read("SELECT events_from FROM retention")["events_from"][0])


def _stretches(read: Read, table: str, start: int, end: int) -> Iterator[str]:
    """Conditions that cut a span of time into stretches of whole days with so many rows of a table each."""
    days = read(
        f"SELECT ts - ts % {DAY_SECONDS} AS day, COUNT(*) AS times FROM {table} WHERE ts >= {start} AND ts < {end} "
        "GROUP BY 1 ORDER BY 1"
    )
    rows = 0
    for day, times in zip(days["day"].tolist(), days["times"].tolist(), strict=True):
        if rows and rows + times > STRETCH_ROWS:
            yield f"ts >= {start} AND ts < {day}"
            start, rows = day, 0
        rows += times
    yield f"ts >= {start} AND ts < {end}"


def _differences(rollup: Rollup, keys: Sequence[str], finer: str, where: str, limit: int) -> str:
    """The statement for the groups of a rollup that differ from those of `finer`, a table and its condition."""
    key_list = ", ".join(keys)
    columns = f"ts - ts % {rollup.seconds} AS span, {key_list}, {', '.join(MEASURE_COLUMNS)}"
    both = f"SELECT 1 AS side, {columns} FROM {finer} UNION ALL SELECT -1, {columns} FROM {rollup.table} WHERE {where}"
    # Sums are not cast to 64 bits: what is too large to be answered can still be compared.
    differ = [
        f"MAX(CASE side WHEN 1 THEN {c} END) <> MAX(CASE side WHEN -1 THEN {c} END)"
        if c in GAUGES
        else f"SUM(side * {c}) <> 0"
        for c in MEASURE_COLUMNS
    ]
    return (
        f"SELECT '{rollup.table}' AS rollup, span, {key_list} FROM ({both}) AS sides GROUP BY span, {key_list} "
        f"HAVING MAX(side) < 1 OR MIN(side) > -1 OR {' OR '.join(differ)} ORDER BY span, {key_list} LIMIT {limit}"
    )


def cards_used(read: Read, dialect: Dialect) -> list[CardUse]:
    """Lists the rate cards that events have, by the subjects of the events."""
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
