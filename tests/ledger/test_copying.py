"""Copying a ledger: everything arrives as it was, a second time nothing is written, and a difference is found."""

from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from tests.ledger.test_verify import some_events
from tests.support.engines import EMBEDDED, Engine
from tests.support.ledger_contents import count
from tests.support.samples import DAY, append

from usageledger.errors import LedgerError
from usageledger.ledger import copying
from usageledger.meters import METERS

EVENTS = some_events([meter.kind for meter in METERS], per_kind=15, days=3)


copy = partial(copying.copy, page_events=13)


def test_everything_arrives_as_it_was(engine: Engine, tmp_path: Path) -> None:
    with closing(EMBEDDED.open(tmp_path / "old")) as old, closing(engine.open(tmp_path / "new")) as new:
        append(old, EVENTS)
        append(new, EVENTS[::7])
        first = list(copy(old, new))
        assert sum(day.events for day in first) == len(EVENTS) == count(new)
        assert sum(day.added for day in first) == len(EVENTS) - len(EVENTS[::7])
        assert [day.added for day in copy(old, new)] == [0] * len(first)
        assert [day.digest for day in copy(new, old)] == [day.digest for day in first]
        assert append(new, EVENTS) == ["duplicate"] * len(EVENTS)


def test_it_goes_on_where_it_was_and_takes_what_came_since(engine: Engine, tmp_path: Path) -> None:
    with closing(EMBEDDED.open(tmp_path / "old")) as old, closing(engine.open(tmp_path / "new")) as new:
        append(old, EVENTS[:100])
        next(copy(old, new))
        assert 0 < count(new) < 100
        append(old, EVENTS)
        assert sum(day.events for day in copy(old, new)) == len(EVENTS) == count(new)


def test_another_payload_is_found(engine: Engine, tmp_path: Path) -> None:
    with closing(EMBEDDED.open(tmp_path / "old")) as old, closing(engine.open(tmp_path / "new")) as new:
        append(old, EVENTS)
        append(new, [EVENTS[3].but(provider="other")])
        with pytest.raises(
            LedgerError, match=f"1 events are in the other ledger with another payload.*{EVENTS[3].id!r}"
        ):
            list(copy(old, new))


def test_an_event_that_the_other_one_has_alone_is_found(engine: Engine, tmp_path: Path) -> None:
    with closing(EMBEDDED.open(tmp_path / "old")) as old, closing(engine.open(tmp_path / "new")) as new:
        append(old, EVENTS)
        day = EVENTS[0].timestamp // DAY * DAY
        append(new, [EVENTS[0].but(id="own")])
        with pytest.raises(LedgerError, match=f"day that begins at {day} differ"):
            list(copy(old, new))
