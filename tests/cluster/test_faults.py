"""A few faults of each kind; `make crash-cluster` runs the long form."""

from pathlib import Path

import pytest
from tests.cluster.faults import run


@pytest.mark.external
def test_nothing_is_lost_doubled_or_changed(tmp_path: Path) -> None:
    result = run(tmp_path, faults=6, seed=7)
    assert (result.lost, result.doubled, result.changed, result.unknown) == (0, 0, 0, 0)
    assert result.sent > 100
    assert result.retries > 0, "the faults were felt"
    assert set(result.faults.values()) == {2}
