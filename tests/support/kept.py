"""Events that a ledger would keep."""

from collections.abc import Sequence
from typing import Any

from usageledger.events.batch import join
from usageledger.sources.batches import to_batch

LATEST = 4_000_000_000


def assert_kept(events: Sequence[dict[str, Any]]) -> None:
    """Asserts that no event is refused: neither a value of it, nor its counts together."""
    batch = to_batch(events)
    refused = [batch.refused, *join([batch], LATEST, LATEST).refused.values()]
    assert [rejection for each in refused for rejection in each.listed] == []
