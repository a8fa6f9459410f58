"""LiteLLM's table of spend logs, read from its PostgreSQL as if it were a file of NDJSON."""

import io
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from usageledger.cli.event_files import open_file
from usageledger.cli.terminal.output import CommandError
from usageledger.settings import without_password

ADDRESSES = ("postgresql://", "postgres://")
ROWS_AT_ONCE = 1_000
# Prompts and answers stay where they are.
QUERY = """SELECT (to_jsonb(log) - ARRAY['messages', 'response', 'proxy_server_request'])::text
FROM "LiteLLM_SpendLogs" log"""


@contextmanager
def open_source(name: str) -> Generator[BinaryIO]:
    """Opens a file, stdin for `-`, or the table at an address of PostgreSQL."""
    if not name.startswith(ADDRESSES):
        with open_file(name) as file:
            yield file
        return
    try:
        import psycopg
    except ImportError:
        raise CommandError(
            "Reading from PostgreSQL needs a driver: pip install 'usageledger[postgresql]'", exit_code=2
        ) from None
    try:
        with psycopg.connect(name) as connection, connection.cursor("spend_logs") as cursor:
            cursor.itersize = ROWS_AT_ONCE
            cursor.execute(QUERY)
            yield cast("BinaryIO", io.BufferedReader(_Lines(f"{row[0]}\n".encode() for row in cursor)))
    except psycopg.Error as error:
        reason = str(error).partition("\n")[0]
        raise CommandError(f"{without_password(name)} cannot be read: {reason}") from None


class _Lines(io.RawIOBase):
    """Lines as a file."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._rest = b""

    def readable(self) -> bool:
        """Returns true: it can be read."""
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]  # what io hands over
        """Fills `buffer` as far as one line goes; 0 at the end."""
        self._rest = self._rest or next(self._lines, b"")
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
