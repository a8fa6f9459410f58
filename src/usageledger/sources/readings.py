"""The form that every source is read into: events by emitter, and of the rest how much was not counted and why."""

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from usageledger.events.typed_events import ERRORS_LISTED_MAX, ID_CHARACTERS_MAX, RESPONSE_PREFIX

EMITTER_CHARACTERS_MAX = 128  # of its name, and of its version, that are kept


class Reason(StrEnum):
    """Reasons why something that an emitter sent is not counted."""

    AGGREGATE = "aggregate"  # it repeats what its parts say
    OTHER_SIGNAL = "other_signal"  # another signal of the same emitter is counted
    SAME_RESPONSE = "same_response"  # the response came another way before
    OTHER_NUMBERS = "other_numbers"  # the response came another way before, with other numbers
    NO_USAGE = "no_usage"  # the emitter does not say how much it was
    CACHE_HIT = "cache_hit"  # a gateway answered from its own cache: no vendor was asked
    FAILED_CALL = "failed_call"
    UNKNOWN_DIALECT = "unknown_dialect"  # numbers of tokens, in no form that is known
    UNKNOWN_KIND = "unknown_kind"  # a use of something that is not metered
    REFUSED = "refused"  # it contradicts itself, or is not a value that an event may have


class Note(StrEnum):
    """Remarks on what is counted."""

    ESTIMATED = "estimated"  # the emitter counted tokens by itself, since the vendor did not say
    CACHE_LIFETIME_UNKNOWN = "cache_lifetime_unknown"  # cache writes of 5 minutes and of an hour are one number


@dataclass(frozen=True, slots=True)
class Emitter:
    """A program or library that sends usage.

    Attributes:
        name: as it calls itself.
        version: empty where it does not say.
    """

    name: str
    version: str = ""


@dataclass(slots=True)
class Tally:
    """A number of things, and the id of the first of them."""

    count: int
    example: str


@dataclass(frozen=True, slots=True)
class PartPoint:
    """The running total of a part of what another counter counts, at the same time."""

    field: str
    counter: bytes
    start: int
    total: int


@dataclass(frozen=True, slots=True)
class CounterPoint:
    """A running total at a time.

    Attributes:
        counter: a digest of all that identifies it, its start included.
        start, at: nanoseconds since 1970.
        total: since the start.
        requests: that were observed since the start; 0 where the counter does not tell.
        fields: of an event, that what is new in the total adds to.
        event: the other fields of that event, but for its id and time.
        label: the name by which its emitter's own tools find it.
        parts: counters of what the total includes.
    """

    counter: bytes
    start: int
    at: int
    total: int
    requests: int
    fields: tuple[str, ...]
    event: dict[str, Any]
    label: str
    parts: tuple[PartPoint, ...] = ()


@dataclass(slots=True)
class Reading:
    """Usage that one emitter sent in one request.

    Attributes:
        events: as `POST /v1/events` takes them: field → value, `kind` among them.
        points: of counters, of which the ledger knows how much is counted.
        not_counted: by reason.
        notes: on events that are counted.
        refused: ids of the first that are refused, and what is wrong with them.
    """

    events: list[dict[str, Any]] = field(default_factory=list)
    points: list[CounterPoint] = field(default_factory=list)
    not_counted: dict[Reason, Tally] = field(default_factory=dict)
    notes: dict[Note, Tally] = field(default_factory=dict)
    refused: list[tuple[str, str]] = field(default_factory=list)

    def leave(self, reason: Reason, example: str, why: str = "") -> None:
        """Leaves something uncounted; `why` says of what is refused what is wrong with it."""
        _add(self.not_counted, reason, example)
        if reason is Reason.REFUSED and len(self.refused) < ERRORS_LISTED_MAX:
            self.refused.append((example, why or "It is not of the form that it should have."))

    def note(self, note: Note, example: str) -> None:
        """Remarks on an event that is counted."""
        _add(self.notes, note, example)

    def add(self, other: "Reading") -> None:
        """Adds what another left out, and its notes."""
        for reason, tally in other.not_counted.items():
            _add(self.not_counted, reason, tally.example, tally.count)
        for note, tally in other.notes.items():
            _add(self.notes, note, tally.example, tally.count)
        self.refused += other.refused[: ERRORS_LISTED_MAX - len(self.refused)]


def _add(tallies: dict[Any, Tally], what: Reason | Note, example: str, count: int = 1) -> None:
    tally = tallies.setdefault(what, Tally(0, example))
    tally.count += count


class Readings(dict[Emitter, Reading]):
    """Usage in one request, by the emitter that sent it."""

    def of(self, emitter: Emitter) -> Reading:
        """Gives the reading of an emitter, empty at first."""
        return self.setdefault(emitter, Reading())


def response_event_id(response_id: str) -> str:
    """Makes the id of the event of a vendor's response, which the ledger counts once in 48 hours."""
    return short_id(RESPONSE_PREFIX, response_id)


def short_id(prefix: str, *parts: str) -> str:
    """Makes an event id of `parts`: joined by colons, or their digest where that is too long for one."""
    plain = prefix + ":".join(parts)
    if len(plain) <= ID_CHARACTERS_MAX and "\0" not in plain:
        return plain
    return prefix + hashlib.sha256(msgspec.json.encode(parts)).hexdigest()
