"""Nothing that is stored goes unpriced unseen: METERS say of each count how it is charged, and costs follow them."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.support.engines import Engine
from tests.support.model import Usage
from tests.support.priced import Priced
from tests.support.samples import DAY, TODAY, counted, usage, wire

from usageledger.ledger.price_table import CardCount
from usageledger.meter import Measure
from usageledger.meters import METER_BY_KIND, METERS
from usageledger.parts import NOT_CHARGED, Part, Price
from usageledger.pricing import Prices, Source, Subject, cards

RATE = 10**15
EXACT = Context(prec=100)


class OddDays:
    """A book that prices every stored column of a kind on odd days since 1970, and nothing on even ones."""

    def offers(self, subject: Subject, overrides: Any) -> list[tuple[Subject, Prices]]:
        columns = METER_BY_KIND[subject.kind].columns if subject.day // DAY % 2 else ()
        return [(subject, Prices(dict.fromkeys(columns, RATE)))]


@pytest.fixture
def priced(engine: Engine, tmp_path: Path) -> Iterator[Priced]:
    with closing(Priced(tmp_path, engine.open, OddDays())) as made:
        yield made


def only(kind: str, column: str, day: int, count: int) -> Usage:
    """An event that has nothing but `count` in one stored column."""
    meter = METER_BY_KIND[kind]
    names = counted(kind)
    name = column if column in names else next(m.name for m in meter.measures if m.columns == (column,))
    model = {d.name: "m" for d in meter.dimensions if d.name == "model"}
    return usage(kind, f"{column} {day}", day, **dict.fromkeys(names, 0) | {name: count} | model)


@pytest.mark.many_questions
@pytest.mark.parametrize("kind", [meter.kind for meter in METERS])
def test_each_stored_count_is_in_costs_or_unpriced(priced: Priced, kind: str) -> None:
    meter, start = METER_BY_KIND[kind], TODAY - TODAY // DAY % 2 * DAY - 40 * DAY
    days = {column: start + 2 * number * DAY for number, column in enumerate(meter.columns)}
    events = [
        only(kind, column, day, 2**30 + day // DAY) for column, first in days.items() for day in (first, first + DAY)
    ]
    dimensions = {d.name: None for d in meter.dimensions}
    assert set(priced.send([wire(replace(e, dimensions=dimensions | e.dimensions)) for e in events])) == {"accepted"}
    for column, even in days.items():
        price, (free, odd) = meter.prices.get(column), (2**30 + day // DAY for day in (even, even + DAY))
        assert priced.results(even, even + DAY, group_by="line_item") == []
        wanted = [] if price is NOT_CHARGED or price.optional else [(kind, column, free)]
        assert [(each.kind, each.part, each.quantity) for each in priced.unpriced(even, even + DAY)] == wanted
        assert priced.unpriced(even + DAY, even + 2 * DAY) == []
        found = [
            (result["line_item"].removeprefix("m, "), result["quantity_unit"], Decimal(result["quantity"]))
            for result in priced.results(even + DAY, even + 2 * DAY, group_by="line_item")
        ]
        units = None if price is NOT_CHARGED else EXACT.divide(odd, 2**price.unit_bits)
        assert found == ([] if price is NOT_CHARGED else [(price.line_item, price.unit, units)])


def test_each_kind_is_charged_for_something() -> None:
    assert all(meter.prices for meter in METERS)


def test_a_measure_is_not_made_without_saying_how_it_is_charged() -> None:
    with pytest.raises(TypeError, match="price"):
        Measure("documents", "documents", "Documents ranked.")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="price"):
        Part("documents")  # type: ignore[call-arg]


def test_a_sum_is_not_charged_beside_its_parts() -> None:
    price = Price("documents", "documents", 1_000)
    with pytest.raises(ValueError, match="pages is a sum of parts"):
        Measure("pages", "pages", "Pages.", price, parts=(Part("documents", price),))


@pytest.mark.parametrize(
    "price",
    [NOT_CHARGED, Price("calls", "calls", 1), Price("calls", "requests", 1_000), Price("calls", "calls", 1_000)],
)
def test_a_column_that_kinds_charge_differently_is_refused(
    monkeypatch: pytest.MonkeyPatch, price: Price | None
) -> None:
    searches = METER_BY_KIND["file_search_calls"]
    other = replace(searches, kind="other", measures=(replace(searches.measures[0], price=price),))
    monkeypatch.setattr(cards, "METERS", (*METERS, other))
    with pytest.raises(ValueError, match=r"num_requests: file_search_calls say .*, other say"):
        cards.prices_of_columns()
    monkeypatch.setattr(cards, "METERS", METERS)
    assert cards.prices_of_columns() == cards.PARTS


class ProvisionalInput:
    """A book with a price of input that nobody confirmed, of speech that somebody did, and no other."""

    def offers(self, subject: Subject, overrides: Any) -> list[tuple[Subject, Prices]]:
        sources = {"input_text_tokens": Source("a list", provisional=True), "characters": Source("a list")}
        return [(subject, Prices({part: RATE for part in subject.parts if part in sources}, sources))]


def test_cards_without_prices_and_with_provisional_ones_are_counted(engine: Engine, tmp_path: Path) -> None:
    days = [TODAY - number * DAY for number in range(4)]
    sent = [usage("completions", f"c{day}", day, input_text_tokens=5, model="m", project_id=f"p{day}") for day in days]
    sent += [usage("completions", f"o{day}", day, output_text_tokens=5, model="n") for day in days]
    sent += [usage("audio_speeches", "s", TODAY, characters=5, model="m")]
    with closing(Priced(tmp_path, engine.open, ProvisionalInput())) as priced:
        assert set(priced.send([wire(each) for each in sent])) == {"accepted"}
        window = days[-1], TODAY + DAY
        assert priced.counted(*window, 0) == CardCount(unpriced=4, provisional=4)
        assert priced.counted(*window, days[1]) == CardCount(unpriced=4, provisional=1)
        assert priced.counted(days[2], days[0], 0) == CardCount(unpriced=2, provisional=2)
        assert priced.counted(*window, days[0]) == CardCount(unpriced=4, provisional=0)
        assert priced.counted(*window, 0, models="m") == CardCount(unpriced=0, provisional=4)
        assert priced.counted(*window, 0, project_ids=f"p{days[2]}") == CardCount(unpriced=0, provisional=1)
        assert priced.counted(*window, 0, line_items="m, speech") == CardCount(unpriced=4, provisional=0)
        assert priced.counted(TODAY - 9 * DAY, TODAY - 8 * DAY, 0) == CardCount(unpriced=0, provisional=0)
