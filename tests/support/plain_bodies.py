"""Bodies of JSON read by columns, beside the same read by events: whatever is read by columns has to be the same."""

from tests.support.samples import LATEST, NOW

from usageledger.events.batch import Limits, join
from usageledger.events.json_columns import decode_plain
from usageledger.events.json_events import decode_right


def is_plain(body: bytes, *, lines: bool, events_max: int = 200) -> bool:
    """Whether a body is read by columns; then all of it is right, and its rows are those of its events."""
    limits = Limits(events_max, 10**9, LATEST, NOW)
    by_columns = decode_plain(body, limits, lines=lines)
    if by_columns is None:
        return False
    by_events = decode_right(body, limits, lines=lines)
    assert by_events is not None
    expected, found = join([by_events], LATEST, NOW), join([by_columns], LATEST, NOW)
    found.rows.validate(full=True)
    assert found.rows.equals(expected.rows)
    assert found.indexes.tolist() == expected.indexes.tolist()
    assert not expected.refused
    assert not by_columns.refused.events
    assert by_columns.count == by_events.count
    assert by_columns.size >= found.rows.get_total_buffer_size()
    return True
