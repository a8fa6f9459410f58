"""`python -m tests.cluster --faults 36`: faults in a cluster under load; says what came of it, and fails on a loss."""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.cluster.faults import run

parser = argparse.ArgumentParser()
parser.add_argument("--faults", type=int, default=36)
parser.add_argument("--seed", type=int, default=random.randrange(10**6))
given = parser.parse_args()
sys.stdout.write(f"{given.faults} faults, seed {given.seed}\n")
sys.stdout.flush()
with tempfile.TemporaryDirectory(prefix="usageledger-cluster-") as folder:
    result = run(Path(folder), given.faults, given.seed)
sys.stdout.write(f"{result}\n")
sys.exit(bool(result.lost or result.doubled or result.changed or result.unknown))
