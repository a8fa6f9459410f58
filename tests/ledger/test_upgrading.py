"""A ledger that another version left: each released one, killed with a full journal, and one with other meters."""

import signal
from pathlib import Path

import pytest
from tests.ledger import released
from tests.ledger.released import check, events
from tests.support import later_version
from tests.support.engines import Engine, OpenLedger
from tests.support.ledger_contents import drop_events, facet_differences, rebuild_rollups
from tests.support.model import Usage
from tests.support.samples import DAY, TODAY, append

from usageledger.errors import LedgerVersionError
from usageledger.ledger import Ledger
from usageledger.ledger.duckdb import journal_views, new_facets
from usageledger.meters import FACETS
from usageledger.questions.facet import Facet

ARCHIVES = sorted(released.FOLDER.glob("*.tar.zst"))


def go_on(ledger: Ledger, truth: list[Usage], events_from: int = 0) -> None:
    """What was left is right and stays right beside what comes now, in sums made before and after."""
    check(ledger, truth, events_from)
    more = [each for each in events("more", 6) if each.timestamp >= events_from]
    assert set(append(ledger, more)) == {"accepted"}
    if ledger.rollups:
        list(rebuild_rollups(ledger))
    check(ledger, truth + more, events_from)


@pytest.mark.embedded
@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda archive: archive.name)
def test_a_ledger_of_each_released_version(open_again: OpenLedger, tmp_path: Path, archive: Path) -> None:
    truth, events_from = released.unpack(archive, tmp_path)
    go_on(open_again(tmp_path), truth, events_from)


def test_this_version_is_among_the_released_ones() -> None:
    assert released.THIS_VERSION in ARCHIVES, "run python -m tests.ledger.released"


# --- other meters, without another version of the schema ---------------------------------------------------------

LATER = """
import sys
from pathlib import Path
from tests.support.engines import ENGINES
from tests.ledger import released
from tests.ledger.test_upgrading import go_on
from usageledger.meters import MEASURE_COLUMNS
assert "num_pages" in MEASURE_COLUMNS
folder = Path(sys.argv[2])
engine = next(each for each in ENGINES if each.name == sys.argv[1])
"""


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Python finds a version with more meters."""
    return later_version.make(tmp_path_factory.mktemp("newer"))


def test_columns_are_added(engine: Engine, open_again: OpenLedger, tmp_path: Path, later: Path) -> None:
    folder = tmp_path / "data"
    ledger = open_again(folder)
    truth = events("early", 6)
    append(ledger, truth)
    if ledger.rollups:
        list(rebuild_rollups(ledger))
    ledger.close()
    folder.mkdir(exist_ok=True)
    released.write_truth(folder, truth)
    code = "go_on(engine.open(folder), *released.read_truth(folder))"
    later_version.run(later, LATER + code, engine.name, str(folder)).check_returncode()


@pytest.mark.embedded
@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda archive: archive.name)
def test_columns_are_added_to_a_full_journal(engine: Engine, tmp_path: Path, later: Path, archive: Path) -> None:
    code = "truth = released.unpack(Path(sys.argv[3]), folder); go_on(engine.open(folder), *truth)"
    later_version.run(later, LATER + code, engine.name, str(tmp_path / archive.name), str(archive)).check_returncode()


@pytest.mark.embedded
def test_a_full_journal_with_more_columns(engine: Engine, tmp_path: Path, later: Path) -> None:
    """The version that wrote it reads it; this one refuses it, and changes nothing."""
    assert (
        later_version.run(later, LATER + "released.write(folder)", engine.name, str(tmp_path)).returncode
        == -signal.SIGKILL
    )
    with pytest.raises(LedgerVersionError, match=r"does not know, such as 'cold': use a newer UsageLedger\.$"):
        engine.open(tmp_path)
    code = "go_on(engine.open(folder), *released.read_truth(folder))"
    later_version.run(later, LATER + code, engine.name, str(tmp_path)).check_returncode()


@pytest.mark.embedded
def test_a_column_that_becomes_a_facet(
    engine: Engine, open_again: OpenLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a version wrote for which it was none: events, dropped days and commits of the journal have its values."""
    with monkeypatch.context() as before:
        for module in (new_facets, journal_views):
            before.setattr(module, "FACETS", tuple(name for name in FACETS if name != "user_id"))
        ledger = open_again(tmp_path)
        truth = events("early", 6)
        append(ledger, truth)
        list(rebuild_rollups(ledger))
        drop_events(ledger, released.WHOLE[0] + DAY)
        append(ledger, [each.but(timestamp=TODAY + 40_000) for each in events("late", 1)])
        assert facet_differences(ledger)
        ledger.close()
    for _ in range(2):
        ledger = open_again(tmp_path)
        assert facet_differences(ledger) == []
        facet = Facet("user_id", None, *released.WHOLE)
        users = {each.dimensions["user_id"] for each in truth if each.dimensions.get("user_id")}
        assert ledger.facets(facet, max_seconds=60, limit=99) == sorted(users)
        ledger.close()
