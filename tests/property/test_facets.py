"""Facets on random ledgers and in random windows: the values that a look at every event finds."""

import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.effort import EFFORT
from tests.support.engines import EAGER, Engine
from tests.support.ledger_contents import facet_differences
from tests.support.model import Model, Usage
from tests.support.samples import append, keep
from tests.support.strategies import DAY, END, START, batches, histories

from usageledger.ledger import Ledger
from usageledger.meters import FACETS, METERS
from usageledger.questions.facet import Facet

pytestmark = pytest.mark.embedded

KINDS = (None, *(meter.kind for meter in METERS))


def by_looking(model: Model, facet: Facet) -> list[str]:
    """Every event's own value."""
    found = {
        event.dimensions.get(facet.dimension)
        for event in model.kept.values()
        if facet.kind in (None, event.kind) and facet.start <= event.timestamp < facet.end
    }
    return sorted(value for value in found if value is not None)


def answered(ledger: Ledger, facet: Facet) -> list[str]:
    return ledger.facets(facet, max_seconds=60, limit=10_000)


@settings(max_examples=10 * EFFORT)
@given(history=histories(), data=st.data())
def test_facets_are_the_values_of_the_events(engine: Engine, history: list[Usage], data: st.DataObject) -> None:
    model = Model()
    days = st.integers(-1, (END - START) // DAY + 1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ledger = engine.open(folder, EAGER)
        for batch in data.draw(batches(history), label="batches"):
            assert append(ledger, batch) == keep(model, batch)
            if data.draw(st.booleans(), label="opened again"):
                ledger.close()
                ledger = engine.open(folder, EAGER)
        with closing(ledger):
            for dimension in FACETS:
                first = data.draw(days)
                start, end = START + first * DAY, START + data.draw(st.integers(first, 5)) * DAY
                facet = Facet(dimension, data.draw(st.sampled_from(KINDS)), start, end)
                assert answered(ledger, facet) == by_looking(model, facet)
                everything = Facet(dimension, None, 0, END + DAY)
                assert answered(ledger, everything) == by_looking(model, everything)
            assert facet_differences(ledger) == []
