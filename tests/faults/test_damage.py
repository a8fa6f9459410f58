"""Files that are damaged, cut short, or may not be written: a clear error, or whole commits; never a wrong number."""

import ctypes
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.engines import EMBEDDED
from tests.support.ledger_contents import count, doubled, malformed, rollup_differences
from tests.support.samples import DAY, TODAY, append, ask, page, usage

from usageledger.errors import LedgerError
from usageledger.ledger import Ledger
from usageledger.ledger.duckdb.tuning import MEASURED, Tuning

COMMIT = 600  # events
FOLDED, LOGGED = 4, 6  # commits in the file, and in the log
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1


def opened(folder: Path, tuning: Tuning = MEASURED) -> Ledger:
    return EMBEDDED.open(folder, tuning)


@pytest.fixture(scope="module", params=["journal", "events"])
def killed(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The files of a ledger whose process was killed, the last commits in the journal or among the events."""
    folder, copy = tmp_path_factory.mktemp("open"), tmp_path_factory.mktemp("killed") / "data"
    tuning = Tuning(full_rows=COMMIT - 1) if request.param == "events" else MEASURED
    ledger = opened(folder, tuning)
    for number in range(FOLDED + LOGGED):
        if number == FOLDED:
            ledger.close()  # which folds the log
            ledger = opened(folder, tuning)
        append(ledger, [usage("images", f"{number} {n}", TODAY + number, images=1) for n in range(COMMIT)])
    shutil.copytree(folder, copy)
    ledger.close()
    return copy


def damaged(killed: Path, folder: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    shutil.copytree(killed, folder)
    file = folder / name
    file.write_bytes(change(file.read_bytes()))
    return folder


def sound_commits(folder: Path) -> int:
    """How many whole commits there are in a ledger that is sound."""
    with closing(opened(folder)) as ledger:
        kept = count(ledger)
        assert kept % COMMIT == 0
        assert doubled(ledger) == rollup_differences(ledger) == malformed(ledger) == []
        told = page(ledger, ask("images", TODAY, TODAY + DAY))["data"]
        assert sum(result["images"] for bucket in told for result in bucket["results"]) == kept
        return kept // COMMIT


def test_undamaged_it_is_whole(killed: Path, tmp_path: Path) -> None:
    assert sound_commits(damaged(killed, tmp_path / "data", "ledger.duckdb.wal", bytes)) == FOLDED + LOGGED


@pytest.mark.parametrize("part", [0, 0.001, 0.3, 0.6, 0.99])
def test_a_log_that_is_cut_short_ends_with_a_whole_commit(killed: Path, tmp_path: Path, part: float) -> None:
    """As when the machine lost power in the middle of a write that nobody was told of."""
    folder = damaged(killed, tmp_path / "data", "ledger.duckdb.wal", lambda log: log[: int(part * len(log))])
    assert sound_commits(folder) == FOLDED + int(part * LOGGED)


@pytest.mark.parametrize("part", [0.001, 0.3, 0.9, 0.9999])
def test_a_log_with_a_changed_byte_is_refused(killed: Path, tmp_path: Path, part: float) -> None:
    folder = damaged(killed, tmp_path / "data", "ledger.duckdb.wal", lambda log: flipped(log, int(part * len(log))))
    with pytest.raises(LedgerError, match=r"ledger.duckdb cannot be opened: .*WAL") as caught:
        opened(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", range(0, 100, 9))
def test_the_start_of_a_log_with_a_changed_byte_is_never_misread(killed: Path, tmp_path: Path, place: int) -> None:
    """A log that seems to end early, as one that was cut short, ends with a whole commit."""
    folder = damaged(killed, tmp_path / "data", "ledger.duckdb.wal", lambda log: flipped(log, place))
    try:
        assert sound_commits(folder) >= FOLDED
    except LedgerError as error:
        assert "ledger.duckdb cannot be opened: " in str(error)  # noqa: PT017 - either is right


@pytest.mark.parametrize("part", [0, 0.001, 0.5])
def test_a_file_that_is_cut_short_is_refused(killed: Path, tmp_path: Path, part: float) -> None:
    folder = damaged(killed, tmp_path / "data", "ledger.duckdb", lambda file: file[: int(part * len(file))])
    with pytest.raises(LedgerError, match=r"ledger.duckdb cannot be opened: "):
        opened(folder)


def test_the_end_of_a_file_that_is_cut_short_is_missed_or_was_empty(killed: Path, tmp_path: Path) -> None:
    folder = damaged(killed, tmp_path / "data", "ledger.duckdb", lambda file: file[:-800])
    try:
        assert sound_commits(folder) == FOLDED + LOGGED
    except LedgerError as error:
        assert "ledger.duckdb" in str(error)  # noqa: PT017 - either is right


@pytest.mark.parametrize("part", [number / 12 for number in range(12)])
def test_a_file_with_a_changed_byte_is_never_misread(killed: Path, tmp_path: Path, part: float) -> None:
    """Most bytes are found out when the file is opened, some when they are read, and some belong to nothing."""
    folder = damaged(killed, tmp_path / "data", "ledger.duckdb", lambda file: flipped(file, int(part * len(file)) + 20))
    try:
        assert sound_commits(folder) == FOLDED + LOGGED
    except LedgerError as error:
        assert "checksum" in str(error)  # noqa: PT017 - either is right


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def obey_permissions() -> None:
    """Run in the new process, before its program: even root then may write only what the modes of files allow."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)  # refused to anyone but root, who needs it


@pytest.mark.parametrize("name", ["ledger.duckdb", "registry.sqlite", "."])
def test_what_may_not_be_written_is_said_at_the_start(tmp_path: Path, name: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    serve = [sys.executable, "-W", "error", "-m", "usageledger", "serve", "--data", str(data), "--port", "0"]
    with closing(opened(data)) as ledger:
        append(ledger, [usage("images", "1", TODAY, images=1)])
    subprocess.run(
        [sys.executable, "-m", "usageledger", "keys", "create", "--data", str(data)], check=True, capture_output=True
    )
    mode = (data / name).stat().st_mode
    (data / name).chmod(mode & ~0o222)
    done = subprocess.run(
        serve,
        preexec_fn=obey_permissions,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    (data / name).chmod(mode)
    assert done.returncode == 1, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("Error: The ledger " if name == "ledger.duckdb" else "Error: The registry ")
    with closing(opened(data)) as ledger:
        assert count(ledger) == 1
