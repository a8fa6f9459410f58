"""Looks for what must not be in an engine's tables: its half of `usageledger verify`. No findings mean all is well.

Every statement is in the subset that all engines answer alike.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from usageledger.buckets import DAY_SECONDS, LATEST_TIME
from usageledger.events.columns import PAYLOAD_COLUMNS
from usageledger.events.typed_events import COUNT_MAX, ID_CHARACTERS_MAX, RESPONSE_PREFIX, RESPONSE_SECONDS
from usageledger.ledger.protocol import Columns, Snapshot
from usageledger.ledger.schema import EVENTS_TABLE, EVER, FACET_LIST, FACETS_TABLE, FAMILIES, Rollup, facets_of_events
from usageledger.ledger.statements.cost_sums import FLOWS
from usageledger.ledger.statements.sql import Sql
from usageledger.meters import FACETS, GAUGES, MEASURE_COLUMNS, METERS
from usageledger.parts import CACHE_WRITE, CACHED, UNCACHED
from usageledger.pricing import Subject
from usageledger.pricing.cards import CASES, STORED_PART, STORES

STRETCH_ROWS = 1_000_000

# The finest sums by time, and those by the most dimensions; a finer rollup, a coarser one, and the keys of both.
FINEST, DETAILED = FAMILIES[0].rollups[-1], FAMILIES[-1].rollups[0]
_FINER: tuple[tuple[Rollup, Rollup, tuple[str, ...]], ...] = (
    *((finer, coarser, family.keys) for family in FAMILIES for coarser, finer in pairwise(family.rollups)),
    *((DETAILED, family.rollups[0], family.keys) for family in FAMILIES[:-1]),
)

EVENTS_AND_FACETS = frozenset({EVENTS_TABLE, FACETS_TABLE})


@dataclass(frozen=True, slots=True)
class CardUse:
    """The events of one subject that have one rate card.

    Attributes:
        subject: what the events themselves say, with `band` and `second` 0; without a project where they have several.
        input_least: input tokens of the smallest event.
        request_most: input tokens of the largest request: the mean of an event's, rounded up; 0 of one without any.
        second_least, second_most: the seconds of the day of the earliest and the latest event.
    """

    rate_id: int
    subject: Subject
    input_least: int
    request_most: int
    second_least: int
    second_most: int
    events: int

    @property
    def day(self) -> int:
        """The start of the UTC day."""
        return self.subject.day


def malformed(snapshot: Snapshot, limit: int) -> list[str]:
    """Events with an unknown kind, a time or count out of range, an id too long, or counts of another kind."""
    kinds = ", ".join(f"'{meter.kind}'" for meter in METERS)
    wrong = [
        f"kind NOT IN ({kinds})",
        f"ts NOT BETWEEN 0 AND {LATEST_TIME}",
        f"char_length(event_id) NOT BETWEEN 1 AND {ID_CHARACTERS_MAX}",
        *(f"{column} NOT BETWEEN 0 AND {COUNT_MAX}" for column in MEASURE_COLUMNS),
        *(
            f"(kind = '{meter.kind}' AND ({' OR '.join(f'{c} <> 0' for c in foreign)}))"
            for meter in METERS
            if (foreign := [column for column in MEASURE_COLUMNS if column not in meter.columns])
        ),
    ]
    return _words(
        _read(
            snapshot,
            f"SELECT event_id, ts, kind FROM {snapshot.dialect.events} WHERE {' OR '.join(wrong)} LIMIT {limit}",
        )
    )


def doubled(snapshot: Snapshot, limit: int) -> list[str]:
    """Identities that count more than once; and those whose rows, where an engine merges them later, differ."""
    found = _words(
        _read(
            snapshot,
            f"SELECT event_id, ts, COUNT(*) AS times FROM {snapshot.dialect.events} GROUP BY event_id, ts "
            f"HAVING COUNT(*) > 1 ORDER BY ts, event_id LIMIT {limit}",
        )
    )
    if snapshot.dialect.events == EVENTS_TABLE:
        return found
    payload = ", ".join(name for name in PAYLOAD_COLUMNS if name not in ("event_id", "ts"))
    conflicts = _read(
        snapshot,
        f"SELECT event_id, ts, COUNT(DISTINCT ({payload})) AS payloads FROM {EVENTS_TABLE} GROUP BY event_id, ts "
        f"HAVING payloads > 1 ORDER BY ts, event_id LIMIT {limit}",
    )
    return [*found, *_words(conflicts)][:limit]


def responses_doubled(snapshot: Snapshot, limit: int) -> list[str]:
    """Responses that count more than once within 48 hours."""
    frame = "OVER (PARTITION BY event_id ORDER BY ts ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)"
    responses = f"SELECT event_id, ts FROM {snapshot.dialect.events} WHERE event_id LIKE '{RESPONSE_PREFIX}%'"
    pairs = (
        f"SELECT event_id, ts, MIN(ts) {frame} AS earlier, COUNT(*) {frame} AS times FROM ({responses}) AS responses"
    )
    return _words(
        _read(
            snapshot,
            f"SELECT event_id, earlier, ts FROM ({pairs}) AS pairs "
            f"WHERE times = 2 AND ts - earlier <= {RESPONSE_SECONDS} ORDER BY event_id, ts LIMIT {limit}",
        )
    )


def rollup_differences(snapshot: Snapshot, limit: int, stretch_rows: int = STRETCH_ROWS) -> list[str]:
    """Groups whose sums differ between a rollup and the events that it holds, either way round.

    Of dropped events the finer sums are all that there is to compare with, and the sums by more dimensions.
    """
    held, events_from = snapshot.coverage.held, snapshot.coverage.events_from
    if not held:
        return []
    found = _words(_read(snapshot, f"SELECT event_id, ts, kind FROM events WHERE ts < {events_from} LIMIT {limit}"))
    for where in _stretches(snapshot, EVENTS_TABLE, events_from, EVER, stretch_rows):
        for family in FAMILIES:
            inside = f"{where} AND ts < {held[family.name].until}"
            events = f"events WHERE {inside} AND commit_number <= {held[family.name].covered}"
            for rollup in family.rollups:
                found += _words(_read(snapshot, _differences(rollup, family.keys, events, inside, limit)))
        if len(found) >= limit:
            return found[:limit]
    for where in _stretches(snapshot, FINEST.table, 0, events_from, stretch_rows):
        for finer, rollup, keys in _FINER:
            found += _words(_read(snapshot, _differences(rollup, keys, f"{finer.table} WHERE {where}", where, limit)))
        if len(found) >= limit:
            break
    return found[:limit]


def facet_differences(snapshot: Snapshot, limit: int, stretch_rows: int = STRETCH_ROWS) -> list[str]:
    """Values that events of a day, or sums of dropped ones, have and its facets lack, or the other way round."""
    if snapshot.dialect.facets is None:
        return []
    found: list[str] = []
    keys = FACET_LIST
    events_from = snapshot.coverage.events_from
    for source, start, end in ((EVENTS_TABLE, events_from, EVER), (DETAILED.table, 0, events_from)):
        for where in _stretches(snapshot, source, start, end, stretch_rows):
            told = [
                f"SELECT 1 AS side, {keys} FROM ({facets_of_events(name, where, source)}) AS told" for name in FACETS
            ]
            facets = f"SELECT -1 AS side, {keys} FROM facets WHERE {where}"
            text = (
                f"SELECT {keys} FROM ({' UNION ALL '.join((*told, facets))}) AS sides GROUP BY {keys} "
                f"HAVING SUM(side) <> 0 ORDER BY {keys} LIMIT {limit}"
            )
            found += _words(snapshot.read(Sql(text, reads=EVENTS_AND_FACETS)))
            if len(found) >= limit:
                return found[:limit]
    return found


def _stretches(snapshot: Snapshot, table: str, start: int, end: int, stretch_rows: int) -> Iterator[str]:
    """Conditions that cut a span of time into stretches of whole days with so many rows of a table each."""
    days = _read(
        snapshot,
        f"SELECT ts - ts % {DAY_SECONDS} AS day, COUNT(*) AS times FROM {table} WHERE ts >= {start} AND ts < {end} "
        "GROUP BY 1 ORDER BY 1",
    )
    rows = 0
    for day, times in zip(days["day"].tolist(), days["times"].tolist(), strict=True):
        if rows and rows + times > stretch_rows:
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


_REQUESTS = "num_model_requests"


def cards_used(snapshot: Snapshot) -> list[CardUse]:
    """Lists the rate cards that events have, by the subjects of the events."""
    tokens = f"({' + '.join((*UNCACHED, *CACHED, *CACHE_WRITE))})"
    # Of no request the mean is 0; the divisor is there for engines that divide all rows first.
    mean = snapshot.dialect.quotient.format(f"{tokens} + {_REQUESTS} - 1", f"greatest({_REQUESTS}, 1)")
    request = f"CASE WHEN {_REQUESTS} > 0 THEN {mean} ELSE 0 END"
    texts = ("model", "service_tier", *CASES)
    ranged = (f"ts % {DAY_SECONDS}", "COALESCE(project_id, '')")
    ranges = ", ".join(f"MIN({each}) AS least_{n}, MAX({each}) AS most_{n}" for n, each in enumerate(ranged))
    ranges = f"MIN({tokens}) AS input_least, MAX({request}) AS request_most, {ranges}"
    found = _read(
        snapshot,
        f"SELECT rate_id, ts - ts % {DAY_SECONDS} AS day, kind, provider, COALESCE(batch, FALSE) AS in_batch, "
        f"{', '.join(texts)}, {ranges}, COUNT(*) AS times FROM {snapshot.dialect.events} "
        f"GROUP BY rate_id, day, kind, provider, in_batch, {', '.join(texts)} ORDER BY day, rate_id",
    )
    rows = zip(*(values.tolist() for values in found.values()), strict=True)
    uses: list[CardUse] = []
    for rate_id, day, kind, provider, batch, *rest in rows:
        named = dict(zip(texts, rest[: len(texts)], strict=True))
        least, most, earliest, latest, first, last, times = rest[len(texts) :]
        project = first if first and first == last else None
        subject = Subject(day=day, kind=kind, provider=provider, batch=bool(batch), project=project, **named)
        uses.append(CardUse(rate_id, subject, least, most, earliest, latest, times))
    return uses


def quantities(snapshot: Snapshot, start: int, end: int) -> list[tuple[int, str, int]]:
    """(`rate_id`, part, quantity) of events; a size is a row for each store and hour, with its largest."""
    inside = f"ts >= {start} AND ts < {end}"
    sums = ", ".join(
        f"{snapshot.dialect.as_text(f'SUM({snapshot.dialect.widened(part)})')} AS {part}_sum" for part in FLOWS
    )
    found = _read(snapshot, f"SELECT rate_id, {sums} FROM {snapshot.dialect.events} WHERE {inside} GROUP BY rate_id")
    rate_ids = found["rate_id"].tolist()
    summed = [
        (rate_id, part, int(text))
        for part in FLOWS
        for rate_id, text in zip(rate_ids, found[f"{part}_sum"].tolist(), strict=True)
    ]
    stores = ", ".join(dimension.name for dimension in STORES.dimensions)
    sizes = _read(
        snapshot,
        f"SELECT rate_id, MAX({STORED_PART}) AS largest FROM {snapshot.dialect.events} "
        f"WHERE {inside} AND kind = '{STORES.kind}' GROUP BY rate_id, ts - ts % 3600, {stores}",
    )
    seen = zip(sizes["rate_id"].tolist(), sizes["largest"].tolist(), strict=True)
    return [*summed, *((rate_id, STORED_PART, size) for rate_id, size in seen)]


def _read(snapshot: Snapshot, text: str) -> Columns:
    return snapshot.read(Sql(text))


def _words(columns: Mapping[str, Any]) -> list[str]:
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    return [", ".join(f"{name}={value}" for name, value in zip(columns, row, strict=True)) for row in rows]
