"""Talking to ClickHouse by HTTP: statements with bound values, columns as Arrow, and its errors as ours."""

import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa

from usageledger.errors import LedgerError, LedgerUnavailableError, SettingsError
from usageledger.ledger.arrow_bytes import to_bytes
from usageledger.ledger.clickhouse.address import Address
from usageledger.ledger.protocol import Columns, too_large_sum, too_slow

try:
    import clickhouse_connect
    from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError
    from clickhouse_connect.driver.external import ExternalData
    from clickhouse_connect.driver.httputil import get_pool_manager
    from urllib3.exceptions import HTTPError
except ModuleNotFoundError:
    raise SettingsError("ledger: ClickHouse needs its driver: pip install 'usageledger[clickhouse]'") from None

CANNOT_CONVERT, NO_DATABASE, TOO_SLOW = 70, 81, 159  # ClickHouse's numbers of errors
CONNECTIONS = 32
CONNECT_SECONDS, ANSWER_SECONDS = 5, 700
_TYPES = {bool: "Bool", int: "Int64", str: "String"}  # bool comes first, since it is an int

# An answer that is cut off must not pass for a whole one, nor one that lacks a shard, nor a row for the one that counts
# because that was skipped.
READ_SETTINGS = {
    "use_skip_indexes_if_final": 0,
    "wait_end_of_query": 1,
    "skip_unavailable_shards": 0,
    "fallback_to_stale_replicas_for_distributed_queries": 0,
}
# Acknowledged only when each shard has it on disk. Blocks are not deduplicated by what they are: that memory is not
# made durable with the rows, so that a block sent again after a loss of power could be taken for one that is there.
WRITE_SETTINGS = {
    "async_insert": 0,
    "distributed_foreground_insert": 1,
    "insert_deduplicate": 0,
    "max_partitions_per_insert_block": 0,
}
QUORUM_SETTINGS = {"insert_quorum": "auto"}


class Connection:
    """A connection to one server, for any number of threads."""

    def __init__(self, address: Address, *, database: str = "") -> None:
        self._address = address
        self._closed = False
        try:
            self._client = clickhouse_connect.get_client(
                host=address.host,
                port=address.port,
                interface="https" if address.secure else "http",
                username=address.user,
                password=address.password,
                database=database,
                autogenerate_session_id=False,
                connect_timeout=CONNECT_SECONDS,
                send_receive_timeout=ANSWER_SECONDS,
                query_limit=0,
                pool_mgr=get_pool_manager(maxsize=CONNECTIONS, ca_cert=address.ca_cert),
                form_encode_query_params=True,
            )
        except (ClickHouseError, HTTPError, OSError) as error:
            if _code(error) == NO_DATABASE:
                raise no_tables(address) from None
            raise LedgerError(f"The ledger {address.place} cannot be opened: {_words(error)}") from None

    def close(self) -> None:
        """Ends it; later calls raise LedgerUnavailableError."""
        self._closed = True
        self._client.close()

    @contextmanager
    def _working(self, doing: str, max_seconds: float | None = None) -> Generator[None]:
        if self._closed:
            raise LedgerUnavailableError(f"{doing}: it is closed")
        try:
            yield
        except (ClickHouseError, HTTPError, OSError, pa.ArrowInvalid) as error:
            code = _code(error)
            if code == TOO_SLOW:
                raise too_slow(max_seconds) from None
            if code == CANNOT_CONVERT:
                raise too_large_sum() from None
            raise LedgerUnavailableError(f"{doing}: {_words(error)}") from None

    def command(self, statement: str) -> None:
        """Changes tables."""
        with self._working("The ledger could not be changed"):
            self._client.command(statement)

    def read(
        self,
        statement: str,
        arguments: Sequence[Any] = (),
        *,
        max_seconds: float | None = None,
        tables: Mapping[str, pa.Table] | None = None,
    ) -> pa.Table:
        """The answer to a statement whose values are `?`; `tables` can be read by their names."""
        numbers = iter(range(len(arguments)))
        bound = re.sub(r"\?", lambda _: _placeholder(number := next(numbers), arguments[number]), statement)
        settings: dict[str, Any] = dict(READ_SETTINGS)
        if max_seconds is not None:
            settings["max_execution_time"] = max_seconds
        with self._working("The ledger could not read", max_seconds):
            return self._client.query_arrow(
                bound,
                parameters={f"p{number}": value for number, value in enumerate(arguments)},
                settings=settings,
                use_strings=True,
                external_data=_external(tables) if tables else None,
            )

    def insert(self, table: str, rows: pa.Table) -> None:
        """Keeps rows; on the disks of every shard when it returns."""
        settings: dict[str, Any] = WRITE_SETTINGS | (QUORUM_SETTINGS if self._address.replicated else {})
        with self._working("The ledger could not write"):
            self._client.raw_insert(
                table,
                column_names=rows.column_names,
                insert_block=to_bytes(rows),
                settings=settings,
                fmt="ArrowStream",
            )


def no_tables(address: Address) -> LedgerError:
    """Makes the error of a place without a ledger."""
    return LedgerError(f"The ledger {address.place} has no tables yet: make them with 'usageledger migrate'.")


def _placeholder(number: int, value: Any) -> str:
    kind = next(name for python, name in _TYPES.items() if isinstance(value, python))
    return f"{{p{number}:{kind}}}"


def _external(tables: Mapping[str, pa.Table]) -> ExternalData:
    data = ExternalData()
    for name, rows in tables.items():
        structure = ", ".join(f"{field.name} {_clickhouse_type(field.type)}" for field in rows.schema)
        data.add_file(file_name=name, data=to_bytes(rows), fmt="ArrowStream", structure=structure)
    return data


def _clickhouse_type(kind: Any) -> str:
    if pa.types.is_decimal(kind):
        return f"Decimal({kind.precision}, {kind.scale})"
    return "Int64" if pa.types.is_integer(kind) else "String"


def to_columns(rows: pa.Table) -> Columns:
    """Column → its values: integers as they are, all else as objects, None where there is nothing."""
    return {name: _values(rows[name].combine_chunks()) for name in rows.column_names}


def _values(column: Any) -> np.ndarray[Any, Any]:
    if pa.types.is_integer(column.type) and not column.null_count:
        return np.asarray(column.to_numpy(zero_copy_only=False))
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode(null_encoding="mask")
    distinct = np.array([*column.dictionary.to_pylist(), None], object)
    return np.asarray(distinct[column.indices.fill_null(len(distinct) - 1).to_numpy(zero_copy_only=False)])


def _code(error: Exception) -> int | None:
    found = re.search(r"Code: (\d+)\.", str(error)) if isinstance(error, DatabaseError) else None
    return int(found[1]) if found else None


def _words(error: Exception) -> str:
    """Shortens the server's message to one line without values of a request, or names the failure."""
    text = str(error).strip()
    found = re.search(r"DB::Exception: (.*?)(?:: (?:while|In scope)|\. \(|\n|$)", text)
    if found:
        return found[1][:300]
    first: BaseException = error
    while deeper := first.__cause__ or first.__context__:
        first = deeper
    return (str(first).strip() or type(first).__name__).splitlines()[0][:300]
