"""From decoded events to the disk: one commit for many requests, in stages that overlap.

The event loop decodes bodies and submits them. A writer, which is a thread, takes whatever is waiting, makes one table
of it with its rate cards and commits that. A request is answered after the commit that holds its events; those that
arrive meanwhile share the next one. Upkeep, a thread as well, makes of what was committed what queries read.

There is one writer where a commit is this process's own work: to prepare the next table beside it was measured and is
slower, since both are mostly Python, which runs one thread at a time, and the groups become small. Where a commit is
waiting for another machine there are several, of which one at a time makes a table.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from usageledger.buckets import floor
from usageledger.columns import with_cards
from usageledger.errors import LedgerUnavailableError, OverloadedError, RequestError, UsageLedgerError
from usageledger.events import Decoded
from usageledger.ledger import CardsOf, Ledger
from usageledger.meters import DAY_SECONDS
from usageledger.server.groups import Group, Submission, answer, answers, assemble
from usageledger.settings import Settings

IDLE_SECONDS = 0.2  # between two looks whether there is upkeep to do

logger = logging.getLogger("usageledger.ingest")


class Ingest:
    """The way in. `start` it once; `submit` from the event loop; `close` drains what was taken."""

    def __init__(
        self,
        ledger: Ledger,
        note_seen: Callable[[set[str], set[str]], None],
        cards: CardsOf,
        settings: Settings,
        clock: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._note_seen = note_seen
        self._cards = cards
        self._settings = settings
        self._clock = clock
        self._waiting: deque[Submission] = deque()
        self._arrived = threading.Condition()
        self._queued_events = 0  # waiting or being committed; guarded by _arrived
        self._wanted = 1  # requests that the writer waits for
        self._closing = False
        self._ended = threading.Event()  # all that was taken is written
        self._dropped = 0  # the time before which there are no events any more, as far as is known
        self._assembling = threading.Lock()
        self._writers = [
            threading.Thread(target=self._write_forever, name=f"writer {number}", daemon=True)
            for number in range(ledger.writers)
        ]
        self._upkeep = threading.Thread(target=self._keep_up_forever, name="upkeep", daemon=True)

    def start(self) -> None:
        """Starts the threads."""
        for thread in (*self._writers, self._upkeep):
            thread.start()

    def close(self) -> None:
        """Takes nothing more, commits what was taken, and ends."""
        with self._arrived:
            self._closing = True
            self._arrived.notify_all()
        for writer in self._writers:
            writer.join()
        self._ended.set()
        self._upkeep.join()

    @property
    def queued_events(self) -> int:
        """How many events wait for the disk."""
        return self._queued_events

    async def submit(self, decoded: Decoded) -> dict[str, Any]:
        """The answer to one request, once its events are on disk.

        Raises:
            OverloadedError: the queue is full, or the server is stopping; nothing was taken.
            LedgerUnavailableError: the ledger could not write; nothing was kept.
        """
        if not decoded.events:
            return answer(decoded, 0, 0, decoded.rejections)
        loop = asyncio.get_running_loop()
        submission = Submission(decoded, loop, loop.create_future())
        with self._arrived:
            if self._closing:
                raise OverloadedError("The server is stopping: send the same request again.", retry_after=2)
            if self._queued_events and self._queued_events + len(decoded.events) > self._settings.queue_events:
                raise OverloadedError(
                    f"The queue is full: {self._queued_events} events wait for the disk. "
                    "Nothing of this request was kept: send the same request again.",
                    retry_after=1,
                )
            self._queued_events += len(decoded.events)
            self._waiting.append(submission)
            if self._enough():
                self._arrived.notify()
        return await submission.done

    # --- writers -------------------------------------------------------------------------------------------------

    def _write_forever(self) -> None:
        company = 1
        while self._waiting or not self._closing:
            if submissions := self._take(company):
                company = len(submissions)
                with self._refusing(submissions):
                    self._settle(submissions, self._write(self._assemble(submissions)))

    def _take(self, company: int) -> list[Submission]:
        """The next group: whatever is waiting, up to `commit_events`; empty when others took it, or none will come.

        A lone request is never held up. Where the last group had company, the next one waits for as much, as long as
        another request comes every `commit_wait_ms`.
        """
        with self._arrived:
            self._arrived.wait_for(self._enough)
            self._wanted, before = company, 0
            while len(self._waiting) > before and not self._enough():
                before = len(self._waiting)
                self._arrived.wait_for(self._enough, self._settings.commit_wait_ms / 1000)
            self._wanted = 1
            taken: list[Submission] = []
            events = 0
            while self._waiting:
                events += len(self._waiting[0].decoded.events)
                if taken and events > self._settings.commit_events:
                    break
                taken.append(self._waiting.popleft())
            return taken

    def _enough(self) -> bool:
        return len(self._waiting) >= self._wanted or self._closing

    def _assemble(self, submissions: list[Submission]) -> Group:
        with self._assembling:
            now = int(self._clock())
            group = assemble(submissions, now + self._settings.max_future_seconds, now)
            self._note_seen(_names(group.rows, "project_id"), _names(group.rows, "user_id"))
            if group.rows.num_rows:
                group.rows = with_cards(group.rows, self._cards(group.rows))
            return group

    def _write(self, group: Group) -> list[dict[str, Any]]:
        """The answer to each submission, once its events are on disk."""
        return list(answers(group, self._ledger.append(group.rows)))

    @contextmanager
    def _refusing(self, submissions: list[Submission]) -> Generator[None]:
        """What goes wrong inside is the answer to all of them: nothing of them was kept."""
        try:
            yield
        except UsageLedgerError as error:
            logger.error("a commit failed: %s", error)  # noqa: TRY400 - the message is the whole story
            self._settle(submissions, [error] * len(submissions))
        except Exception:
            logger.exception("a commit failed")
            self._settle(submissions, [LedgerUnavailableError("The ledger could not write.")] * len(submissions))

    def _settle(self, submissions: list[Submission], told: Sequence[dict[str, Any] | Exception]) -> None:
        with self._arrived:
            self._queued_events -= sum(len(submission.decoded.events) for submission in submissions)
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[dict[str, Any]], Any]]] = {}
        for submission, each in zip(submissions, told, strict=True):
            by_loop.setdefault(submission.loop, []).append((submission.done, each))
        for loop, settled in by_loop.items():
            loop.call_soon_threadsafe(_resolve, settled)

    # --- upkeep --------------------------------------------------------------------------------------------------

    def _keep_up_forever(self) -> None:
        while not self._ended.is_set():
            if not self._keep_up():
                self._ended.wait(IDLE_SECONDS)

    def _keep_up(self) -> bool:
        """Does a step of the ledger's upkeep; whether there was one."""
        try:
            if self._ledger.compact():
                return True
            if self._settings.retention_days:
                before = floor(int(self._clock()) - self._settings.retention_days * DAY_SECONDS, DAY_SECONDS)
                if before > self._dropped:
                    more = self._ledger.drop_events(before)
                    self._dropped = self._dropped if more else before
                    return more
        except UsageLedgerError as error:
            logger.warning("upkeep failed: %s", error)
        except Exception:
            logger.exception("upkeep failed")
        return False


def _resolve(settled: list[tuple[asyncio.Future[dict[str, Any]], Any]]) -> None:
    for future, told in settled:
        if future.cancelled():
            continue
        if isinstance(told, Exception):
            future.set_exception(told)
        else:
            future.set_result(told)


def _names(rows: pa.Table, column: str) -> set[str]:
    return {name for name in pc.unique(rows[column]).to_pylist() if name is not None}


def as_request_error(error: UsageLedgerError) -> RequestError:
    """A failure of the ledger or the registry as the answer that it deserves: 503, to be sent again."""
    if isinstance(error, RequestError):
        return error
    return OverloadedError("The server cannot read or write its data now. Send the same request again.", retry_after=2)
