"""Answers of the API as frozen values: pages of buckets of results.

Source: `UsageResponse` of OpenAI's API document. What a server sends beyond it is kept: fields in `extra`, results of
another kind in `unknown_results`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import msgspec

from usageledger.client.data_frames import arrow_table, pandas_frame, polars_frame
from usageledger.client.errors import APIResponseValidationError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


class Amount(msgspec.Struct, frozen=True, kw_only=True):
    """An amount of money, exact as the server wrote it, whether as a number or as text.

    Attributes:
        value: how much; None where the server does not say.
        currency: of what, in lower case: `usd`; None where the server does not say.
    """

    value: Decimal | None = None
    currency: str | None = None
    extra: Mapping[str, Any] = {}

    def __post_init__(self) -> None:
        if self.value is not None and not self.value.is_finite():
            raise ValueError(f"expected a number, got {self.value}")


class Result(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """The base of every result.

    Attributes:
        OBJECT: the API's name for this sort of result, which it has as `object`.
        extra: the fields that the server sent beyond those that this class has.
    """

    OBJECT: ClassVar[str]

    extra: Mapping[str, Any] = {}

    def to_row(self) -> dict[str, Any]:
        """The fields in their order, then those of `extra`; an amount as `amount` and `currency`."""
        row: dict[str, Any] = {}
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name == "amount":
                amount: Amount = value or Amount()
                row |= {name: amount.value, "currency": amount.currency}
            elif name not in ("object", "extra"):
                row[name] = value
        return row | {name: value for name, value in self.extra.items() if name not in row}


R = TypeVar("R", bound=Result)


@dataclass(frozen=True, slots=True)
class UsageBucket(Generic[R]):
    """A span of time, and the usage in it.

    Attributes:
        start_time: inclusive, Unix seconds.
        end_time: exclusive, Unix seconds.
        start_time_iso: `start_time` as text, where the server gives it.
        end_time_iso: `end_time` as text, where the server gives it.
        results: one for each group; none where nothing was used.
        unknown_results: results of a sort that the endpoint is not known to answer, as they came.
        extra: the fields that the server sent beyond these.
    """

    start_time: int
    end_time: int
    start_time_iso: str | None
    end_time_iso: str | None
    results: tuple[R, ...]
    unknown_results: tuple[Mapping[str, Any], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_rows(self) -> list[dict[str, Any]]:
        """A flat dict for each result: `start_time`, `end_time`, then the fields of the result."""
        times = {"start_time": self.start_time, "end_time": self.end_time}
        return [{**times, **result.to_row(), **times} for result in self.results]


@dataclass(frozen=True, slots=True)
class _Page(Generic[R]):
    """The base of both clients' pages.

    Attributes:
        data: the buckets of this page, in the order of time.
        has_more: whether more buckets follow on another page.
        next_page: what the next page is asked for with, or None.
        extra: the fields that the server sent beyond these.
    """

    data: tuple[UsageBucket[R], ...]
    has_more: bool
    next_page: str | None
    extra: Mapping[str, Any]
    _kind: type[R] = field(repr=False, compare=False)

    def to_rows(self) -> list[dict[str, Any]]:
        """A flat dict for each result of this page: `start_time`, `end_time`, then the fields of the result.

        Times are Unix seconds, counts ints, amounts and quantities Decimal, and None what is not known. A bucket
        without results has no row.
        """
        return [row for bucket in self.data for row in bucket.to_rows()]

    def to_arrow(self) -> "pa.Table":
        """The rows of this page as an Arrow table; it has its columns also where there are no rows.

        Times are timestamps in UTC. Amounts and quantities are decimals with 18 places, or more where there are more.

        Raises:
            MissingExtraError: pyarrow is not installed.
            ValueError: a number has more digits than Arrow can hold.
        """
        return arrow_table(self._kind, self.to_rows())

    def to_pandas(self) -> "pd.DataFrame":
        """As `to_arrow`, for pandas, on Arrow's types: counts with gaps stay integers, amounts decimals.

        Raises:
            MissingExtraError: pandas or pyarrow is not installed.
            ValueError: a number has more digits than Arrow can hold.
        """
        return pandas_frame(self.to_arrow())

    def to_polars(self) -> "pl.DataFrame":
        """As `to_arrow`, for polars.

        Raises:
            MissingExtraError: polars or pyarrow is not installed.
            ValueError: a number has more digits than Arrow can hold.
        """
        return polars_frame(self.to_arrow())


@dataclass(frozen=True, slots=True)
class UsagePage(_Page[R]):
    """A page of buckets; `auto_paging_iter` goes on to the others, `collect` makes one page of all of them."""

    _more: "Callable[[str], UsagePage[R]] | None" = field(default=None, repr=False, compare=False)

    def auto_paging_iter(self) -> Iterator[UsageBucket[R]]:
        """Every bucket of this page and of those after it, each page asked for when it is reached."""
        page, token = self, None
        while True:
            yield from page.data
            token = _next_token(page, token)
            if token is None or page._more is None:
                return
            page = page._more(token)

    def collect(self) -> "UsagePage[R]":
        """Collects the buckets of this page and of all later pages in one page."""
        return UsagePage(tuple(self.auto_paging_iter()), False, None, self.extra, self._kind)


@dataclass(frozen=True, slots=True)
class AsyncUsagePage(_Page[R]):
    """As `UsagePage`, for `async for` and `await`."""

    _more: "Callable[[str], Awaitable[AsyncUsagePage[R]]] | None" = field(default=None, repr=False, compare=False)

    async def auto_paging_iter(self) -> AsyncIterator[UsageBucket[R]]:
        """Every bucket of this page and of those after it, each page asked for when it is reached."""
        page, token = self, None
        while True:
            for bucket in page.data:
                yield bucket
            token = _next_token(page, token)
            if token is None or page._more is None:
                return
            page = await page._more(token)

    async def collect(self) -> "AsyncUsagePage[R]":
        """Collects the buckets of this page and of all later pages in one page."""
        buckets = tuple([bucket async for bucket in self.auto_paging_iter()])
        return AsyncUsagePage(buckets, False, None, self.extra, self._kind)


def _next_token(page: _Page[Any], asked: str | None) -> str | None:
    """Returns the token of the page after `page`, which was asked for with `asked`; None on the last page."""
    if not page.has_more:
        return None
    if page.next_page is None or page.next_page == asked:
        raise APIResponseValidationError(
            f"The answer says that more buckets follow, but its next_page is {page.next_page!r}, which leads nowhere."
        )
    return page.next_page
