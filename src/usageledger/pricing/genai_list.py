"""The price list of the installed `genai-prices`, read strictly, as rows.

It says nothing of the days on which its prices began, so that it counts from the day on which its version was published
and for names that the price file does not have. Names are those that it spells out, never its patterns, prices those of
exactly one part: its rule that a missing price is that of another part is its calculator's, not any vendor's.
"""

from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

from usageledger.pricing.price_file import PriceFile, Row

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot

PACKAGE = "genai-prices"


@cache
def package_version() -> str:
    """The version that is installed."""
    return version(PACKAGE)


def package_name() -> str:
    """The package and its version."""
    return f"{PACKAGE} {package_version()}"


def published(file: PriceFile) -> str | None:
    """The UTC day (ISO) on which the installed version was published, as far as a price file knows it."""
    return file.lists.get(PACKAGE, {}).get(package_version())


class GenaiList:
    """The rows of each provider, made when they are first asked for.

    Args:
        published: the UTC day (ISO) on which the version was published; None where it is not known, and nothing counts.
    """

    def __init__(self, published: str | None, snapshot: "DataSnapshot | None" = None) -> None:
        self._published = published
        self._snapshot = snapshot

    def rows(self, provider: str) -> list[Row]:
        """The rows of a provider's models, under each name that the list spells out for one model only."""
        if self._published is None:
            return []
        from usageledger.pricing import genai_rows  # noqa: PLC0415 - loads what few processes need, for 0.2 seconds

        return genai_rows.rows(provider, self._published, package_name(), self._snapshot)

    def providers(self) -> list[str]:
        """The providers that have a list."""
        from usageledger.pricing import genai_rows  # noqa: PLC0415

        return genai_rows.providers(self._snapshot)
