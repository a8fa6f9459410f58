"""Every price change that vendors announced or lists showed: the old price before it, the new one from then on.

`price_changes.csv` has a line for each: the last moment before and the first one after, and the price at both, empty
where none is known.
"""

import csv
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from usageledger.buckets import DAY_SECONDS
from usageledger.pricing import Subject, to_rate
from usageledger.pricing.book import PriceBook
from usageledger.pricing.cards import of_tier

with (Path(__file__).parent / "price_changes.csv").open(encoding="utf-8") as file:
    CHANGES = list(csv.DictReader(file))


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook()


def rate_at(book: PriceBook, moment: str, change: dict[str, str]) -> int | None:
    second = int(datetime.fromisoformat(moment).timestamp())
    service_tier, batch = of_tier(change["tier"])
    subject = Subject(
        day=second - second % DAY_SECONDS,
        kind=change["kind"],
        provider=change["provider"],
        model=change["model"] or None,
        service_tier=service_tier,
        batch=batch,
        context_level=change["context_level"] or None,
        band=int(change["above"] or 0),
        second=second % DAY_SECONDS,
    )
    return book.prices(subject).rates.get(change["part"])


def names(change: dict[str, str]) -> str:
    return " ".join(
        filter(None, (change[name] for name in ("first", "model", "part", "tier", "above", "context_level")))
    )


@pytest.mark.parametrize("change", [pytest.param(change, id=names(change)) for change in CHANGES])
def test_a_price_changes_when_it_did(book: PriceBook, change: dict[str, str]) -> None:
    for moment, price in ((change["last"], change["before"]), (change["first"], change["after"])):
        assert rate_at(book, moment, change) == (to_rate(Decimal(price), int(change["per"])) if price else None), moment
