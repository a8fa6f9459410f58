"""Pages of a list, by (moment, id): each row is on one page, however many share a second."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, Row, select, tuple_

from usageledger.errors import RegistryError, UnknownCursorError
from usageledger.registry.records import Listing, Order

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """The place of a page in a list.

    Attributes:
        after: the id of the last entry of the page before, or None.
        before: the id of the first entry of the page after, or None.
        limit: entries on it at most.
        order: `asc`, oldest first, or `desc`.
    """

    after: str | None = None
    before: str | None = None
    limit: int = 20
    order: Order = "asc"


def fetch_page(
    connection: Connection,
    moment: Column[int],
    record: Callable[[Row[Any]], T],
    page: Page,
    *,
    where: Sequence[ColumnElement[bool]] = (),
) -> Listing[T]:
    """The page of `moment`'s table that follows the row with the id `after`, or that ends just before the row `before`.

    With both it begins after the one and ends before the other. Those rows may have been filtered out since.

    Raises:
        UnknownCursorError: `after` or `before` is no id of the table.
        RegistryError: `limit` is below 1, or `order` is neither asc nor desc.
    """
    after, before, limit, order = page.after, page.before, page.limit, page.order
    if limit < 1:
        raise RegistryError(f"limit must be 1 or more, not {limit}.")
    if order not in ("asc", "desc"):
        raise RegistryError(f"order must be 'asc' or 'desc', not {order!r}.")
    table = moment.table
    place = tuple_(moment, table.c.id)
    backwards = before is not None and after is None
    rises = (order == "asc") != backwards
    query = select(table).where(*where).limit(limit + 1)
    query = query.order_by(moment, table.c.id) if rises else query.order_by(moment.desc(), table.c.id.desc())
    for name, cursor, entry in (
        ("after", after, "the last entry of the page before"),
        ("before", before, "the first entry of the page after"),
    ):
        if cursor is None:
            continue
        given = connection.execute(select(moment, table.c.id).where(table.c.id == cursor)).first()
        if given is None:
            raise UnknownCursorError(f"{name} must be the id of {entry}; {cursor!r} is unknown.", name)
        is_larger = (name == "after") == (order == "asc")
        query = query.where(place > tuple(given) if is_larger else place < tuple(given))
    rows = connection.execute(query).all()
    return Listing.of(list(map(record, rows[::-1] if backwards else rows)), limit, at_end=backwards)
