"""The short form of `make crash`."""

import random
from pathlib import Path

from tests.crash.compare import Comparison
from tests.crash.run import Run

KILLS = 10


def test_nothing_acknowledged_is_lost_doubled_or_changed(tmp_path: Path) -> None:
    outcome = Run(tmp_path, random.randrange(2**32)).kill(KILLS)
    assert outcome.kills.total() == KILLS
    found = outcome.comparison
    assert found
    assert found == Comparison(found.acknowledged, found.dropped, lost=0, doubled=0, changed=0, unknown=0)
    assert found.acknowledged > found.dropped > KILLS
    assert outcome.verified >= 1
    assert outcome.another_way > 0
