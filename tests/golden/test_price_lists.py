"""The book against what public lists showed, day by day: where they differ, `list_differences.csv` says why.

`list_observations.csv.gz` has each price that genai-prices (git and PyPI, since 2025-07-12) and LiteLLM (29 releases
and 7 of tokencost, which carry its file, since 2023-10-31) showed for the six vendors, with its first and last day.
What the book does not know (`unpriced`) is no difference: a list may be wrong about it.
"""

import csv
import gzip
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from usageledger.buckets import DAY_SECONDS
from usageledger.pricing import UNITS_PER_USD, Subject, to_rate
from usageledger.pricing.book import PriceBook
from usageledger.pricing.cards import of_tier
from usageledger.pricing.listed_prices import seconds_of

FOLDER = Path(__file__).parent
FIELDS = ("list", "provider", "model", "kind", "part", "tier", "above", "first", "last", "price", "book")
REASONS = ("lag", "error of the list")


def observations() -> Iterator[dict[str, str]]:
    with gzip.open(FOLDER / "list_observations.csv.gz", "rt", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def compared(book: PriceBook, seen: dict[str, str]) -> Iterator[str | None]:
    """Yields the price of the book at the end of both days, in the words of the list; None where it is unpriced."""
    service_tier, batch = of_tier(seen["tier"])
    for day in (seen["first"], seen["last"]):
        at = Subject(
            day=seconds_of(day),
            kind=seen["kind"],
            provider=seen["provider"],
            model=seen["model"],
            service_tier=service_tier,
            batch=batch,
            band=int(seen["above"] or 0),
            second=DAY_SECONDS - 1,
        )
        rate = book.prices(at).rates.get(seen["part"])
        same = rate == to_rate(Decimal(seen["price"]), int(seen["per"]))
        usd = None if rate is None else (Decimal(rate * int(seen["per"])) / UNITS_PER_USD).normalize()
        yield seen["price"] if same else None if usd is None else f"{usd:f}"


def differences(book: PriceBook, counts: Counter[str]) -> Iterator[tuple[str, ...]]:
    for seen in observations():
        for said in compared(book, seen):
            counts["unpriced" if said is None else "equal" if said == seen["price"] else "differs"] += 1
            if said not in (None, seen["price"]):
                yield tuple({**seen, "book": said}[name] for name in FIELDS)


@pytest.mark.timeout(300)
def test_lists_and_book_differ_only_where_it_is_explained() -> None:
    counts: Counter[str] = Counter()
    found = set(differences(PriceBook(), counts))
    with (FOLDER / "list_differences.csv").open(encoding="utf-8") as file:
        lines: list[dict[str, Any]] = list(csv.DictReader(file))
    explained = {tuple(line[name] for name in FIELDS) for line in lines}
    assert sorted(found - explained) == [], "not explained"
    assert sorted(explained - found) == [], "explains nothing any more"
    assert {line["reason"] for line in lines} == set(REASONS)
    assert counts["equal"] > 10 * counts["differs"]
