"""Aggregated rows → the page that the API answers.

Source: `UsageResponse` of OpenAI's API document; bucket keys in the order of the recorded answers
(`object, start_time, end_time, start_time_iso, end_time_iso, results`).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import msgspec

from usageledger.buckets import floor, iso
from usageledger.meters import METERS, Meter
from usageledger.query import Query


@dataclass(frozen=True, slots=True)
class Aggregate:
    """What a ledger answers to a `Query`: parallel columns, one row for each bucket and group that has usage.

    Attributes:
        starts: the aligned start of each row's bucket, Unix seconds, ascending.
        columns: dimensions grouped by and measures of the meter, by name.
    """

    starts: Sequence[int]
    columns: Mapping[str, Sequence[Any]]


def _result_struct(meter: Meter) -> type[msgspec.Struct]:
    return msgspec.defstruct(
        f"{meter.kind}_result",
        [
            ("object", str),
            *((measure.name, int) for measure in meter.measures),
            *((d.name, bool | None if d.flag else str | None) for d in meter.groupings),
        ],
        frozen=True,
        gc=False,
    )


RESULTS: dict[str, type[msgspec.Struct]] = {meter.kind: _result_struct(meter) for meter in METERS}


def render(query: Query, aggregate: Aggregate, next_page: str | None) -> Iterator[bytes]:
    """The page as JSON in pieces, a bucket at a time, so that a large one does not hold up other requests."""
    separator = b'{"object":"page","data":['
    for bucket in query.buckets:
        start = floor(bucket.start, query.width.seconds)
        low, high = bisect_left(aggregate.starts, start), bisect_right(aggregate.starts, start)
        results = msgspec.json.encode(_results(query.meter, aggregate, low, high))
        yield (
            f'{separator.decode()}{{"object":"bucket","start_time":{bucket.start},"end_time":{bucket.end},'
            f'"start_time_iso":"{iso(bucket.start)}","end_time_iso":"{iso(bucket.end)}","results":'
        ).encode() + results
        separator = b"},"
    closing = b"}" if separator == b"}," else separator
    tail = msgspec.json.encode({"has_more": next_page is not None, "next_page": next_page})
    yield closing + b"]," + tail[1:]


def _results(meter: Meter, aggregate: Aggregate, low: int, high: int) -> list[msgspec.Struct]:
    columns = [aggregate.columns.get(name) for name in RESULTS[meter.kind].__struct_fields__[1:]]
    rows = (repeat(None, high - low) if column is None else column[low:high] for column in columns)
    return list(map(RESULTS[meter.kind], repeat(meter.object, high - low), *rows))
