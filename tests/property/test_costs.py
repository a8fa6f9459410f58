"""Costs on random ledgers, random prices and random questions, against sums in Decimal over plain dicts of events."""

import tempfile
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from decimal import Decimal, localcontext
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from tests.support.effort import EFFORT
from tests.support.engines import Engine
from tests.support.ledger_contents import rollup_differences
from tests.support.model import Model, Usage, next_day
from tests.support.priced import Priced, total
from tests.support.samples import keep
from tests.support.strategies import DAY, END, START, Place, batches, histories, local_windows, places, usages, wires

from usageledger.meters import COSTS
from usageledger.pricing import UNITS_PER_USD, Prices, Subject
from usageledger.pricing.cards import CASES, PARTS
from usageledger.pricing.money import UNITS

pytestmark = [pytest.mark.timeout(900 * EFFORT), pytest.mark.embedded]

HOUR = 3600
GIB = 2**30
WHOLE = UNITS * GIB
BANDS = {"a": (0, 10, 1000), "B": (0, 999_999)}
SECONDS = {"b": (0, 36_000), "é": (0, 1, 80_000)}


@pytest.fixture(autouse=True)
def every_digit() -> Iterator[None]:
    with localcontext(prec=100):
        yield


class RandomBook:
    """A price book whose prices follow from a seed, some of them 0 and some of them missing."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def rate(self, subject: Subject, part: str) -> int | None:
        digest = sha256(repr((self._seed, subject, part)).encode()).digest()
        if digest[0] < 50:
            return None
        return 0 if digest[0] < 70 else int.from_bytes(digest[1:7], "big") * UNITS

    def offers(self, subject: Subject, overrides: Iterable[Any]) -> list[tuple[Subject, Prices]]:
        every = [
            structs.replace(subject, second=second, band=band)
            for second in SECONDS.get(subject.model or "", (0,))
            for band in BANDS.get(subject.model or "", (0,))
        ]
        return [(each, self.prices(each)) for each in every]

    def prices(self, subject: Subject) -> Prices:
        rates = {part: self.rate(subject, part) for part in subject.parts}
        return Prices({part: rate for part, rate in rates.items() if rate is not None})


def subject_of(usage: Usage) -> Subject:
    """What the price of an event depends on, read off the event."""
    counts, second = usage.counts, usage.timestamp % DAY
    whole = sum(count for name, count in counts.items() if name.startswith("input_"))
    requests = counts.get("num_model_requests", 0)
    whole = -(-whole // requests) if requests else 0
    model = usage.dimensions.get("model") or ""
    names = ("model", "service_tier", *CASES)
    return Subject(
        day=usage.timestamp - second,
        kind=usage.kind,
        provider=usage.provider,
        batch=bool(usage.dimensions.get("batch")),
        band=max((band for band in BANDS.get(model, (0,)) if whole > band), default=0),
        second=max(each for each in SECONDS.get(model, (0,)) if each <= second),
        **{name: usage.dimensions.get(name) for name in names},
    )


def charges(model: Model, book: RandomBook) -> Iterator[tuple[Usage, str, int, Decimal | None]]:
    """(event, part, quantity, cost): the parts of every event; of the sizes, the largest of each store and hour."""
    largest: dict[tuple[Any, ...], Usage] = {}
    for usage in model.kept.values():
        if usage.kind == "vector_stores":
            hour = usage.timestamp - usage.timestamp % HOUR
            store = (hour, subject_of(usage), *usage.dimensions.values())
            if store not in largest or largest[store].counts["usage_bytes"] < usage.counts["usage_bytes"]:
                largest[store] = usage
            continue
        for name, quantity in usage.counts.items():
            part = "input_text_tokens" if name == "input_tokens" else name
            if part in PARTS and quantity:
                rate = book.rate(subject_of(usage), part)
                yield usage, part, quantity, None if rate is None else Decimal(quantity * rate) / UNITS_PER_USD
    for usage in largest.values():
        size, rate = usage.counts["usage_bytes"], book.rate(subject_of(usage), "usage_bytes")
        if size:
            yield (
                usage,
                "usage_bytes",
                size,
                None if rate is None else Decimal((size * rate + WHOLE // 2) // WHOLE * UNITS) / UNITS_PER_USD,
            )


def value(usage: Usage, part: str, name: str) -> Any:
    if name == "kind":
        return usage.kind
    return subject_of(usage).line_item(part) if name == "line_item" else usage.dimensions.get(name)


def expected(
    model: Model, book: RandomBook, edges: Sequence[int], filters: dict[str, Any], by: list[str]
) -> dict[tuple[Any, ...], tuple[Decimal, Decimal]]:
    """(bucket, group) → (amount, quantity), by buckets between `edges`."""
    found: dict[tuple[Any, ...], tuple[Decimal, Decimal]] = {}
    for usage, part, quantity, cost in charges(model, book):
        at = usage.timestamp - usage.timestamp % HOUR if part == "usage_bytes" else usage.timestamp
        inside = edges[0] <= at < edges[-1]
        if cost is None or not inside or any(value(usage, part, name) not in v for name, v in filters.items()):
            continue
        key = (edges[bisect(edges, at) - 1], *(value(usage, part, name) for name in by))
        amount, sum_ = found.get(key, (Decimal(0), Decimal(0)))
        found[key] = amount + cost, sum_ + (Decimal(quantity) / GIB if part == "usage_bytes" else quantity)
    return found


@contextmanager
def priced(engine: Engine, book: RandomBook) -> Iterator[Priced]:
    with tempfile.TemporaryDirectory() as folder, closing(Priced(Path(folder), engine.open, book)) as made:
        yield made


def fill(data: st.DataObject, ledger: Priced, model: Model, history: list[Usage]) -> None:
    for batch in data.draw(batches(history), label="batches"):
        assert ledger.send([data.draw(wires(usage)) for usage in batch]) == keep(model, batch)
        for _ in range(data.draw(st.integers(0, 2), label="steps of upkeep")):
            ledger.ledger.compact()


def shown(buckets: list[dict[str, Any]], by: list[str]) -> dict[tuple[Any, ...], tuple[Decimal, Decimal | None]]:
    """As `expected`; the quantity is None where it is not by line item."""
    return {
        (bucket["start_time"], *(result[name] for name in by)): (
            Decimal(result["amount"]["value"]),
            None if result["quantity"] is None else Decimal(result["quantity"]),
        )
        for bucket in buckets
        for result in bucket["results"]
    }


sizes = st.lists(usages(st.just("vector_stores")), min_size=1, max_size=20)
GROUPINGS = [dimension.name for dimension in COSTS.groupings]
FILTERS = {dimension.name: str(dimension.filter) for dimension in COSTS.filters}


@st.composite
def questions(draw: st.DrawFn, model: Model, book: RandomBook) -> dict[str, Any]:
    """A width, a window, filters with values that are there, and groupings."""
    width, seconds = draw(st.sampled_from([("1d", DAY), ("1h", HOUR)]))
    start = draw(st.integers(START // seconds, END // seconds - 1)) * seconds
    end = draw(st.integers(start // seconds + 1, END // seconds)) * seconds
    filters: dict[str, list[Any]] = {}
    for name in draw(st.lists(st.sampled_from(sorted(FILTERS)), max_size=2, unique=True)):
        seen = sorted({v for usage, part, *_ in charges(model, book) if (v := value(usage, part, name)) is not None})
        if seen:
            filters[name] = draw(st.lists(st.sampled_from(seen), min_size=1, max_size=3, unique=True))
    by = draw(st.lists(st.sampled_from(GROUPINGS), max_size=3, unique=True))
    return {"width": width, "seconds": seconds, "start": start, "end": end, "filters": filters, "by": by}


def ask(ledger: Priced, question: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    lists = {FILTERS[name]: values for name, values in question["filters"].items()}
    return ledger.buckets(
        question["start"], question["end"], bucket_width=question["width"], group_by=question["by"], **lists, **more
    )


@settings(max_examples=12 * EFFORT)
@given(history=histories(), seed=st.integers(0, 10**6), data=st.data())
def test_costs_are_quantity_times_rate(engine: Engine, history: list[Usage], seed: int, data: st.DataObject) -> None:
    model, book = Model(), RandomBook(seed)
    with priced(engine, book) as ledger:
        fill(data, ledger, model, history)
        assert rollup_differences(ledger.ledger) == []
        for _ in range(4):
            question = data.draw(questions(model, book), label="question")
            start, end, seconds = question["start"], question["end"], question["seconds"]
            found = shown(ask(ledger, question, limit=data.draw(st.integers(1, 100))), question["by"])
            edges = range(start, end + seconds, seconds)
            wanted = expected(model, book, edges, question["filters"], question["by"])
            by_item = "line_item" in question["by"]
            assert found == {key: (cost, amount if by_item else None) for key, (cost, amount) in wanted.items()}
            whole = ask(ledger, question | {"by": [], "width": "1d" if seconds == DAY else "1h"})
            assert sum(cost for cost, _ in found.values()) == total([r for b in whole for r in b["results"]])


@settings(max_examples=7 * EFFORT)
@given(history=histories(), seed=st.integers(0, 10**6), data=st.data())
def test_hours_add_up_to_days(engine: Engine, history: list[Usage], seed: int, data: st.DataObject) -> None:
    model, book = Model(), RandomBook(seed)
    with priced(engine, book) as ledger:
        fill(data, ledger, model, history)
        for bucket in ledger.buckets(START, END, group_by=["line_item"]):
            hours = ledger.results(bucket["start_time"], bucket["end_time"], group_by=["line_item"], bucket_width="1h")
            for result in bucket["results"]:
                same = [hour for hour in hours if hour["line_item"] == result["line_item"]]
                assert total(same) == Decimal(result["amount"]["value"])
                assert sum(Decimal(hour["quantity"]) for hour in same) == Decimal(result["quantity"])


@settings(max_examples=10 * EFFORT)
@given(place=places, history=histories() | sizes, seed=st.integers(0, 10**6), data=st.data())
def test_costs_by_days_of_a_time_zone(
    engine: Engine, place: Place, history: list[Usage], seed: int, data: st.DataObject
) -> None:
    """A size is charged on the day on which its hour, of UTC, begins."""
    model, book, moved = Model(), RandomBook(seed), place.moved(history)
    with priced(engine, book) as ledger:
        fill(data, ledger, model, moved)
        for _ in range(3):
            window = data.draw(local_windows(place, near=moved), label="window")
            by = data.draw(st.lists(st.sampled_from(GROUPINGS), max_size=3, unique=True), label="by")
            given: dict[str, Any] = {"timezone": place.zone, "limit": data.draw(st.integers(1, 20), label="limit")}
            buckets = ledger.buckets(*window, group_by=by, **given)
            edges = [buckets[0]["start_time"], *(bucket["end_time"] for bucket in buckets)]
            assert edges[0] <= window[0] < edges[1]
            assert edges[-2] < window[1] <= edges[-1]
            assert edges[1:] == [next_day(edge, place.zone) for edge in edges[:-1]]
            wanted = expected(model, book, edges, {}, by)
            by_item = "line_item" in by
            assert shown(buckets, by) == {key: (cost, n if by_item else None) for key, (cost, n) in wanted.items()}
            whole = ledger.total(*window, **given)
            assert total([result for bucket in buckets for result in bucket["results"]]) == whole
            (one,) = ledger.buckets(edges[0], edges[-1], timezone=place.zone, bucket_width="all")
            assert (one["start_time"], one["end_time"], total(one["results"])) == (edges[0], edges[-1], whole)


@settings(max_examples=7 * EFFORT)
@given(history=histories(), seed=st.integers(0, 10**6), data=st.data())
def test_days_and_hours_add_up_to_the_whole(
    engine: Engine, history: list[Usage], seed: int, data: st.DataObject
) -> None:
    model, book = Model(), RandomBook(seed)
    with priced(engine, book) as ledger:
        fill(data, ledger, model, history)
        question = data.draw(questions(model, book), label="question")
        parts = ask(ledger, question, limit=100)
        (whole,) = ask(ledger, question | {"width": "all"})
        assert (whole["start_time"], whole["end_time"]) == (question["start"], question["end"])
        for result in whole["results"]:
            same = [
                part
                for bucket in parts
                for part in bucket["results"]
                if all(part[n] == result[n] for n in question["by"])
            ]
            assert total(same) == Decimal(result["amount"]["value"])
            if "line_item" in question["by"]:
                assert sum(Decimal(part["quantity"]) for part in same) == Decimal(result["quantity"])
        assert total(whole["results"]) == total([result for bucket in parts for result in bucket["results"]])


@settings(max_examples=7 * EFFORT)
@given(history=histories(), seed=st.integers(0, 10**6), data=st.data())
def test_what_is_not_in_costs_is_unpriced(engine: Engine, history: list[Usage], seed: int, data: st.DataObject) -> None:
    model, book = Model(), RandomBook(seed)
    with priced(engine, book) as ledger:
        fill(data, ledger, model, history)
        wanted: dict[tuple[str, str], int] = {}
        for usage, part, quantity, cost in charges(model, book):
            if cost is None and part != "num_model_requests":
                wanted[usage.kind, part] = wanted.get((usage.kind, part), 0) + quantity
        found: dict[tuple[str, str], int] = {}
        for each in ledger.unpriced(START, END):
            found[each.kind, each.part] = found.get((each.kind, each.part), 0) + each.quantity
        assert found == wanted


@settings(max_examples=7 * EFFORT)
@given(history=histories(), seed=st.integers(0, 10**6), data=st.data())
def test_a_repricing_is_a_revision(engine: Engine, history: list[Usage], seed: int, data: st.DataObject) -> None:
    """The same prices change nothing; others change today's answers, and those as of a time before stay."""
    model, book, other = Model(), RandomBook(seed), RandomBook(seed + 1)
    with priced(engine, book) as ledger:
        fill(data, ledger, model, history)
        by = ["line_item", "project_id"]
        before = ledger.buckets(START, END, group_by=by)
        cards = ledger.cards()
        ledger.registry.rate_cards.revise([(c.card_id, book.prices(c.subject)) for c in cards], "again", now=END + 1)
        assert ledger.buckets(START, END, group_by=by) == before
        ledger.registry.rate_cards.revise([(c.card_id, other.prices(c.subject)) for c in cards], "new", now=END + 9)
        assert ledger.buckets(START, END, group_by=by, as_of=END + 8) == before
        wanted = expected(model, other, range(START, END + DAY, DAY), {}, by)
        assert shown(ledger.buckets(START, END, group_by=by), by) == dict(wanted)
