"""Copying from one ledger to another, day by day; each day is compared event by event.

The events of a day are read in the order of their identities, in pages of one size, from either ledger. Equal events
make equal pages, so that a digest of the pages tells whether all of them arrived as they were.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from usageledger.buckets import DAY_SECONDS, iso
from usageledger.errors import LedgerError
from usageledger.ledger import lookups
from usageledger.ledger.identity import Outcome
from usageledger.ledger.protocol import Ledger

PAGE_EVENTS = 20_000


@dataclass(frozen=True, slots=True)
class Copied:
    """The outcome of copying one day.

    Attributes:
        day: its start, in Unix seconds.
        events: how many it has.
        added: how many of them were not there before.
        digest: SHA-256 of all of them, the same in both ledgers.
    """

    day: int
    events: int
    added: int
    digest: str


def copy(source: Ledger, target: Ledger, *, page_events: int = PAGE_EVENTS) -> Iterator[Copied]:
    """Copies every event that `target` lacks; a day for each day that `source` has, once it is proven equal.

    It can be interrupted at any time and started again: days that are equal are only compared.

    Raises:
        LedgerError: `target` has another event with the same identity, or events of its own on such a day; or `source`
            has dropped events, whose sums cannot be copied.
        LedgerUnavailableError: one of the engines failed.
    """
    if source.retention and (before := source.retention.events_from()):
        raise LedgerError(
            f"The ledger dropped its events before {before} ({iso(before)}): of these it has only sums, which are not "
            "copied. Copy from a backup that has them."
        )
    with source.snapshot() as snapshot:
        days = lookups.days(snapshot)
    for day, events in days:
        wanted = digest(source, day, page_events)
        added = 0
        if digest(target, day, page_events) != wanted:
            added = sum(_add(target, page) for page in pages(source, day, page_events))
            if digest(target, day, page_events) != wanted:
                raise LedgerError(
                    f"The events of the day that begins at {day} differ after they were copied: the ledger that was "
                    "copied to has others of its own, or one of them was written to meanwhile."
                )
        yield Copied(day, events, added, wanted)


def pages(ledger: Ledger, day: int, page_events: int = PAGE_EVENTS) -> Iterator[pa.Table]:
    """The events of a day (`columns.SCHEMA`) in the order of (`ts`, `event_id`)."""
    after = (day - 1, "")
    while True:
        with ledger.snapshot() as snapshot:
            page = lookups.events(snapshot, day, day + DAY_SECONDS, after=after, limit=page_events)
        if page.num_rows:
            yield page
            after = (page["ts"][-1].as_py(), page["event_id"][-1].as_py())
        if page.num_rows < page_events:
            return


def digest(ledger: Ledger, day: int, page_events: int) -> str:
    """SHA-256 of all events of a day, of every stored column of them."""
    found = hashlib.sha256()
    for page in pages(ledger, day, page_events):
        for column in page.itercolumns():
            for part in _bytes_of(column.combine_chunks()):
                found.update(part)
    return found.hexdigest()


def _bytes_of(column: Any) -> Iterator[bytes]:
    """Returns a column's content as bytes, whatever its layout: validity, lengths, values."""
    yield np.packbits(np.asarray(column.is_valid().to_numpy(zero_copy_only=False), bool)).tobytes()
    if pa.types.is_string(column.type):
        filled = pc.fill_null(column, "")
        yield np.asarray(pc.binary_length(filled).to_numpy(zero_copy_only=False), np.int32).tobytes()
        yield "".join(filled.to_pylist()).encode()
    else:
        values = pc.fill_null(column, 0) if pa.types.is_integer(column.type) else pc.fill_null(column, False)
        yield np.asarray(values.to_numpy(zero_copy_only=False), np.int64).tobytes()


def _add(target: Ledger, page: pa.Table) -> int:
    outcomes = target.append(page).outcomes
    conflicts = np.nonzero(outcomes == Outcome.CONFLICT)[0]
    if len(conflicts):
        row = int(conflicts[0])
        raise LedgerError(
            f"{len(conflicts)} events are in the other ledger with another payload, such as the one with id "
            f"{page['event_id'][row].as_py()!r} and timestamp {page['ts'][row].as_py()}. Nothing of them was changed."
        )
    return int((outcomes == Outcome.ACCEPTED).sum())
