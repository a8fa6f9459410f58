"""Repricing on random ledgers: afterwards every event has the price that a slow model finds for it alone."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from tests.support import price_rows
from tests.support.effort import EFFORT
from tests.support.engines import Engine
from tests.support.ledger_contents import event
from tests.support.priced import Priced
from tests.support.samples import DAY, TODAY, usage, wire

from usageledger.pricing import UNITS_PER_USD, Override, Prices, Subject
from usageledger.pricing.book import PriceBook
from usageledger.pricing.money import UNITS
from usageledger.pricing.own_prices import OwnPrices
from usageledger.rating.repricing import reprice
from usageledger.registry import CardPrices

pytestmark = [pytest.mark.timeout(900 * EFFORT), pytest.mark.embedded]

START = TODAY - 3 * DAY
PARTS = ("input_text_tokens", "input_cached_text_tokens", "output_text_tokens")
USD = Decimal(UNITS_PER_USD)


@pytest.fixture(autouse=True)
def every_digit() -> Iterator[None]:
    with localcontext(prec=100):
        yield


def book() -> PriceBook:
    """One provider with one model, whose input has a band from 100 tokens on and whose batch jobs cost half."""
    band = price_rows.row("input_text_tokens", "4", above=100)
    standard = {"input_text_tokens": "2", "output_text_tokens": "8", "input_cached_text_tokens": "1"}
    half = {"input_text_tokens": "1", "output_text_tokens": "4"}
    rows = [price_rows.row(part, price) for part, price in standard.items()]
    return price_rows.book(band, *rows, *(price_rows.row(part, price, tier="batch") for part, price in half.items()))


@st.composite
def overrides(draw: st.DrawFn) -> Override:
    return Override(
        kind="completions",
        provider="acme",
        model="m",
        part=draw(st.sampled_from(PARTS)),
        tier=draw(st.sampled_from(["standard", "batch"])),
        start=START + draw(st.integers(-1, 3)) * DAY,
        rate=draw(st.none() | st.integers(0, 10**15).map(lambda each: each * UNITS)),
        band=draw(st.sampled_from([0, 0, 0, 100, 50, 200])),
    )


EVENTS = st.lists(
    st.tuples(st.integers(0, 3 * DAY - 1), st.integers(0, 150), st.integers(0, 150), st.integers(0, 9), st.booleans()),
    min_size=1,
    max_size=15,
)


def price_of(event: tuple[Any, ...], prices: PriceBook, own: Sequence[Override]) -> Prices:
    """What lists and operator say of one event, whatever card it has: every band that they name is looked at."""
    seconds, text, cached, _, batch = event
    at = Subject(START + seconds - (START + seconds) % DAY, "completions", "acme", "m", batch=batch)
    bands = {0, 100, *(override.band for override in own)}
    return prices.prices(
        structs.replace(at, band=max(band for band in bands if band == 0 or text + cached > band)), OwnPrices(own)
    )


@settings(max_examples=7 * EFFORT)
@given(events=EVENTS, before=st.lists(overrides(), max_size=4), after=st.lists(overrides(), max_size=4))
def test_every_event_has_the_price_that_holds_for_it(
    engine: Engine, events: list[tuple[Any, ...]], before: list[Override], after: list[Override]
) -> None:
    prices = book()
    with tempfile.TemporaryDirectory() as folder, closing(Priced(Path(folder), engine.open, prices)) as ledger:
        cards = ledger.registry.rate_cards
        if before:
            cards.set_prices(before, now=1)
        sent = [
            usage("completions", f"e{number}", START + seconds, model="m", batch=batch, provider="acme")
            for number, (seconds, *_, batch) in enumerate(events)
        ]
        for each, (_, text, cached, output, _) in zip(sent, events, strict=True):
            each.counts.update(zip(PARTS, (text, cached, output), strict=True))
        ledger.send([wire(each) for each in sent])
        said = {card.card_id: card for card in ledger.cards()}
        if after:
            cards.set_prices(after, now=2)
        made = reprice(prices, OwnPrices(cards.overrides()), said.values())
        if made.changes:
            cards.revise([(change.card.card_id, change.prices) for change in made.changes], "again", now=3)
        amount = Decimal(0)
        for card in said.values():
            assert _is_kept(card, made.kept) == (len(possible(card, said.values(), prices, cards.overrides())) > 1)
        for each, drawn in zip(sent, events, strict=True):
            kept = event(ledger.ledger, each.id, each.timestamp)
            assert kept
            card = said[kept.columns["rate_id"]]
            asked = card.prices if _is_kept(card, made.kept) else price_of(drawn, prices, cards.overrides())
            (now,) = [card for card in ledger.cards() if card.card_id == kept.columns["rate_id"]]
            assert dict(now.prices.rates) == dict(asked.rates)
            amount += sum((each.counts[part] * Decimal(asked.rates.get(part, 0)) for part in PARTS), Decimal(0)) / USD
        assert ledger.total(START, TODAY) == amount
        again = reprice(prices, OwnPrices(cards.overrides()), ledger.cards())
        assert again.changes == []
        assert again.kept == made.kept


def possible(
    card: CardPrices, given: Iterable[CardPrices], prices: PriceBook, own: Sequence[Override]
) -> list[dict[str, int]]:
    """The different prices that events of a card may have now, by trying every number of tokens around a band."""
    at = card.subject
    higher = [each.subject.band for each in given if structs.replace(each.subject, band=at.band) == at and each != card]
    most = min((band for band in higher if band > at.band), default=1000)
    found: list[dict[str, int]] = []
    for tokens in (0, 1, 50, 51, 100, 101, 200, 201, 999):
        if (tokens > at.band or at.band == 0) and tokens <= most:
            rates = dict(price_of((at.day - START, tokens, 0, 0, at.batch), prices, own).rates)
            found += [rates] if rates not in found else []
    return found


def _is_kept(card: CardPrices, kept: Sequence[str]) -> bool:
    return any(words.startswith(f"{card.subject.words()} keeps its prices") for words in kept)
