"""Events as lines of `POST /v1/events`, and their outcomes.

An event's identity is (`id`, `timestamp`), so an event gets its `id` before the first try: the same bytes sent again
count once. Source: docs/events.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from uuid import uuid4

import msgspec

from usageledger.client.errors import APIResponseValidationError

ERRORS_KEPT_MAX = 1000

Event: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EventError:
    """A reason why an event was refused.

    Attributes:
        index: the place of the event among those sent, from 0.
        id: the event's `id`.
        code: the server's machine-readable reason.
        param: the field at fault.
        message: names what came and what is allowed.
    """

    index: int
    id: str | None
    code: str | None
    param: str | None
    message: str


@dataclass(frozen=True, slots=True)
class EventReport:
    """The outcome of the events sent; the three numbers add up to their count.

    Attributes:
        accepted: kept now.
        duplicates: there before.
        rejected: not kept; `errors` says why.
        errors: an event may have several; at most `ERRORS_KEPT_MAX` are kept, the first ones.
        same_response: those of the duplicates that came another way before.
    """

    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    errors: tuple[EventError, ...] = ()
    same_response: int = 0

    def __add__(self, other: "EventReport") -> "EventReport":
        return EventReport(
            self.accepted + other.accepted,
            self.duplicates + other.duplicates,
            self.rejected + other.rejected,
            (self.errors + other.errors)[:ERRORS_KEPT_MAX],
            self.same_response + other.same_response,
        )


class _Error(msgspec.Struct):
    index: int
    message: str
    id: str | None = None
    code: str | None = None
    param: str | None = None


class Answer(msgspec.Struct):
    """The server's answer to a batch."""

    object: Literal["event.batch"]
    accepted: int
    duplicates: int
    rejected: int
    errors: list[_Error]
    errors_omitted: int = 0
    same_response: int = 0

    def report(self, first: int = 0) -> EventReport:
        """The same as a report, of a batch whose first event has the place `first`."""
        errors = (EventError(first + e.index, e.id, e.code, e.param, e.message) for e in self.errors)
        return EventReport(self.accepted, self.duplicates, self.rejected, tuple(errors), self.same_response)


# Made here and not at the first answer: a fork amid its making, by another thread, would leave the child half of it.
_ANSWERS = msgspec.json.Decoder(Answer)


def encode(event: Any) -> bytes:
    """An event as one line of JSON, with an `id` where it has none.

    Raises:
        TypeError: it is no mapping, or holds what JSON cannot say.
    """
    if not isinstance(event, Mapping):
        raise TypeError(f"expected an event as a dict, got {event!r}.")
    return msgspec.json.encode(dict(event) if event.get("id") is not None else {**event, "id": f"evt_{uuid4().hex}"})


def read_answer(content: bytes, events: int) -> Answer:
    """The answer to a batch of so many events.

    Raises:
        APIResponseValidationError: it is none, or not about as many.
    """
    try:
        answer = _ANSWERS.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise APIResponseValidationError(
            f"The answer is no event.batch: {error}. Is the address that of a UsageLedger?"
        ) from None
    counts = (answer.accepted, answer.duplicates, answer.rejected)
    if min(counts) < 0 or sum(counts) != events or not all(0 <= error.index < events for error in answer.errors):
        raise APIResponseValidationError(f"{events} events were sent, and the answer is about {sum(counts)}.")
    return answer


def decode(line: bytes) -> dict[str, Any]:
    """The event of a line."""
    event: dict[str, Any] = msgspec.json.decode(line)
    return event


def identity(line: bytes) -> str | None:
    """Return the `id` of the event of a line, where it has one that is text."""
    try:
        event = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    value = event.get("id") if isinstance(event, dict) else None
    return value if isinstance(value, str) else None
