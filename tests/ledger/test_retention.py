"""Events that are dropped after their time: their sums and facets stay, and no question gets a wrong answer."""

import random
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.engines import EAGER, OpenLedger, tuned
from tests.support.ledger_contents import (
    count,
    drop_events,
    events_from,
    rebuild_rollups,
    rollup_differences,
    settled_until,
)
from tests.support.model import Model, Usage
from tests.support.samples import DAY, TODAY, answer, append, ask, keep, usage

from usageledger.errors import InvalidRequestError
from usageledger.ledger import Ledger
from usageledger.ledger.duckdb.connection import connect
from usageledger.ledger.duckdb.tuning import Tuning
from usageledger.ledger.proof.usage_proof import Bounds, verify
from usageledger.questions.facet import Facet

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
    assert [drop_events(ledger, KEPT_FROM + 5) for _ in range(4)] == [True, True, True, False]
    return ledger


def agree(ledger: Ledger, model: Model) -> None:
    for width, start, end in FROM_SUMS:
        query = ask("images", start, end, width, group_by=["project_id"])
        assert answer(ledger, query) == model.buckets("images", (start, end), width, group_by=["project_id"])
    by_user = ask("images", START, TODAY, group_by=["user_id"])
    assert answer(ledger, by_user) == model.buckets("images", (START, TODAY), "1d", group_by=["user_id"])
    minutes = (KEPT_FROM, KEPT_FROM + 3600)
    assert answer(ledger, ask("images", *minutes, "1m")) == model.buckets("images", minutes, "1m")


@tuned(EAGER)
def test_sums_and_facets_stay(dropped: Ledger, model: Model, open_again: OpenLedger) -> None:
    left = [event for event in EVENTS if event.timestamp >= KEPT_FROM]
    for _ in range(2):
        assert count(dropped) == len(left)
        agree(dropped, model)
        users = Facet("user_id", None, START, START + 3 * DAY)
        assert dropped.facets(users, max_seconds=60, limit=9) == ["u", "v"]
        assert all(finding.ok for finding in verify(dropped))
        dropped.close()
        dropped = open_again()


@tuned(EAGER)
def test_sums_of_what_was_dropped_are_kept_when_rollups_are_made_anew(dropped: Ledger, model: Model) -> None:
    assert list(rebuild_rollups(dropped)) == 2 * [KEPT_FROM, KEPT_FROM + DAY]
    agree(dropped, model)
    assert rollup_differences(dropped) == []


def test_rollups_that_hold_nothing_yet_hold_it_before_it_is_dropped(ledger: Ledger, model: Model) -> None:
    append(ledger, EVENTS)
    keep(model, EVENTS)
    while drop_events(ledger, KEPT_FROM):
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


def sums(ledger: Ledger, start: int, end: int) -> dict[str, int]:
    """What each width tells of the images of a window."""
    return {
        width: sum(
            result["images"]
            for bucket in answer(ledger, ask("images", start, end, width))
            for result in bucket["results"]
        )
        for width in ("1h", "1d", "all")
    }


def images(day: int, count: int, each: int = 10) -> list[Usage]:
    return [usage("images", f"{day} {number}", TODAY + day * DAY + number, images=each) for number in range(count)]


def change(path: Path, *statements: str) -> None:
    """Changes the tables of a ledger that nobody has open."""
    with closing(connect(path, {})) as connection:
        for statement in statements:
            (changed,) = connection.execute(statement).fetchall()[0]
            assert changed > 0


