"""From decoded events to the disk: one commit for many requests, in stages that overlap.

The event loop decodes bodies and submits them. A writer, which is a thread, takes whatever is waiting, makes one table
of it with its rate cards and commits that. A request is answered after the commit that holds its events; those that
arrive meanwhile share the next one. Upkeep is a thread beside them.

There is one writer where a commit is this process's own work: to prepare the next table beside it was measured and is
slower, since both are mostly Python, which runs one thread at a time, and the groups become small. Where a commit is
waiting for another machine there are several, of which one at a time makes a table.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from usageledger.errors import LedgerUnavailableError, OverloadedError, UsageLedgerError
from usageledger.events.batch import EventBatch, Joined, Refusals, join
from usageledger.events.columns import with_cards
from usageledger.ledger import CardsOf, Judged, Ledger
from usageledger.locks import RankedCondition, RankedLock, holding
from usageledger.server.ingest.claimed_rows import Claim, ClaimedRows, claimed
from usageledger.server.ingest.commit_group import Submission, answer, answers
from usageledger.server.ingest.upkeep import Upkeep
from usageledger.settings import Settings
from usageledger.spending.spending import Spending

COMMIT_BYTES_MAX = 32 * 1024**2

logger = logging.getLogger("usageledger.ingest")


class Ingest:
    """The way in. `start` it once; `submit` from the event loop; `close` drains what was taken.

    Args:
        spending: is told of what each commit kept.
        commit_bytes_max: of events in one commit, which takes several times as much for a moment.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a commit goes through, and a bound
        self,
        ledger: Ledger,
        note_seen: Callable[[set[str], set[str]], None],
        cards: CardsOf,
        claim: Claim,
        settings: Settings,
        clock: Callable[[], float],
        spending: Spending | None = None,
        *,
        commit_bytes_max: int = COMMIT_BYTES_MAX,
    ) -> None:
        self._ledger = ledger
        self._commit_bytes_max = commit_bytes_max
        self._note_seen = note_seen
        self._cards = cards
        self._claim = claim
        self._settings = settings
        self._clock = clock
        self._spending = spending
        self._on_failure: Callable[[str], None] = lambda _: None
        self.failure: str | None = None  # why nothing is written any more
        self._turn = RankedLock("turn", 1)  # of the one writer that waits for requests
        self._arrived = RankedCondition("arrived", 2)  # guards the next four
        self._waiting: deque[Submission] = deque()
        self._queued_events = self._queued_bytes = 0  # waiting or being committed
        self._wanted = 1  # requests that the writer whose turn it is waits for
        self._closing = False
        self._assembling = threading.Lock()  # of the one writer that makes a table; guards what gives names and cards
        self._ended = threading.Event()  # all that was taken is written
        self._writers = [
            threading.Thread(target=self._run, args=(self._write_forever,), name=f"writer {number}", daemon=True)
            for number in range(ledger.writers)
        ]
        keep_up = partial(Upkeep(ledger, settings.retention_days, clock).run, self._ended)
        self._upkeep = threading.Thread(target=self._run, args=(keep_up,), name="upkeep", daemon=True)

    def start(self, on_failure: Callable[[str], None] = lambda _: None) -> None:
        """Starts the threads; where one ends by an error, `on_failure` is told why, from that thread."""
        self._on_failure = on_failure
        for thread in (*self._writers, self._upkeep):
            thread.start()

    def close(self) -> None:
        """Takes nothing more, commits what was taken, and ends."""
        self._stop_taking()
        for writer in self._writers:
            writer.join()
        self._ended.set()
        self._upkeep.join()

    def _stop_taking(self) -> None:
        with self._arrived:
            self._closing = True
            self._arrived.notify_all()

    def _run(self, work: Callable[[], None]) -> None:
        """Does a thread's work. Where it ends by an error nothing would be written any more, so the server ends."""
        try:
            work()
        except BaseException:
            self.failure = f"The thread '{threading.current_thread().name}' ended by an error"
            logger.critical("%s: the server ends.", self.failure, exc_info=True)
            self._stop_taking()
            self._on_failure(self.failure)
            with self._arrived:
                left = list(self._waiting)
                self._waiting.clear()
            self._settle(left, [_stopping()] * len(left))

    @property
    def queued_events(self) -> int:
        """The number of events that wait for the disk."""
        return self._queued_events

    async def submit(self, batch: EventBatch) -> dict[str, Any]:
        """Answers one request, once its events are on disk.

        Raises:
            OverloadedError: the queue is full, or the server is stopping; nothing was taken.
            LedgerUnavailableError: the ledger could not write; nothing was kept.
        """
        if not batch.count:
            return answer(batch, 0, 0, Refusals())
        loop = asyncio.get_running_loop()
        submission = Submission(batch, loop, loop.create_future())
        with self._arrived:
            if self._closing:
                raise _stopping()
            events, held = self._queued_events + batch.count, self._queued_bytes + batch.size
            if self._queued_events and (events > self._settings.queue_events or held > self._settings.queue_bytes):
                raise OverloadedError(
                    f"The queue is full: {self._queued_events} events of {self._queued_bytes} bytes wait for the disk. "
                    "Nothing of this request was kept: send the same request again.",
                    retry_after=1,
                )
            self._queued_events, self._queued_bytes = events, held
            self._waiting.append(submission)
            if self._enough():
                self._arrived.notify()
        return await submission.done

    # --- writers -------------------------------------------------------------------------------------------------

    def _write_forever(self) -> None:
        company = 1
        while submissions := self._take(company):
            company = len(submissions)
            told: Sequence[dict[str, Any] | Exception] = [_stopping()] * len(submissions)
            try:
                told = self._written(submissions)
            finally:
                self._settle(submissions, told)

    def _take(self, company: int) -> list[Submission]:
        """The next group: whatever is waiting, up to a commit's size; empty when none will come.

        A lone request is never held up. Where the last group had company, the next one waits for as much, as long as
        another request comes every `commit_wait_ms`.
        """
        with self._turn, self._arrived:
            self._arrived.wait_for(self._enough)
            self._wanted, before = company, 0
            while len(self._waiting) > before and not self._enough():
                before = len(self._waiting)
                self._arrived.wait_for(self._enough, self._settings.commit_wait_ms / 1000)
            self._wanted = 1
            taken: list[Submission] = []
            events = held = 0
            while self._waiting:
                events += self._waiting[0].batch.count
                held += self._waiting[0].batch.size
                if taken and (events > self._settings.commit_events or held > self._commit_bytes_max):
                    break
                taken.append(self._waiting.popleft())
            return taken

    @holding("_arrived")
    def _enough(self) -> bool:
        return len(self._waiting) >= self._wanted or self._closing

    def _assemble(self, submissions: list[Submission]) -> tuple[Joined, ClaimedRows | None]:
        """Makes one table of all submissions, each row with its rate card, and each response where it was claimed."""
        with self._assembling:
            now = int(self._clock())
            batches = [submission.batch for submission in submissions]
            joined = join(batches, now + self._settings.max_future_seconds, now)
            self._note_seen(_names(joined.rows, "project_id"), _names(joined.rows, "user_id"))
            at = None
            if joined.rows.num_rows:
                if self._ledger.claims:
                    at = claimed(joined.rows, self._claim, now)
                    joined.rows = at.rows
                joined.rows = with_cards(joined.rows, self._cards(joined.rows))
            return joined, at

    def _append(self, rows: pa.Table, at: ClaimedRows | None) -> Judged:
        if at and self._ledger.claims:
            return at.judged(self._ledger.claims.append_claimed(rows, at.known_from))
        if self._spending is None:
            return self._ledger.append(rows)
        with self._spending.commit() as note:
            judged = self._ledger.append(rows)
            note(rows, judged)
        return judged

    def _written(self, submissions: list[Submission]) -> list[dict[str, Any] | Exception]:
        """Commits the events and returns an answer for each submission, or the error for which none was kept."""
        try:
            joined, at = self._assemble(submissions)
            judged = self._append(joined.rows, at)
        except UsageLedgerError as error:
            logger.error("a commit failed: %s", error)  # noqa: TRY400 - the message is the whole story
            return [error] * len(submissions)
        except Exception:
            logger.exception("a commit failed")
            return [LedgerUnavailableError("The ledger could not write.")] * len(submissions)
        try:
            return list(answers(submissions, joined, judged))
        except Exception as error:  # noqa: BLE001 - it is raised again where each request is answered
            return [error] * len(submissions)  # and not that nothing was kept

    def _settle(self, submissions: list[Submission], told: Sequence[dict[str, Any] | Exception]) -> None:
        with self._arrived:
            self._queued_events -= sum(submission.batch.count for submission in submissions)
            self._queued_bytes -= sum(submission.batch.size for submission in submissions)
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[dict[str, Any]], Any]]] = {}
        for submission, each in zip(submissions, told, strict=True):
            by_loop.setdefault(submission.loop, []).append((submission.done, each))
        for loop, settled in by_loop.items():
            try:
                loop.call_soon_threadsafe(_resolve, settled)
            except RuntimeError:
                logger.warning("%d requests heard nothing: their event loop is closed", len(settled))


def _stopping() -> OverloadedError:
    return OverloadedError("The server is stopping: send the same request again.", retry_after=2)


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
