"""Counts of what emitters sent and what became of it, for all servers of the registry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select, update

from usageledger.registry.database import Database, insert_or_ignore
from usageledger.registry.schema import source_counts

EMITTERS_MAX = 1_000
OTHERS = ("other emitters", "")  # takes the counts of emitters beyond that many

EmitterName = tuple[str, str]  # and its version


@dataclass(frozen=True, slots=True)
class SourceCount:
    """A count of things that one emitter sent and that one thing became of.

    Attributes:
        item: what became of them.
        example: the id of one of them.
        first_at, last_at: when the first and the last came, Unix seconds.
    """

    emitter: str
    version: str
    item: str
    count: int
    example: str
    first_at: int
    last_at: int


class SourceCounts:
    """The store of the counts; every method may raise RegistryError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, found: Mapping[tuple[EmitterName, str], tuple[int, str]], *, now: int) -> None:
        """Adds to the counts: (emitter, item) → how many more, and the id of one of them, of 256 characters at most."""
        table = source_counts.c
        with self._database.write() as connection:
            known = {(name, version) for name, version in connection.execute(select(table.emitter, table.version))}
            for ((name, version), item), (count, example) in sorted(found.items()):
                if (name, version) not in known and len(known) >= EMITTERS_MAX:
                    name, version = OTHERS  # noqa: PLW2901 - counted as another
                known.add((name, version))
                key = {"emitter": name, "version": version, "item": item}
                news = {"example": example, "last_at": now}
                connection.execute(
                    insert_or_ignore(connection, source_counts), {**key, **news, "count": 0, "first_at": now}
                )
                connection.execute(
                    update(source_counts)
                    .where(table.emitter == name, table.version == version, table.item == item)
                    .values(count=table.count + count, **news)
                )

    def list(self) -> Sequence[SourceCount]:
        """Lists all counts by emitter, version and item."""
        table = source_counts.c
        with self._database.read() as connection:
            rows = connection.execute(select(source_counts).order_by(table.emitter, table.version, table.item))
            return [SourceCount(*row) for row in rows]
