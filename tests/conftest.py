"""What tests share: a fixed clock, ledgers on real files, and the profile of generated examples."""

import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("tests.support")

from tests.support.engines import EMBEDDED, ENGINES, Engine, OpenLedger, parameter
from tests.support.samples import NOW
from tests.support.services import programs

from usageledger.ledger import Ledger
from usageledger.ledger.duckdb.tuning import MEASURED, Tuning

MEMORY = Path("/dev/shm")  # a file system in memory, on Linux
MEMORY_BYTES = 4 * 1024**3  # that must be free there

# Examples differ from run to run, and a failure prints what reproduces it.
settings.register_profile(
    "usageledger",
    derandomize=False,
    print_blob=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("usageledger")


@pytest.fixture
def now() -> int:
    """The time, which stands still."""
    return NOW


def pytest_configure() -> None:
    """Keep the folders of tests in memory, where there is room, unless TMPDIR names another place.

    Their ledgers and registries then need not wait for a disk each time that they are made and written.
    """
    if "TMPDIR" in os.environ or not MEMORY.is_dir():
        return
    there = os.statvfs(MEMORY)
    if there.f_bavail * there.f_frsize >= MEMORY_BYTES and not there.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"], tempfile.tempdir = str(MEMORY), None


def pytest_unconfigure() -> None:
    """Forget Hypothesis's look at the garbage collector, which keeps modules past the end of the interpreter.

    The engine's library then takes its own, alive, for a leak, and says so at length below the result.
    """
    gc.callbacks.clear()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole", action="store_true", help="ask every engine every question: make test-engines")


def pytest_runtest_setup(item: pytest.Item) -> None:
    programs.test_begins(item.nodeid, external=item.get_closest_marker("external") is not None)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test of a ledger runs on every engine, but for those of the embedded one's own."""
    if "engine" in metafunc.fixturenames:
        marked = metafunc.definition.get_closest_marker
        long = marked("many_questions") and not metafunc.config.getoption("whole")
        engines = (EMBEDDED,) if marked("embedded") or long else ENGINES
        metafunc.parametrize("engine", [parameter(each) for each in engines], indirect=True, scope="session")


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Engine:
    return cast("Engine", request.param)


@pytest.fixture
def tuning() -> Tuning:
    """The tuning of embedded ledgers; `tests.support.engines.tuned` gives a test another one."""
    return MEASURED


@pytest.fixture
def open_again(engine: Engine, tmp_path: Path, tuning: Tuning) -> Iterator[OpenLedger]:
    """Opens the ledger of a test, or another one; whatever is open at the end is closed."""
    opened: list[Ledger] = []

    def start(folder: Path = tmp_path / "data") -> Ledger:
        opened.append(engine.open(folder, tuning))
        return opened[-1]

    yield start
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_again: OpenLedger) -> Ledger:
    """An empty ledger."""
    return open_again()
