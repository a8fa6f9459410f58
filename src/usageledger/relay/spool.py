"""Events on their way to the ledger, in files of a folder: a process that ends, or a ledger that is away, loses none.

An event is written to a file at once. One thread sends file after file, and removes each when the ledger has answered
for all of its events. They have ids, so that those of a file that is sent again count once.
"""

import fcntl
import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from math import inf
from pathlib import Path
from typing import Any, BinaryIO

from usageledger.client.delivery import BATCH_BYTES, BATCH_EVENTS, deliver
from usageledger.client.errors import APIError, BadRequestError, UnprocessableEntityError
from usageledger.client.events import EventReport, encode
from usageledger.client.outbox import SenderCounts
from usageledger.client.transport import Request, Retries, SyncTransport
from usageledger.errors import SettingsError

BYTES_MAX = 1024**3
FLUSH_S = 1.0
CLOSING_S = 5.0
RETRIES = Retries(count_max=None, backoff_s_max=30.0, asked_s_max=inf, worth=lambda _: True)
WAITING, REFUSED = ".ndjson", ".refused"

logger = logging.getLogger("usageledger.relay")


class _Connection(SyncTransport):
    def post(self, request: Request) -> bytes:
        """The body of the answer to one try."""
        return self._send(request)


class Spool:
    """A folder of events that are not yet delivered.

    Args:
        folder: made where there is none; what is left in it by an earlier process is sent first.
        api_key: a key of the ledger with the scope `api.usage.write`.
        base_url: the ledger's, with `/v1`.
        bytes_max: of all files; events for which there is no room are dropped, counted and logged.
        flush_s: seconds after which events are sent that are fewer than a batch.
        batch_events: of a file.

    Raises:
        SettingsError: the folder cannot be made, or another process uses it.
    """

    def __init__(  # noqa: PLR0913 - where events go, and three bounds
        self,
        folder: Path,
        api_key: str,
        base_url: str,
        *,
        bytes_max: int = BYTES_MAX,
        flush_s: float = FLUSH_S,
        batch_events: int = BATCH_EVENTS,
    ) -> None:
        self._lock_file = _locked(folder)
        self._folder = folder
        self._bytes_max = bytes_max
        self._flush_s = flush_s
        self._batch_events = batch_events
        self._connection = _Connection(api_key, base_url, max_retries=0)
        self._changed = threading.Condition()  # guards everything below
        self._files = sorted(folder.glob(f"*{WAITING}"))
        self._number = max((int(file.stem) for file in folder.glob("*.*") if file.stem.isdigit()), default=0)
        self._open: BinaryIO | None = None
        self._held = 0  # events of the file that is open
        self._bytes = sum(file.stat().st_size for file in self._files)
        found = sum(file.read_bytes().count(b"\n") for file in self._files)
        self._counts = SenderCounts(offered=found, waiting=found)
        self._closing = False
        self._has_problem = False
        self._thread = threading.Thread(target=self._run, name="usageledger-spool", daemon=True)
        self._thread.start()

    @property
    def counts(self) -> SenderCounts:
        """The counts so far, events that an earlier process left among them."""
        with self._changed:
            return self._counts

    def send(self, event: dict[str, Any]) -> None:
        """Writes an event to the folder; one that cannot be written is dropped."""
        line = encode(event) + b"\n"
        with self._changed:
            problem = self._write(line)
            self._add(offered=1, **{"dropped" if problem else "waiting": 1})
            if problem and not self._has_problem:
                logger.error("events dropped: %s cannot take them: %s", self._folder, problem)
            self._has_problem = problem is not None

    def close(self, seconds: float = CLOSING_S) -> None:
        """Sends what waits, for at most so many seconds; the rest stays in the folder for the next process."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(seconds)
        with self._changed:
            self._end_file()
        self._lock_file.close()

    # --- under the lock ------------------------------------------------------------------------------------------

    def _write(self, line: bytes) -> str | None:
        """Appends an event to the file that is open; gives the reason where that cannot be done."""
        if self._bytes + len(line) > self._bytes_max:
            return f"it holds {self._bytes} bytes, the most that it may"
        try:
            if self._open is None:
                self._number += 1
                self._open = (self._folder / f"{self._number:012}{WAITING}").open("ab", buffering=0)
            written = self._open.write(line)
        except OSError as error:
            return str(error)
        self._bytes += written
        if written < len(line):  # a full disk: what is there of the line is no event
            self._end_file()
            return "the disk is full"
        self._held += 1
        if self._held == 1:
            self._changed.notify_all()  # and not for each: a thread that wakes up takes time from the calls
        if self._held == self._batch_events or self._open.tell() > BATCH_BYTES:
            self._end_file()
        return None

    def _end_file(self) -> None:
        """Makes the file that is open one that waits."""
        if self._open is not None:
            self._open.close()
            self._files.append(Path(self._open.name))
            self._open, self._held = None, 0
            self._changed.notify_all()

    def _add(self, **counts: int) -> None:
        self._counts = replace(self._counts, **{name: getattr(self._counts, name) + n for name, n in counts.items()})

    # --- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (file := self._next()) is not None:
            try:
                if not self._deliver(file):
                    break
            except Exception:
                logger.exception("%s cannot be sent; it is tried again after the next start", file)
        self._connection.close()

    def _next(self) -> Path | None:
        """Gives the next file, once there is one that is full or old enough; None when there will be none."""
        with self._changed:
            while not self._files:
                if self._open is None and self._closing:
                    return None
                if self._open is None:
                    self._changed.wait()
                elif self._closing or not self._changed.wait_for(self._is_due, self._flush_s):
                    self._end_file()
            return self._files.pop(0)

    def _is_due(self) -> bool:
        return bool(self._files) or self._closing

    def _deliver(self, file: Path) -> bool:
        """Sends a file until it is answered; False where its time is up, and it stays."""
        lines = [line for line in file.read_bytes().split(b"\n") if line]
        for attempt in count():
            try:
                report = deliver(self._connection.post, lines) if lines else EventReport()
            except (BadRequestError, UnprocessableEntityError) as error:
                self._refuse(file, lines, error)
                return True
            except APIError as error:
                seconds = RETRIES.wait_s(attempt, error) or 0.0
                logger.warning("events sent again in %.1f s: %d; %s", seconds, len(lines), error)
                if not self._pause(seconds):
                    return False
                continue
            self._settle(file, lines, report)
            return True
        raise AssertionError("unreachable")

    def _pause(self, seconds: float) -> bool:
        """Waits before a file is sent again; False where the spool closes."""
        with self._changed:
            self._add(retries=1)
            return not self._changed.wait_for(lambda: self._closing, seconds)

    def _settle(self, file: Path, lines: Sequence[bytes], report: EventReport) -> None:
        if report.rejected:
            first = report.errors[0]
            logger.warning("events refused: %d; the first, %r: %r", report.rejected, first.id, first.message)
        self._remove(file, lines, refused=report.rejected)

    def _refuse(self, file: Path, lines: Sequence[bytes], error: APIError) -> None:
        """Keeps a file that the ledger takes as a whole for no events, under a name that is not sent again."""
        kept = file.with_suffix(REFUSED)
        kept.write_bytes(file.read_bytes())
        logger.error("events refused: %d, kept in %s; %s", len(lines), kept, error)
        self._remove(file, lines, refused=len(lines))

    def _remove(self, file: Path, lines: Sequence[bytes], refused: int) -> None:
        size = file.stat().st_size
        file.unlink()
        with self._changed:
            self._bytes -= size
            self._add(waiting=-len(lines), delivered=len(lines) - refused, refused=refused)


def _locked(folder: Path) -> BinaryIO:
    """Makes the folder this process's own for as long as the file is open."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (folder / "lock").open("ab")
    except OSError as error:
        raise SettingsError(f"spool: the folder {folder} cannot be used: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise SettingsError(f"spool: another process uses the folder {folder}.") from None
    return file
