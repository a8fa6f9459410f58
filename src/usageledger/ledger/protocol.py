"""The protocol that every engine implements, and the outcomes of an event."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from usageledger.pricing import Subject
from usageledger.questions.aggregate import Aggregate
from usageledger.questions.query import Query


class Outcome(IntEnum):
    """The outcome of an event: its identity is (`id`, `timestamp`), and it counts once."""

    ACCEPTED = 0
    DUPLICATE = 1  # the same identity and the same payload: kept before, counted once
    CONFLICT = 2  # the same identity and another payload: nothing changed
    TOO_OLD = 3  # events of its time were dropped, so that nobody can tell whether it is new: nothing changed


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Usage of a window that has no price.

    Attributes:
        rate_id: its card, which says nothing of `part`.
        quantity: in the units of the stored column `part`; for a size, bytes times hours.
    """

    kind: str
    rate_id: int
    part: str
    quantity: int


@dataclass(frozen=True, slots=True)
class CardUse:
    """The events of one subject that have one rate card.

    Attributes:
        subject: what the events themselves say, with `band` and `second` 0.
        input_least, input_most: input tokens of the smallest and the largest event.
        second_least, second_most: the seconds of the day of the earliest and the latest event.
    """

    rate_id: int
    subject: Subject
    input_least: int
    input_most: int
    second_least: int
    second_most: int
    events: int

    @property
    def day(self) -> int:
        """The start of the UTC day."""
        return self.subject.day


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it is kept.

    Attributes:
        columns: `columns.COLUMNS`, None for a dimension that it does not have.
        largest: of a size, the largest one of the same store and rate card in the same UTC hour; None for other kinds.
    """

    columns: Mapping[str, Any]
    largest: int | None


@dataclass(frozen=True, slots=True)
class Facet:
    """A question for the values that a dimension has; times are Unix seconds.

    Attributes:
        kind: only values of this kind of usage; None for all kinds.
        start, end: of the window, whole UTC days.
        search: only values that have this in them, its letters' case folded, and those of `named`; empty for all.
    """

    dimension: str
    kind: str | None
    start: int
    end: int
    search: str = ""
    named: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class PriceTable:
    """The prices of rate cards, as a table.

    Attributes:
        rows: `costs.PRICES`.
        newest_card: the largest `rate_id` that was looked at; of events with a later one nothing is said.
    """

    rows: pa.Table
    newest_card: int


# Called when it is settled which events an answer sees, so that the cards of all of them are in the table.
PricesOf = Callable[[], PriceTable]
Outcomes = np.ndarray[Any, np.dtype[np.uint8]]  # an `Outcome` for each row
CardsOf = Callable[[pa.Table], np.ndarray[Any, np.dtype[np.int64]]]  # rows → their rate cards


class Ledger(Protocol):
    """A store of events that counts each of them once.

    `append` belongs to as many threads as `writers` and `compact` to one, which may be another; everything else may be
    called from any thread at any time.

    Attributes:
        has_rollups: whether sums stay where events are dropped.
        writers: how many threads may append at once; more than one where a commit is mostly waiting for others.
    """

    has_rollups: bool
    writers: int

    def append(self, rows: pa.Table) -> Outcomes:
        """Keeps `rows` (`columns.SCHEMA`); an `Outcome` for each, in their order. On disk when it returns.

        Raises:
            LedgerUnavailableError: none of `rows` is acknowledged; the same rows may be appended again.
        """
        ...

    def compact(self) -> bool:
        """Does one bounded step of upkeep; whether there is more to do."""
        ...

    def rebuild_rollups(self) -> Iterator[int]:
        """Makes all rollups anew from the events, or goes on where that was begun; the start of each day that is done.

        Queries stay right meanwhile. It can be left at any day: `compact`, or the next call, takes it up again.
        """
        ...

    def drop_events(self, before: int) -> bool:
        """Drops events of times before this one, Unix seconds, at most a UTC day of them; whether there are others.

        Their sums and facets stay. A day that was dropped takes no events from then on.

        Raises:
            LedgerError: there are no rollups.
        """
        ...

    def events_from(self) -> int:
        """From when on events are kept, in Unix seconds; what was before is in sums only. It never goes back."""
        ...

    def settled_until(self) -> int:
        """The end of the last UTC day but one that has events, in Unix seconds; 0 where fewer days have some.

        Time has passed until then by the events themselves, whatever a clock says.
        """
        ...

    def aggregate(self, query: Query, *, max_seconds: float, max_results: int) -> Aggregate:
        """The answer to one page of `query`.

        Raises:
            InvalidRequestError: more than `max_results` result rows, or longer than `max_seconds`.
            LedgerUnavailableError: the engine failed.
        """
        ...

    def costs(self, query: Query, prices: PricesOf, *, max_seconds: float, max_results: int) -> Aggregate:
        """The answer to one page of costs; amounts are integers of 10⁻¹⁸ USD.

        `prices` is called when it is settled which events the answer sees.

        Raises:
            InvalidRequestError: more than `max_results` result rows, or longer than `max_seconds`.
            LedgerUnavailableError: the engine failed.
        """
        ...

    def unpriced(self, query: Query, prices: PricesOf, *, max_seconds: float, max_results: int) -> list[Unpriced]:
        """Lists the usage of a window for which `prices` has no price; arguments and errors are those of `costs`."""
        ...

    def unpriced_cards(self, query: Query, prices: PricesOf, *, max_seconds: float) -> int:
        """Counts the rate cards in `unpriced`, however many there are."""
        ...

    def facets(self, facet: Facet, *, max_seconds: float, limit: int) -> list[str]:
        """The first `limit` values, each once, sorted; raises as `aggregate` does."""
        ...

    def times_of_cards(self, rate_ids: Sequence[int], start: int, end: int) -> dict[int, tuple[int, int]]:
        """`rate_id` → Unix seconds of its first and last event between these times."""
        ...

    def event(self, event_id: str, timestamp: int) -> StoredEvent | None:
        """The event with this identity."""
        ...

    def give_cards(self, cards: CardsOf) -> int:
        """Gives a rate card to every event that has none, kept before there were cards; how many there were.

        Args:
            cards: from events (`columns.SCHEMA`) to their `rate_id`s.
        """
        ...

    def card_beyond(self, rate_id: int) -> int | None:
        """A larger `rate_id` that an event or a sum has; None where none has."""
        ...

    def version(self, start: int, end: int) -> int | None:
        """A number that grows, before what writes returns, whenever events between these times are added or dropped.

        None where that cannot be known, since others write to the same store.
        """
        ...

    def days(self) -> list[tuple[int, int]]:
        """(start, events) of each UTC day that has events, in their order."""
        ...

    def events(self, start: int, end: int, *, after: tuple[int, str], limit: int) -> pa.Table:
        """The first `limit` events after `after` between these times (`columns.SCHEMA`), by (`ts`, `event_id`)."""
        ...

    def span(self) -> tuple[int, int] | None:
        """The first and the last timestamp in the ledger; None where it is empty."""
        ...

    def count(self) -> int:
        """Counts the events in the ledger."""
        ...

    def malformed(self, limit: int) -> list[str]:
        """Stored events whose values no wire event could have had, in words; at most `limit`."""
        ...

    def doubled(self, limit: int) -> list[str]:
        """Identities stored more than once, in words; at most `limit`."""
        ...

    def rollup_differences(self, limit: int) -> list[str]:
        """Lists differences between rollups and events, in words; at most `limit`."""
        ...

    def facet_differences(self, limit: int) -> list[str]:
        """Values that events have and facets lack, or the other way round, in words; at most `limit`."""
        ...

    def cards_used(self) -> list[CardUse]:
        """Lists the rate cards that events have, by the subjects of the events."""
        ...

    def quantities(self, start: int, end: int) -> list[tuple[int, str, int]]:
        """(`rate_id`, part, quantity) of the events themselves between these times; a size is a row for each hour."""
        ...

    def backup(self, file: Path) -> None:
        """Copies everything, as it is at one moment, to a new file, while others read and write.

        Raises:
            LedgerUnavailableError: it could not be read, or the file not be written.
            LedgerError: it is kept by a server, which makes its backups.
        """
        ...

    def ready(self) -> bool:
        """Returns true if the last attempt to write to the engine succeeded."""
        ...

    def close(self) -> None:
        """Ends it cleanly; later calls raise LedgerUnavailableError."""
        ...
