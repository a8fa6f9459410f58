"""Aggregated rows → the page that the API answers.

Source: `UsageResponse` of OpenAI's API document; bucket keys in the order of the recorded answers
(`object, start_time, end_time, start_time_iso, end_time_iso, results`).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice, repeat
from typing import Any, TypeVar

import msgspec

from usageledger.buckets import Bucket, iso
from usageledger.meter import Meter
from usageledger.meters import METERS
from usageledger.pricing import decimal_text, usd_text
from usageledger.pricing.cards import PARTS
from usageledger.questions.aggregate import Aggregate
from usageledger.questions.query import Query

T = TypeVar("T")

UNIT_BITS = {price.unit: price.unit_bits for price in PARTS.values() if price.unit_bits}


def _result_struct(meter: Meter) -> type[msgspec.Struct]:
    return msgspec.defstruct(
        f"{meter.kind}_result",
        [
            ("object", str),
            *((measure.name, int) for measure in meter.reported),
            *((d.name, bool | None if d.flag else str | None) for d in meter.groupings),
        ],
        frozen=True,
        gc=False,
    )


RESULTS: dict[str, type[msgspec.Struct]] = {meter.kind: _result_struct(meter) for meter in METERS}


def results_json(query: Query, aggregate: Aggregate) -> Iterator[tuple[int, bytes]]:
    """For each bucket of a page, how many results it has, and its `results` as a JSON array."""
    struct, starts, done = RESULTS[query.meter.kind], aggregate.starts, 0
    columns = (aggregate.columns.get(name, repeat(None)) for name in struct.__struct_fields__[1:])
    rows = map(struct, repeat(query.meter.object), *columns)
    for bucket in query.buckets:
        start = query.whole_start(bucket)
        low = bisect_left(starts, start, done)
        high = bisect_right(starts, start, low)
        yield high - low, msgspec.json.encode(list(islice(rows, low - done, high - done)))
        done = high


def cost_results_json(query: Query, aggregate: Aggregate, bucket: Bucket) -> tuple[int, bytes]:
    """The same of one bucket of costs: amounts with all their digits, a quantity where the line item is grouped by."""
    start = query.whole_start(bucket)
    rows = range(bisect_left(aggregate.starts, start), bisect_right(aggregate.starts, start))
    columns = aggregate.columns
    by_item = "line_item" in query.group_by
    names = [d.name for d in query.meter.groupings if not d.extension or d.name in query.group_by]
    results = [
        {
            "object": query.meter.object,
            "amount": money(columns["amount"][row]),
            **{name: columns[name][row] if name in columns else None for name in names},
            "quantity": quantity_number(columns["quantity"][row], columns["quantity_unit"][row]) if by_item else None,
            "quantity_unit": columns["quantity_unit"][row] if by_item else None,
        }
        for row in rows
    ]
    return len(rows), msgspec.json.encode(results)


def money(amount: int) -> dict[str, Any]:
    """An amount of 10⁻¹⁸/9 USD as the API shows it, with all its digits to 10⁻¹⁸."""
    return {"value": _number(usd_text(amount)), "currency": "usd"}


def quantity_number(quantity: int, unit: str) -> msgspec.Raw:
    """A quantity as JSON; a stored size is kept in bytes and shown in GiB, which always ends in decimals."""
    if bits := UNIT_BITS.get(unit):
        return _number(decimal_text(quantity * 5**bits, bits))  # 2^-30 is 5^30 * 10^-30
    return _number(str(quantity))


def _number(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def render(query: Query, results: Iterable[T], next_page: str | None) -> Iterator[bytes | T]:
    """The page as JSON in pieces, given the `results` of each of its buckets, which are passed on as they are."""
    yield b'{"object":"page","data":['
    separator = b""
    for bucket, array in zip(query.buckets, results, strict=True):
        yield separator
        yield _head(bucket, query.timezone)
        yield array
        separator = b"},"
    tail = msgspec.json.encode({"has_more": next_page is not None, "next_page": next_page})
    yield (b"}]," if separator else b"],") + tail[1:]


@lru_cache(10_000)  # most of the time of a page of many small buckets
def _head(bucket: Bucket, timezone: str) -> bytes:
    """A bucket as JSON, as far as its results."""
    return (
        f'{{"object":"bucket","start_time":{bucket.start},"end_time":{bucket.end},'
        f'"start_time_iso":"{iso(bucket.start, timezone)}","end_time_iso":"{iso(bucket.end, timezone)}","results":'
    ).encode()
