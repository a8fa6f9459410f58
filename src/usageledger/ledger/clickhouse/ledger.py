"""A ledger on ClickHouse that many servers share, without transactions: every statement may be repeated.

An event is looked for before it is kept, which finds duplicates and conflicts. What slips through, since two servers
looked at the same moment or one sent a batch again, lands in the same place and counts once: see docs/scale-out.md.
"""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa

from usageledger.buckets import DAY_SECONDS, LATEST_TIME
from usageledger.errors import LedgerUnavailableError, LedgerVersionError
from usageledger.events.columns import NO_CARD, PAYLOAD_COLUMNS, refuse_unknown, with_cards
from usageledger.events.typed_events import RESPONSE_SECONDS
from usageledger.ledger import identity
from usageledger.ledger.clickhouse import table_ddl
from usageledger.ledger.clickhouse.address import Address
from usageledger.ledger.clickhouse.client import Connection, no_tables, to_columns
from usageledger.ledger.identity import Identity, Judged, counted_once, identities_of, responses_in
from usageledger.ledger.protocol import CardsOf, Columns, Ledger
from usageledger.ledger.schema import EVENT_LIST
from usageledger.ledger.statements.dialect import CLICKHOUSE
from usageledger.ledger.statements.sql import Sql
from usageledger.ledger.statements.usage_sums import Coverage

LATEST = 2**63  # microseconds since 1970, beyond every arrival
NO_ROLLUPS = Coverage({})
EVENTS_AT_ONCE_MAX = 100_000


class ClickHouseSnapshot:
    """A `Snapshot` as far as the engine has one: of a single statement."""

    dialect = CLICKHOUSE
    coverage = NO_ROLLUPS

    def __init__(self, connection: Connection, max_seconds: float | None) -> None:
        self._connection = connection
        self._max_seconds = max_seconds

    def read(self, sql: Sql) -> Columns:
        """See `Snapshot.read`."""
        found = self._connection.read(sql.text, sql.arguments, max_seconds=self._max_seconds, tables=sql.tables)
        return to_columns(found)


