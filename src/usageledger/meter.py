"""The row of a kind of usage in the table of meters: its measures, dimensions and bucket widths."""

from dataclasses import dataclass
from typing import Literal

from usageledger.buckets import DAY_SECONDS, HOUR_SECONDS
from usageledger.parts import NOT_CHARGED, Part, Price


@dataclass(frozen=True, slots=True)
class Width:
    """A bucket width and how many buckets of it a page has by default and at most."""

    name: str
    seconds: int
    default_limit: int
    max_limit: int

    @property
    def snap_seconds(self) -> int:
        """Seconds whose multiples the windows of costs begin and end at: of a bucket; of an hour for the one of all."""
        return self.seconds if self.seconds <= DAY_SECONDS else HOUR_SECONDS


@dataclass(frozen=True, slots=True)
class Measure:
    """A number that an event carries, and that results report if the official API has it.

    Attributes:
        unit: what is counted: `tokens`, `requests`, `images`, `characters`, `seconds`, `bytes`, `sessions`, `usd`.
        price: how it is charged, or `NOT_CHARGED`; it has no default, so that nothing is left unpriced unseen.
        adds: `sum` for a flow; `gauge` for a size, where a bucket's value is the sum over stores of the largest seen.
        required: an event must carry it, or numbers that it follows from.
        parts: the disjoint stored columns that it is the sum of; a measure that is itself stored is its only part.
        default: what an event has that does not carry it; None where nothing can be assumed.
        unit_field: the result field that names the unit, where it differs from result to result.
        on_wire: False for what is stored with the event and charged, but is no field of the official API's results.
    """

    name: str
    unit: str
    doc: str
    price: Price | None
    adds: Literal["sum", "gauge"] = "sum"
    required: bool = False
    parts: tuple[Part, ...] = ()
    default: int | None = None
    unit_field: str | None = None
    on_wire: bool = True

    def __post_init__(self) -> None:
        if self.parts and self.price is not NOT_CHARGED:
            raise ValueError(f"{self.name} is a sum of parts that are charged, so it is NOT_CHARGED, not {self.price}")

    @property
    def stored(self) -> tuple[Part, ...]:
        """The stored columns that it is made of."""
        return self.parts or (Part(self.name, self.price),)

    @property
    def columns(self) -> tuple[str, ...]:
        """The stored columns that add up to this measure."""
        return tuple(part.name for part in self.stored)


@dataclass(frozen=True, slots=True)
class Dimension:
    """A property of an event by which usage is told apart.

    Attributes:
        filter: the query parameter that selects by it, or None.
        flag: true or false, where other dimensions are text.
        values: the values that the official API documents; empty where any text is allowed.
        pattern: what further values must look like; with `values` and no pattern, only those are allowed.
        others: examples of such further values.
        example: the value that examples show, where there are no `values`.
        many: it has far more values than the others, as ids of users and keys have.
        on_wire: False for what is stored with the event but is neither a grouping nor a field of the official API.
        extension: a grouping of ours, which only the results that are grouped by it show.
        has_commas: its values may have commas with a space behind, so that only other commas tell several values apart.
    """

    name: str
    doc: str
    filter: str | None = None
    flag: bool = False
    values: tuple[str, ...] = ()
    pattern: str | None = None
    others: tuple[str, ...] = ()
    example: str | None = None
    many: bool = False
    on_wire: bool = True
    extension: bool = False
    has_commas: bool = False

    def __post_init__(self) -> None:
        if bool(self.pattern) != bool(self.others):
            raise ValueError(f"{self.name}: a pattern needs examples of other values: {self.pattern!r}, {self.others}")

    @property
    def shown(self) -> str | bool:
        """The value that examples show."""
        return False if self.flag else (*self.values, self.example or f"{self.name}_1")[0]


@dataclass(frozen=True, slots=True)
class Meter:
    """A kind of usage: its endpoint, its measures and its dimensions.

    Attributes:
        priced: it reports amounts: its windows snap outward to whole buckets or hours, and can be asked `as_of` a time.
        extension: a kind of ours, which OpenAI's API lacks, and its clients.
        priced_as: the kind whose public prices are this one's as well; None for its own.
    """

    kind: str
    path: str
    object: str
    title: str
    measures: tuple[Measure, ...]
    dimensions: tuple[Dimension, ...]
    widths: tuple[Width, ...]
    priced: bool = False
    extension: bool = False
    priced_as: str | None = None

    @property
    def reported(self) -> tuple[Measure, ...]:
        """The measures of the API, in the order of its results."""
        return tuple(m for m in self.measures if m.on_wire)

    @property
    def groupings(self) -> tuple[Dimension, ...]:
        """The dimensions of the API, in the order of its results."""
        return tuple(d for d in self.dimensions if d.on_wire)

    @property
    def filters(self) -> tuple[Dimension, ...]:
        """The dimensions that a query parameter selects by."""
        return tuple(d for d in self.dimensions if d.filter)

    @property
    def columns(self) -> tuple[str, ...]:
        """The stored columns of its measures."""
        return tuple(dict.fromkeys(column for measure in self.measures for column in measure.columns))

    @property
    def prices(self) -> dict[str, Price]:
        """Stored column → how it is charged, of those that are."""
        return {p.name: p.price for measure in self.measures for p in measure.stored if p.price}

    def width(self, name: str) -> Width:
        """The width called `name`; KeyError where there is none."""
        return {width.name: width for width in self.widths}[name]
