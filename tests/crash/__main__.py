"""`make crash`: kills a server many times, prints what was found, and fails where anything is wrong."""

import argparse
import random
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tests.crash.run import MARKED, Run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="of the moments; the rest is chance")
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="usageledger-crash-") as folder:
        outcome = Run(Path(folder), given.seed).kill(given.kills)
    found = outcome.comparison
    assert found
    table = Table(title=f"{given.kills} kills in {time.monotonic() - began:.0f} s, seed {given.seed}")
    table.add_column("what")
    table.add_column("number", justify="right")
    moments = ", ".join(f"{moment} {kills}" for moment, kills in outcome.kills.most_common())
    rows = {
        f"SIGKILLs ({moments})": outcome.kills.total(),
        "  with requests under way": outcome.in_flight,
        **{f"  while {words}": outcome.during[doing] for doing, words in MARKED.items()},
        "requests sent again for want of an answer": outcome.resent,
        "  of them kept before their answer was lost": outcome.kept,
        "acknowledged requests sent once more": outcome.retried,
        "  events of them refused, since their day was dropped": outcome.refused,
        "responses sent once more by a second way, none of which counted": outcome.another_way,
        "times that the clock was set, from half an hour back to 4,000 days ahead": outcome.jumps,
        "starts with a longer retention than before": outcome.longer,
        "starts of a later version, with more columns": outcome.upgrades,
        "times that `usageledger verify` found all in order": outcome.verified,
        **{f"events {name}": count for name, count in asdict(found).items()},
    }
    for name, count in rows.items():
        table.add_row(name, f"{count:,}")
    Console().print(table)
    return int(bool(found.lost or found.doubled or found.changed or found.unknown))


if __name__ == "__main__":
    sys.exit(main())
