"""A ledger that does as a test says, and otherwise answers as an empty one."""

import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from usageledger.ledger import Ledger
from usageledger.ledger.identity import Judged
from usageledger.ledger.price_table import CardCount, PricesOf, Unpriced
from usageledger.ledger.protocol import CardsOf, Snapshot
from usageledger.questions.aggregate import Aggregate
from usageledger.questions.facet import Facet
from usageledger.questions.query import Query
from usageledger.registry import Claimed


class LedgerDouble(Ledger):
    """Keeps ids in memory. `hold` keeps the next `append` from ending, `let_go` ends it; `failure` makes it raise."""

    writers = 1

    def __init__(self) -> None:
        self.commits: list[list[Any]] = []
        self.failure: Exception | None = None
        self.read_failure: Exception | None = None
        self.entered = threading.Semaphore(0)
        self._open = threading.Event()
        self._open.set()
        self.is_ready = True
        self.dropped: list[int] = []
        self.settled = 2**32

    @property
    def rollups(self) -> None:
        return None

    @property
    def retention(self) -> "LedgerDouble":
        return self

    @property
    def backups(self) -> "LedgerDouble":
        return self

    @property
    def ids(self) -> list[Any]:
        """Every id kept, in the order of commits."""
        return [event_id for commit in self.commits for event_id in commit]

    def hold(self) -> None:
        self._open.clear()

    def let_go(self) -> None:
        self._open.set()

    def append(self, rows: pa.Table) -> Judged:
        self.entered.release()
        self._open.wait()
        if self.failure:
            raise self.failure
        self.commits.append(rows["event_id"].to_pylist())
        return Judged(np.zeros(rows.num_rows, np.uint8))

    def compact(self) -> bool:
        return False

    def drop_events(self, before: int) -> bool:
        self.dropped.append(before)
        return len(self.dropped) < 3

    def events_from(self) -> int:
        return 0

    def settled_until(self) -> int:
        return self.settled

    def give_cards(self, cards: CardsOf) -> int:
        return 0

    def version(self, start: int, end: int) -> int | None:
        return None

    def snapshot(self, max_seconds: float | None = None) -> AbstractContextManager[Snapshot]:
        raise NotImplementedError

    def aggregate(self, query: Query, *, max_seconds: float, max_results: int) -> Aggregate:
        if self.read_failure:
            raise self.read_failure
        return Aggregate([], {})

    def costs(self, query: Query, prices: PricesOf, *, max_seconds: float, max_results: int) -> Aggregate:
        return self.aggregate(query, max_seconds=max_seconds, max_results=max_results)

    def unpriced(self, query: Query, prices: PricesOf, *, max_seconds: float, max_results: int) -> list[Unpriced]:
        return []

    def count_cards(self, query: Query, prices: PricesOf, confirmed_through: int, *, max_seconds: float) -> CardCount:
        return CardCount(0, 0)

    def facets(self, facet: Facet, *, max_seconds: float, limit: int) -> list[str]:
        return []

    def backup(self, file: Path) -> None:
        file.write_text("a copy")

    def ready(self) -> bool:
        return self.is_ready

    def close(self) -> None:
        pass


def no_claims(responses: object, *, now: int) -> Claimed:
    """Of a ledger that needs none."""
    raise NotImplementedError(responses, now)
