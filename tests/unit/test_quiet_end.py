"""The end of the tests is their result, with nothing of the engine below it."""

import subprocess
import sys
from pathlib import Path


def test_generated_examples_leave_no_noise_of_the_engine() -> None:
    test = f"{Path(__file__).parents[1]}/cli/test_times.py::test_seconds_stand_for_themselves"
    options = ["-q", "-p", "no:xdist", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, test], capture_output=True, text=True, check=True, timeout=150
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1].startswith("1 passed")
