"""Claims: for each response the second at which it counts, whichever server of a ledger is told of it first.

Servers keep the same response at the same second, and so in one place of the ledger. A claim whose event was never
kept, since a server was killed, harms nothing: the response is kept at that second when it comes again.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select

from usageledger.events.responses import nearest
from usageledger.events.typed_events import RESPONSE_SECONDS
from usageledger.registry.database import Database, in_batches, insert_many, lock_claims
from usageledger.registry.schema import CLAIM_BYTES, claims

# A claim is needed until every server has seen the event in the ledger, and by responses that come in time.
KEPT_SECONDS = 2 * RESPONSE_SECONDS
CLOCKS_APART_SECONDS = 3_600  # of servers, and of events that are ahead of them


@dataclass(frozen=True, slots=True)
class Claimed:
    """Claims of some responses.

    Attributes:
        seconds: the second of each, at most 48 hours from its own.
        known_from: from this second on, whatever response any server kept was claimed, and its claim is known.
    """

    seconds: list[int]
    known_from: int


class Claims:
    """The store of claims; every method may raise RegistryError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, responses: Sequence[tuple[str, int]], *, now: int) -> Claimed:
        """Claims these responses (id, second), in their order; removes claims that nobody needs any more."""
        found: list[int] = []
        new: list[tuple[bytes, int, int]] = []
        with self._database.write() as connection:
            lock_claims(connection)
            oldest = now - KEPT_SECONDS
            old = (claims.c.made_at < now - RESPONSE_SECONDS, claims.c.second < oldest)
            connection.execute(delete(claims).where(*old))
            digests = [_digest(event_id) for event_id, _ in responses]
            held = _held(connection, digests)
            for digest, (_, second) in zip(digests, responses, strict=True):
                claimed = nearest(second, held.get(digest, ()))
                if claimed is None:
                    claimed = second
                    held.setdefault(digest, []).append(second)
                    new.append((digest, second, now))
                found.append(claimed)
            if new:
                insert_many(connection, claims, ("digest", "second", "made_at"), new)
            first = connection.execute(select(func.min(claims.c.made_at))).scalar()
        return Claimed(found, max(now if first is None else first, oldest) + CLOCKS_APART_SECONDS)


def _digest(event_id: str) -> bytes:
    return hashlib.blake2b(event_id.encode(), digest_size=CLAIM_BYTES).digest()


def _held(connection: Connection, digests: Sequence[bytes]) -> dict[bytes, list[int]]:
    """Digest → the seconds that are claimed."""
    held: dict[bytes, list[int]] = {}
    for some in in_batches(set(digests)):
        wanted = select(claims.c.digest, claims.c.second).where(claims.c.digest.in_(some))
        for row in connection.execute(wanted):
            held.setdefault(bytes(row.digest), []).append(row.second)
    return held
