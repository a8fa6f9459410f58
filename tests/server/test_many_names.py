"""Names come from events, and there may be any number of them: what each costs is little, and what is kept bounded."""

import time
import tracemalloc
from functools import cache
from typing import Any

import pyarrow as pa
import pytest
from genai_prices.data_snapshot import get_snapshot
from msgspec.structs import replace
from sqlalchemy.event import listen, remove
from tests.server.support import NOW, event
from tests.support.samples import table

from usageledger.ledger.duckdb.new_facets import Known
from usageledger.ledger.duckdb.tuning import MEASURED
from usageledger.pricing import Override, Prices, Subject
from usageledger.pricing.book import PriceBook
from usageledger.pricing.money import RATE_STEP
from usageledger.rating.card_giver import CardGiver
from usageledger.rating.price_tables import PriceTables
from usageledger.registry import Registry
from usageledger.server.ingest.seen_names import SeenNames

DAY = 86_400


def of_new_models(count: int, prefix: str) -> pa.Table:
    rows = table([event(1, model="m")])[0]
    rows = pa.concat_tables([rows] * count).combine_chunks()
    names = pa.array([f"{prefix}-{number}" for number in range(count)])
    return rows.set_column(rows.column_names.index("model"), "model", names)


def pairs(rows: pa.Table) -> list[tuple[int, int]]:
    """Card and rate of each row."""
    columns: list[list[Any]] = [rows[name].to_pylist() for name in ("rate_id", "rate_high", "rate_low")]
    return [(card, high * RATE_STEP + low) for card, high, low in zip(*columns, strict=True)]


def seconds_of(giver: CardGiver, rows: pa.Table) -> float:
    began = time.process_time()
    cards = giver.cards(rows)
    assert len(set(cards.tolist())) == rows.num_rows
    return time.process_time() - began


def test_cards_of_new_models_take_little_work(registry: Registry) -> None:
    """Ten thousand of them in a batch held the writer for five seconds."""
    giver = CardGiver(registry.rate_cards, cache(PriceBook))
    seconds_of(giver, of_new_models(1, "first"))
    assert seconds_of(giver, of_new_models(3_000, "new")) < 0.75