class ClickHouseLedger(Ledger):
    """A `Ledger` in a database of ClickHouse."""

    writers = 3

    def __init__(self, address: Address, *, events_at_once_max: int = EVENTS_AT_ONCE_MAX) -> None:
        """Opens it; `events_at_once_max` events are read to be given cards.

        Raises:
            LedgerError: the server cannot be reached, or the tables are not there.
            LedgerVersionError: the tables are not those of this version.
        """
        self._address = address
        self._at_once_max = events_at_once_max
        self._one_ended = threading.Condition()  # guards _under_way
        self._under_way: list[set[Identity | str]] = []
        self._connection = Connection(address, database=address.database)
        try:
            _check(address, self._connection)
        except BaseException:
            self._connection.close()
            raise
        self._ready = True

    @property
    def rollups(self) -> None:
        """See `Ledger.rollups`: it has none."""

    @property
    def retention(self) -> None:
        """See `Ledger.retention`: no sums of dropped events would stay."""

    @property
    def backups(self) -> None:
        """See `Ledger.backups`: they are ClickHouse's to make."""

    @property
    def claims(self) -> "ClickHouseLedger":
        """See `Claims`."""
        return self

    # --- writing -------------------------------------------------------------------------------------------------

    def append(self, rows: pa.Table) -> Judged:
        """See `Ledger.append`; after an error, some of `rows` may be kept, and are found when they are sent again."""
        return self.append_claimed(rows, LATEST_TIME)

    def append_claimed(self, rows: pa.Table, known_from: int) -> Judged:
        """See `Claims.append_claimed`."""
        if not rows.num_rows:
            return Judged(np.zeros(0, np.uint8))
        identities = identities_of(rows)
        with self._alone_with(counted_once(identities)):
            try:
                judged = identity.judge(rows, identities, self._stored(rows, known_from))
                fresh = identity.accepted(rows, judged.outcomes)
                if fresh.num_rows:
                    self._insert(fresh, LATEST - time.time_ns() // 1000)
            except LedgerUnavailableError:
                self._ready = False
                raise
            self._ready = True
            return judged

    @contextmanager
    def _alone_with(self, identities: set[Identity | str]) -> Generator[None]:
        """Begins when no other commit of this server has one of them, so that what it finds stored is complete."""
        with self._one_ended:
            self._one_ended.wait_for(lambda: all(map(identities.isdisjoint, self._under_way)))
            self._under_way.append(identities)
        try:
            yield
        finally:
            with self._one_ended:
                self._under_way.remove(identities)
                self._one_ended.notify_all()

    def _stored(self, rows: pa.Table, known_from: int) -> dict[Identity, identity.Payload]:
        """Identity → payload of those among `rows` that the ledger has already.

        Responses whose claims are not all known are looked for in the 48 hours before and after.
        """
        incoming = rows.select(["ts", "event_id"])
        which = "(ts, event_id) GLOBAL IN (SELECT ts, event_id FROM incoming)"
        found = self._connection.read(f"SELECT ts, event_id FROM events WHERE {which}", tables={"incoming": incoming})
        responses = responses_in(incoming)
        early = responses.filter(pa.array(responses["ts"].to_numpy() < known_from + RESPONSE_SECONDS))
        if early.num_rows:
            seconds = early["ts"].to_numpy()
            around = self._connection.read(
                "SELECT DISTINCT ts, event_id FROM events WHERE event_id GLOBAL IN (SELECT event_id FROM early) "
                "AND ts BETWEEN ? AND ?",
                [int(seconds.min()) - RESPONSE_SECONDS, int(seconds.max()) + RESPONSE_SECONDS],
                tables={"early": early},
            )
            found = pa.concat_tables([found, around])
        if not found.num_rows:
            return {}
        # Conditions on the order's own columns may come before rows of the same place are made one.
        payload = ", ".join(PAYLOAD_COLUMNS)
        kept = self._connection.read(f"SELECT {payload} FROM events FINAL PREWHERE {which}", tables={"incoming": found})
        return identity.by_identity(kept)

    def _insert(self, rows: pa.Table, precedence: int) -> None:
        column = pa.array(np.full(rows.num_rows, precedence, np.uint64))
        self._connection.insert(table_ddl.EVERYWHERE, rows.append_column(table_ddl.PRECEDENCE, column))

    def compact(self) -> bool:
        """See `Ledger.compact`: merging is the engine's; here it is tried whether it writes again."""
        if not self._ready:
            self._write_again()
            self._ready = True
        return False

    def _write_again(self) -> None:
        """Inserts a row of each shard that has some once more: the same row in the same place counts once."""
        cluster = self._address.cluster
        shards = self._connection.read(
            "SELECT DISTINCT CAST(shard_num AS Int64) AS shard FROM system.clusters WHERE cluster = ?", [cluster or ""]
        )["shard"].to_pylist()
        for shard in shards if cluster else [0]:  # as `shardNum()` says it where there are none
            row = self._connection.read(
                f"SELECT {EVENT_LIST}, {table_ddl.PRECEDENCE} FROM events WHERE shardNum() = ? LIMIT 1", [shard]
            )
            if row.num_rows:
                self._connection.insert(table_ddl.EVERYWHERE, row)

    def give_cards(self, cards: CardsOf) -> int:
        """See `Ledger.give_cards`: the event with its card takes precedence over the one without."""
        # Rows that lost to one with a card are among these until they are merged; their days are looked at in vain.
        without = self._connection.read(
            f"SELECT DISTINCT ts - ts % {DAY_SECONDS} AS day FROM events WHERE rate_id = {NO_CARD}"
        )
        return sum(self._give_cards(day, cards) for day in sorted(without["day"].to_numpy().tolist()))

    def _give_cards(self, day: int, cards: CardsOf) -> int:
        given = 0
        while True:
            rows = self._connection.read(
                f"SELECT {EVENT_LIST}, {table_ddl.PRECEDENCE} FROM events FINAL "
                f"WHERE ts >= {day} AND ts < {day + DAY_SECONDS} AND rate_id = {NO_CARD} LIMIT {self._at_once_max}"
            )
            if not rows.num_rows:
                return given
            carded = with_cards(rows, cards(rows))
            before = carded.column_names.index(table_ddl.PRECEDENCE)
            raised = pa.array(rows[table_ddl.PRECEDENCE].to_numpy() + np.uint64(1))
            self._connection.insert(table_ddl.EVERYWHERE, carded.set_column(before, table_ddl.PRECEDENCE, raised))
            given += rows.num_rows

    # --- reading -------------------------------------------------------------------------------------------------

    @contextmanager
    def snapshot(self, max_seconds: float | None = None) -> Generator[ClickHouseSnapshot]:
        """See `Ledger.snapshot`: the engine has none, so that each statement sees what was committed before it."""
        yield ClickHouseSnapshot(self._connection, max_seconds)

    def version(self, start: int, end: int) -> None:
        """See `Ledger.version`: other servers write to it too."""

    def ready(self) -> bool:
        """See `Ledger.ready`."""
        return self._ready

    def close(self) -> None:
        """See `Ledger.close`."""
        self._ready = False
        self._connection.close()


def migrate(address: Address, *, apply: bool = True) -> list[str]:
    """The statements that bring a database to this version, run unless `apply` is false; any number of times, at once.

    Raises:
        LedgerError: the server cannot be reached.
        LedgerUnavailableError: it refused a statement.
    """
    connection = Connection(address)
    try:
        present = _present(address, connection)
        statements = [] if set(table_ddl.names(address)) <= present.keys() else table_ddl.create(address)
        statements += table_ddl.add_missing(address, present)
        for statement in statements if apply else ():
            connection.command(statement)
    finally:
        connection.close()
    return statements


def _present(address: Address, connection: Connection) -> dict[str, set[str]]:
    """Table → its columns, of those that are there."""
    rows = connection.read('SELECT "table", name FROM system.columns WHERE database = ?', [address.database])
    present: dict[str, set[str]] = {}
    for table, name in zip(rows["table"].to_pylist(), rows["name"].to_pylist(), strict=True):
        if table in table_ddl.names(address):
            present.setdefault(str(table), set()).add(str(name))
    return present


def _check(address: Address, connection: Connection) -> None:
    present = _present(address, connection)
    if not set(table_ddl.names(address)) <= present.keys():
        raise no_tables(address)
    if table_ddl.add_missing(address, present):
        raise LedgerVersionError(
            f"The ledger {address.place} has tables of an older version: add what they lack with 'usageledger migrate'."
        )
    refuse_unknown(f"The ledger {address.place}", set().union(*present.values()), table_ddl.columns())
