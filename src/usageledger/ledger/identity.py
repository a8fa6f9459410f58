"""Identities of events: finds the rows of a commit that a ledger has already, so that an event counts once."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from usageledger.events.columns import PAYLOAD_COLUMNS
from usageledger.events.responses import is_response, nearest
from usageledger.events.typed_events import RESPONSE_PREFIX
from usageledger.meters import MEASURE_COLUMNS
from usageledger.parts import CACHE_WRITE_PARTS, cache_write_of

Identity = tuple[str, int]
Payload = tuple[Any, ...]
Outcomes = np.ndarray[Any, np.dtype[np.uint8]]  # an `Outcome` for each row


# What two events say of one response, however they came.
_COUNTED = tuple((name, PAYLOAD_COLUMNS.index(name)) for name in ("kind", *MEASURE_COLUMNS))
_WRITTEN = {part.name: PAYLOAD_COLUMNS.index(part.name) for part in CACHE_WRITE_PARTS}
_WRITTEN_UNTOLD = PAYLOAD_COLUMNS.index(cache_write_of("other"))


class Outcome(IntEnum):
    """The outcome of an event: its identity is (`id`, `timestamp`), and it counts once.

    Of a response the identity is its `id`, within `typed_events.RESPONSE_SECONDS`.
    """

    ACCEPTED = 0
    DUPLICATE = 1  # the same identity and the same payload: kept before, counted once
    CONFLICT = 2  # the same identity and another payload: nothing changed
    TOO_OLD = 3  # events of its time were dropped, so that nobody can tell whether it is new: nothing changed
    SAME_RESPONSE = 4  # the same response with the same counts, at another second or with other names: counted once


@dataclass(frozen=True, slots=True)
class Judged:
    """The outcomes of the rows of a commit.

    Attributes:
        outcomes: an `Outcome` for each row.
        kept: row → the payload that stays, of responses in conflict with it.
    """

    outcomes: Outcomes
    kept: Mapping[int, Payload] = field(default_factory=dict)


def identities_of(rows: pa.Table) -> list[Identity]:
    """(`event_id`, `ts`) of each row."""
    ids: list[str] = rows["event_id"].to_pylist()  # type: ignore[assignment]  # neither column holds nulls
    timestamps: list[int] = rows["ts"].to_pylist()  # type: ignore[assignment]  # the same
    return list(zip(ids, timestamps, strict=True))


def responses_in(rows: pa.Table) -> pa.Table:
    """`event_id` and `ts` of the responses among rows."""
    identities = rows.select(["event_id", "ts"])
    return identities.filter(pc.starts_with(rows["event_id"], RESPONSE_PREFIX))


def counted_once(identities: Iterable[Identity]) -> set[Identity | str]:
    """The identities, of responses their ids alone: rows that have one of these in common may be one."""
    return {identity[0] if is_response(identity[0]) else identity for identity in identities}


def judge(rows: pa.Table, identities: list[Identity], stored: Mapping[Identity, Payload]) -> Judged:
    """Judges each row: its identity is new, or is among the `stored` ones or those of earlier rows."""
    outcomes = np.zeros(rows.num_rows, np.uint8)
    if not stored and len(counted_once(identities)) == len(identities):
        return Judged(outcomes)
    first, in_conflict = dict(stored), dict[int, Payload]()
    seconds: dict[str, list[int]] = {}  # of each response that is kept
    for event_id, second in filter(lambda identity: is_response(identity[0]), stored):
        seconds.setdefault(event_id, []).append(second)
    for row, payload in enumerate(payloads(rows)):
        event_id, second = payload[:2]
        near = nearest(second, seconds.get(event_id, ()))
        kept = first.get((event_id, second if near is None else near))
        if kept is None:
            first[event_id, second] = payload
            if is_response(event_id):
                seconds.setdefault(event_id, []).append(second)
        elif payload == kept:
            outcomes[row] = Outcome.DUPLICATE
        elif not is_response(event_id):
            outcomes[row] = Outcome.CONFLICT
        elif differences(kept, payload):
            outcomes[row], in_conflict[row] = Outcome.CONFLICT, kept
        else:
            outcomes[row] = Outcome.SAME_RESPONSE
    return Judged(outcomes, in_conflict)


def differences(kept: Payload, given: Payload) -> list[tuple[str, Any, Any]]:
    """Column, kept value, given value of what two payloads of one response count differently.

    Cache writes are the same where one of the two does not tell their lifetimes.
    """
    found = [(name, kept[at], given[at]) for name, at in _COUNTED if kept[at] != given[at]]
    if found and all(name in _WRITTEN for name, _, _ in found):
        totals = {sum(payload[at] or 0 for at in _WRITTEN.values()) for payload in (kept, given)}
        if len(totals) == 1 and totals & {kept[_WRITTEN_UNTOLD], given[_WRITTEN_UNTOLD]}:
            return []
    return found


def accepted(rows: pa.Table, outcomes: Outcomes) -> pa.Table:
    """Those of `rows` that are new."""
    return rows.take(np.nonzero(outcomes == Outcome.ACCEPTED)[0]) if outcomes.any() else rows


def by_identity(rows: pa.Table) -> dict[Identity, Payload]:
    """Identity → payload of stored rows."""
    return {(payload[0], payload[1]): payload for payload in payloads(rows)}


def payloads(rows: pa.Table) -> Iterator[Payload]:
    """Each row as a tuple of `PAYLOAD_COLUMNS`: its identity stands first."""
    return zip(*(rows.column(name).to_pylist() for name in PAYLOAD_COLUMNS), strict=True)
