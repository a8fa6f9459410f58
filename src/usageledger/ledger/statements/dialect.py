"""SQL that differs between engines, as constants and small templates; all other SQL is the same."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from usageledger.ledger.schema import EVENTS_TABLE, FACETS_TABLE
from usageledger.meters import GAUGES


@dataclass(frozen=True, slots=True)
class Dialect:
    """The SQL of one engine, where it differs from others.

    Attributes:
        events: the table of events, read so that each identity counts once.
        facets: the table of the values of dimensions; None where they are taken from the events.
        text: the type of a text that may be null.
        wide: the type of an integer of 128 bits or more.
        sum: the exact sum of a count, wider than 64 bits.
        narrow: a number in 64 bits, which fails where it does not fit.
        has: the condition that a text contains another, whose letters' case is folded already.
        quotient: of two integers that are not negative.
        anti_join: keyword of the anti join.
        parts: (keys, what is counted of each part by its name, table) → a row for each key and part that is not 0.
    """

    events: str
    facets: str | None
    text: str
    wide: str
    sum: str
    narrow: str
    has: str
    quotient: str
    anti_join: str
    parts: Callable[[str, Sequence[tuple[str, str]], str], str]

    def table(self, name: str) -> str:
        """A table as it is read."""
        return self.events if name == EVENTS_TABLE else name

    def summed(self, column: str, *, wide: bool = False) -> str:
        """Aggregates a stored column: the largest value of a gauge, else `total`."""
        return f"MAX({column})" if column in GAUGES else self.total(column, wide=wide)

    def total(self, column: str, *, wide: bool = False) -> str:
        """The exact sum of a count: in 64 bits, which fails where it does not fit, or in the wider type."""
        added = self.sum.format(column)
        return added if wide else self.narrow.format(added)

    def as_text(self, expression: str) -> str:
        """A number that may be wider than 64 bits, as digits."""
        return f"CAST({expression} AS {self.text})"

    def widened(self, expression: str) -> str:
        """A number to be added to or multiplied with others beyond 64 bits."""
        return f"CAST({expression} AS {self.wide})"


def _union_of_parts(keys: str, counts: Sequence[tuple[str, str]], table: str) -> str:
    return " UNION ALL ".join(
        f"SELECT {keys}, '{part}' AS part, {count} AS quantity FROM {table} WHERE {count} > 0" for part, count in counts
    )


def _array_of_parts(keys: str, counts: Sequence[tuple[str, str]], table: str) -> str:
    """Reads the table once: it would be worked out anew for each mention of it."""
    pairs = ", ".join(f"('{part}', {count})" for part, count in counts)
    return (
        f"SELECT {keys}, pair.1 AS part, pair.2 AS quantity FROM {table} ARRAY JOIN [{pairs}] AS pair WHERE pair.2 > 0"
    )


DUCKDB = Dialect(
    events=EVENTS_TABLE,
    facets=FACETS_TABLE,
    text="VARCHAR",
    wide="HUGEINT",
    sum="SUM({})",
    narrow="CAST({} AS BIGINT)",
    has="contains(replace(replace(lower({}), 'ß', 'ss'), 'ς', '\N{GREEK SMALL LETTER SIGMA}'), ?)",
    quotient="({}) // {}",
    anti_join="ANTI JOIN",
    parts=_union_of_parts,
)

CLICKHOUSE = Dialect(
    events="events FINAL",
    facets=None,
    text="Nullable(String)",
    wide="Int256",
    sum="SUM(toInt128({}))",
    narrow="accurateCast({}, 'Int64')",
    has="position(replaceAll(replaceAll(lowerUTF8({}), 'ß', 'ss'), 'ς', '\N{GREEK SMALL LETTER SIGMA}'), ?) > 0",
    quotient="intDiv({}, {})",
    anti_join="LEFT ANTI JOIN",
    parts=_array_of_parts,
)
