"""Errors of a database, as one clear line."""

import sqlite3

from sqlalchemy.exc import DBAPIError

from usageledger.errors import RegistryError

_SQLITE_REASONS = {
    sqlite3.SQLITE_BUSY: "is locked: another process has been writing to it for more than 5 s",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: check that its folder exists and may be written",
    sqlite3.SQLITE_CORRUPT: "is damaged: restore it from a backup",
    sqlite3.SQLITE_FULL: "cannot be written: the disk is full",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk reported an error",
    sqlite3.SQLITE_NOTADB: "is not a SQLite database",
    sqlite3.SQLITE_READONLY: "cannot be written: the file or its folder is read-only",
}


def registry_error(error: Exception, place: str) -> RegistryError:
    """The error to raise instead of the database's own.

    Only the first line of the driver's message is kept: the next ones may hold statements and values.
    """
    cause: BaseException | None = error.orig if isinstance(error, DBAPIError) else error
    # The low byte is the error, the rest says which kind of it.
    code = getattr(cause, "sqlite_errorcode", None)
    reason = _SQLITE_REASONS.get(code & 0xFF) if isinstance(code, int) else None
    if reason is None:
        lines = str(cause).strip().splitlines() or [type(cause).__name__]
        reason = f"failed: {lines[0]}"
    return RegistryError(f"The registry {place} {reason}.")
