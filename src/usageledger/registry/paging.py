"""Pages of a list, by (moment, id): each row is on one page, however many share a second."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, Row, select, tuple_

from usageledger.errors import RegistryError, UnknownCursorError
from usageledger.registry.records import Listing, Order

T = TypeVar("T")


def fetch_page(  # noqa: PLR0913  (a query has this many parts)
    connection: Connection,
    moment: Column[int],
    record: Callable[[Row[Any]], T],
    *,
    where: Sequence[ColumnElement[bool]] = (),
    after: str | None,
    limit: int,
    order: Order = "asc",
) -> Listing[T]:
    """The page of `moment`'s table that follows the row with the id `after`, which may have been filtered out since.

    Raises:
        UnknownCursorError: `after` is no id of the table.
        RegistryError: `limit` is below 1, or `order` is neither asc nor desc.
    """
    if limit < 1:
        raise RegistryError(f"limit must be 1 or more, not {limit}.")
    if order not in ("asc", "desc"):
        raise RegistryError(f"order must be 'asc' or 'desc', not {order!r}.")
    table = moment.table
    place = tuple_(moment, table.c.id)
    query = select(table).where(*where).limit(limit + 1)
    query = query.order_by(moment, table.c.id) if order == "asc" else query.order_by(moment.desc(), table.c.id.desc())
    if after is not None:
        last = connection.execute(select(moment, table.c.id).where(table.c.id == after)).first()
        if last is None:
            raise UnknownCursorError(
                f"after must be the id of the last entry of the page before; {after!r} is unknown."
            )
        query = query.where(place > tuple(last) if order == "asc" else place < tuple(last))
    rows = connection.execute(query).all()
    return Listing(data=tuple(record(row) for row in rows[:limit]), has_more=len(rows) > limit)
