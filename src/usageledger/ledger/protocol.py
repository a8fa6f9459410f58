"""The protocol that every engine implements: a store of events, snapshots of it, and what only some engines can do."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from usageledger.errors import InvalidRequestError
from usageledger.ledger import aggregates
from usageledger.ledger.identity import Judged
from usageledger.ledger.price_table import CardCount, PricesOf, Unpriced
from usageledger.ledger.statements import cost_sums, usage_sums
from usageledger.ledger.statements.dialect import Dialect
from usageledger.ledger.statements.sql import Sql
from usageledger.ledger.statements.usage_sums import Coverage
from usageledger.questions.aggregate import Aggregate, too_many_results
from usageledger.questions.facet import Facet
from usageledger.questions.query import Query

Columns = dict[str, np.ndarray[Any, Any]]
CardsOf = Callable[[pa.Table], np.ndarray[Any, np.dtype[np.int64]]]  # rows → their rate cards


class Snapshot(Protocol):
    """A moment of a ledger: everything that is read by it is of that moment, as far as the engine has such a thing."""

    @property
    def dialect(self) -> Dialect:
        """The dialect of its statements."""
        ...

    @property
    def coverage(self) -> Coverage:
        """The events that rollups hold at that moment; of no family where the engine has none."""
        ...

    def read(self, sql: Sql) -> Columns:
        """Return column → its values, None or masked where there is none.

        Raises:
            InvalidRequestError: it took too long, or a sum is too large.
            LedgerUnavailableError: the engine failed.
        """
        ...


class Rollups(Protocol):
    """Sums that an engine keeps beside the events, and answers from."""

    def rebuild_rollups(self) -> Iterator[int]:
        """Makes all rollups anew from the events, or goes on where that was begun; the start of each day that is done.

        Queries stay right meanwhile. It can be left at any day: `compact`, or the next call, takes it up again.
        """
        ...


class Retention(Protocol):
    """Dropping of old events, whose sums stay."""

    def drop_events(self, before: int) -> bool:
        """Drops events of times before this one, Unix seconds, at most a UTC day of them; whether there are others.

        Their sums and facets stay. A day that was dropped takes no events from then on.
        """
        ...

    def events_from(self) -> int:
        """From when on events are kept, in Unix seconds; what was before is in sums only. It never goes back."""
        ...

    def settled_until(self) -> int:
        """The end of the last UTC day but one that has events, in Unix seconds; 0 where fewer days have some.

        Time has passed until then by the events themselves, whatever a clock says.
        """
        ...


class Backups(Protocol):
    """Copies of a ledger that is in use."""

    def backup(self, file: Path) -> None:
        """Copies everything, as it is at one moment, to a new file, while others read and write.

        Raises:
            LedgerUnavailableError: it could not be read, or the file not be written.
        """
        ...


class Claims(Protocol):
    """Appending of responses, for each of which the servers that share a ledger agreed on a second.

    For an engine where several servers may keep the same response at the same moment.
    """

    def append_claimed(self, rows: pa.Table, known_from: int) -> Judged:
        """Keeps `rows` as `append` does, the responses among them at the seconds that were claimed for them.

        Args:
            rows: `columns.SCHEMA`.
            known_from: from this second on, whatever response the ledger has was claimed, and the claim is known.
        """
        ...


class Ledger(Protocol):
    """A store of events that counts each of them once.

    `append` belongs to as many threads as `writers` and `compact` to one, which may be another; everything else may be
    called from any thread at any time. An engine implements what stands before `aggregate`.

    Attributes:
        writers: how many threads may append at once; more than one where a commit is mostly waiting for others.
    """

    writers: int

    @property
    def rollups(self) -> Rollups | None:
        """Rollups; None for an engine that sums up events only when it is asked."""
        ...

    @property
    def retention(self) -> Retention | None:
        """Retention; None for an engine that keeps no sums of dropped events."""
        ...

    @property
    def backups(self) -> Backups | None:
        """Backups; None for an engine that is backed up by means of its own."""
        ...

    @property
    def claims(self) -> Claims | None:
        """Claims; None for an engine that one server writes to."""
        return None

    def append(self, rows: pa.Table) -> Judged:
        """Keeps `rows` (`columns.SCHEMA`); an `Outcome` for each, in their order. On disk when it returns.

        Raises:
            LedgerUnavailableError: none of `rows` is acknowledged; the same rows may be appended again.
        """
        ...

    def compact(self) -> bool:
        """Does one bounded step of upkeep; whether there is more to do."""
        ...

    def give_cards(self, cards: CardsOf) -> int:
        """Gives a rate card to every event that has none, kept before there were cards; how many there were.

        Args:
            cards: from events (`columns.SCHEMA`) to their `rate_id`s.
        """
        ...

    def version(self, start: int, end: int) -> int | None:
        """A number that grows, before what writes returns, whenever events between these times are added or dropped.

        None where that cannot be known, since others write to the same store.
        """
        ...

    def snapshot(self, max_seconds: float | None = None) -> AbstractContextManager[Snapshot]:
        """Open a snapshot, which sees the last commit; what is read by it takes `max_seconds` at most.

        Raises:
            InvalidRequestError: it took longer, or a sum is too large.
            LedgerUnavailableError: the engine failed.
        """
        ...

    def ready(self) -> bool:
        """Returns true if the last attempt to write to the engine succeeded."""
        ...

    def close(self) -> None:
        """Ends it cleanly; later calls raise LedgerUnavailableError."""
        ...

    # --- answers -------------------------------------------------------------------------------------------------

    def aggregate(self, query: Query, *, max_seconds: float, max_results: int) -> Aggregate:
        """The answer to one page of `query`.

        Raises:
            InvalidRequestError: more than `max_results` result rows, or longer than `max_seconds`.
            LedgerUnavailableError: the engine failed.
        """
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
            sql = usage_sums.aggregate(query, snapshot.coverage, max_results, snapshot.dialect, wide=wide)
            return None if sql is None else snapshot.read(sql)

    def costs(self, query: Query, prices: PricesOf, *, max_seconds: float, max_results: int) -> Aggregate:
        """The answer to one page of costs; amounts are integers of 10⁻¹⁸/9 USD.

        `prices` is called when it is settled which events the answer sees.

        Raises:
            InvalidRequestError: more than `max_results` result rows, or longer than `max_seconds`.
            LedgerUnavailableError: the engine failed.
        """
        with self.snapshot(max_seconds) as snapshot:
            sql = cost_sums.costs(query, snapshot.coverage, max_results, snapshot.dialect)
            columns = None if sql is None else snapshot.read(replace(sql, tables={"prices": prices().rows}))
        if columns is None:
            return Aggregate([], {})
        if len(columns["bucket"]) > max_results:
            raise too_many_results(max_results)
        return cost_sums.to_aggregate(query, columns)

    def unpriced(self, query: Query, prices: PricesOf, *, max_seconds: float, max_results: int) -> list[Unpriced]:
        """Lists the usage of a window for which `prices` has no price; arguments and errors are those of `costs`."""
        with self.snapshot(max_seconds) as snapshot:
            table = prices()
            sql = cost_sums.unpriced(query, snapshot.coverage, table.newest_card, max_results, snapshot.dialect)
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

    def count_cards(self, query: Query, prices: PricesOf, confirmed_through: int, *, max_seconds: float) -> CardCount:
        """Counts the rate cards in `unpriced`, and those with a provisional price in the answer to `query`.

        Args:
            query: of costs.
            prices: as of `costs`.
            confirmed_through: the start of the last day whose provisional prices are confirmed since.
            max_seconds: as of `costs`.
        """
        with self.snapshot(max_seconds) as snapshot:
            table = prices()
            coverage, dialect = snapshot.coverage, snapshot.dialect
            sql = cost_sums.count_cards(query, coverage, table.newest_card, confirmed_through, dialect)
            counted = None if sql is None else snapshot.read(replace(sql, tables={"prices": table.rows}))
        return CardCount(int(counted["unpriced"][0]), int(counted["provisional"][0])) if counted else CardCount(0, 0)

    def facets(self, facet: Facet, *, max_seconds: float, limit: int) -> list[str]:
        """The first `limit` values, each once, sorted; raises as `aggregate` does."""
        tables = {"named": pa.table({"id": pa.array(facet.named, pa.string())})} if facet.named else {}
        with self.snapshot(max_seconds) as snapshot:
            sql = usage_sums.facets(facet, limit, snapshot.dialect)
            values: list[str] = snapshot.read(replace(sql, tables=tables))["value"].tolist()
        return values


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
