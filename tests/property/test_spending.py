"""Reservations over the real ledger, in histories with retries, releases, kills and clocks, beside a slow model."""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import price_rows
from tests.support.effort import EFFORT
from tests.support.engines import Engine
from tests.support.priced import NOW, Priced
from tests.support.samples import table

from usageledger.errors import ConflictError, SpendLimitError
from usageledger.events.columns import with_cards
from usageledger.pricing.money import UNITS_PER_CENT
from usageledger.spending.estimates import Estimator
from usageledger.spending.months import month_of
from usageledger.spending.reservations import Asked, Reservations
from usageledger.spending.spend import ORGANIZATION, Spend
from usageledger.spending.spending import Spending

pytestmark = [pytest.mark.timeout(900 * EFFORT), pytest.mark.embedded]

STEPS = 40
TOKEN = 2 * UNITS_PER_CENT  # its price
LIMITS = {ORGANIZATION: 1_000 * TOKEN, "a": 600 * TOKEN}
MONTH_END = month_of(NOW - 1).end
STARTS = (MONTH_END - 15 * 86_400, MONTH_END - 900)
PASSED = "a limit was passed"


class History:
    """What happens to a ledger and to its spending; the model is what is public here."""

    def __init__(self, folder: Path, engine: Engine, start: int, *, exact: bool) -> None:
        self.folder = folder
        self.book = price_rows.book(price_rows.row("input_text_tokens", "20000"))
        self.priced = Priced(folder, engine.open, self.book)
        self.now = self.latest = start
        self.exact = exact  # false where a wrong rule is tried, of which nothing but the promise is asked
        self.spent: dict[tuple[int, str], int] = {}
        self.holds: dict[str, dict[str, Any]] = {}
        self.sent: list[dict[str, Any]] = []
        self.made = 0
        for scope, amount in LIMITS.items():
            self.priced.registry.spend_settings.set_limit(scope or None, amount // UNITS_PER_CENT, now=start)
        self.begin()

    def begin(self) -> None:
        priced = self.priced
        self.spending = Spending(
            priced.ledger,
            priced.tables,
            self.folder,
            priced.registry.spend_settings,
            priced.registry.alert_firings,
            lambda: self.now,
            Estimator(lambda: self.book, list),
        )
        self.spending.look()

    def close(self) -> None:
        self.spending.reservations.close()
        self.priced.close()

    # --- the model -----------------------------------------------------------------------------------------------

    def scopes(self, project: str | None) -> Iterator[str]:
        return iter((ORGANIZATION,) if project is None else (ORGANIZATION, project))

    def held(self, scope: str) -> int:
        return sum(
            hold["amount"]
            for hold in self.holds.values()
            if hold["status"] == "active" and hold["end"] > self.latest and scope in self.scopes(hold["project"])
        )

    def month_spent(self, scope: str) -> int:
        return self.spent.get((month_of(self.latest).start, scope), 0)

    def fits(self, project: str | None, amount: int) -> bool:
        return all(
            self.month_spent(scope) + self.held(scope) + amount <= LIMITS[scope]
            for scope in self.scopes(project)
            if scope in LIMITS
        )

    def check(self) -> None:
        for (_, scope), spent in self.spent.items():
            assert spent <= LIMITS.get(scope, spent), PASSED
        if self.exact:
            month = month_of(self.latest)
            for scope in LIMITS:
                assert self.spending.spend.of(month, scope) == self.month_spent(scope)
                assert self.spending.reservations.held(scope) == self.held(scope)

    # --- steps ---------------------------------------------------------------------------------------------------

    def reserve(self, random: Random) -> None:
        self.made += 1
        tokens, seconds = random.randint(1, 300), random.choice([60, 600, 3_600])
        project = random.choice([None, "a", "a", "b"])
        asked = Asked(f"e{self.made}", project, tokens * TOKEN, seconds, b"1")
        fits = self.fits(project, asked.amount)
        try:
            self.spending.reservations.reserve(asked)
        except SpendLimitError:
            assert not (self.exact and fits)
            return
        assert fits or not self.exact
        hold = {"project": project, "amount": asked.amount, "end": self.latest + seconds, "status": "active"}
        self.holds[asked.id] = hold | {"tokens": tokens}

    def open_hold(self, random: Random) -> str | None:
        """One whose request is under way."""
        sent = {event["id"] for event in self.sent}
        names = [
            name
            for name, hold in self.holds.items()
            if hold["status"] == "active" and hold["end"] > self.latest and name not in sent
        ]
        return random.choice(names) if names else None

    def event(self, random: Random, *, kill: bool = False) -> None:
        """An event comes before its hold ends, and costs no more; the server may be killed when it is in the ledger."""
        name = self.open_hold(random)
        if name is None:
            return
        hold = self.holds[name]
        tokens = random.randint(0, hold["tokens"])
        event = {
            "kind": "completions",
            "id": name,
            "timestamp": self.latest,
            "provider": "acme",
            "model": "m",
            "input_tokens": tokens,
            "output_tokens": 0,
        } | ({"project_id": hold["project"]} if hold["project"] else {})
        for scope in self.scopes(hold["project"]):
            key = month_of(self.latest).start, scope
            self.spent[key] = self.spent.get(key, 0) + tokens * TOKEN
        self.sent.append(event)
        self.append([event], kill=kill)
        if kill:
            self.restart()
        else:
            hold["status"] = "settled"

    def append(self, events: list[dict[str, Any]], *, kill: bool = False) -> None:
        rows, _ = table(events, latest=MONTH_END + 86_400)
        rows = with_cards(rows, self.priced.giver.cards(rows))
        if kill:
            self.priced.ledger.append(rows)
            return
        with self.spending.commit() as note:
            note(rows, self.priced.ledger.append(rows))

    def again(self, random: Random) -> None:
        if self.sent:
            again = random.sample(self.sent, random.randint(1, min(3, len(self.sent))))
            self.append(again)
            for event in again:
                self.holds[event["id"]]["status"] = "settled"

    def release(self, random: Random) -> None:
        name = self.open_hold(random)
        if name is None:
            return
        try:
            self.spending.reservations.release(name)
        except ConflictError:
            assert not self.exact
        self.holds[name]["status"] = "released"

    def wait(self, random: Random) -> None:
        self.now += random.choice([-300, 1, 30, 100, 500])
        self.latest = max(self.latest, self.now)
        self.spending.look()

    def restart(self) -> None:
        self.spending.reservations.close()
        self.now = self.latest  # a clock that is wrong over a restart is beyond what a server can know
        self.begin()

    def recount(self) -> None:
        assert not (self.spending.spend.recount() and self.exact)

    def live(self, random: Random) -> None:
        for _ in range(STEPS):
            step = random.choice("rrrrrreeeeekawwldc")
            if step == "r":
                self.reserve(random)
            elif step in "ek":
                self.event(random, kill=step == "k")
            elif step == "a":
                self.again(random)
            elif step == "w":
                self.wait(random)
            elif step == "l":
                self.release(random)
            elif step == "d":
                self.restart()
            else:
                self.recount()
            self.check()


def lived(engine: Engine, random: Random, start: int, *, exact: bool = True) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(History(Path(folder), engine, start, exact=exact)) as history,
    ):
        history.live(random)


