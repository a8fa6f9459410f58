"""Looks into a ledger, each at a snapshot of its own, and what only some engines do."""

from collections.abc import Iterator

import pyarrow as pa

from usageledger.ledger import Ledger, lookups
from usageledger.ledger.lookups import StoredEvent
from usageledger.ledger.proof import inspection
from usageledger.ledger.proof.inspection import CardUse


def count(ledger: Ledger) -> int:
    with ledger.snapshot() as snapshot:
        return lookups.count(snapshot)


def span(ledger: Ledger) -> tuple[int, int] | None:
    with ledger.snapshot() as snapshot:
        return lookups.span(snapshot)


def days(ledger: Ledger) -> list[tuple[int, int]]:
    with ledger.snapshot() as snapshot:
        return lookups.days(snapshot)


def event(ledger: Ledger, event_id: str, timestamp: int) -> StoredEvent | None:
    with ledger.snapshot() as snapshot:
        return lookups.event(snapshot, event_id, timestamp)


def events(ledger: Ledger, start: int, end: int, *, after: tuple[int, str], limit: int) -> pa.Table:
    with ledger.snapshot() as snapshot:
        return lookups.events(snapshot, start, end, after=after, limit=limit)


def malformed(ledger: Ledger, limit: int = 9) -> list[str]:
    with ledger.snapshot() as snapshot:
        return inspection.malformed(snapshot, limit)


def doubled(ledger: Ledger, limit: int = 9) -> list[str]:
    with ledger.snapshot() as snapshot:
        return inspection.doubled(snapshot, limit)


def responses_doubled(ledger: Ledger, limit: int = 9) -> list[str]:
    with ledger.snapshot() as snapshot:
        return inspection.responses_doubled(snapshot, limit)


def rollup_differences(ledger: Ledger, limit: int = 9) -> list[str]:
    with ledger.snapshot() as snapshot:
        return inspection.rollup_differences(snapshot, limit)


def facet_differences(ledger: Ledger, limit: int = 9) -> list[str]:
    with ledger.snapshot() as snapshot:
        return inspection.facet_differences(snapshot, limit)


def cards_used(ledger: Ledger) -> list[CardUse]:
    with ledger.snapshot() as snapshot:
        return inspection.cards_used(snapshot)


def quantities(ledger: Ledger, start: int, end: int) -> list[tuple[int, str, int]]:
    with ledger.snapshot() as snapshot:
        return inspection.quantities(snapshot, start, end)


def rebuild_rollups(ledger: Ledger) -> Iterator[int]:
    assert ledger.rollups
    yield from ledger.rollups.rebuild_rollups()


def drop_events(ledger: Ledger, before: int) -> bool:
    assert ledger.retention
    return ledger.retention.drop_events(before)


def events_from(ledger: Ledger) -> int:
    assert ledger.retention
    return ledger.retention.events_from()


def settled_until(ledger: Ledger) -> int:
    assert ledger.retention
    return ledger.retention.settled_until()
