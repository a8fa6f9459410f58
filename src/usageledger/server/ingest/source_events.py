"""Readings of a source → the ledger, and what became of them → the counts of sources."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from usageledger.events.typed_events import ERRORS_LISTED_MAX
from usageledger.server.ingest.commits import Ingest
from usageledger.server.ingest.counter_points import CounterPoints
from usageledger.server.ingest.source_counts import PendingSourceCounts
from usageledger.sources.batches import to_batch
from usageledger.sources.readings import Emitter, Readings, Reason

SUBMITTED_AT_ONCE_MAX = 32
COUNTED, SENT_AGAIN = "counted", "sent_again"
Events = list[dict[str, Any]]


@dataclass(slots=True)
class Kept:
    """Outcome of a request of a source.

    Attributes:
        accepted: events that are counted now.
        duplicates: events that were counted before.
        refused: things that could not be counted, though they are usage.
        errors: ids and reasons of the first of them.
        not_counted: how much was left out, by reason.
    """

    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    errors: list[tuple[str, str]] = field(default_factory=list)
    not_counted: dict[Reason, int] = field(default_factory=dict)


async def keep(
    readings: Readings, ingest: Ingest, counts: PendingSourceCounts, counter_points: CounterPoints, *, events_max: int
) -> Kept:
    """Keeps the events and points of a request; on disk when it returns.

    Raises:
        OverloadedError, LedgerUnavailableError, RegistryError: the same request may be sent again.
    """
    kept = Kept()

    async def submit(usage: Iterable[tuple[Emitter, Events]]) -> None:
        pieces = list(_pieces(usage, events_max))
        for start in range(0, len(pieces), SUBMITTED_AT_ONCE_MAX):
            some = pieces[start : start + SUBMITTED_AT_ONCE_MAX]
            answers = await asyncio.gather(*(ingest.submit(to_batch(events)) for _, events in some))
            for (emitter, events), answer in zip(some, answers, strict=True):
                counts.add(emitter, _note(kept, events, answer))

    async def submit_of(emitter: Emitter, events: Events) -> None:
        await submit([(emitter, events)])

    await submit((emitter, reading.events) for emitter, reading in readings.items())
    for emitter, reading in readings.items():
        if reading.points:
            await counter_points.keep(reading, partial(submit_of, emitter))
    for emitter, reading in readings.items():
        left = {reason.value: (tally.count, tally.example) for reason, tally in reading.not_counted.items()}
        counts.add(emitter, left | {note.value: (each.count, each.example) for note, each in reading.notes.items()})
        kept.refused += left.get(Reason.REFUSED.value, (0, ""))[0]
        kept.errors += reading.refused[: ERRORS_LISTED_MAX - len(kept.errors)]
        for reason, tally in reading.not_counted.items():
            kept.not_counted[reason] = kept.not_counted.get(reason, 0) + tally.count
    return kept


def _pieces(usage: Iterable[tuple[Emitter, Events]], events_max: int) -> Iterator[tuple[Emitter, Events]]:
    for emitter, events in usage:
        for start in range(0, len(events), events_max):
            yield emitter, events[start : start + events_max]


def _note(kept: Kept, events: Events, answer: dict[str, Any]) -> dict[str, tuple[int, str]]:
    """Adds the answer for a piece to `kept`; what became of its events, for the counts of sources."""
    first = str(events[0]["id"])
    kept.accepted += answer["accepted"]
    kept.duplicates += answer["duplicates"]
    same = answer.get("same_response", 0)
    others = [error for error in answer["errors"] if error.code == "conflict"]
    wrong = [error for error in answer["errors"] if error.code != "conflict"]
    kept.errors += [(error.id or "", error.message) for error in wrong][: ERRORS_LISTED_MAX - len(kept.errors)]
    refused = answer["rejected"] - len(others)
    kept.refused += refused
    found = {
        COUNTED: (answer["accepted"], first),
        SENT_AGAIN: (answer["duplicates"] - same, first),
        Reason.SAME_RESPONSE.value: (same, first),
        Reason.OTHER_NUMBERS.value: (len(others), others[0].id or "" if others else ""),
        Reason.REFUSED.value: (refused, wrong[0].id or "" if wrong else ""),
    }
    for reason in (Reason.SAME_RESPONSE, Reason.OTHER_NUMBERS, Reason.REFUSED):
        if count := found[reason.value][0]:
            kept.not_counted[reason] = kept.not_counted.get(reason, 0) + count
    return {item: (count, example) for item, (count, example) in found.items() if count}
