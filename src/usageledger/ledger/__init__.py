"""Where events live: one narrow protocol, and the engines behind it.

`open_ledger("duckdb:///path/ledger.duckdb")` is the embedded default.
"""

from usageledger.errors import SettingsError
from usageledger.ledger.protocol import Ledger, Outcome

__all__ = ["Ledger", "Outcome", "open_ledger"]


def open_ledger(url: str, *, memory_bytes: int = 1024**3) -> Ledger:
    """The ledger at `url`, made where there is none.

    Raises:
        SettingsError: no engine has this scheme.
        LedgerLockedError: another process holds it.
        LedgerVersionError: a newer version of UsageLedger wrote it.
        LedgerError: it cannot be opened.
    """
    scheme, _, path = url.partition(":///")
    if scheme != "duckdb" or not path:
        raise SettingsError(f"ledger: expected duckdb:///PATH, got {url!r}")
    from usageledger.ledger.duckdb import DuckDBLedger  # noqa: PLC0415 - an engine is loaded only where it is used

    return DuckDBLedger(path, memory_bytes=memory_bytes)
