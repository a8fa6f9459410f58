"""Spend: the cost of events by calendar month, of the organization and of projects that have a limit or an alert.

It is the sum of what events cost by the prices of the last repricing, kept in step with each commit: the events of a
commit are added under the lock under which months are read from the ledger, so that no event is missed or added twice.
Of older months than those of the last 35 days nobody is told any more.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from usageledger.buckets import DAY_SECONDS
from usageledger.ledger import Judged, Ledger, Outcome
from usageledger.ledger.price_table import PricesOf
from usageledger.locks import RankedLock, holding
from usageledger.meters import COSTS
from usageledger.pricing.cards import STORED_PART
from usageledger.questions.aggregate import Aggregate
from usageledger.questions.query import Query
from usageledger.rating.price_tables import PriceTables
from usageledger.spending.months import Month, month_of
from usageledger.spending.row_costs import CardRates, costs_of

ORGANIZATION = ""  # the scope that is no project
LATE_SECONDS = 35 * 86_400
SIZES_SECONDS = 60  # between two looks at sizes that were stored
AHEAD_SECONDS = 3_600  # a month is known before it begins
MAX_SECONDS = 600.0
RESULTS_MAX = 10_000_000
Ids = np.ndarray[Any, np.dtype[np.int64]]
Spent = dict[str, int]  # scope → 10⁻¹⁸/9 USD


class Spend:
    """Counts what months cost; for many threads.

    Args:
        ledger: which one server writes.
        prices: of its events.
    """

    def __init__(self, ledger: Ledger, prices: PriceTables) -> None:
        self._ledger = ledger
        self._prices = prices
        self._commits = RankedLock("spend of commits", 0)  # held while events are added; guards the next six
        self.cards = CardRates(prices.rate_cards)
        self._revision = -1
        self._projects: frozenset[str] | None = None  # that are counted; None where nothing is
        self._stale = False  # the sums lack something
        self._sizes = False  # stored sizes were added, which are charged for the largest of an hour
        self._read_at = 0  # Unix seconds
        self._lock = RankedLock("spend", 8)  # guards the next one
        self._months: dict[Month, Spent] = {}  # without a gap between them; empty while they are not known

    @contextmanager
    def commit(self) -> Generator[None]:
        """Keeps others from reading months from the ledger, while it gets events that are not in them yet."""
        with self._commits:
            yield

    @holding("_commits")
    def add(self, rows: pa.Table, judged: Judged) -> set[tuple[Month, str]]:
        """Adds the events that a commit kept; in `commit`, after the ledger has them. Raises RegistryError.

        Returns the months and scopes whose spend has grown.
        """
        grown: set[tuple[Month, str]] = set()
        if not self._months or self._stale:
            return grown
        fresh = rows.filter(pa.array(judged.outcomes == Outcome.ACCEPTED))
        if not fresh.num_rows:
            return grown
        self._stale = True  # until it is done
        self._sizes |= bool(fresh[STORED_PART].to_numpy().any())
        months = sorted(self._months)
        timestamps = fresh["ts"].to_numpy()
        inside = (timestamps >= months[0].start) & (timestamps < months[-1].end)
        fresh, timestamps = fresh.filter(pa.array(inside)), timestamps[inside]
        month_of_row = np.searchsorted([month.start for month in months], timestamps, side="right") - 1
        projects, project_of_row = _counted(fresh, self._projects or frozenset())
        count = len(projects)
        amounts = costs_of(fresh, month_of_row * count + project_of_row, len(months) * count, self.cards)
        with self._lock:
            for at, month in enumerate(months):
                spent = self._months[month]
                for project, amount in zip(projects, amounts[at * count : (at + 1) * count], strict=True):
                    for scope in scopes_of(project):
                        spent[scope] += amount
                        if amount:
                            grown.add((month, scope))
        self._stale = False
        return grown

    @holding("_commits")
    def lose(self) -> None:
        """Forgets what is known, since events were kept that could not be added: the next `count` reads anew."""
        self._stale = True
        with self._lock:
            self._months = {}

    def count(self, projects: frozenset[str] | None, now: int) -> None:
        """Counts these projects and the organization from now on; None counts nothing.

        Months are read from the ledger where they are not known, and anew where a repricing or a stored size changed
        them. Raises LedgerUnavailableError, RegistryError.
        """
        with self._commits:
            revision = self._prices.revision()
            wanted = months_counted(now) if projects is not None else []
            as_before = (revision, projects) == (self._revision, self._projects) and not self._stale
            sizes_due = self._sizes and not 0 <= now - self._read_at < SIZES_SECONDS
            if as_before and not sizes_due and wanted == sorted(self._months):
                return
            self.cards.forget()
            months = self._read(wanted, projects or frozenset())
            self._revision, self._projects, self._stale, self._sizes = revision, projects, False, False
            self._read_at = now
            with self._lock:
                self._months = months

    def recount(self) -> list[str]:
        """Reads all months anew; returns the scopes where what was counted differs from what is in the ledger."""
        with self._commits:
            if self._sizes or self._stale:
                return []
            months = self._read(sorted(self._months), self._projects or frozenset())
            with self._lock:
                counted, self._months = self._months, months
        return sorted(
            {scope for month in months for scope, amount in months[month].items() if counted[month][scope] != amount}
        )

    def of(self, month: Month, scope: str) -> int | None:
        """The cost of a month in a scope; None where it is not known now."""
        with self._lock:
            return self._months.get(month, {}).get(scope)

    @property
    def months(self) -> list[Month]:
        """The months that are counted and known."""
        with self._lock:
            return list(self._months)

    def _read(self, months: Sequence[Month], projects: frozenset[str]) -> dict[Month, Spent]:
        """Reads months, which follow each other, from the ledger."""
        found: dict[Month, Spent] = {month: {ORGANIZATION: 0, **dict.fromkeys(projects, 0)} for month in months}
        if not months:
            return found
        query = question(months[0].start, months[-1].end, *(["project_id"] if projects else []))
        costs = costs_of_days(self._ledger, self._prices, query)
        names = costs.columns.get("project_id") or [None] * len(costs.starts)
        for day, project, amount in zip(costs.starts, names, costs.columns.get("amount", ()), strict=True):
            spent = found[month_of(day)]
            for scope in scopes_of(project if project in projects else None):
                spent[scope] += amount
        return found


def scopes_of(project_id: str | None) -> tuple[str, ...]:
    """The scopes that usage of a project counts in, the organization first; None is usage without a project."""
    return (ORGANIZATION,) if project_id is None else (ORGANIZATION, project_id)


def months_counted(now: int) -> list[Month]:
    """The months whose spend is counted at a time: those of late events, of now, and of the next hour."""
    months = [month_of(now - LATE_SECONDS)]
    while months[-1].end <= now + AHEAD_SECONDS:
        months.append(month_of(months[-1].end))
    return months


def question(start: int, end: int, *group_by: str) -> Query:
    """The question for what these UTC days cost, by day and these dimensions of costs."""
    return Query(
        meter=COSTS,
        start_time=start,
        end_time=end,
        open_ended=False,
        width=COSTS.width("1d"),
        filters=(),
        group_by=group_by,
        limit=(end - start) // DAY_SECONDS,
        page_start=start,
    )


def costs_of_days(ledger: Ledger, prices: PriceTables, query: Query) -> Aggregate:
    """Asks for costs by the prices of the last repricing; amounts in 10⁻¹⁸/9 USD."""
    return ledger.costs(query, prices_of(prices, query), max_seconds=MAX_SECONDS, max_results=RESULTS_MAX)


def prices_of(prices: PriceTables, query: Query) -> PricesOf:
    """Gives the prices of the last repricing for the window of a question."""
    return partial(prices.window, query.start_time, query.end_time, prices.revision())


def _counted(rows: pa.Table, projects: frozenset[str]) -> tuple[list[str | None], Ids]:
    """Those of `projects` that rows are of, with None for all others, and the place in them of each row's."""
    encoded = rows["project_id"].combine_chunks().dictionary_encode(null_encoding="encode")
    found: list[str | None] = [None]
    place_of: list[int] = []
    for name in encoded.dictionary.to_pylist():
        if name in projects:
            place_of.append(len(found))
            found.append(name)
        else:
            place_of.append(0)
    return found, np.array(place_of, np.int64)[encoded.indices.to_numpy()]
