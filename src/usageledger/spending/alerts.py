"""Alerts: each whose threshold the recorded spend of a month has reached fires once for that month.

A crossing is a state, spend at or above the threshold and no firing, and not a step from below to above: so none is
lost where a server is killed between a commit and its firing, or the registry fails; the next look finds it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping

from usageledger.locks import RankedLock, holding
from usageledger.pricing.money import UNITS_PER_CENT
from usageledger.registry import AlertFirings, Cause, Crossing, SpendAlert
from usageledger.spending.months import Month
from usageledger.spending.spend import ORGANIZATION, Spend

Key = tuple[str, int, int]  # alert, start of the month, threshold in cents


class Alerts:
    """Fires alerts; for many threads.

    Args:
        firings: where they are written down.
        spend: of months.
        clock: Unix seconds.
    """

    def __init__(self, firings: AlertFirings, spend: Spend, clock: Callable[[], float]) -> None:
        self._firings = firings
        self._spend = spend
        self._clock = clock
        self._lock = RankedLock("alerts", 7)  # guards the next four
        self._of_scope: Mapping[str, list[SpendAlert]] = {}
        self._changed_at: Mapping[str, int] | None = None  # of each alert; None before the first look
        self._causes: Mapping[str, Cause] = {}  # of alerts that are new to this look
        self._fired: set[Key] = set()  # that are known to be written down

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes that have alerts."""
        return frozenset(self._of_scope)

    def follow(self, alerts: Iterable[SpendAlert]) -> None:
        """Looks after these alerts from now on."""
        of_scope: dict[str, list[SpendAlert]] = {}
        changed_at: dict[str, int] = {}
        for alert in alerts:
            of_scope.setdefault(alert.project_id or ORGANIZATION, []).append(alert)
            changed_at[alert.id] = alert.changed_at
        with self._lock:
            known = changed_at if self._changed_at is None else self._changed_at
            self._causes = {
                alert_id: "changed" if alert_id in known else "created"
                for alert_id, at in changed_at.items()
                if known.get(alert_id) != at
            }
            self._of_scope, self._changed_at = of_scope, changed_at

    def check_all(self, months: Collection[Month]) -> None:
        """Fires every alert that is due in one of these months. Raises RegistryError."""
        self.check((month, scope) for scope in self.scopes for month in months)
        with self._lock:
            self._causes = {}

    def check(self, places: Iterable[tuple[Month, str]]) -> None:
        """Fires alerts that are due by the spend of these months and scopes. Raises RegistryError."""
        if not self._of_scope:
            return
        with self._lock:
            crossings = [crossing for month, scope in sorted(places) for crossing in self._crossings(month, scope)]
            if crossings:
                self._firings.fire(crossings, now=int(self._clock()))
                self._fired.update(_key(crossing.alert, crossing.period_start) for crossing in crossings)

    @holding("_lock")
    def _crossings(self, month: Month, scope: str) -> list[Crossing]:
        alerts = self._of_scope.get(scope)
        spent = self._spend.of(month, scope) if alerts else None
        if not alerts or not spent:  # a threshold of 0 is crossed by the first spend, not by none
            return []
        return [
            Crossing(alert, month.start, spent, self._causes.get(alert.id, "crossed"))
            for alert in alerts
            if spent >= alert.terms.threshold_cents * UNITS_PER_CENT and _key(alert, month.start) not in self._fired
        ]


def _key(alert: SpendAlert, period_start: int) -> Key:
    return alert.id, period_start, alert.terms.threshold_cents
