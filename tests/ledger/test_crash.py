"""kill -9 at any instant: what was acknowledged is there, once, and rollups equal the events."""

import random
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.engines import Engine
from tests.support.ledger_contents import count, doubled, malformed, rollup_differences
from tests.support.model import Usage
from tests.support.samples import DAY, TODAY, ask, page, usage

WRITER = """
import sys
from tests.support.engines import EAGER, ENGINES
from tests.ledger.test_crash import batch
from tests.support.samples import append
from pathlib import Path

engine = next(each for each in ENGINES if each.name == sys.argv[1])
ledger = engine.open(Path(sys.argv[2]), EAGER)
for number in range(int(sys.argv[3]), 1_000_000):
    outcomes = append(ledger, batch(number))
    assert len(set(outcomes)) == 1, outcomes
    print(number, outcomes[0], flush=True)
    ledger.compact()
"""


def batch(number: int) -> list[Usage]:
    """Events over three days, in commits of different sizes, so that kills fall into every way to write."""
    return [
        usage("images", f"{number} {n}", TODAY - 1 - (number * 7919 + n * 3607) % (3 * DAY), images=1)
        for n in range(size(number))
    ]


def size(number: int) -> int:
    return (1, 3, 700, 12)[number % 4]


@pytest.mark.embedded
def test_nothing_acknowledged_is_lost_or_doubled(engine: Engine, tmp_path: Path) -> None:
    acknowledged = -1
    rng = random.Random()
    for kill in range(6):
        command = [sys.executable, "-c", WRITER, engine.name, str(tmp_path), str(acknowledged + 1)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(rng.randint(1, 12)):
                number, outcome = process.stdout.readline().split()
                # The first one may have been on disk when its writer was killed before it could say so.
                assert outcome == "accepted" or (outcome == "duplicate" and int(number) == acknowledged + 1 and kill)
                acknowledged = int(number)
            try:
                process.wait(timeout=rng.uniform(0, 0.05))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
            for line in process.stdout.read().splitlines(keepends=True):
                if line.endswith("\n"):
                    acknowledged = int(line.split()[0])
        assert process.returncode == -signal.SIGKILL
        with closing(engine.open(tmp_path)) as ledger:
            certain = sum(size(number) for number in range(acknowledged + 1))
            assert count(ledger) in (certain, certain + size(acknowledged + 1))
            assert doubled(ledger) == rollup_differences(ledger) == malformed(ledger) == []
            for group_by in ([], ["user_id"]):
                found = page(ledger, ask("images", TODAY - 3 * DAY, TODAY, group_by=group_by))
                assert sum(r["images"] for bucket in found["data"] for r in bucket["results"]) == count(ledger)
