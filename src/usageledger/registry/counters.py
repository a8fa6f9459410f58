"""Counters of metrics: how much of each is counted, for all servers of a ledger.

What is new in a counter is claimed here before it is kept in the ledger: the claim and its events are written in one
transaction, and nothing more is claimed of a counter until the events of its last claim are in the ledger. Events of a
claim are the same however often they are sent, so that each counts once. A server that is killed between the two
leaves a claim that the next point of any of its counters has kept.
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, select

from usageledger.buckets import DAY_SECONDS
from usageledger.registry.database import Database, in_batches, insert_many, lock_counters
from usageledger.registry.schema import counter_claims, counters
from usageledger.sources.counters import KEPT_SECONDS, Counted, count
from usageledger.sources.readings import CounterPoint

_COLUMNS = ("digest", "total", "requests", "at", "claim", "seen_at")


@dataclass(slots=True)
class Claim:
    """Events that are to be kept; `Counters.settle` is told when they are."""

    id: int
    events: list[dict[str, Any]]


@dataclass(slots=True)
class Growth:
    """Outcome of a claim on counters.

    Attributes:
        claim: what is new; None where nothing is, or where others come first.
        first: claims on the same counters that are to be kept before; nothing new was claimed where there are some.
        refused: points that cannot be counted, and why.
    """

    claim: Claim | None = None
    first: list[Claim] = field(default_factory=list)
    refused: list[tuple[CounterPoint, str]] = field(default_factory=list)


class Counters:
    """The store of counters; every method may raise RegistryError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, points: Sequence[CounterPoint], *, now: int) -> Growth:
        """Claims what is new in these points; forgets counters of which nothing came for long."""
        with self._database.write() as connection:
            lock_counters(connection)
            connection.execute(delete(counters).where(counters.c.seen_at < now - KEPT_SECONDS))
            connection.execute(delete(counter_claims).where(counter_claims.c.made_at < now - KEPT_SECONDS))
            digests = {each for point in points for each in _digests(point)}
            held = {bytes(row.digest): row for row in _held(connection, digests)}
            if first := _unsettled(connection, {row.claim for row in held.values()}):
                return Growth(first=first)
            known = {digest: Counted(row.total, row.requests, row.at) for digest, row in held.items()}
            growth, events = Growth(), list[dict[str, Any]]()
            for point in sorted(points, key=lambda point: point.at):
                found = count(point, known, now)
                if isinstance(found, str):
                    growth.refused.append((point, found))
                elif found:
                    events.append(found)
            claim = secrets.randbits(62) if events else 0
            changed = {digest: each for digest, each in known.items() if _differs(held.get(digest), each, now)}
            _write(connection, changed, claim, now)
            if events:
                row = (claim, msgspec.json.encode(events).decode(), now)
                insert_many(connection, counter_claims, ("id", "events", "made_at"), [row])
                growth.claim = Claim(claim, events)
        return growth

    def settle(self, claim: Claim) -> None:
        """Notes that the events of a claim were kept, or refused for good."""
        with self._database.write() as connection:
            connection.execute(delete(counter_claims).where(counter_claims.c.id == claim.id))


def _digests(point: CounterPoint) -> Iterable[bytes]:
    return (point.counter, *(part.counter for part in point.parts))


def _held(connection: Connection, digests: Iterable[bytes]) -> Iterable[Any]:
    for some in in_batches(digests):
        yield from connection.execute(select(counters).where(counters.c.digest.in_(some)))


def _unsettled(connection: Connection, ids: set[int]) -> list[Claim]:
    found: list[Claim] = []
    for some in in_batches(ids - {0}):
        rows = connection.execute(select(counter_claims).where(counter_claims.c.id.in_(some)))
        found += (Claim(row.id, msgspec.json.decode(row.events)) for row in rows)
    return found


def _differs(row: Any, counted: Counted, now: int) -> bool:
    """Returns true if a row is to be written; one that only says a later time is written once a day."""
    if row is None or (row.total, row.requests) != (counted.total, counted.requests):
        return True
    return bool(row.seen_at < now - DAY_SECONDS)


def _write(connection: Connection, changed: dict[bytes, Counted], claim: int, now: int) -> None:
    for some in in_batches(changed):
        connection.execute(delete(counters).where(counters.c.digest.in_(some)))
    rows = [(digest, each.total, each.requests, each.at, claim, now) for digest, each in changed.items()]
    if rows:
        insert_many(connection, counters, _COLUMNS, rows)
