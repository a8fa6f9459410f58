"""Events that are dropped after their time: their sums and facets stay, and no question gets a wrong answer."""

import random

import pytest
from tests.conftest import OpenLedger
from tests.model import Model
from tests.samples import DAY, TODAY, answer, append, ask, keep, usage

from usageledger.errors import InvalidRequestError
from usageledger.ledger import Ledger
from usageledger.ledger.protocol import Facet
from usageledger.ledger.verify import verify

pytestmark = pytest.mark.embedded

DAYS = 5
START = TODAY - DAYS * DAY
KEPT_FROM = START + 3 * DAY
RNG = random.Random(5)
EVENTS = [
    usage(
        "images",
        f"e{number}",
        START + RNG.randrange(DAYS * DAY),
        images=RNG.randrange(100),
        user_id=RNG.choice(["u", "v", None]),
        project_id=RNG.choice(["p", None]),
    )
    for number in range(200)
]
FROM_SUMS = [("1d", START, TODAY), ("1h", START, START + DAY), ("1d", START + 900, TODAY - 900)]


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def dropped(open_again: OpenLedger, model: Model) -> Ledger:
    """A ledger of which the events of the first three days were dropped, day by day."""
    ledger = open_again()
    for start in range(0, len(EVENTS), 20):
        batch = EVENTS[start : start + 20]
        assert append(ledger, batch) == keep(model, batch)
        ledger.compact()
    assert [ledger.drop_events(KEPT_FROM + 5) for _ in range(4)] == [True, True, True, False]
    return ledger


def agree(ledger: Ledger, model: Model) -> None:
    for width, *window in FROM_SUMS:
        query = ask("images", *window, width, group_by=["project_id"])
        assert answer(ledger, query) == model.buckets("images", (window[0], window[1]), width, group_by=["project_id"])
    by_user = ask("images", START, TODAY, group_by=["user_id"])
    assert answer(ledger, by_user) == model.buckets("images", (START, TODAY), "1d", group_by=["user_id"])
    minutes = (KEPT_FROM, KEPT_FROM + 3600)
    assert answer(ledger, ask("images", *minutes, "1m")) == model.buckets("images", minutes, "1m")


@pytest.mark.usefixtures("eager")
def test_sums_and_facets_stay(dropped: Ledger, model: Model, open_again: OpenLedger) -> None:
    left = [event for event in EVENTS if event.timestamp >= KEPT_FROM]
    for _ in range(2):
        assert dropped.count() == len(left)
        agree(dropped, model)
        users = Facet("user_id", None, START, START + 3 * DAY)
        assert dropped.facets(users, max_seconds=60, limit=9) == ["u", "v"]
        assert all(finding.ok for finding in verify(dropped))
        dropped.close()
        dropped = open_again()


@pytest.mark.usefixtures("eager")
def test_sums_of_what_was_dropped_are_kept_when_rollups_are_made_anew(dropped: Ledger, model: Model) -> None:
    assert list(dropped.rebuild_rollups()) == 2 * [KEPT_FROM, KEPT_FROM + DAY]
    agree(dropped, model)
    assert dropped.rollup_differences(9) == []


def test_rollups_that_hold_nothing_yet_hold_it_before_it_is_dropped(ledger: Ledger, model: Model) -> None:
    append(ledger, EVENTS)
    keep(model, EVENTS)
    while ledger.drop_events(KEPT_FROM):
        pass
    agree(ledger, model)


def test_what_comes_too_late_is_refused(dropped: Ledger, model: Model) -> None:
    """Whether it was there before nobody can tell, so it can neither be kept nor called a duplicate."""
    late = [event for event in EVENTS if event.timestamp < KEPT_FROM][:3]
    new = usage("images", "new", KEPT_FROM - 1, images=7)
    in_time = usage("images", "new", KEPT_FROM, images=7)
    kept = next(event for event in EVENTS if event.timestamp >= KEPT_FROM)
    outcomes = append(dropped, [*late, in_time, new, kept])
    assert outcomes == ["too_old"] * 3 + ["accepted", "too_old", "duplicate"]
    keep(model, [in_time])
    agree(dropped, model)


@pytest.mark.parametrize(
    ("width", "start", "end", "group_by"),
    [("1m", START, START + 60, []), ("1d", START + 1, TODAY, []), ("1h", START, START + DAY, ["user_id"])],
)
def test_what_cannot_be_told_any_more_is_refused(
    dropped: Ledger, width: str, start: int, end: int, group_by: list[str]
) -> None:
    with pytest.raises(InvalidRequestError, match="were dropped after their time"):
        answer(dropped, ask("images", start, end, width, group_by=group_by))


def test_nothing_to_drop(ledger: Ledger) -> None:
    assert not ledger.drop_events(START)
    assert append(ledger, EVENTS[:3]) == ["accepted"] * 3
    assert not ledger.drop_events(START)
    assert ledger.count() == 3
