"""Events for tests: built by hand, put on the wire in any of the ways that mean the same, and kept in a ledger."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pyarrow as pa
from tests.support.model import OTHER_CACHE_WRITE, Model, Usage, measured

from usageledger.events import decoders
from usageledger.events.batch import EventBatch, Limits, join
from usageledger.ledger import Ledger, Outcome
from usageledger.meter import Meter
from usageledger.meters import METER_BY_KIND
from usageledger.questions.aggregate import Aggregate
from usageledger.questions.pages import render, results_json
from usageledger.questions.query import Query, page_token, parse

NOW = 1_781_526_896  # 2026-06-15T12:34:56Z, a Monday
LATEST = NOW + 600
DAY = 86400
TODAY = NOW - NOW % DAY
SECRET = b"a secret of the tests, 32 bytes."

FORMS = ("parts", "totals", "both", "short")
MANY = 10**9


def has_parts(meter: Meter) -> bool:
    """Whether its tokens come in parts that are told apart."""
    return any(measure.name == "input_uncached_tokens" for measure in meter.measures)


def counted(kind: str) -> tuple[str, ...]:
    """The names of a kind's disjoint counts, as `Usage.counts` has them."""
    meter = METER_BY_KIND[kind]
    return meter.columns if has_parts(meter) else tuple(measure.name for measure in meter.measures)


def usage(kind: str, id: str = "event-1", timestamp: int = TODAY, **fields: Any) -> Usage:  # noqa: A002 - its wire name
    """An event whose other counts are 0 (1 request) and whose other dimensions are absent."""
    meter = METER_BY_KIND[kind]
    counts = dict.fromkeys(counted(kind), 0)
    if "num_model_requests" in counts:
        counts["num_model_requests"] = 1
    counts |= {name: fields.pop(name) for name in list(fields) if name in counts}
    dimensions = {d.name: fields.pop(d.name, None) for d in meter.dimensions}
    return Usage(kind, id, timestamp, dimensions, counts, **fields)


def wire(usage: Usage, form: str = "parts", **changes: Any) -> dict[str, Any]:
    """An event as a client sends it; every form says the same. Changes to None are left out."""
    counts = dict(usage.counts)
    if has_parts(METER_BY_KIND[usage.kind]):
        counts = _token_counts(counts, form)
    if form == "short":
        counts = {name: count for name, count in counts.items() if (name, count) != ("num_model_requests", 1)}
    event = {"kind": usage.kind, "id": usage.id, "timestamp": usage.timestamp, "provider": usage.provider}
    event |= {name: value for name, value in usage.dimensions.items() if value is not None}
    return {name: value for name, value in (event | counts | changes).items() if value is not None}


def _token_counts(counts: Mapping[str, int], form: str) -> dict[str, int]:
    totals = {
        name: measured(name, counts)
        for name in (
            "input_tokens",
            "input_uncached_tokens",
            "input_cached_tokens",
            "input_cache_write_tokens",
            "output_tokens",
        )
    }
    parts = {name: count for name, count in counts.items() if name != OTHER_CACHE_WRITE}
    if form == "parts":
        return parts | {"input_cache_write_tokens": totals["input_cache_write_tokens"]}
    if form == "both":
        return parts | totals
    besides_text = {name: count for name, count in parts.items() if not name.endswith("_text_tokens")}
    if form == "totals":
        return besides_text | totals
    del totals["input_uncached_tokens"]
    return totals | {name: count for name, count in besides_text.items() if count or name == "num_model_requests"}


def rfc3339(seconds: int, *, offset_minutes: int = 0, microseconds: int = 0) -> str:
    zone = timezone(timedelta(minutes=offset_minutes))
    return (datetime.fromtimestamp(seconds, UTC).astimezone(zone) + timedelta(microseconds=microseconds)).isoformat()


def decode(body: bytes, *, lines: bool, max_events: int) -> EventBatch:
    """A body of JSON, or with `lines` of NDJSON, as the server decodes it."""
    kinds = decoders.LINES_TYPES if lines else decoders.JSON_TYPES
    return decoders.decode(kinds[0], body, Limits(max_events, MANY, LATEST, NOW))


def total(batch: EventBatch) -> int:
    """The number of events that a body has."""
    return batch.count + batch.refused.events


def table(events: Sequence[Mapping[str, Any]], *, latest: int = LATEST) -> tuple[pa.Table, list[int]]:
    """The stored columns of wire events, all of them good, and the place of each row's event."""
    decoded = decode(msgspec.json.encode(events), lines=False, max_events=MANY)
    assert not decoded.refused.events
    joined = join([decoded], latest, NOW)
    assert joined.rows.num_rows == len(events)
    return joined.rows, joined.indexes.tolist()


def append_wire(ledger: Ledger, events: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a ledger makes of each event, in the order given."""
    rows, places = table(events)
    outcomes = ledger.append(rows).outcomes.tolist()
    by_place = dict(zip(places, outcomes, strict=True))
    return [Outcome(by_place[place]).name.lower() for place in range(len(events))]


def append(ledger: Ledger, usages: Sequence[Usage], form: str = "parts") -> list[str]:
    return append_wire(ledger, [wire(each, form) for each in usages])


def keep(model: Model, usages: Iterable[Usage]) -> list[str]:
    return [model.add(each) for each in usages]


def ask(kind: str, start: int, end: int, width: str = "1d", **parameters: Any) -> Query:
    """A query by its parameters: lists and booleans as Python has them."""
    pairs = [("start_time", str(start)), ("end_time", str(end)), ("bucket_width", width)]
    for name, value in parameters.items():
        if isinstance(value, (list, tuple)):
            pairs += [(f"{name}[]", str(each)) for each in value]
        else:
            pairs.append((name, str(value).lower() if isinstance(value, bool) else str(value)))
    return parse(METER_BY_KIND[kind], pairs, now=NOW, secret=SECRET)


def pieces(query: Query, aggregate: Aggregate, next_page: str | None = None) -> Iterator[bytes]:
    """A page as it is sent."""
    return render(query, (results for _, results in results_json(query, aggregate)), next_page)


def page(ledger: Ledger, query: Query) -> dict[str, Any]:
    """One page as the API answers it."""
    aggregate = ledger.aggregate(query, max_seconds=60, max_results=100_000)
    token = page_token(query, now=NOW, secret=SECRET)
    found: dict[str, Any] = msgspec.json.decode(b"".join(pieces(query, aggregate, token)))
    return found


def pages(ledger: Ledger, query: Query) -> list[dict[str, Any]]:
    """Every page from this one on, each asked for with the token of the one before."""
    found = [page(ledger, query)]
    while token := found[-1]["next_page"]:
        query = parse(query.meter, [("page", token)], now=NOW, secret=SECRET)
        found.append(page(ledger, query))
    return found


def answer(ledger: Ledger, query: Query) -> list[dict[str, Any]]:
    """Every bucket of a query's window."""
    return [bucket for each in pages(ledger, query) for bucket in each["data"]]
