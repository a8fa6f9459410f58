"""All of spend together: sums, holds and alerts follow commits and settings; sums are checked against the ledger."""

import logging
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from usageledger.ledger import Judged, Ledger, Outcome
from usageledger.rating.price_tables import PriceTables
from usageledger.registry import AlertFirings, SpendSettings
from usageledger.repeating import Repeating
from usageledger.spending.alerts import Alerts
from usageledger.spending.estimates import Estimator
from usageledger.spending.hold_file import HoldFile
from usageledger.spending.reservations import Reservations
from usageledger.spending.row_costs import costs_of
from usageledger.spending.spend import ORGANIZATION, Spend

SECONDS_BETWEEN_LOOKS = 1.0  # at limits, prices and the clock
SECONDS_BETWEEN_RECOUNTS = 600
HOLDS_FILE = "holds.sqlite"

logger = logging.getLogger("usageledger.spending")


class Spending:
    """Spend, reservations and alerts of a ledger that one server writes; for many threads.

    Args:
        folder: of the file of holds.
        settings: limits and alerts.
        firings: of alerts.
        clock: Unix seconds.
        estimator: of requests that are reserved.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what it brings together
        self,
        ledger: Ledger,
        prices: PriceTables,
        folder: Path,
        settings: SpendSettings,
        firings: AlertFirings,
        clock: Callable[[], float],
        estimator: Estimator,
    ) -> None:
        self.estimator = estimator
        self._settings = settings
        self._clock = clock
        self.spend = Spend(ledger, prices)
        self.alerts = Alerts(firings, self.spend, clock)
        self.reservations = Reservations(HoldFile(folder / HOLDS_FILE), self.spend, clock)
        self._looking = threading.Lock()  # of the one thread that looks
        self._recounted_at = 0.0
        self._repeating = Repeating("spending", SECONDS_BETWEEN_LOOKS, self._follow, "spend is not followed now")

    def start(self) -> None:
        """Adds up what months have cost, and follows from then on. Raises LedgerUnavailableError, RegistryError."""
        self.look()
        self._recounted_at = self._clock()
        self._repeating.start()

    def close(self) -> None:
        """Ends it; after the last commit."""
        self._repeating.stop()
        self.reservations.close()

    @contextmanager
    def commit(self) -> Generator[Callable[[pa.Table, Judged], None]]:
        """Surrounds a commit; what it gives takes the rows once the ledger has them, and how each was judged."""
        with self.spend.commit():
            yield self._committed

    def _committed(self, rows: pa.Table, judged: Judged) -> None:
        """Adds what was kept, fires alerts, then lets holds end; whatever fails, the events are kept."""
        try:
            grown = self.spend.add(rows, judged)
        except Exception:
            grown = set()
            self.spend.lose()
            logger.exception("spend was not counted: it is added up anew")
        try:
            self.alerts.check(grown)
        except Exception:
            logger.exception("alerts did not fire: the next look finds them")
        try:
            self._settle(rows, judged)
        except Exception:
            logger.exception("holds were not settled: they stand until they end")

    def _settle(self, rows: pa.Table, judged: Judged) -> None:
        if self.reservations.empty:
            return
        counted = np.isin(judged.outcomes, (Outcome.ACCEPTED, Outcome.DUPLICATE, Outcome.SAME_RESPONSE))
        event_ids: list[Any] = rows["event_id"].to_pylist()
        settling = [place for place in self.reservations.awaited(event_ids) if counted[place]]
        if not settling:
            return
        chosen = rows.take(pa.array(settling))
        costs = costs_of(chosen, np.arange(len(settling)), len(settling), self.spend.cards)
        fresh = (judged.outcomes[settling] == Outcome.ACCEPTED).tolist()
        names: list[list[Any]] = [chosen[name].to_pylist() for name in ("event_id", "project_id", "ts")]
        self.reservations.settle(
            (*named, cost if new else 0) for *named, cost, new in zip(*names, costs, fresh, strict=True)
        )

    def look(self) -> None:
        """Follows the limits, alerts and prices of now. Raises LedgerUnavailableError, RegistryError."""
        with self._looking:
            self.estimator.look()
            limits = self._settings.amounts()
            self.alerts.follow(self._settings.active_alerts())
            scopes = self.alerts.scopes.union(limits)
            self.spend.count(scopes - {ORGANIZATION} if scopes else None, int(self._clock()))
            self.reservations.limit(limits)
            self.alerts.check_all(self.spend.months)

    def _follow(self) -> None:
        self.look()
        self.reservations.sweep()
        if not 0 <= self._clock() - self._recounted_at < SECONDS_BETWEEN_RECOUNTS:
            self._recounted_at = self._clock()
            if wrong := self.spend.recount():
                logger.error("spend was counted wrongly, and is right again: %s", wrong[:10])
