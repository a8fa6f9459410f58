"""Sums beyond 64 bits, of usage and of money, are right on every engine; checks of a ledger go on to their end."""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from decimal import Context, Decimal
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.engines import Engine
from tests.support.ledger_contents import rebuild_rollups, rollup_differences
from tests.support.model import Model, Usage
from tests.support.priced import Priced
from tests.support.samples import DAY, TODAY, answer, append, ask, keep, usage, wire

from usageledger.buckets import LATEST_TIME
from usageledger.errors import InvalidRequestError
from usageledger.events.typed_events import COUNT_MAX
from usageledger.ledger import Ledger
from usageledger.ledger.duckdb.ledger import DuckDBLedger
from usageledger.ledger.proof.cost_proof import verify_costs
from usageledger.ledger.proof.usage_proof import Finding, verify
from usageledger.meters import METER_BY_KIND, METERS
from usageledger.pricing import Prices, Subject
from usageledger.pricing.cards import charge
from usageledger.pricing.money import RATE_MAX, RATE_STEP, UNITS
from usageledger.questions.query import Query

HOUR = 3600
START = TODAY - 3 * DAY


class OneRate:
    """A book that charges everything at one rate."""

    def __init__(self, rate: int) -> None:
        self.rate = rate

    def offers(self, subject: Subject, overrides: Any) -> list[tuple[Subject, Prices]]:
        return [(subject, Prices(dict.fromkeys(subject.parts, self.rate)))]


@pytest.fixture
def priced(engine: Engine, tmp_path: Path) -> Iterator[Priced]:
    with closing(Priced(tmp_path, engine.open, OneRate(RATE_MAX))) as made:
        yield made


def huge(count: int, start: int = START, **fields: Any) -> list[Usage]:
    """Completions of a day that have as many tokens as one may have."""
    counts = {"input_text_tokens": COUNT_MAX, "num_model_requests": 0}
    return [
        usage("completions", f"e{n}", start + n * 60, model=f"m{n % 2}", **{**counts, **fields}) for n in range(count)
    ]


def amounts(found: list[dict[str, Any]]) -> int:
    """The sum of results, in 10⁻¹⁸/9 USD."""
    values = (Decimal(result["amount"]["value"]) for result in found)
    return sum(int(value.scaleb(18, Context(prec=100))) * UNITS for value in values)


def checks_of_costs(priced: Priced) -> list[Finding]:
    subjects = {card.card_id: card.subject for card in priced.tables.rate_cards.between(0, LATEST_TIME)}
    table = priced.tables.window(0, LATEST_TIME, priced.tables.revision())
    return list(verify_costs(priced.ledger, table, subjects))


@pytest.mark.parametrize("width", ["1h", "1d", "all"])
def test_a_day_of_the_largest_events_is_answered(ledger: Ledger, width: str) -> None:
    history, model = huge(1100), Model()
    append(ledger, history)
    keep(model, history)
    for group_by in ([], ["model"], ["user_id"]):
        query = ask("completions", START, START + DAY, width, group_by=group_by)
        assert answer(ledger, query) == model.buckets("completions", (START, START + DAY), width, group_by=group_by)
    assert ledger.ready()


def test_a_day_of_the_largest_events_is_priced_and_verified(priced: Priced) -> None:
    priced.send([wire(each) for each in huge(1100)])
    wanted = 1100 * COUNT_MAX * RATE_MAX
    for width, group_by in product(("1h", "1d", "all"), ([], ["line_item"], ["model", "user_id"])):
        found = priced.results(START, START + DAY, bucket_width=width, group_by=group_by)
        assert amounts(found) == wanted
        if "line_item" in group_by:
            assert sum(result["quantity"] for result in found) == 1100 * COUNT_MAX
    findings = [*verify(priced.ledger), *checks_of_costs(priced)]
    assert len(findings) == (13 if priced.ledger.rollups else 11)
    assert [finding for finding in findings if not finding.ok or "left out" in finding.detail] == []


def test_what_has_no_price_is_counted_beyond_64_bits(engine: Engine, tmp_path: Path) -> None:
    with closing(Priced(tmp_path, engine.open)) as priced:
        priced.send([wire(each) for each in huge(1100)])
        assert sum(each.quantity for each in priced.unpriced(START, START + DAY)) == 1100 * COUNT_MAX


@pytest.mark.embedded
@pytest.mark.parametrize("rate", [UNITS, RATE_STEP * UNITS - UNITS, RATE_MAX - UNITS, RATE_MAX])
def test_one_event_at_any_price_is_answered(engine: Engine, tmp_path: Path, rate: int) -> None:
    fields = ("output_audio_tokens", "usage_bytes", "num_sessions")
    with closing(Priced(tmp_path, engine.open, OneRate(rate))) as priced:
        for day, (name, count) in enumerate(product(fields, (1, COUNT_MAX))):
            kind = next(meter.kind for meter in METERS if name in meter.columns)
            model = {"model": "m", "num_model_requests": 0} if kind == "completions" else {}
            priced.send([wire(usage(kind, "e", START + day * DAY, **{name: count} | model))])
            found = priced.results(START + day * DAY, START + (day + 1) * DAY)
            assert amounts(found) == charge(name, count, rate)


