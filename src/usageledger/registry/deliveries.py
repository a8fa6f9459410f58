"""Deliveries: which target is told of which firing, and what became of it. The rows are the truth over a restart."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select, update

from usageledger.registry.database import Database, in_batches
from usageledger.registry.schema import spend_alert_firings, spend_deliveries
from usageledger.registry.values import new_id

Kind: TypeAlias = Literal["email", "webhook"]
State: TypeAlias = Literal["pending", "merged", "delivered", "failed", "no_channel", "dropped"]
HOLD_SECONDS = 5  # before the first attempt: what is crossed meanwhile is in the same message
DUE_MAX = 100


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message to one target about one firing.

    Attributes:
        id: `msg_` and 24 characters, the same at each attempt.
        target: an e-mail address, or the id of an endpoint.
        attempts: that were begun.
        next_at: when the next one is due, Unix seconds.
        state: `merged` ones are told by the message about a higher threshold.
        last_status: what came of the last attempt.
    """

    id: str
    firing_id: str
    kind: Kind
    target: str
    attempts: int
    next_at: int
    state: State
    last_status: str | None


class Deliveries:
    """The store of deliveries; every method may raise RegistryError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self, now: int, kind: Kind, busy: Iterable[str] = (), *, limit: int = DUE_MAX) -> Sequence[Delivery]:
        """Lists deliveries of a kind whose next attempt is due, one of each target, but for targets that are busy."""
        table = spend_deliveries.c
        due = (table.state == "pending", table.kind == kind, table.next_at <= now, table.target.not_in(list(busy)))
        first = select(func.min(table.number)).where(*due).group_by(table.target)
        query = select(spend_deliveries).where(table.number.in_(first)).order_by(table.next_at, table.number)
        with self._database.read() as connection:
            return [_delivery(row) for row in connection.execute(query.limit(limit))]

    def begin(self, delivery_id: str, next_at: int) -> bool:
        """Notes that an attempt begins, and when another is due if nobody hears of it; returns false if none is due."""
        table = spend_deliveries.c
        statement = update(spend_deliveries).where(table.id == delivery_id, table.state == "pending")
        with self._database.write() as connection:
            begun = connection.execute(statement.values(attempts=table.attempts + 1, next_at=next_at))
        return begun.rowcount == 1

    def end(self, delivery_id: str, state: State, next_at: int, status: str) -> None:
        """Notes what came of an attempt."""
        table = spend_deliveries.c
        statement = update(spend_deliveries).where(table.id == delivery_id, table.state == "pending")
        with self._database.write() as connection:
            connection.execute(statement.values(state=state, next_at=next_at, last_status=status))

    def of(self, firing_ids: Iterable[str]) -> Mapping[str, Sequence[Delivery]]:
        """Finds the deliveries of firings."""
        found: dict[str, list[Delivery]] = {}
        table = spend_deliveries.c
        with self._database.read() as connection:
            for some in in_batches(firing_ids):
                query = select(spend_deliveries).where(table.firing_id.in_(some)).order_by(table.number)
                for row in connection.execute(query):
                    found.setdefault(row.firing_id, []).append(_delivery(row))
        return found


def add_deliveries(connection: Connection, firing: Row[Any], targets: Iterable[tuple[Kind, str]], now: int) -> None:
    """Adds messages about a firing; those about lower thresholds, of which none was sent yet, are merged into them."""
    for kind, target in dict.fromkeys(targets):
        row = {
            "id": new_id("msg_"),
            "firing_id": firing.id,
            "kind": kind,
            "target": target,
            "attempts": 0,
            "next_at": now + HOLD_SECONDS,
            "state": "pending",
        }
        connection.execute(_lower(firing, row).values(state="merged"))
        connection.execute(insert(spend_deliveries), row)


def _lower(firing: Row[Any], row: Mapping[str, Any]) -> Any:
    """Updates messages to a target about lower thresholds of the same spend, of which no attempt has begun."""
    table, about = spend_deliveries.c, spend_alert_firings.c
    lower = select(about.id).where(
        about.project_id == firing.project_id,
        about.period_start == firing.period_start,
        about.threshold_cents <= firing.threshold_cents,
    )
    return update(spend_deliveries).where(
        table.state == "pending",
        table.attempts == 0,
        table.kind == row["kind"],
        table.target == row["target"],
        table.firing_id.in_(lower),
    )


def drop_deliveries(connection: Connection, alert_id: str) -> None:
    """Ends the messages of an alert that is gone."""
    firings = select(spend_alert_firings.c.id).where(spend_alert_firings.c.alert_id == alert_id)
    _drop(connection, spend_deliveries.c.firing_id.in_(firings))


def drop_webhooks(connection: Connection, endpoint_id: str) -> None:
    """Ends the messages to an endpoint that is gone."""
    _drop(connection, spend_deliveries.c.kind == "webhook", spend_deliveries.c.target == endpoint_id)


def _drop(connection: Connection, *which: ColumnElement[bool]) -> None:
    pending = update(spend_deliveries).where(spend_deliveries.c.state == "pending", *which)
    connection.execute(pending.values(state="dropped"))


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(row.id, row.firing_id, row.kind, row.target, row.attempts, row.next_at, row.state, row.last_status)
