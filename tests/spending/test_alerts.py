"""Alerts fire once for each threshold and month, in the commit that crosses it or at the next look."""

import pytest
from tests.spending.conftest import MONTH, NOW, Ledger

from usageledger.errors import RegistryError
from usageledger.pricing.money import UNITS_PER_CENT
from usageledger.registry import AlertFirings, AlertTerms
from usageledger.spending.months import month_of
from usageledger.spending.spend import LATE_SECONDS

START = MONTH.start


def test_an_alert_fires_in_the_commit_that_reaches_it(ledger: Ledger) -> None:
    alert, of_project = ledger.alert(100), ledger.alert(40, "a")
    ledger.spend(39, "a")
    ledger.spend(60, "b")
    assert ledger.fired() == []
    ledger.spend(1, "a")
    assert ledger.fired() == [(of_project.id, START, 40, 40, "crossed"), (alert.id, START, 100, 100, "crossed")]
    ledger.spend(1_000, "a")
    ledger.spending.look()
    assert len(ledger.fired()) == 2


def test_several_thresholds_are_crossed_at_once(ledger: Ledger) -> None:
    alerts = [ledger.alert(cents) for cents in (50, 80, 100)]
    ledger.spend(90)
    assert ledger.fired() == [(each.id, START, each.terms.threshold_cents, 90, "crossed") for each in alerts[:2]]


def test_a_threshold_of_nothing_is_crossed_by_the_first_spend(ledger: Ledger) -> None:
    alert = ledger.alert(0)
    ledger.spend(0)
    ledger.spending.look()
    assert ledger.fired() == []
    ledger.spend(1)
    assert ledger.fired() == [(alert.id, START, 0, 1, "crossed")]


def test_a_part_of_a_cent_is_missing(ledger: Ledger) -> None:
    ledger.alert(100)
    ledger.spend(99)
    ledger.spending.spend._months[MONTH][""] += UNITS_PER_CENT - 1
    ledger.spending.alerts.check_all([MONTH])
    assert ledger.fired() == []
    ledger.spending.spend._months[MONTH][""] += 1
    ledger.spending.alerts.check_all([MONTH])
    assert len(ledger.fired()) == 1


def test_a_server_that_is_killed_after_the_commit_fires_when_it_is_back(ledger: Ledger) -> None:
    alert = ledger.alert(100)
    ledger.spend(100, kill=True)
    assert ledger.fired() == []
    for _ in range(2):
        ledger.again()
        assert ledger.fired() == [(alert.id, START, 100, 100, "crossed")]


def test_a_registry_that_fails_loses_no_event_and_no_firing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RegistryError("The registry is away.")

    alert = ledger.alert(100)
    with monkeypatch.context() as patch:
        patch.setattr(AlertFirings, "fire", fail)
        ledger.spend(100)
        with pytest.raises(RegistryError):
            ledger.spending.look()
    ledger.spending.look()
    assert ledger.fired() == [(alert.id, START, 100, 100, "crossed")]


def test_prices_that_go_up_and_down_fire_once(ledger: Ledger) -> None:
    alert = ledger.alert(100)
    ledger.spend(60)
    for _ in range(10):
        ledger.reprice(2)
        ledger.reprice(1)
    assert ledger.fired() == [(alert.id, START, 100, 120, "crossed")]


def test_a_month_has_its_own_firing_and_late_events_name_theirs(ledger: Ledger) -> None:
    before = month_of(START - 1)
    alert = ledger.alert(100)
    ledger.spend(100)
    ledger.spend(100, at=START - 1)
    ledger.spend(100, at=month_of(NOW - LATE_SECONDS).start - 1)  # of which nobody is told any more
    assert ledger.fired() == [
        (alert.id, START, 100, 100, "crossed"),
        (alert.id, before.start, 100, 100, "crossed"),
    ]
    ledger.now = MONTH.end + 5.0
    ledger.spending.look()
    ledger.spend(100, at=MONTH.end + 1)
    assert ledger.fired()[2:] == [(alert.id, MONTH.end, 100, 100, "crossed")]


def test_an_alert_below_what_is_spent_fires_at_once(ledger: Ledger) -> None:
    ledger.spend(100)
    made = ledger.alert(50)
    assert ledger.fired() == [(made.id, START, 50, 100, "created")]
    settings = ledger.registry.spend_settings
    for cents, at in ((50, 1), (200, 2), (70, 3), (50, 4), (70, 5)):
        settings.replace_alert(None, made.id, AlertTerms(cents, ("bob@example.com",)), now=NOW + at)
        ledger.spending.look()
    assert ledger.fired()[1:] == [(made.id, START, 70, 100, "changed")]


def test_alerts_of_an_archived_project_are_quiet(ledger: Ledger) -> None:
    ledger.registry.note_seen(["a"], [], now=NOW)
    ledger.alert(10, "a")
    ledger.registry.archive_project("a", now=NOW)
    ledger.spending.look()
    ledger.spend(10, "a")
    assert ledger.fired() == []


def test_nothing_is_counted_or_looked_for_without_alerts(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AlertFirings, "fire", None)  # would fail if it was called
    ledger.spend(100)
    ledger.spending.look()
    assert ledger.spending.spend.months == []
