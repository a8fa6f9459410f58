"""All engines answer alike: the same events, sent in the same batches, asked the same questions, to the digit.

What ClickHouse has on disk before it merges is more than the events: rows that were sent again past every look, and
rows that say something else and came later. None of them may be seen.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import localcontext
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.test_costs import RandomBook, expected, priced, questions, shown
from tests.property.test_costs import ask as ask_costs
from tests.support.effort import EFFORT
from tests.support.engines import ENGINES
from tests.support.ledger_contents import (
    cards_used,
    count,
    doubled,
    event,
    facet_differences,
    malformed,
    quantities,
    rollup_differences,
    span,
)
from tests.support.model import WIDTHS, Model, Usage
from tests.support.priced import NOW, Priced
from tests.support.samples import answer, ask, keep, table, wire
from tests.support.strategies import (
    DAY,
    END,
    START,
    Place,
    batches,
    filters,
    groupings,
    histories,
    local_windows,
    meters,
    parameters,
    places,
    windows,
    wires,
)

from usageledger.ledger import Ledger
from usageledger.ledger.clickhouse.ledger import LATEST, ClickHouseLedger
from usageledger.meters import FACETS, METER_BY_KIND
from usageledger.questions.facet import Facet

pytestmark = [pytest.mark.external, pytest.mark.timeout(900 * EFFORT)]


@pytest.fixture(autouse=True)
def _exact_decimals() -> Iterator[None]:
    """The model adds up amounts that have more digits than decimals keep by default."""
    with localcontext(prec=100):
        yield


@contextmanager
def every_engine(book: RandomBook) -> Iterator[list[Priced]]:
    with ExitStack() as stack:
        yield [stack.enter_context(priced(engine, book)) for engine in ENGINES]


def fill(data: st.DataObject, ledgers: list[Priced], model: Model, history: list[Usage]) -> None:
    """Sends each batch to every ledger."""
    for batch in data.draw(batches(history), label="batches"):
        sent = [data.draw(wires(usage)) for usage in batch]
        outcomes = keep(model, batch)
        for ledger in ledgers:
            assert ledger.send(sent) == outcomes
            ledger.ledger.compact()


def send_past_every_look(ledger: Ledger, usages: list[Usage]) -> None:
    """As two servers would that looked at the same moment."""
    if isinstance(ledger, ClickHouseLedger) and usages:
        rows, _ = table([wire(usage) for usage in usages], latest=NOW)
        ledger._insert(rows, LATEST - NOW * 10**6 * 2)


@settings(max_examples=6 * EFFORT)
@given(history=histories(), seed=st.integers(0, 10**6), data=st.data())
def test_engines_answer_alike(history: list[Usage], seed: int, data: st.DataObject) -> None:
    model, book = Model(), RandomBook(seed)
    with every_engine(book) as ledgers:
        fill(data, ledgers, model, history)
        kept = list(model.kept.values())
        again = data.draw(st.lists(st.sampled_from(kept), max_size=5, unique_by=id), label="again")
        other = [usage.but(provider="another") for usage in data.draw(st.lists(st.sampled_from(kept), max_size=2))]
        for ledger in ledgers:
            send_past_every_look(ledger.ledger, again)
            send_past_every_look(ledger.ledger, other)
            assert count(ledger.ledger) == len(kept)
        for _ in range(3):
            meter = METER_BY_KIND[data.draw(st.sampled_from(kept)).kind]
            width = data.draw(st.sampled_from(sorted(WIDTHS)), label="width")
            window = data.draw(windows(width, near=history), label="window")
            chosen, by = data.draw(filters(meter), label="filters"), data.draw(groupings(meter), label="group_by")
            query = ask(meter.kind, *window, width, group_by=by, **parameters(chosen))
            wanted = model.buckets(meter.kind, window, width, filters=chosen, group_by=by)
            assert [answer(ledger.ledger, query) for ledger in ledgers] == [wanted] * len(ledgers)
        for _ in range(2):
            question = data.draw(questions(model, book), label="question")
            edges = range(question["start"], question["end"] + question["seconds"], question["seconds"])
            costs = expected(model, book, edges, question["filters"], question["by"])
            by_item = "line_item" in question["by"]
            buckets = ask_costs(ledgers[0], question)
            assert shown(buckets, question["by"]) == {key: (c, n if by_item else None) for key, (c, n) in costs.items()}
            assert [ask_costs(ledger, question) for ledger in ledgers[1:]] == [buckets] * (len(ledgers) - 1)


@settings(max_examples=3 * EFFORT)
@given(place=places, history=histories(), seed=st.integers(0, 10**6), data=st.data())
def test_engines_answer_alike_of_days_of_a_time_zone(
    place: Place, history: list[Usage], seed: int, data: st.DataObject
) -> None:
    model, moved = Model(), place.moved(history)
    with every_engine(RandomBook(seed)) as ledgers:
        fill(data, ledgers, model, moved)
        meter = data.draw(meters | st.just(METER_BY_KIND[moved[0].kind]), label="meter")
        window = data.draw(local_windows(place, near=moved), label="window")
        by = data.draw(groupings(meter), label="group_by")
        query = ask(meter.kind, *window, group_by=by, timezone=place.zone, limit=12)
        wanted = model.buckets(meter.kind, window, "1d", group_by=by, zone=place.zone)
        assert [answer(ledger.ledger, query) for ledger in ledgers] == [wanted] * len(ledgers)
        costs = [ledger.buckets(*window, group_by=["line_item"], timezone=place.zone, limit=9) for ledger in ledgers]
        assert costs[1:] == costs[:1] * 2


@settings(max_examples=3 * EFFORT)
@given(history=histories(), seed=st.integers(0, 10**6), data=st.data())
def test_engines_know_the_same(history: list[Usage], seed: int, data: st.DataObject) -> None:
    """What is unpriced, the values of dimensions, single events, which cards are used, and what verify looks at."""
    model = Model()
    with every_engine(RandomBook(seed)) as ledgers:
        fill(data, ledgers, model, history)
        one = data.draw(st.sampled_from(list(model.kept.values())))

        def known(ledger: Priced) -> dict[str, Any]:
            own = ledger.ledger
            subjects = {card.card_id: card.subject for card in ledger.cards()}
            found = event(own, one.id, one.timestamp)
            assert found
            return {
                "unpriced": sorted(
                    (each.kind, subjects[each.rate_id].words(), each.part, each.quantity)
                    for each in ledger.unpriced(START, END)
                ),
                "facets": [
                    own.facets(Facet(name, None, START - DAY, END), max_seconds=60, limit=999) for name in FACETS
                ],
                "event": ({name: v for name, v in found.columns.items() if name != "rate_id"}, found.largest),
                "cards": sorted(
                    (use.subject.words(), subjects[use.rate_id].words(), use.input_least, use.request_most, use.events)
                    for use in cards_used(own)
                ),
                "quantities": sorted(
                    (subjects[rate_id].words(), part, quantity)
                    for rate_id, part, quantity in quantities(own, START, END)
                ),
                "span": span(own),
                "wrong": [malformed(own), doubled(own), rollup_differences(own), facet_differences(own)],
            }

        first, *others = [known(ledger) for ledger in ledgers]
        assert first["wrong"] == [[]] * 4
        assert others == [first] * len(others)
