"""Price files made up for tests, and books of nothing else."""

from typing import Any

from usageledger.pricing.book import PriceBook
from usageledger.pricing.genai_list import GenaiList
from usageledger.pricing.price_file import Alias, Alike, Factor, Hosted, PriceFile, Row

NO_LIST = GenaiList(published=None)


def row(part: str, price: str, **given: Any) -> Row:
    """A price for a million tokens of acme's model `m`, of all times, unless more is given."""
    about: dict[str, Any] = {"provider": "acme", "model": "m", "kind": "completions", "per": 10**6}
    known = {"start": "2020-01-01", "start_is": "launch", "confidence": "high", "source": "https://acme.test/prices"}
    return Row(**(about | known | {"part": part, "price": price} | given))


def factor(region: str, times: str, start: str = "2020-01-01", **given: Any) -> Factor:
    """A factor on the prices of acme's model `m` in a region."""
    about: dict[str, Any] = {"provider": "acme", "model": "m", "start_is": "announced", "confidence": "high"}
    return Factor(**(about | {"source": "https://acme.test/regions"} | given), region=region, factor=times, start=start)


def price_file(
    *rows: Row,
    aliases: tuple[Alias, ...] = (),
    factors: tuple[Factor, ...] = (),
    hosted: tuple[Hosted, ...] = (),
    alike: tuple[Alike, ...] = (),
    confirmed_through: str = "2030-01-01",
) -> PriceFile:
    return PriceFile(1, 1, confirmed_through, confirmed_through, {}, rows, aliases, factors, hosted, alike)


def book(*rows: Row, **given: Any) -> PriceBook:
    """A book of these rows alone."""
    return PriceBook(price_file(*rows, **given), NO_LIST)
