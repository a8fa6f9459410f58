"""The objects that handlers work with."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio
import anyio.to_thread

from usageledger.errors import OverloadedError
from usageledger.ledger import Ledger
from usageledger.rating.current_book import CurrentBook
from usageledger.rating.price_tables import PriceTables
from usageledger.rating.unpriced import CardCounts
from usageledger.registry import Registry
from usageledger.server.api.bucket_cache import BucketCache
from usageledger.server.http.auth import Authenticator
from usageledger.server.http.request_bodies import Bodies
from usageledger.server.ingest.commits import Ingest
from usageledger.server.ingest.counter_points import CounterPoints
from usageledger.server.ingest.source_counts import PendingSourceCounts
from usageledger.server.ingest.source_rules import CurrentRules
from usageledger.settings import Settings
from usageledger.spending.spending import Spending

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that handlers work with.

    Attributes:
        spending: None where several servers may write to the ledger.
        backup_turn: held while a backup is made.
        document: makes the OpenAPI document, as JSON, when it is first asked for.
    """

    settings: Settings
    ledger: Ledger
    registry: Registry
    price_book: CurrentBook
    price_tables: PriceTables
    ingest: Ingest
    spending: Spending | None
    source_counts: PendingSourceCounts
    counter_points: CounterPoints
    source_rules: CurrentRules
    authenticator: Authenticator
    bodies: Bodies
    cache: BucketCache
    card_counts: CardCounts
    page_secret: bytes
    clock: Callable[[], float]
    query_slots: anyio.CapacityLimiter
    backup_turn: anyio.Semaphore
    document: Callable[[], bytes]


async def in_slot(services: Services, work: Callable[[], T]) -> T:
    """Runs `work` in a thread when one of the query slots is free; waiting has a limit as well."""
    try:
        with anyio.fail_after(services.settings.max_query_seconds):
            await services.query_slots.acquire()
    except TimeoutError:
        raise OverloadedError("Too many queries are running: send the same request again.", retry_after=1) from None
    try:
        return await anyio.to_thread.run_sync(work)
    finally:
        services.query_slots.release()


def wall_clock() -> float:
    """Unix seconds."""
    return time.time()
