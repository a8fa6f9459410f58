"""Costs of a sound ledger pass every check; where cards, prices or sums are wrong, the right ones fail."""

import random
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from tests.ledger.test_verify import START, some_events
from tests.support.engines import ADDED_AT_ONCE, Engine
from tests.support.ledger_contents import cards_used, count
from tests.support.priced import Priced
from tests.support.samples import NOW, usage, wire

from usageledger.ledger.duckdb.ledger import DuckDBLedger
from usageledger.ledger.proof.cost_proof import verify_costs
from usageledger.meters import METERS
from usageledger.pricing import Override, Prices, Subject

NAMES = [
    "every event has its rate card",
    "costs equal quantity times rate",
    "groups of costs sum to the whole",
    "hours of costs sum to days",
]


class EveryPrice:
    """A book with a price for everything, and two bands."""

    def offers(self, subject: Subject, overrides: Any) -> list[tuple[Subject, Prices]]:
        return [(structs.replace(subject, band=band), self.prices(subject, band)) for band in (0, 2000)]

    def prices(self, subject: Subject, band: int) -> Prices:
        return Prices({part: 10**9 * (number + 1) + band for number, part in enumerate(subject.parts)})


@pytest.fixture
def priced(engine: Engine, tmp_path: Path) -> Iterator[Priced]:
    with closing(Priced(tmp_path, engine.open, EveryPrice())) as made:
        events = [wire(usage) for usage in some_events([meter.kind for meter in METERS], per_kind=12, days=3)]
        random.Random(2).shuffle(events)
        made.send(events)
        assert count(made.ledger) == len(events)
        yield made


def failed(priced: Priced, change: Callable[[int, Prices], Prices | None] = lambda _, prices: prices) -> dict[str, str]:
    """The checks that fail, and what they say."""
    subjects = {card.card_id: card.subject for card in priced.cards() if change(card.card_id, card.prices)}
    table = priced.tables.window(0, 2**40, priced.tables.revision())
    findings = list(verify_costs(priced.ledger, table, subjects))
    assert [finding.name for finding in findings] == NAMES
    return {finding.name: finding.detail for finding in findings if not finding.ok}


def test_a_sound_ledger_passes(priced: Priced) -> None:
    assert failed(priced) == {}
    assert len({result["line_item"] for result in priced.results(START, NOW, group_by="line_item")}) > 50


def test_a_card_that_the_registry_lacks(priced: Priced) -> None:
    used = cards_used(priced.ledger)[0].rate_id
    found = failed(priced, lambda card, prices: None if card == used else prices)
    assert list(found) == ["every event has its rate card"]
    assert f"card {used}, which the registry lacks" in found["every event has its rate card"]


def test_a_card_of_a_project_is_for_its_events_only(engine: Engine, tmp_path: Path) -> None:
    with closing(Priced(tmp_path, engine.open, EveryPrice())) as priced:
        own = Override("embeddings", "openai", "m", "input_text_tokens", "standard", 0, 5, project="mine")
        priced.registry.rate_cards.set_prices([own], now=1)
        names = ["mine", "mine", "other", None]
        sent = [usage("embeddings", f"e{n}", START, model="m", project_id=name) for n, name in enumerate(names)]
        priced.send([wire(each) for each in sent])
        subjects = {card.card_id: card.subject for card in priced.cards()}
        assert {subject.project for subject in subjects.values()} == {"mine", None}
        table = priced.tables.window(0, 2**40, priced.tables.revision())
        assert [finding.name for finding in verify_costs(priced.ledger, table, subjects) if not finding.ok] == []
        for project in ("other", "mine"):
            given = {card: structs.replace(subject, project=project) for card, subject in subjects.items()}
            (wrong,) = [finding for finding in verify_costs(priced.ledger, table, given) if not finding.ok]
            assert wrong.name == NAMES[0]
            assert f"project {project}" in wrong.detail


@pytest.fixture
def compacted(priced: Priced, engine: Engine, tmp_path: Path) -> Priced:
    """The same with all of it in the rollups."""
    priced.ledger.close()
    priced.ledger = engine.open(tmp_path, ADDED_AT_ONCE)
    while priced.ledger.compact():
        pass
    return priced


def change(priced: Priced, statement: str) -> None:
    """Changes what is stored, as damage would."""
    assert isinstance(priced.ledger, DuckDBLedger)
    priced.ledger._writer.execute(statement)


@pytest.mark.embedded
def test_the_card_of_another_model_tier_or_day_is_found(compacted: Priced) -> None:
    change(compacted, "UPDATE events SET rate_id = rate_id + 7 WHERE kind = 'completions'")
    assert "every event has its rate card" in failed(compacted)


@pytest.mark.embedded
def test_a_quantity_that_was_changed_is_found(compacted: Priced) -> None:
    change(compacted, "UPDATE rollup_1d SET input_text_tokens = input_text_tokens + 1")
    assert "costs equal quantity times rate" in failed(compacted)


@pytest.mark.embedded
def test_hours_and_days_that_disagree(compacted: Priced) -> None:
    change(compacted, "UPDATE rollup_1h SET num_requests = num_requests + 1 WHERE num_requests > 0")
    assert list(failed(compacted)) == ["hours of costs sum to days"]
    change(compacted, "UPDATE rollup_1d SET seconds = seconds + 1 WHERE seconds > 0")
    # By user the answer comes from other sums, so that it differs from the whole as well.
    assert list(failed(compacted)) == NAMES[1:]