def test_models_without_a_price_are_a_line_of_the_log_a_minute(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    """What came meanwhile is told with the next one; what was told is not told again."""
    now, told = [1000.0], []
    giver = CardGiver(registry.rate_cards, PriceBook, clock=lambda: now[0])
    for prefix, count in (("a", 3), ("b", 2), ("a", 3)):
        giver.cards(of_new_models(count, prefix))
    now[0] += 60
    giver.cards(of_new_models(1, "a"))
    now[0] += 60
    giver.cards(of_new_models(3, "a"))
    told = [message.partition("; ")[0] for message in caplog.messages]
    named = "no price for embeddings of 'openai': '{}', tier 'standard', and for {}"
    assert told == [named.format("a-0", "2 others"), named.format("b-0", "1 other")]


def test_prices_of_other_models_take_no_work(registry: Registry) -> None:
    """Each new model was compared with each price of the operator's."""
    own = Override("embeddings", "openai", "", "input_text_tokens", "standard", 0, 5)
    registry.rate_cards.set_prices([replace(own, model=f"own-{number}") for number in range(1_000)], now=NOW)
    giver = CardGiver(registry.rate_cards, cache(PriceBook))
    seconds_of(giver, of_new_models(1, "first"))
    assert seconds_of(giver, of_new_models(1_000, "new")) < 2


def test_price_lists_remember_no_names() -> None:
    """genai-prices keeps every name that it is asked for."""
    snapshot, book = get_snapshot(), PriceBook()
    before = {name: len(value) for name, value in vars(snapshot).items() if name.startswith("_")}
    for provider, model in (("openai", "made-up"), ("openai", "gpt-5"), ("litellm", "openai/made-up"), ("nobody", "m")):
        book.offers(Subject(NOW - NOW % DAY, "completions", provider, model))
    assert {name: len(value) for name, value in vars(snapshot).items() if name.startswith("_")} == before


def test_names_that_were_seen_are_forgotten_beyond_a_bound(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[set[str]] = []
    note_seen = registry.note_seen

    def noted(projects: set[str], users: set[str], *, now: int) -> None:
        asked.append(set(projects))
        note_seen(projects, users, now=now)

    monkeypatch.setattr(registry, "note_seen", noted)
    seen = SeenNames(registry, lambda: NOW, kept_max=10)
    for number in range(4):
        seen.note({f"p{number}-{n}" for n in range(4)}, {f"u{number}"})
        assert len(seen._projects) <= 10
        assert len(seen._users) <= 10
    seen.note({"p3-0"}, {"u3"})
    assert len(asked) == 4, "what was seen last is remembered"
    seen.note({"p0-0"}, set())
    seen.note({f"p4-{n}" for n in range(11)}, set())
    assert not seen._projects
    assert asked[4:] == [{"p0-0"}, {f"p4-{n}" for n in range(11)}]
    assert len(registry.list_projects(limit=100).data) == 4 * 4 + 11
    assert len(registry.list_users(limit=100).data) == 4


def test_prices_are_read_for_the_days_asked_for_and_forgotten_beyond_a_bound(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards, tables = registry.rate_cards, PriceTables(registry.rate_cards, rows_kept_max=4)
    days: list[int] = []
    priced = cards.priced

    def noted(some: list[int], **given: Any) -> Any:
        days.extend(some)
        return priced(some, **given)

    monkeypatch.setattr(cards, "priced", noted)

    def rates(first: int, last: int, revision: int = 0) -> dict[int, int]:
        rows = tables.window(first * DAY, last * DAY + 1, revision).rows
        assert sum(table.num_rows for table in tables._kept.values()) <= 4
        return dict(pairs(rows))

    given = [(Subject(day * DAY, "embeddings", "openai", "m"), Prices({"input_text_tokens": day})) for day in range(8)]
    nothing = [(Subject(day * DAY, "embeddings", "openai", f"{n}"), Prices()) for day in range(8) for n in range(9)]
    numbers = cards.give([*given, *nothing])[:8]
    assert rates(2, 3) == {numbers[2]: 2, numbers[3]: 3}
    assert rates(3, 4) == {numbers[3]: 3, numbers[4]: 4}
    assert days == [2 * DAY, 3 * DAY, 4 * DAY]
    assert rates(0, 7) == dict(zip(numbers, range(8), strict=True))
    cards.give([(replace(given[7][0], model="new"), Prices({"input_text_tokens": 70}))])
    days.clear()
    assert sorted(rates(6, 7).values()) == [6, 7, 70]
    assert days == [7 * DAY], "only what is new is read"
    revision = cards.revise([(numbers[6], Prices({"input_text_tokens": 60}))], "why", now=NOW).id
    assert [sorted(rates(6, 7, number).values()) for number in (0, revision, 0)] == [
        [6, 7, 70],
        [7, 60, 70],
        [6, 7, 70],
    ]
    assert tables.revision() == tables.revision(NOW) == revision
    assert tables.revision(NOW - 1) == 0


def test_a_repricing_that_leaves_no_price(registry: Registry) -> None:
    cards, tables = registry.rate_cards, PriceTables(registry.rate_cards)
    number, other = cards.give(
        [(Subject(0, "embeddings", "openai", model), Prices({"input_text_tokens": 1})) for model in "ab"]
    )
    first = cards.revise([(number, Prices())], "withdrawn", now=NOW).id
    second = cards.revise([(number, Prices({"input_text_tokens": 3}))], "again", now=NOW + 1).id

    def rates(revision: int) -> list[Any]:
        rows = tables.window(0, DAY, revision).rows
        return sorted(pairs(rows))

    for _ in range(2):
        assert [rates(n) for n in (0, first, second)] == [
            [(number, 1), (other, 1)],
            [(other, 1)],
            [(number, 3), (other, 1)],
        ]


def test_many_new_names_are_few_statements(registry: Registry) -> None:
    """A row at a time took twice the work, and gave the interpreter away for each."""
    rows: list[int] = []

    def noted(connection: Any, cursor: Any, statement: str, values: Any, context: Any, many: bool) -> None:
        if statement.startswith("INSERT"):
            rows.append(len(values) if many else 0)

    engine = registry._database._engine
    listen(engine, "before_cursor_execute", noted)
    try:
        registry.note_seen([f"p-{n}" for n in range(3_000)], [f"u-{n}" for n in range(3_000)], now=NOW)
        CardGiver(registry.rate_cards, cache(PriceBook)).cards(of_new_models(3_000, "m"))
    finally:
        remove(engine, "before_cursor_execute", noted)
    assert not any(rows), "rows are bound together, not one by one"
    assert len(rows) <= 4 * 3_000 / 100


def test_new_values_are_made_rows_by_column() -> None:
    """A tuple for each of them took longer than the move to the events itself."""
    found = {(0, "completions", f"dimension-{n}"): {f"{n}-{value}" for value in range(20_000)} for n in range(3)}
    known = Known(MEASURED.facets_kept_max)
    known.note({(0, "completions", "dimension-1"): {f"1-{value}" for value in range(19_999)}})
    tracemalloc.start()
    try:
        new = known.others(found)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * new.num_rows
    assert new.num_rows == 2 * 20_000 + 1
    assert set(zip(*(new[name].to_pylist() for name in ("dimension", "value")), strict=True)) == {
        *((f"dimension-{n}", f"{n}-{value}") for n in (0, 2) for value in range(20_000)),
        ("dimension-1", "1-19999"),
    }
