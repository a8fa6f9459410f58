"""A month's spend over a real ledger and registry, at the price of a cent a token, by a clock that tests set."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.support import price_rows
from tests.support.engines import EMBEDDED
from tests.support.priced import Priced
from tests.support.samples import table

from usageledger.events.columns import with_cards
from usageledger.pricing import Prices
from usageledger.pricing.money import UNITS_PER_CENT
from usageledger.registry import AlertTerms, SpendAlert
from usageledger.spending.estimates import Estimator
from usageledger.spending.months import month_of
from usageledger.spending.spending import Spending

NOW = 1_797_000_000  # in December 2026
MONTH = month_of(NOW)


class Ledger:
    """A ledger with its spending, which may end at any time and begin again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = float(NOW)
        self.made = 0
        self.begin()

    def begin(self) -> None:
        book = price_rows.book(price_rows.row("input_text_tokens", "10000"))
        self.priced = Priced(self.folder, EMBEDDED.open, book)
        self.registry = self.priced.registry
        self.spending = Spending(
            self.priced.ledger,
            self.priced.tables,
            self.folder,
            self.registry.spend_settings,
            self.registry.alert_firings,
            lambda: self.now,
            Estimator(lambda: book, list),
        )
        self.spending.look()

    def close(self) -> None:
        self.spending.close()
        self.priced.close()

    def again(self) -> None:
        """Ends, without any other word, and begins again."""
        self.close()
        self.begin()

    def alert(self, cents: int, project: str | None = None, **terms: Any) -> SpendAlert:
        given = {"recipients": ("ann@example.com",)} | terms
        made = self.registry.spend_settings.create_alert(project, AlertTerms(cents, **given), now=int(self.now))
        self.spending.look()
        return made

    def spend(
        self, cents: int, project: str | None = None, at: int = NOW - 60, *, kill: bool = False, **fields: Any
    ) -> None:
        """Commits an event of this cost; with `kill` nothing is done after the ledger has it."""
        self.made += 1
        about = {"kind": "completions", "provider": "acme", "model": "m", "output_tokens": 0}
        event = about | fields | {"id": f"e{self.made}", "timestamp": at, "input_tokens": cents}
        rows, _ = table([event | ({} if project is None else {"project_id": project})], latest=MONTH.end + 86_400)
        rows = with_cards(rows, self.priced.giver.cards(rows))
        if kill:
            self.priced.ledger.append(rows)
            return
        with self.spending.commit() as note:
            note(rows, self.priced.ledger.append(rows))

    def reprice(self, cents: int) -> None:
        """Lets every token cost so many cents."""
        prices = Prices({"input_text_tokens": cents * UNITS_PER_CENT})
        cards = [(card.card_id, prices) for card in self.priced.cards()]
        self.registry.rate_cards.revise(cards, "another price", now=int(self.now))
        self.spending.look()

    def fired(self) -> list[tuple[str, int, int, int, str]]:
        """Of each firing its alert, start of the month, threshold, spend in cents, and cause."""
        return [
            (each.alert_id, each.period_start, each.threshold_cents, each.spend // UNITS_PER_CENT, each.cause)
            for each in self.registry.alert_firings.list().data
        ]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path)) as made:
        yield made
