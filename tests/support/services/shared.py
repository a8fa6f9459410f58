"""Servers that a whole test run shares: started by the first test that needs them, ended when the last process is gone.

A keeper process starts them and waits for the run's lock, which every process of the run holds until it ends, however
it ends. So nothing is left running, and nothing is started twice under pytest-xdist.
"""

import atexit
import fcntl
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, TextIO

from tests.support.services.programs import program

RUN = "USAGELEDGER_TEST_RUN"
START_SECONDS = 60
ROOT = Path(__file__).parents[3]
_joined: dict[str, tuple[dict[str, Any], TextIO]] = {}


def shared(name: str) -> dict[str, Any]:
    """What `tests.support.services.NAME.start` said of its servers, which run from now on until this test run ends."""
    program(name)
    if name not in _joined:
        # The processes that a test starts belong to its run.
        run = os.environ.setdefault(RUN, os.environ.get("PYTEST_XDIST_TESTRUNUID") or f"alone-{os.getpid()}")
        folder = Path(tempfile.gettempdir()) / f"usageledger-tests-{run[:24]}-{name}"
        folder.mkdir(mode=0o711, exist_ok=True)
        users = (folder / "users").open("a")
        fcntl.flock(users, fcntl.LOCK_SH)
        with (folder / "starting").open("a") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            _joined[name] = _find_or_start(name, folder), users
        atexit.register(users.close)
    return _joined[name][0]


def _find_or_start(name: str, folder: Path) -> dict[str, Any]:
    said, log = folder / "said.json", folder / "log"
    if not said.exists():
        command = [sys.executable, "-m", "tests.support.services.shared", name, str(folder)]
        with log.open("a") as output:
            keeper = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while not said.exists():
            if keeper.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{name} did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.05)
        keeper.returncode = 0  # it outlives us, and is nobody's child to wait for
    found: dict[str, Any] = json.loads(said.read_text())
    return found


def keep(name: str, folder: Path) -> None:
    """Starts the servers, says where they are, and ends them when nobody holds the lock any more."""
    service = importlib.import_module(f"tests.support.services.{name}")
    with service.start(folder) as facts:
        written = folder / "said.part"
        written.write_text(json.dumps(facts))
        written.rename(folder / "said.json")
        with (folder / "users").open("a") as users:
            fcntl.flock(users, fcntl.LOCK_EX)
    subprocess.run(["rm", "-rf", str(folder)], check=True)


if __name__ == "__main__":
    keep(sys.argv[1], Path(sys.argv[2]))