@pytest.mark.parametrize(
    ("statement", "check", "shown"),
    [
        ("UPDATE rollup_1d SET images = images + 1 WHERE ts < {kept}", "rollups", "rollup=rollup_1d"),
        ("UPDATE rollup_1h SET ts = ts + 3600 WHERE ts < {kept}", "rollups", "rollup=rollup_1h"),
        ("UPDATE rollup_15m SET images = images + 1 WHERE ts < {kept}", "rollups", "rollup=rollup_1h"),
        ("DELETE FROM rollup_keys_1d WHERE ts < {kept} AND user_id = 'u'", "rollups", "rollup=rollup_1d"),
        ("UPDATE rollup_1d SET rate_id = rate_id + 1 WHERE ts < {kept}", "rollups", "rollup=rollup_1d"),
        (
            "UPDATE events SET ts = {kept} - 1 WHERE event_id = (SELECT MAX(event_id) FROM events)",
            "rollups",
            "event_id=",
        ),
        ("DELETE FROM facets WHERE ts < {kept} AND value = 'v'", "facets", "dimension=user_id, value=v"),
        ("UPDATE facets SET value = 'w' WHERE ts < {kept} AND value = 'p'", "facets", "dimension=project_id, value="),
    ],
)
def test_what_was_dropped_is_verified_by_its_own_sums(
    dropped: Ledger, open_again: OpenLedger, tmp_path: Path, statement: str, check: str, shown: str
) -> None:
    dropped.close()
    change(tmp_path / "data" / "ledger.duckdb", statement.format(kept=KEPT_FROM))
    findings = verify(open_again(), Bounds(stretch_rows=10))
    found = {finding.name: finding.detail for finding in findings if not finding.ok}
    assert shown in found[f"{check} equal the events"]


def test_days_that_were_opened_again_are_closed(open_again: OpenLedger, tmp_path: Path) -> None:
    """Earlier versions let go of which days were dropped: their sums are said to have no events, and are kept."""
    ledger = open_again()
    append(ledger, images(-20, 100) + images(-19, 100) + images(-1, 100))
    while drop_events(ledger, TODAY - 10 * DAY):
        pass
    ledger.close()
    change(tmp_path / "data" / "ledger.duckdb", f"UPDATE retention SET events_from = {TODAY - 60 * DAY}")
    ledger = open_again()
    assert any("rollup=rollup_1d" in words for words in rollup_differences(ledger))
    assert list(rebuild_rollups(ledger)) == 2 * [TODAY - DAY]
    assert sums(ledger, TODAY - 21 * DAY, TODAY) == dict.fromkeys(("1h", "1d", "all"), 3000)
    assert all(finding.ok for finding in verify(ledger))
    assert append(ledger, images(-19, 100)) == ["too_old"] * 100


def test_commits_that_were_numbered_twice_are_mended(open_again: OpenLedger, tmp_path: Path) -> None:
    """Earlier versions gave new events the numbers of dropped ones, so that no sum got them."""
    ledger = open_again()
    append(ledger, images(-20, 100))
    while drop_events(ledger, TODAY - 10 * DAY):
        pass
    append(ledger, images(-1, 100))
    ledger.close()
    change(tmp_path / "data" / "ledger.duckdb", "UPDATE events SET commit_number = 1")
    ledger = open_again()
    assert sums(ledger, TODAY - 21 * DAY, TODAY) == dict.fromkeys(("1h", "1d", "all"), 1000)
    assert any("rollup=rollup_1d" in words for words in rollup_differences(ledger))
    list(rebuild_rollups(ledger))
    assert sums(ledger, TODAY - 21 * DAY, TODAY) == dict.fromkeys(("1h", "1d", "all"), 2000)
    assert all(finding.ok for finding in verify(ledger))


def test_time_passes_by_the_last_day_but_one_that_has_events(open_again: OpenLedger) -> None:
    ledger = open_again()
    assert settled_until(ledger) == 0
    for day, settled in ((-13, None), (-10, -12), (-1, -9), (-40, -9), (-5, -4)):
        append(ledger, images(day, 1))
        for _ in range(2):
            assert settled_until(ledger) == (0 if settled is None else TODAY + settled * DAY)
            ledger.close()
            ledger = open_again()


