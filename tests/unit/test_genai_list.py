"""The list of the installed package as rows: a list that is made up."""

from datetime import date
from decimal import Decimal

from genai_prices.data_snapshot import DataSnapshot
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
)

from usageledger.pricing.genai_list import GenaiList

OCTOBER, NOVEMBER = (StartDateConstraint(start_date=date(2026, month, 20)) for month in (10, 11))


def usd(price: str) -> ModelPrice:
    return ModelPrice(input_mtok=Decimal(price))


def batch(price: str, constraint: StartDateConstraint | None) -> PriceVariant:
    return PriceVariant(when={"processing": "batch"}, prices=usd(price), constraint=constraint)


def test_each_price_of_a_tier_ends_where_the_next_one_begins_in_whatever_order_they_stand() -> None:
    model = ModelInfo(
        id="m",
        match=ClauseEquals(equals="m"),
        prices=[
            ConditionalPrice(prices=usd("10")),
            ConditionalPrice(constraint=OCTOBER, prices=usd("8")),
            ConditionalPrice(constraint=NOVEMBER, prices=usd("6")),
        ],
        price_variants=[batch("3", NOVEMBER), batch("4", OCTOBER), batch("5", None)],
    )
    listing = GenaiList(
        "2026-10-30", DataSnapshot([Provider(id="acme", name="", api_pattern="", models=[model])], False)
    )
    rows = [row for row in listing.rows("acme") if row.kind == "completions"]
    assert sorted((row.tier, row.price, row.start, row.end) for row in rows) == [
        ("batch", "3", "2026-11-20", None),
        ("batch", "4", "2026-10-30", "2026-11-20"),
        ("standard", "6", "2026-11-20", None),
        ("standard", "8", "2026-10-30", "2026-11-20"),
    ]
