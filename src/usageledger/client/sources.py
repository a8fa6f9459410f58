"""Emitters and what became of what they sent, as UsageLedger lists them: frozen values."""

from collections.abc import Mapping
from typing import Any

import msgspec

from usageledger.client.errors import APIResponseValidationError


class SourceTally(msgspec.Struct, frozen=True, kw_only=True):
    """A number of things of one emitter that have something in common.

    Attributes:
        reason: why they are not counted, or what is to be known of them, in a word such as `no_usage`.
        count: how many.
        example: the id of one of them, as its emitter has it; empty where it has none.
        last_at: when the last of them came, Unix seconds.
        meaning: the reason in a sentence.
        remedy: what can be done about it.
    """

    reason: str
    count: int
    example: str
    last_at: int
    meaning: str
    remedy: str


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a program or library that sends usage, and what became of it.

    Attributes:
        emitter: as it calls itself.
        version: None where it does not say.
        first_seen_at: Unix seconds.
        last_seen_at: Unix seconds.
        counted: events that are counted.
        sent_again: events that came again, and are counted once.
        not_counted: what is in no number of usage, by reason.
        notes: what is to be known of events that are counted.
    """

    emitter: str
    version: str | None = None
    first_seen_at: int
    last_seen_at: int
    counted: int
    sent_again: int
    not_counted: tuple[SourceTally, ...]
    notes: tuple[SourceTally, ...]


class _SourceList(msgspec.Struct):
    data: tuple[Source, ...]


def read_sources(body: Mapping[str, Any]) -> tuple[Source, ...]:
    """The sources of an answer.

    Raises:
        APIResponseValidationError: it is no list of them.
    """
    try:
        return msgspec.convert(body, _SourceList).data
    except msgspec.ValidationError as error:
        raise APIResponseValidationError(
            f"The answer is no list of sources: {error}. Is the address that of a UsageLedger?"
        ) from None
