"""Sends messages about firings: what is to be sent, to whom and when stands in the registry, and nowhere else.

Each target is told at least once: an attempt is written down before it begins, and what came of it afterwards, so that
one of which nobody heard is made again, under the same id.
"""

import logging
import random
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec

from usageledger.ledger import Ledger
from usageledger.rating.price_tables import PriceTables
from usageledger.registry import Delivery, DeliveryKind, Firing, Registry
from usageledger.repeating import Repeating
from usageledger.spending.channels import Smtp
from usageledger.spending.messages import Facts
from usageledger.spending.months import month_of
from usageledger.spending.report import unpriced_requests
from usageledger.spending.ways import Ways, name_of

SECONDS_BETWEEN_LOOKS = 1.0
DELAYS = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)  # after each attempt but the last
ATTEMPTS_MAX = len(DELAYS) + 1
JITTER = 0.1
THREADS: Mapping[DeliveryKind, int] = {"email": 1, "webhook": 8}

logger = logging.getLogger("usageledger.alerts")


class Deliverer:
    """Sends what is due, until `close`.

    Args:
        registry: with the deliveries.
        ledger: tells what has no price.
        prices: of its events.
        smtp: takes mails; None where none is set.
        clock: Unix seconds.
    """

    def __init__(
        self, registry: Registry, ledger: Ledger, prices: PriceTables, smtp: Smtp | None, clock: Callable[[], float]
    ) -> None:
        self._registry = registry
        self._ledger = ledger
        self._prices = prices
        self._ways = Ways(registry, smtp, clock)
        self._clock = clock
        self._pools: dict[DeliveryKind, ThreadPoolExecutor] = {
            kind: ThreadPoolExecutor(count, f"deliveries by {kind}") for kind, count in THREADS.items()
        }
        self._lock = threading.Lock()  # guards the next one
        self._busy: dict[DeliveryKind, set[str]] = {kind: set() for kind in THREADS}  # targets
        self._repeating = Repeating("deliveries", SECONDS_BETWEEN_LOOKS, self.send_due, "alerts are not sent now")

    def start(self) -> None:
        """Begins to look for what is due. Raises RegistryError."""
        if not self._ways.has_mail and self._registry.spend_settings.alerts():
            logger.warning("there are alerts with e-mail addresses, and no smtp_url by which they could be told")
        self._repeating.start()

    def close(self) -> None:
        """Ends, after the attempts that are under way."""
        self._repeating.stop()
        for pool in self._pools.values():
            pool.shutdown(cancel_futures=True)

    def send_due(self) -> list["Future[None]"]:
        """Begins every attempt that is due, of each target one at a time. Raises RegistryError."""
        begun: list[Future[None]] = []
        for kind, pool in self._pools.items():
            with self._lock:
                busy = self._busy[kind]
                for delivery in self._registry.deliveries.due(int(self._clock()), kind, busy):
                    busy.add(delivery.target)
                    begun.append(pool.submit(self._deliver, delivery))
        return begun

    def _deliver(self, delivery: Delivery) -> None:
        try:
            self._attempt(delivery)
        except Exception:
            logger.exception("a message about %s was not sent: it is tried again", delivery.firing_id)
        finally:
            with self._lock:
                self._busy[delivery.kind].discard(delivery.target)

    def _attempt(self, delivery: Delivery) -> None:
        """Makes an attempt, and writes down what came of it. Raises LedgerUnavailableError, RegistryError."""
        number, now = delivery.attempts + 1, int(self._clock())
        deliveries = self._registry.deliveries
        if number > ATTEMPTS_MAX:
            deliveries.end(delivery.id, "failed", now, delivery.last_status or "Nobody heard of the last attempt.")
            return
        firing = self._registry.alert_firings.of(delivery.firing_id)
        facts = self._facts(firing)
        next_at = now + _delay(number)
        if not deliveries.begin(delivery.id, next_at):
            return
        state, attempt = self._ways.send(delivery.kind, delivery.target, delivery.id, firing, facts)
        if state == "pending" and (attempt.final or number == ATTEMPTS_MAX):
            state = "failed"
        deliveries.end(delivery.id, state, max(next_at, now + int(attempt.retry_after)), attempt.status)
        if state not in ("delivered", "pending"):
            logger.warning("the message %s about %s was not delivered: %s", delivery.id, firing.id, attempt.status)

    def _facts(self, firing: Firing) -> Facts:
        """The facts of the first attempt, so that all attempts and targets are told the same."""
        kept = firing.facts
        if kept is None:
            month, project = month_of(firing.period_start), firing.project_id
            unpriced = unpriced_requests(self._ledger, self._prices, month)
            limit = self._registry.spend_settings.limit(project)
            facts = Facts(
                name_of(self._registry, project),
                limit.threshold_cents if limit else None,
                sum(unpriced.values()) if project is None else unpriced.get(project, 0),
            )
            kept = self._registry.alert_firings.keep_facts(firing.id, msgspec.json.encode(facts).decode())
        return msgspec.json.decode(kept, type=Facts)


def _delay(number: int) -> int:
    """Seconds from one attempt to the next, a little more each time so that they do not come all at once."""
    seconds = DELAYS[min(number, len(DELAYS)) - 1]
    return int(seconds * (1 + random.uniform(0, JITTER)))  # noqa: S311 - nothing depends on it
