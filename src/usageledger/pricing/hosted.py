"""Prices that a file says by others: of models sold at their vendor's prices, and of parts that cost alike.

A vendor's price that begins after the day on which it was last seen to hold at the seller is none of the seller's.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache

from msgspec import structs

from usageledger.pricing.money import product
from usageledger.pricing.price_file import Alike, Hosted, PriceFile, Row, shipped

RowsByName = Mapping[tuple[str, str | None], Sequence[Row]]


def rows_by_name(rows: Iterable[Row]) -> dict[tuple[str, str | None], list[Row]]:
    """The rows of each provider's model."""
    found: dict[tuple[str, str | None], list[Row]] = {}
    for row in rows:
        found.setdefault((row.provider, row.model), []).append(row)
    return found


def rows_of(file: PriceFile) -> RowsByName:
    """All rows of a file by provider and model; those of the shipped one are made once in a process."""
    return _shipped_rows() if file is shipped() else rows_by_name(all_rows(file))


@cache
def _shipped_rows() -> RowsByName:
    return rows_by_name(all_rows(shipped()))


def all_rows(file: PriceFile) -> list[Row]:
    """The rows of a file, then those that its `hosted` stand for, then those of its `alike`."""
    by_name = rows_by_name(file.rows)
    sold = (row for said in file.hosted for name in said.models for row in hosted_rows(said, name, by_name))
    return with_alike([*file.rows, *sold], file.alike)


def with_alike(rows: Sequence[Row], alike: Iterable[Alike]) -> list[Row]:
    """These rows, then those of the parts that cost as theirs do."""
    by_name = rows_by_name(rows) if alike else {}
    return [*rows, *(row for said in alike for name in said.models for row in alike_rows(said, name, by_name))]


def alike_rows(said: Alike, name: str, rows: RowsByName) -> Iterator[Row]:
    """Yields the prices of the parts of a model that cost as others do, until it has its own."""
    known = [row for row in rows.get((said.provider, name), ()) if row.kind == said.kind]
    for row in known:
        for part in (part for part, like in said.parts.items() if like == row.part):
            own = (each.start for each in known if (each.part, each.tier) == (part, row.tier))
            start = max(row.start, said.start)
            end = min((day for day in (row.end, said.end, *own) if day), default=None)
            last_seen = row.last_seen if end is None or (row.last_seen or "") < end[:10] else None
            end = None if last_seen else end
            if (end is None or start < end) and (last_seen is None or start[:10] <= last_seen):
                yield structs.replace(
                    row,
                    part=part,
                    start=start,
                    start_is=row.start_is if start == row.start else "first_seen",
                    end=end,
                    last_seen=last_seen,
                    source=f"{row.source}; {part} at the price of {row.part}: {said.source}",
                )


def hosted_rows(said: Hosted, name: str, rows: RowsByName) -> Iterator[Row]:
    """Yields the prices of one of the seller's names."""
    for row in rows.get((said.vendor, said.models[name]), ()):
        start = max(row.start, said.start)
        end = min((day for day in (row.end, said.end) if day), default=None)
        if (
            row.kind == said.kind
            and row.part in said.prices.get(row.tier, ())
            and row.start[:10] <= said.seen
            and (end is None or start < end)
            and (row.last_seen is None or start[:10] <= row.last_seen)
        ):
            yield structs.replace(
                row,
                provider=said.provider,
                model=name,
                price=f"{product(Decimal(row.price), Decimal(said.factor)).normalize():f}",
                start=start,
                start_is="first_seen" if start == said.start else row.start_is,
                end=end,
                origin="observed",
                confidence="medium" if row.confidence == "high" else row.confidence,
                source=f"{said.vendor} {row.model} × {said.factor}: {said.source}; {row.source}",  # noqa: RUF001 - a times sign
            )