def test_the_largest_size_at_the_largest_price_is_answered(priced: Priced) -> None:
    priced.send([wire(usage("vector_stores", f"e{n}", START + n * HOUR, usage_bytes=COUNT_MAX - n)) for n in range(24)])
    wanted = [charge("usage_bytes", COUNT_MAX - n, RATE_MAX) for n in range(24)]
    hours = priced.results(START, START + DAY, bucket_width="1h", limit=24)
    assert [amounts([hour]) for hour in hours] == wanted
    assert amounts(priced.results(START, START + DAY)) == sum(wanted)


counts = st.integers(COUNT_MAX - 3, COUNT_MAX) | st.integers(0, COUNT_MAX) | st.integers(0, 9)
SUMS = [meter for meter in METERS if all(measure.adds == "sum" for measure in meter.measures)]


@st.composite
def crowds(draw: st.DrawFn) -> list[Usage]:
    """Many events of one kind, of a few forms, so that some sums of them are beyond 64 bits and some are not."""
    meter = draw(st.sampled_from(SUMS))
    names = [name for name in usage(meter.kind).counts if name != "num_model_requests"]
    events: list[Usage] = []
    for form in range(draw(st.integers(1, 3))):
        given = {name: draw(counts) for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=2))}
        room = COUNT_MAX // 2 if len(given) > 1 else COUNT_MAX  # that totals stay what an event may have
        given = {name: min(count, room) for name, count in given.items()}
        model = {d.name: draw(st.sampled_from(["a", "b"])) for d in meter.dimensions if d.name == "model"}
        first, times = draw(st.integers(0, 2 * DAY)), draw(st.sampled_from([1, 200, 1100]))
        events += [usage(meter.kind, f"{form} {n}", START + first + n, **model, **given) for n in range(times)]
    return events


@pytest.mark.timeout(900)
@pytest.mark.embedded
@settings(max_examples=15)
@given(
    history=crowds(),
    rate=st.integers(0, RATE_MAX // UNITS).map(lambda each: each * UNITS) | st.just(RATE_MAX),
    data=st.data(),
)
def test_large_sums_are_those_of_the_model(
    engine: Engine, history: list[Usage], rate: int, data: st.DataObject
) -> None:
    model, kind = Model(), history[0].kind
    keep(model, history)
    with tempfile.TemporaryDirectory() as folder, closing(Priced(Path(folder), engine.open, OneRate(rate))) as priced:
        for start in range(0, len(history), 700):
            priced.send([wire(each) for each in history[start : start + 700]])
            for _ in range(data.draw(st.integers(0, 3), label="steps of upkeep")):
                priced.ledger.compact()
        if data.draw(st.booleans(), label="rebuilt"):
            list(rebuild_rollups(priced.ledger))
        window = (START, START + 3 * DAY)
        for width, group_by in product(("1h", "1d", "all"), ([], ["project_id"])):
            most = METER_BY_KIND[kind].width(width).max_limit
            query = ask(kind, *window, width, group_by=group_by, limit=most)
            assert answer(priced.ledger, query) == model.buckets(kind, window, width, group_by=group_by)
        quantity = sum(sum(each.counts.values()) for each in history)
        for width in ("1h", "1d", "all"):
            found = priced.results(*window, bucket_width=width, group_by=["line_item"])
            assert sum(result["quantity"] for result in found) == quantity
            assert amounts(found) == quantity * rate
        assert rollup_differences(priced.ledger) == []


@pytest.mark.embedded
def test_more_large_counts_than_fit_into_a_row_are_rolled_up(tmp_path: Path) -> None:
    """A million counts of 2^43 of one model in one quarter of an hour."""
    events, each = 1_100_000, 2**43
    with closing(DuckDBLedger(tmp_path / "ledger.duckdb")) as ledger:
        append(ledger, [usage("completions", "first", START, model="m", input_text_tokens=each)])
    with closing(duckdb.connect(tmp_path / "ledger.duckdb")) as file:
        copies = f"FROM events, range({events - 1}) AS numbers(n)"
        file.execute(f"INSERT INTO events SELECT events.* REPLACE ('e' || n AS event_id) {copies}")
    with closing(DuckDBLedger(tmp_path / "ledger.duckdb")) as ledger:
        list(rebuild_rollups(ledger))
        assert rollup_differences(ledger) == []
        (day,) = answer(ledger, ask("completions", START, START + DAY))
        assert day["results"][0]["input_tokens"] == events * each


# --- checks go on ------------------------------------------------------------------------------------------------


@pytest.mark.embedded
def test_a_day_whose_costs_are_not_answered_is_named_and_the_others_are_proved(
    priced: Priced, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (0, 1, 2):
        priced.send([wire(replace(each, id=f"{day} {each.id}")) for each in huge(3, START + day * DAY)])
    costs, asked = priced.ledger.costs, set[int]()

    def refuse(query: Query, *args: Any, **kwargs: Any) -> Any:
        asked.add(query.start_time)
        if query.start_time == START + DAY:
            raise InvalidRequestError("The query took longer than 600 seconds.", code="query_timeout")
        return costs(query, *args, **kwargs)

    monkeypatch.setattr(priced.ledger, "costs", refuse)
    cards, *findings = checks_of_costs(priced)
    assert cards.ok
    assert len(findings) == 3
    for finding in findings:
        assert finding.ok
        assert finding.detail == "3 days; left out: costs on 2026-06-13 (query_timeout)"
    assert asked == {START, START + DAY, START + 2 * DAY}
