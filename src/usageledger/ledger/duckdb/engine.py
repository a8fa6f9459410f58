"""A DuckDB file that is opened again when its engine fails.

A full disk is what makes it fail: when the log cannot be folded into the file, the engine invalidates itself, and all
that was acknowledged stays in the log. So the file is opened again at once, and the log is left alone until there is
room for it: reading goes on, and writing as far as the log can grow.
"""

import logging
import shutil
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from usageledger.errors import LedgerError, LedgerUnavailableError
from usageledger.ledger.duckdb.connection import connect, first_line
from usageledger.ledger.duckdb.tuning import Tuning
from usageledger.locks import RankedCondition, RankedLock

NEVER = "1TB"  # the checkpoint threshold while folding the log in would fail
PROBE_BYTES = 4096  # in a row of a probe
INTERRUPT_SECONDS = 0.05  # between interrupts: a reader that was between two statements did not hear the last one

logger = logging.getLogger("usageledger.ledger")


class Engine:
    """An open file: a connection that writes, and cursors that read.

    Attributes:
        writer: for the one thread that holds the ledger's lock.
        ready: whether it can be written, as the last write that failed and the probes since then tell.
    """

    def __init__(self, path: Path, memory_bytes: int, take_up: Callable[[], None], tuning: Tuning) -> None:
        """Opens `path`; `take_up` is called after it was opened again, to read its state anew."""
        self._path = path
        self._memory = f"{memory_bytes // 2**20}MiB"
        self._take_up = take_up
        self._tuning = tuning
        self._invalid = False
        self._unfolded = True  # the log is left alone, since to fold it into the file would fail for want of room
        self._write_at = 0.0
        self._fold_at = 0.0
        self._fold_after = tuning.mend_seconds
        self._reading = RankedLock("cursor", 4, shared=True)
        self._changed = RankedCondition("readers", 5)  # guards the next two
        self._cursors: set[duckdb.DuckDBPyConnection] = set()  # of those who read now
        self._kept_out = False
        self.ready = False
        self.writer = self._connect()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        return connect(self._path, {"memory_limit": self._memory, "checkpoint_threshold": NEVER})

    def start(self) -> None:
        """Finds out whether the file can be written. Raises duckdb.Error where it cannot."""
        self._probe(0)
        self.ready = True
        if self._has_room():
            self.writer.execute(f"SET checkpoint_threshold = '{self._tuning.checkpoint_threshold}'")
            self._unfolded = False

    def note(self, error: duckdb.Error) -> None:
        """Learns from an error of a statement whether the engine can go on."""
        if isinstance(error, duckdb.FatalException) and not self._invalid:
            self._invalid, self.ready = True, False
            logger.error("the engine failed: %s", first_line(error))

    def reopen(self) -> None:
        """Opens the file again if the engine failed.

        Raises:
            LedgerUnavailableError: it could not be opened.
        """
        if not self._invalid:
            return
        with self._without_readers():
            self.writer.close()
            try:
                self.writer = self._connect()
                self._take_up()
            except (LedgerError, duckdb.Error) as error:
                raise LedgerUnavailableError(f"The ledger could not be opened again: {first_line(error)}") from error
            self._invalid, self._unfolded = False, True
        logger.warning("the engine was opened again; its log is folded into the file when there is room")

    def mend(self, move_bytes: int) -> None:
        """Tries again whatever failed: opening, writing, and folding the log into the file.

        Args:
            move_bytes: what is to be written next, so that a probe which succeeds promises that it will.

        Raises:
            LedgerUnavailableError: it could not be opened.
            duckdb.Error: it cannot be written yet.
        """
        self.reopen()
        now = time.monotonic()
        if not self.ready and now >= self._write_at:
            self._write_at = now + self._tuning.mend_seconds
            self._probe(move_bytes)
            self.ready = True
            logger.warning("the ledger can be written again")
        if self._unfolded and self.ready and now >= self._fold_at and self._has_room():
            # Each attempt that fails ends the engine again, so they become rare.
            self._fold_at = now + self._fold_after
            self._fold_after = min(2 * self._fold_after, self._tuning.mend_seconds_max)
            self.writer.execute(f"CHECKPOINT; SET checkpoint_threshold = '{self._tuning.checkpoint_threshold}'")
            self._unfolded, self._fold_after = False, self._tuning.mend_seconds
            logger.warning("the log was folded into the file: all is well again")

    def _probe(self, size: int) -> None:
        """Writes so many bytes to the log, at least some. The next probe removes the remains of a killed one."""
        filling = f"SELECT repeat('x', {PROBE_BYTES})::BLOB AS filling FROM range({1 + size // PROBE_BYTES})"
        self.writer.execute(f"CREATE OR REPLACE TABLE write_probe AS {filling}")
        self.writer.execute("DROP TABLE write_probe")

    def _has_room(self) -> bool:
        """Returns true if the disk has as much space left as the log takes; folding the log in needs less."""
        log = self._path.with_name(f"{self._path.name}.wal")
        return shutil.disk_usage(self._path.parent).free > (log.stat().st_size if log.exists() else 0)

    @contextmanager
    def cursor(self) -> Generator[duckdb.DuckDBPyConnection]:
        """A cursor for one reader; while the file is opened again, readers wait here.

        Raises:
            LedgerUnavailableError: the reader was interrupted, since the file has to be opened again.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._kept_out)
            cursor = self.writer.cursor()
            self._cursors.add(cursor)
        try:
            with self._reading:
                yield cursor
        except duckdb.InterruptException as error:
            if self._kept_out:
                raise LedgerUnavailableError("The ledger could not read: it is opened again") from error
            raise
        except duckdb.Error as error:
            self.note(error)  # while its cursor is open, this is the engine that the error is about
            raise
        finally:
            with self._changed:
                cursor.close()
                self._cursors.remove(cursor)
                self._changed.notify_all()

    @contextmanager
    def _without_readers(self) -> Generator[None]:
        """Interrupts the readers, and begins when they are gone: the engine goes only when every cursor is closed."""
        with self._changed:
            self._kept_out = True
            while self._cursors:
                for cursor in self._cursors:
                    cursor.interrupt()
                self._changed.wait(INTERRUPT_SECONDS)
        try:
            yield
        finally:
            with self._changed:
                self._kept_out = False
                self._changed.notify_all()
