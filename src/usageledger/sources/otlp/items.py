"""Items (spans, log records, data points) in groups of one emitter each, into which both forms of OTLP are read."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol, TypeVar

FORMS = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")  # of metrics
NO_RECORDED_VALUE = 1  # of the flags of a data point

Value = str | int | float | bool  # of an attribute; lists, maps and bytes are none, since no dialect counts by them
Attributes = dict[str, Value]


class Temporality(IntEnum):
    """The stretch of time that a point of a counter tells of; the numbers are those of the wire."""

    UNKNOWN = 0
    DELTA = 1  # since the point before
    CUMULATIVE = 2  # since the start of the counter


@dataclass(slots=True)
class Point:
    """The number that a data point of a metric has.

    Attributes:
        form: of the metric, as the wire names it: `sum`, `histogram`, `gauge` and so on.
        temporality: what stretch of time it tells of.
        is_monotonic: true of a number that only grows, as all histograms do.
        unit: of the metric.
        start: of that stretch of time, nanoseconds since 1970; 0 where it is not given.
        value: of a histogram the sum of all that was observed; None where it is not given.
        count: of observations, for histograms.
        is_empty: true of a point that says that there was nothing to record.
    """

    form: str
    temporality: int
    is_monotonic: bool
    unit: str
    start: int
    value: int | float | None
    count: int
    is_empty: bool


@dataclass(slots=True)
class Item:
    """A span, a log record or a data point of a metric.

    Attributes:
        name: of the span, of the event or of the metric.
        nanoseconds: since 1970: the end of the span, the time of the record or point; 0 where it is not given.
        attributes: those that dialects read; of data points all.
        counts_others: whether a further attribute holds a number and seems to count tokens.
        trace_id, span_id, parent_id: hex digits, lower case; empty where there are none.
        is_client: a span of the kind CLIENT.
        failed: the status of the span is an error.
        point: the number of a data point.
    """

    name: str
    nanoseconds: int
    attributes: Attributes
    counts_others: bool = False
    trace_id: str = ""
    span_id: str = ""
    parent_id: str = ""
    is_client: bool = False
    failed: bool = False
    point: Point | None = None

    @property
    def label(self) -> str:
        """The id by which its emitter's own tools find it."""
        return f"{self.trace_id}:{self.span_id}" if self.span_id else self.name


@dataclass(slots=True)
class Group:
    """Items of one scope of one resource.

    Attributes:
        resource: attributes of the program that sends.
        scope, version: name and version of the library that made the items.
    """

    resource: Attributes
    scope: str
    version: str
    items: list[Item] = field(default_factory=list)


Groups = Iterator[Group]
Raw_co = TypeVar("Raw_co", covariant=True)
_BOUNDS = ("max_", "limit", "budget", "cost", "price")  # of names that hold what may be used, or what it costs


class _Pair(Protocol[Raw_co]):
    """A name and a value as one form of the wire has them."""

    @property
    def key(self) -> str: ...

    @property
    def value(self) -> Raw_co: ...


def read_attributes(
    pairs: Iterable[_Pair[Raw_co]], wanted: Callable[[str], bool], plain: Callable[[Raw_co], Value | None]
) -> tuple[Attributes, bool]:
    """Reads the attributes that are wanted; others only so far as to see whether one seems to count tokens.

    Args:
        pairs: as the wire has them.
        wanted: true for names that dialects read.
        plain: reads a value; None for one that is not given, or is of no plain type.
    """
    found: Attributes = {}
    counts_others = False
    for pair in pairs:
        name = pair.key
        if wanted(name):
            value = plain(pair.value)
            if value is not None and value != "":
                found[name] = value
        elif not counts_others and ("token" in name or "usage" in name):
            counts_others = _is_positive(plain(pair.value)) and not any(word in name for word in _BOUNDS)
    return found, counts_others


def _is_positive(value: Value | None) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
