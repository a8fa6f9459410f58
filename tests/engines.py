"""The engines that the ledger's tests run on: one suite, each engine a row."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from usageledger.ledger import Ledger, duckdb, facets, journal, open_ledger, upkeep


@dataclass(frozen=True)
class Engine:
    """An engine of the ledger.

    Attributes:
        url: where the ledger in a folder is.
        eager: makes upkeep find something to do after few events, and do a little of it at a time.
    """

    name: str
    url: Callable[[Path], str]
    eager: Callable[[pytest.MonkeyPatch], None]

    def open(self, folder: Path) -> Ledger:
        return open_ledger(self.url(folder))


def _eager_duckdb(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(duckdb, "SMALL_ROWS", 3)
    patch.setattr(duckdb, "JOURNAL_ROWS", 4)
    patch.setattr(upkeep, "WORTH", {"models": upkeep.Worth(2, 2, 2), "keys": upkeep.Worth(5, 3, 1)})
    patch.setattr(journal, "MOST_KNOWN", 7)
    patch.setattr(facets, "MOST_KNOWN", 9)


ENGINES = (Engine("duckdb", lambda folder: f"duckdb:///{folder}/ledger.duckdb", _eager_duckdb),)
