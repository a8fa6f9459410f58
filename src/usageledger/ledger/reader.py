"""Questions to an engine → statements of its dialect → answers: the half of a ledger that all engines share."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, ClassVar, Protocol

import numpy as np
import pyarrow as pa

from usageledger.errors import InvalidRequestError
from usageledger.events.columns import SCHEMA
from usageledger.ledger import aggregates
from usageledger.ledger.protocol import CardUse, Facet, PricesOf, StoredEvent, Unpriced
from usageledger.ledger.schema import EVENT_COLUMNS, EVENT_LIST, EVENTS_TABLE, FAMILIES
from usageledger.ledger.statements import cost_sums, inspection, usage_sums
from usageledger.ledger.statements.dialect import Dialect
from usageledger.ledger.statements.sql import EVENTS_ONLY, Sql
from usageledger.ledger.statements.usage_sums import Coverage
from usageledger.meters import DAY_SECONDS
from usageledger.pricing.cards import STORES
from usageledger.questions.aggregate import Aggregate, too_many_results
from usageledger.questions.query import Query

Columns = dict[str, np.ndarray[Any, Any]]


class Snapshot(Protocol):
    """A moment of a ledger: everything that is read by it is of that moment.

    Attributes:
        coverage: what rollups hold at that moment.
    """

    coverage: Coverage

    def read(self, sql: Sql) -> Columns:
        """Return column → its values, None or masked where there is none.

        Raises:
            InvalidRequestError: it took too long, or a sum is too large.
            LedgerUnavailableError: the engine failed.
        """
        ...


def too_slow(max_seconds: float | None) -> InvalidRequestError:
    """The error of a query that reached its limit of time."""
    return InvalidRequestError(
        f"The query took longer than {max_seconds} seconds: ask for a shorter window or fewer groups.",
        code="query_timeout",
    )


def too_large_sum() -> InvalidRequestError:
    """The error of a sum that does not fit into the integers it is asked for in: 64 bits, or in the end 128."""
    return InvalidRequestError(
        "A sum of this page is larger than 2^127: ask for narrower buckets or for more groups.", code="too_large_sum"
    )


class Reader(ABC):
    """The half of a `Ledger` that answers, in one dialect."""

    dialect: ClassVar[Dialect]
    has_rollups: bool

    def aggregate(self, query: Query, *, max_seconds: float, max_results: int) -> Aggregate:
        """See `Ledger.aggregate`."""
        try:
            columns = self._sums(query, max_seconds, max_results, wide=False)
        except InvalidRequestError as error:
            if error.code != "too_large_sum":
                raise
            columns = self._sums(query, max_seconds, max_results, wide=True)
        if columns is None:
            return Aggregate([], {})
        if len(columns["bucket"]) > max_results:
            raise too_many_results(max_results)
        return aggregates.to_aggregate(query, columns)

    def _sums(self, query: Query, max_seconds: float, max_results: int, *, wide: bool) -> Columns | None:
        with self.snapshot(max_seconds) as snapshot:
            sql = usage_sums.aggregate(query, snapshot.coverage, max_results, self.dialect, wide=wide)
            return None if sql is None else snapshot.read(sql)

    def costs(self, query: Query, prices: PricesOf, *, max_seconds: float, max_results: int) -> Aggregate:
        """See `Ledger.costs`."""
        with self.snapshot(max_seconds) as snapshot:
            sql = cost_sums.costs(query, snapshot.coverage, max_results, self.dialect)
            columns = None if sql is None else snapshot.read(replace(sql, tables={"prices": prices().rows}))
        if columns is None:
            return Aggregate([], {})
        if len(columns["bucket"]) > max_results:
            raise too_many_results(max_results)
        return cost_sums.to_aggregate(query, columns)

    def unpriced(self, query: Query, prices: PricesOf, *, max_seconds: float, max_results: int) -> list[Unpriced]:
        """See `Ledger.unpriced`."""
        with self.snapshot(max_seconds) as snapshot:
            table = prices()
            sql = cost_sums.unpriced(query, snapshot.coverage, table.newest_card, max_results, self.dialect)
            found = None if sql is None else snapshot.read(replace(sql, tables={"prices": table.rows}))
        if found is None:
            return []
        if len(found["part"]) > max_results:
            raise InvalidRequestError(
                f"More than {max_results} prices are missing in this window, by day, model and part: ask for a shorter "
                "one with 'start_time' and 'end_time'.",
                param="start_time",
                code="too_many_results",
            )
        rows = zip(*(found[name].tolist() for name in found), strict=True)
        return [Unpriced(kind, rate_id, part, int(quantity)) for kind, rate_id, part, quantity in rows]

    def unpriced_cards(self, query: Query, prices: PricesOf, *, max_seconds: float) -> int:
        """See `Ledger.unpriced_cards`."""
        with self.snapshot(max_seconds) as snapshot:
            table = prices()
            sql = cost_sums.unpriced_cards(query, snapshot.coverage, table.newest_card, self.dialect)
            counted = None if sql is None else snapshot.read(replace(sql, tables={"prices": table.rows}))
        return int(counted["cards"][0]) if counted else 0

    def times_of_cards(self, rate_ids: Sequence[int], start: int, end: int) -> dict[int, tuple[int, int]]:
        """See `Ledger.times_of_cards`."""
        if not rate_ids:
            return {}
        found = self._read(
            f"SELECT rate_id, MIN(ts) AS earliest, MAX(ts) AS latest FROM {self.dialect.events} "
            f"WHERE ts >= ? AND ts < ? AND rate_id IN ({', '.join('?' * len(rate_ids))}) GROUP BY rate_id",
            [start, end, *rate_ids],
        )
        return {
            rate_id: (first, last) for rate_id, first, last in zip(*(c.tolist() for c in found.values()), strict=True)
        }

    def event(self, event_id: str, timestamp: int) -> StoredEvent | None:
        """See `Ledger.event`."""
        where = "event_id = ? AND ts = ?"
        found = self._read(f"SELECT {EVENT_LIST} FROM {self.dialect.events} WHERE {where}", [event_id, timestamp])
        if not len(found["ts"]):
            return None
        columns = {name: values.tolist()[0] for name, values in found.items()}
        if columns["kind"] != STORES.kind:
            return StoredEvent(columns, None)
        with self.snapshot() as snapshot:
            largest = snapshot.read(cost_sums.largest_size(columns, self.dialect))["largest"]
        return StoredEvent(columns, int(largest[0]))

    def facets(self, facet: Facet, *, max_seconds: float, limit: int) -> list[str]:
        """See `Ledger.facets`."""
        tables = {"named": pa.table({"id": pa.array(facet.named, pa.string())})} if facet.named else {}
        with self.snapshot(max_seconds) as snapshot:
            sql = usage_sums.facets(facet, limit, self.dialect)
            values: list[str] = snapshot.read(replace(sql, tables=tables))["value"].tolist()
        return values

    def _read(self, text: str, arguments: Sequence[Any] = (), reads: frozenset[str] = EVENTS_ONLY) -> Columns:
        """Read one statement by a snapshot of its own."""
        with self.snapshot() as snapshot:
            return snapshot.read(Sql(text, arguments, reads))

    @abstractmethod
    def snapshot(self, max_seconds: float | None = None) -> AbstractContextManager[Snapshot]:
        """Open a snapshot; what is read by it takes `max_seconds` at most.

        Raises:
            InvalidRequestError: it took longer, or a sum is too large.
            LedgerUnavailableError: the engine failed.
        """

    def card_beyond(self, rate_id: int) -> int | None:
        """See `Ledger.card_beyond`; sums of dropped events are in the coarsest rollup."""
        for table in (EVENTS_TABLE, *((FAMILIES[0].rollups[0].table,) if self.has_rollups else ())):
            found = self._read(f"SELECT rate_id FROM {table} WHERE rate_id > ? LIMIT 1", [rate_id])["rate_id"]
            if len(found):
                return int(found[0])
        return None

    def days(self) -> list[tuple[int, int]]:
        """See `Ledger.days`."""
        found = self._read(
            f"SELECT ts - ts % {DAY_SECONDS} AS day, COUNT(*) AS times FROM {self.dialect.events} "
            "GROUP BY day ORDER BY day"
        )
        return list(zip(found["day"].tolist(), found["times"].tolist(), strict=True))

    def events(self, start: int, end: int, *, after: tuple[int, str], limit: int) -> pa.Table:
        """See `Ledger.events`."""
        found = self._read(
            f"SELECT {EVENT_LIST} FROM {self.dialect.events} WHERE ts >= ? AND ts < ? "
            f"AND (ts > ? OR (ts = ? AND event_id > ?)) ORDER BY ts, event_id LIMIT {limit}",
            [max(start, after[0]), end, after[0], *after],
        )
        return pa.table({name: found[name].tolist() for name in EVENT_COLUMNS}, SCHEMA)

    def span(self) -> tuple[int, int] | None:
        """See `Ledger.span`."""
        if not self.count():
            return None
        row = self._read("SELECT MIN(ts) AS earliest, MAX(ts) AS latest FROM events")
        return int(row["earliest"][0]), int(row["latest"][0])

    def count(self) -> int:
        """See `Ledger.count`."""
        return int(self._read(f"SELECT COUNT(*) AS times FROM {self.dialect.events}")["times"][0])

    def malformed(self, limit: int) -> list[str]:
        """See `Ledger.malformed`."""
        return inspection.malformed(self._read, limit, self.dialect)

    def doubled(self, limit: int) -> list[str]:
        """See `Ledger.doubled`."""
        return inspection.doubled(self._read, limit, self.dialect)

    def cards_used(self) -> list[CardUse]:
        """See `Ledger.cards_used`."""
        return inspection.cards_used(self._read, self.dialect)

    def quantities(self, start: int, end: int) -> list[tuple[int, str, int]]:
        """See `Ledger.quantities`."""
        return inspection.quantities(self._read, start, end, self.dialect)
