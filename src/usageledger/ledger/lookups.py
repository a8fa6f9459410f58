"""Looks up single events in a snapshot, pages of them, and what is known of all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from usageledger.buckets import DAY_SECONDS
from usageledger.events.columns import SCHEMA
from usageledger.ledger.protocol import Snapshot
from usageledger.ledger.schema import EVENT_COLUMNS, EVENT_LIST, EVENTS_TABLE, FAMILIES
from usageledger.ledger.statements import cost_sums
from usageledger.ledger.statements.sql import Sql
from usageledger.pricing.cards import STORES


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it is kept.

    Attributes:
        columns: `columns.COLUMNS`, None for a dimension that it does not have.
        largest: of a size, the largest one of the same store and rate card in the same UTC hour; None for other kinds.
    """

    columns: Mapping[str, Any]
    largest: int | None


def event(snapshot: Snapshot, event_id: str, timestamp: int) -> StoredEvent | None:
    """Finds the event with this identity."""
    where = "event_id = ? AND ts = ?"
    found = snapshot.read(
        Sql(f"SELECT {EVENT_LIST} FROM {snapshot.dialect.events} WHERE {where}", [event_id, timestamp])
    )
    if not len(found["ts"]):
        return None
    columns = {name: values.tolist()[0] for name, values in found.items()}
    if columns["kind"] != STORES.kind:
        return StoredEvent(columns, None)
    largest = snapshot.read(cost_sums.largest_size(columns, snapshot.dialect))["largest"]
    return StoredEvent(columns, int(largest[0]))


def times_of_cards(snapshot: Snapshot, rate_ids: Sequence[int], start: int, end: int) -> dict[int, tuple[int, int]]:
    """Maps each of `rate_ids`, one or more, → Unix seconds of its first and last event in a window."""
    found = snapshot.read(
        Sql(
            f"SELECT rate_id, MIN(ts) AS earliest, MAX(ts) AS latest FROM {snapshot.dialect.events} "
            f"WHERE ts >= ? AND ts < ? AND rate_id IN ({', '.join('?' * len(rate_ids))}) GROUP BY rate_id",
            [start, end, *rate_ids],
        )
    )
    return {rate_id: (first, last) for rate_id, first, last in zip(*(c.tolist() for c in found.values()), strict=True)}


@dataclass(frozen=True, slots=True)
class Member:
    """A value that a dimension has in a project, such as a key; times are Unix seconds of its first and last event."""

    id: str
    first_at: int
    last_at: int


def members(  # noqa: PLR0913 - a page has this many parts
    snapshot: Snapshot,
    project_id: str,
    dimension: str,
    *,
    only: str | None = None,
    after: str | None = None,
    before: str | None = None,
    limit: int,
) -> list[Member]:
    """Lists `limit` values of a dimension in the events that are kept of a project, sorted.

    Args:
        snapshot: where they are read.
        project_id: the project.
        dimension: the column.
        only: the one value that is looked for, or None for all.
        after: only larger values.
        before: only smaller values; without `after` it is the last ones of these that are listed.
        limit: how many at most.
    """
    bounds = {"=": only, ">": after, "<": before}
    given = {sign: value for sign, value in bounds.items() if value is not None}
    where = "".join(f" AND {dimension} {sign} ?" for sign in given)
    backwards = before is not None and after is None
    found = snapshot.read(
        Sql(
            f"SELECT {dimension} AS id, MIN(ts) AS earliest, MAX(ts) AS latest FROM {snapshot.dialect.events} "
            f"WHERE project_id = ? AND {dimension} IS NOT NULL{where} "
            f"GROUP BY {dimension} ORDER BY {dimension}{' DESC' if backwards else ''} LIMIT {limit}",
            [project_id, *given.values()],
        )
    )
    listed = [Member(*row) for row in zip(*(column.tolist() for column in found.values()), strict=True)]
    return listed[::-1] if backwards else listed


def card_beyond(snapshot: Snapshot, rate_id: int) -> int | None:
    """Finds a larger `rate_id` that an event or a sum has; sums of dropped events are in the coarsest rollup."""
    tables = (EVENTS_TABLE, FAMILIES[0].rollups[0].table) if snapshot.coverage.held else (EVENTS_TABLE,)
    for table in tables:
        sql = Sql(f"SELECT rate_id FROM {table} WHERE rate_id > ? LIMIT 1", [rate_id])
        found = snapshot.read(sql)["rate_id"]
        if len(found):
            return int(found[0])
    return None


def days(snapshot: Snapshot) -> list[tuple[int, int]]:
    """Lists (start, events) of each UTC day that has events, in their order."""
    found = snapshot.read(
        Sql(
            f"SELECT ts - ts % {DAY_SECONDS} AS day, COUNT(*) AS times FROM {snapshot.dialect.events} "
            "GROUP BY day ORDER BY day"
        )
    )
    return list(zip(found["day"].tolist(), found["times"].tolist(), strict=True))


def events(snapshot: Snapshot, start: int, end: int, *, after: tuple[int, str], limit: int) -> pa.Table:
    """Reads the first `limit` events after `after` between these times (`columns.SCHEMA`), by (`ts`, `event_id`)."""
    found = snapshot.read(
        Sql(
            f"SELECT {EVENT_LIST} FROM {snapshot.dialect.events} WHERE ts >= ? AND ts < ? "
            f"AND (ts > ? OR (ts = ? AND event_id > ?)) ORDER BY ts, event_id LIMIT {limit}",
            [max(start, after[0]), end, after[0], *after],
        )
    )
    return pa.table({name: found[name].tolist() for name in EVENT_COLUMNS}, SCHEMA)


def span(snapshot: Snapshot) -> tuple[int, int] | None:
    """Finds the first and the last timestamp of all events; None where there are none."""
    if not count(snapshot):
        return None
    row = snapshot.read(Sql(f"SELECT MIN(ts) AS earliest, MAX(ts) AS latest FROM {EVENTS_TABLE}"))
    return int(row["earliest"][0]), int(row["latest"][0])


def count(snapshot: Snapshot) -> int:
    """Counts the events."""
    return int(snapshot.read(Sql(f"SELECT COUNT(*) AS times FROM {snapshot.dialect.events}"))["times"][0])
