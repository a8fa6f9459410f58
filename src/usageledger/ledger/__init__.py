"""The store of events: one narrow protocol, and the engines behind it.

`open_ledger("duckdb:///path/ledger.duckdb")` is the embedded default; `clickhouse://host/database` is for many servers.
"""

from usageledger.errors import SettingsError
from usageledger.ledger.identity import Judged, Outcome
from usageledger.ledger.protocol import CardsOf, Ledger

__all__ = ["CardsOf", "Judged", "Ledger", "Outcome", "migrate_ledger", "on_clickhouse", "open_ledger"]


def open_ledger(url: str, *, memory_bytes: int = 1024**3) -> Ledger:
    """Opens the ledger at `url`; creates it where there is none.

    Raises:
        SettingsError: no engine has this scheme.
        LedgerLockedError: another process holds it.
        LedgerVersionError: a newer version of UsageLedger wrote it.
        LedgerError: it cannot be opened.
    """
    if on_clickhouse(url):
        from usageledger.ledger.clickhouse import ClickHouseLedger, parse_address  # noqa: PLC0415 - the same

        return ClickHouseLedger(parse_address(url))
    path = url.removeprefix("duckdb:///")
    if not path or path == url:
        raise SettingsError(f"ledger: expected duckdb:///PATH or clickhouse://HOST/DATABASE, got {url!r}")
    from usageledger.ledger.duckdb.ledger import DuckDBLedger  # noqa: PLC0415 - an engine is loaded only where it is used

    return DuckDBLedger(path, memory_bytes=memory_bytes)


def migrate_ledger(url: str, *, apply: bool = True) -> list[str]:
    """The statements that bring the tables at `url` to this version, run unless `apply` is false.

    None for an embedded ledger, which is brought to it when it is opened.

    Raises:
        SettingsError: the address cannot be used.
        LedgerError: the server cannot be reached, or refused a statement.
    """
    if not on_clickhouse(url):
        return []
    from usageledger.ledger.clickhouse import migrate, parse_address  # noqa: PLC0415 - an engine is loaded only if used

    return migrate(parse_address(url), apply=apply)


def on_clickhouse(url: str) -> bool:
    """Returns true if this is the address of a ledger on ClickHouse."""
    return url.partition(":")[0] in ("clickhouse", "clickhouses")
