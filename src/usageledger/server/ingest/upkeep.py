"""Upkeep beside the writers: of what was committed it makes what queries read, and it drops events after their time."""

import logging
import threading
from collections.abc import Callable

from usageledger.buckets import DAY_SECONDS, floor
from usageledger.errors import UsageLedgerError
from usageledger.ledger import Ledger

IDLE_SECONDS = 0.2

logger = logging.getLogger("usageledger.ingest")


class Upkeep:
    """The upkeep of a ledger, for one thread.

    Args:
        retention_days: events older than so many are dropped; 0 for none.
        idle_seconds: between two looks whether there is something to do.
    """

    def __init__(
        self, ledger: Ledger, retention_days: int, clock: Callable[[], float], *, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self._ledger = ledger
        self._retention_days = retention_days
        self._clock = clock
        self._idle_seconds = idle_seconds
        self._dropped = 0  # the time before which there are no events any more, as far as is known

    def run(self, ended: threading.Event) -> None:
        """Does one step after another until `ended` is set."""
        while not ended.is_set():
            if not self._step():
                ended.wait(self._idle_seconds)

    def _step(self) -> bool:
        """Returns true if there was something to do; what fails is logged, and tried again by a later step."""
        try:
            return self._ledger.compact() or self._drop()
        except UsageLedgerError as error:
            logger.warning("upkeep failed: %s", error)
        except Exception:
            logger.exception("upkeep failed")
        return False

    def _drop(self) -> bool:
        """Drops a day's events that are too old; returns true if there are others."""
        retention = self._ledger.retention
        if not retention or not self._retention_days or not self._ledger.ready():
            return False
        # What a clock that is ahead alone says drops nothing.
        now = min(int(self._clock()), retention.settled_until())
        before = floor(now - self._retention_days * DAY_SECONDS, DAY_SECONDS)
        if before <= self._dropped:
            return False
        more = retention.drop_events(before)
        if not more:
            self._dropped = before
        return more
