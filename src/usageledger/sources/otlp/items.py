"""Items (spans, log records, data points) in groups of one emitter each, into which both forms of OTLP are read."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

NANOSECONDS = 1_000_000_000

Value = str | int | float | bool  # of an attribute; lists, maps and bytes are none, since no dialect counts by them
Attributes = dict[str, Value]


@dataclass(slots=True)
class Item:
    """A span, a log record or a data point of a metric.

    Attributes:
        name: of the span, of the event or of the metric.
        nanoseconds: since 1970: the end of the span, the time of the record or point; 0 where it is not given.
        attributes: those that dialects read.
        others: the names of further attributes that hold numbers and seem to count tokens.
        trace_id, span_id, parent_id: hex digits, lower case; empty where there are none.
        is_client: a span of the kind CLIENT.
        failed: the status of the span is an error.
    """

    name: str
    nanoseconds: int
    attributes: Attributes
    others: tuple[str, ...] = ()
    trace_id: str = ""
    span_id: str = ""
    parent_id: str = ""
    is_client: bool = False
    failed: bool = False

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


def counts_tokens(name: str, value: Any) -> bool:
    """Returns true for an attribute that seems to say how many tokens were used."""
    return (
        ("token" in name or "usage" in name)
        and type(value) in (int, float)
        and value > 0
        and not any(word in name for word in ("max_", "limit", "budget", "cost", "price"))
    )
