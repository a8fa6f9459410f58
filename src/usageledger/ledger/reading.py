"""What is asked of the embedded ledger: every question on a cursor of its own, which sees the last commit."""

from collections.abc import Callable, Sequence
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from usageledger.errors import InvalidRequestError, LedgerUnavailableError
from usageledger.ledger import answers, checks, costs, sql
from usageledger.ledger.connection import deadline, first_line
from usageledger.ledger.engine import Engine
from usageledger.ledger.protocol import CardUse, Facet, StoredEvent, Unpriced
from usageledger.ledger.rollups import coverage
from usageledger.ledger.schema import EVENT_COLUMNS
from usageledger.ledger.sql import Coverage
from usageledger.pages import Aggregate, too_many_results
from usageledger.query import Query

Columns = dict[str, np.ndarray[Any, Any]]
Statement = tuple[str, Sequence[Any]]


class Reader:
    """The half of a `Ledger` that answers. Results are fetched by column: fetching rows holds the interpreter."""

    _engine: Engine

    def _settle(self) -> None:
        """Brings what was acknowledged to where queries see it."""
        raise NotImplementedError

    def aggregate(self, query: Query, *, max_seconds: float, max_results: int) -> Aggregate:
        """See `Ledger.aggregate`."""
        columns = self._answer(lambda held: sql.aggregate(query, held, max_results), max_seconds)
        if columns is None:
            return Aggregate([], {})
        if len(columns["bucket"]) > max_results:
            raise too_many_results(max_results)
        return answers.to_aggregate(query, columns)

    def costs(self, query: Query, prices: pa.Table, *, max_seconds: float, max_results: int) -> Aggregate:
        """See `Ledger.costs`."""
        columns = self._answer(lambda held: costs.costs(query, held, max_results), max_seconds, prices)
        if columns is None:
            return Aggregate([], {})
        if len(columns["bucket"]) > max_results:
            raise too_many_results(max_results)
        return costs.to_aggregate(query, columns)

    def unpriced(self, query: Query, prices: pa.Table, *, max_seconds: float, max_results: int) -> list[Unpriced]:
        """See `Ledger.unpriced`."""
        found = self._answer(lambda held: costs.unpriced(query, held, max_results), max_seconds, prices)
        if found is None:
            return []
        rows = zip(*(found[name].tolist() for name in found), strict=True)
        return [Unpriced(kind, rate_id, part, int(quantity)) for kind, rate_id, part, quantity in rows]

    def times_of_cards(self, rate_ids: Sequence[int], start: int, end: int) -> dict[int, tuple[int, int]]:
        """See `Ledger.times_of_cards`."""
        if not rate_ids:
            return {}
        found = self._read(
            f"SELECT rate_id, MIN(ts) AS first, MAX(ts) AS last FROM events WHERE ts >= ? AND ts < ? "
            f"AND rate_id IN ({', '.join('?' * len(rate_ids))}) GROUP BY rate_id",
            [start, end, *rate_ids],
        )
        return {
            rate_id: (first, last) for rate_id, first, last in zip(*(c.tolist() for c in found.values()), strict=True)
        }

    def event(self, event_id: str, timestamp: int) -> StoredEvent | None:
        """See `Ledger.event`."""
        names = ", ".join(EVENT_COLUMNS)
        found = self._read(f"SELECT {names} FROM events WHERE event_id = ? AND ts = ?", [event_id, timestamp])
        if not len(found["ts"]):
            return None
        columns = {name: values.tolist()[0] for name, values in found.items()}
        if columns["kind"] != costs.STORES.kind:
            return StoredEvent(columns, None)
        return StoredEvent(columns, int(self._read(*costs.largest_size(columns))["largest"][0]))

    def facets(self, facet: Facet, *, max_seconds: float, max_results: int) -> list[str]:
        """See `Ledger.facets`."""
        values = self._read(*sql.facets(facet, max_results), max_seconds=max_seconds)["value"].tolist()
        if len(values) > max_results:
            raise too_many_results(max_results)
        return sorted(values)

    def _read(self, statement: str, arguments: Sequence[Any] = (), max_seconds: float | None = None) -> Columns:
        """Column → its values; masked where some are null."""
        return self._answer(lambda _: (statement, arguments), max_seconds) or {}

    def _answer(
        self,
        ask: Callable[[Coverage], Statement | None],
        max_seconds: float | None = None,
        prices: pa.Table | None = None,
    ) -> Columns | None:
        """What comes of a statement that `ask` makes for the rollups as the statement itself will see them."""
        self._settle()
        try:
            with self._engine.cursor() as cursor, deadline(cursor, max_seconds):
                if prices is not None:
                    cursor.register("prices", prices)
                cursor.execute("BEGIN")
                statement = ask(coverage(cursor))
                if statement is None:
                    return None
                columns: dict[str, Any] = cursor.execute(*statement).fetchnumpy()
                return columns
        except duckdb.InterruptException:
            raise InvalidRequestError(
                f"The query took longer than {max_seconds} seconds: ask for a shorter window or fewer groups.",
                code="query_timeout",
            ) from None
        except (duckdb.ConversionException, duckdb.OutOfRangeException):
            raise InvalidRequestError(
                "A sum of this page is larger than 2^63 - 1: ask for narrower buckets or for more groups.",
                code="too_large_sum",
            ) from None
        except duckdb.Error as error:
            self._engine.note(error)
            raise LedgerUnavailableError(f"The ledger could not read: {first_line(error)}") from error

    def span(self) -> tuple[int, int] | None:
        """See `Ledger.span`."""
        if not self.count():
            return None
        row = self._read("SELECT MIN(ts) AS first, MAX(ts) AS last FROM events")
        return int(row["first"][0]), int(row["last"][0])

    def count(self) -> int:
        """See `Ledger.count`."""
        return int(self._read("SELECT COUNT(*) AS events FROM events")["events"][0])

    def malformed(self, limit: int) -> list[str]:
        """See `Ledger.malformed`."""
        return checks.malformed(self._read, limit)

    def doubled(self, limit: int) -> list[str]:
        """See `Ledger.doubled`."""
        return checks.doubled(self._read, limit)

    def rollup_differences(self, limit: int) -> list[str]:
        """See `Ledger.rollup_differences`."""
        return checks.rollup_differences(self._read, limit)

    def facet_differences(self, limit: int) -> list[str]:
        """See `Ledger.facet_differences`."""
        return checks.facet_differences(self._read, limit)

    def cards_used(self) -> list[CardUse]:
        """See `Ledger.cards_used`."""
        return checks.cards_used(self._read)

    def quantities(self, start: int, end: int) -> list[tuple[int, str, int]]:
        """See `Ledger.quantities`."""
        return checks.quantities(self._read, start, end)