@settings(max_examples=8 * EFFORT)
@given(random=st.randoms(use_true_random=False), start=st.sampled_from(STARTS))
def test_no_limit_is_ever_passed_and_nothing_refused_that_fits(engine: Engine, random: Random, start: int) -> None:
    lived(engine, random, start)


def hold_nothing(patch: pytest.MonkeyPatch) -> None:
    """The soft limit: recorded spend is looked at, and what is under way is not."""
    patch.setattr(Reservations, "_count", lambda *_: None)


def shrink_to_what_is_left(patch: pytest.MonkeyPatch) -> None:
    """What does not fit is held in part, and admitted."""
    patch.setattr(Reservations, "_admit", lambda *_: None)


def drop_holds_before_spend_is_known(patch: pytest.MonkeyPatch) -> None:
    """An event ends its hold, and the next sum will have it."""
    patch.setattr(Spend, "add", lambda *_: None)


@pytest.mark.parametrize("wrong", [hold_nothing, shrink_to_what_is_left, drop_holds_before_spend_is_known])
def test_wrong_rules_pass_limits(engine: Engine, monkeypatch: pytest.MonkeyPatch, wrong: Any) -> None:
    wrong(monkeypatch)
    with pytest.raises(AssertionError, match=PASSED):
        live_often(engine)


def live_often(engine: Engine) -> None:
    for seed in range(20):
        lived(engine, Random(seed), STARTS[0], exact=False)