def test_sums_without_events_are_never_deleted(open_again: OpenLedger, tmp_path: Path) -> None:
    ledger = open_again()
    append(ledger, images(-3, 100) + images(-2, 100) + images(-1, 100))
    list(rebuild_rollups(ledger))
    ledger.close()
    change(tmp_path / "data" / "ledger.duckdb", f"DELETE FROM events WHERE ts >= {TODAY - 2 * DAY}")
    ledger = open_again()
    assert list(rebuild_rollups(ledger)) == 2 * [TODAY - 3 * DAY]
    assert sums(ledger, TODAY - 3 * DAY, TODAY) == dict.fromkeys(("1h", "1d", "all"), 3000)
    assert any("rollup=rollup_1d" in words for words in rollup_differences(ledger))


@tuned(Tuning(busy_seconds=0))
@pytest.mark.parametrize("recent", [0, 100])
@pytest.mark.parametrize("upkeep", [0, 9])
def test_what_comes_after_a_drop_and_a_restart_counts(open_again: OpenLedger, recent: int, upkeep: int) -> None:
    """The commits with the highest numbers are dropped, all of them or those of a backfill; none comes twice."""
    ledger = open_again()
    if recent:
        assert append(ledger, images(-1, recent)) == ["accepted"] * recent
        assert ledger.compact()
    for day in (-20, -19):
        assert append(ledger, images(day, 100)) == ["accepted"] * 100
        assert ledger.compact()
    while drop_events(ledger, TODAY - 10 * DAY):
        pass
    ledger.close()
    for again in range(3):
        ledger = open_again()
        new = images(0, 200 * (again + 1))[-200:]
        assert append(ledger, new) == ["accepted"] * 200
        for _ in range(upkeep):
            ledger.compact()
        wanted = recent * 10 + 2000 * (again + 1)
        assert sums(ledger, TODAY - 2 * DAY, TODAY + DAY) == dict.fromkeys(("1h", "1d", "all"), wanted)
        minutes = answer(ledger, ask("images", TODAY, TODAY + 3600, "1m"))
        assert sum(each["results"][0]["images"] for each in minutes if each["results"]) == 2000 * (again + 1)
        assert sums(ledger, TODAY - 21 * DAY, TODAY - 10 * DAY) == dict.fromkeys(("1h", "1d", "all"), 2000)
        assert all(finding.ok for finding in verify(ledger))
        ledger.close()


def test_dropped_days_stay_closed(open_again: OpenLedger) -> None:
    """Whatever is to be dropped later, a day whose events are gone takes none, and its sums stay."""
    old, kept = images(-20, 100), images(-1, 100)
    ledger = open_again()
    append(ledger, [*old, *kept])
    while drop_events(ledger, TODAY - 10 * DAY):
        pass
    closed = events_from(ledger)
    for before in (TODAY - 10 * DAY, TODAY - 60 * DAY, TODAY - 15 * DAY, 0):
        assert not drop_events(ledger, before)
        assert events_from(ledger) == closed
        assert append(ledger, [*old, *kept]) == ["too_old"] * 100 + ["duplicate"] * 100
        assert list(rebuild_rollups(ledger))
        assert sums(ledger, TODAY - 21 * DAY, TODAY) == dict.fromkeys(("1h", "1d", "all"), 2000)
        assert all(finding.ok for finding in verify(ledger))
        ledger.close()
        ledger = open_again()


def test_days_without_events_stay_open(open_again: OpenLedger) -> None:
    """Nothing of them was dropped, so that what comes is certainly new; even in the future, after a clock was ahead."""
    ledger = open_again()
    append(ledger, images(-20, 1))
    for _ in range(3):
        drop_events(ledger, TODAY + 400 * DAY)
    assert events_from(ledger) == TODAY - 19 * DAY
    assert append(ledger, images(-20, 1) + images(-19, 1) + images(0, 1)) == ["too_old", "accepted", "accepted"]
    assert sums(ledger, TODAY - 21 * DAY, TODAY + DAY) == dict.fromkeys(("1h", "1d", "all"), 30)


def test_nothing_to_drop(ledger: Ledger) -> None:
    assert not drop_events(ledger, START)
    assert append(ledger, EVENTS[:3]) == ["accepted"] * 3
    assert not drop_events(ledger, START)
    assert count(ledger) == 3
