"""From decoded events to the disk: one commit for many requests.

The event loop decodes bodies and submits them. The writer, a thread and the ledger's only one that writes, takes
whatever is waiting, turns it into one table and commits that. A request is answered after the commit that holds its
events; those that arrive meanwhile share the next one. Preparing the next group beside a commit was measured and made
both slower: the threads wait for each other, and the groups become small.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from usageledger.buckets import floor
from usageledger.columns import Problem, to_table, unix_seconds, with_cards
from usageledger.errors import LedgerUnavailableError, OverloadedError, RequestError, UsageLedgerError
from usageledger.events import Decoded, Rejection
from usageledger.ledger import Ledger, Outcome
from usageledger.settings import Settings
from usageledger.tables import TableEvents

MOST_ERRORS_LISTED = 100
DAY_SECONDS = 86_400
IDLE_SECONDS = 0.2  # without work for so long, the writer does upkeep

logger = logging.getLogger("usageledger.ingest")


@dataclass(slots=True)
class Submission:
    """The events of one request, waiting for their commit."""

    decoded: Decoded
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[dict[str, Any]]


@dataclass(slots=True)
class Group:
    """Submissions that share a commit, as one table.

    Attributes:
        rows: the events that can be kept.
        places: for each row, the place of its event among all events of the group.
        problems: the events that cannot be kept.
    """

    submissions: list[Submission]
    rows: pa.Table
    places: np.ndarray[Any, Any]
    problems: list[Problem]


class Ingest:
    """The way in. `start` it once; `submit` from the event loop; `close` drains what was taken."""

    def __init__(
        self,
        ledger: Ledger,
        note_seen: Callable[[set[str], set[str]], None],
        cards: Callable[[pa.Table], np.ndarray[Any, np.dtype[np.int64]]],
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
        self._closing = False
        self._dropped = 0  # the time before which there are no events any more, as far as is known
        self._thread = threading.Thread(target=self._write_forever, name="writer", daemon=True)

    def start(self) -> None:
        """Starts the writer."""
        self._thread.start()

    def close(self) -> None:
        """Takes nothing more, commits what was taken, and ends."""
        with self._arrived:
            self._closing = True
            self._arrived.notify()
        self._thread.join()

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
            return _answer(decoded, 0, 0, decoded.rejections)
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
            self._arrived.notify()
        return await submission.done

    # --- the writer ----------------------------------------------------------------------------------------------

    def _write_forever(self) -> None:
        company = 1
        while self._waiting or not self._closing:
            if submissions := self._take(company):
                company = len(submissions)
                self._settle(submissions, self._write(submissions))
            self._keep_up()

    def _take(self, company: int) -> list[Submission]:
        """The next group: whatever is waiting, up to `commit_events`; empty when nothing came for `IDLE_SECONDS`.

        A lone request is never held up. Where the last group had company, the next one waits for as much, as long as
        another request comes every `commit_wait_ms`.
        """
        with self._arrived:
            if not self._waiting and not self._closing:
                self._arrived.wait(IDLE_SECONDS)
            while self._waiting and len(self._waiting) < company and not self._closing:
                if not self._arrived.wait(self._settings.commit_wait_ms / 1000):
                    break
            taken: list[Submission] = []
            events = 0
            while self._waiting:
                events += len(self._waiting[0].decoded.events)
                if taken and events > self._settings.commit_events:
                    break
                taken.append(self._waiting.popleft())
            return taken

    def _assemble(self, submissions: list[Submission]) -> Group:
        now = int(self._clock())
        events: list[Any] = []
        at: list[int] = []  # the place of each of them among all events of the group
        tables: list[tuple[pa.Table, np.ndarray[Any, Any]]] = []
        problems: list[Problem] = []
        first = 0
        for submission in submissions:
            sent = submission.decoded.events
            if isinstance(sent, TableEvents):
                tables.append((sent.rows, sent.places + first))
                problems += [replace(problem, position=problem.position + first) for problem in sent.problems]
                events += sent.others
                at += (sent.other_places + first).tolist()
            else:
                events += sent
                at += range(first, first + len(sent))
            first += len(sent)
        rows, kept, wrong = to_table(events, now + self._settings.max_future_seconds, now)
        places = np.array(at, np.int64)
        problems += [replace(problem, position=at[problem.position]) for problem in wrong]
        return Group(submissions, *_in_order([*tables, (rows, places[kept])]), problems)

    def _write(self, submissions: list[Submission]) -> list[dict[str, Any] | UsageLedgerError]:
        """The answer to each submission, once its events are on disk, or why nothing of it was kept."""
        try:
            group = self._assemble(submissions)
            self._note_seen(_names(group.rows, "project_id"), _names(group.rows, "user_id"))
            return list(_answers(group, self._ledger.append(self._carded(group.rows))))
        except UsageLedgerError as error:
            logger.error("a commit failed: %s", error)  # noqa: TRY400 - the message is the whole story
            return [error] * len(submissions)
        except Exception:
            logger.exception("a commit failed")
            return [LedgerUnavailableError("The ledger could not write.")] * len(submissions)

    def _carded(self, rows: pa.Table) -> pa.Table:
        """`rows` with their rate cards."""
        return with_cards(rows, self._cards(rows)) if rows.num_rows else rows

    def _keep_up(self) -> None:
        try:
            if not self._ledger.compact() and self._settings.retention_days:
                before = floor(int(self._clock()) - self._settings.retention_days * DAY_SECONDS, DAY_SECONDS)
                if before > self._dropped and not self._ledger.drop_events(before):
                    self._dropped = before
        except UsageLedgerError as error:
            logger.warning("upkeep failed: %s", error)
        except Exception:
            logger.exception("upkeep failed")

    def _settle(self, submissions: list[Submission], answers: list[Any]) -> None:
        with self._arrived:
            self._queued_events -= sum(len(submission.decoded.events) for submission in submissions)
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[dict[str, Any]], Any]]] = {}
        for submission, answer in zip(submissions, answers, strict=True):
            by_loop.setdefault(submission.loop, []).append((submission.done, answer))
        for loop, settled in by_loop.items():
            loop.call_soon_threadsafe(_resolve, settled)


def _resolve(settled: list[tuple[asyncio.Future[dict[str, Any]], Any]]) -> None:
    for future, answer in settled:
        if future.cancelled():
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)


def _in_order(
    tables: list[tuple[pa.Table, np.ndarray[Any, Any]]],
) -> tuple[pa.Table, np.ndarray[Any, Any]]:
    """Tables and the places of their rows as one, in the order of places: of two of one identity the first counts."""
    filled = [(rows, places) for rows, places in tables if rows.num_rows] or tables[-1:]
    if len(filled) == 1:
        return filled[0]
    places = np.concatenate([places for _, places in filled])
    order = np.argsort(places, kind="stable")
    return pa.concat_tables([rows for rows, _ in filled]).take(order).combine_chunks(), places[order]


def _names(rows: pa.Table, column: str) -> set[str]:
    return {name for name in pc.unique(rows[column]).to_pylist() if name is not None}


def _answers(group: Group, outcomes: np.ndarray[Any, Any]) -> Iterator[dict[str, Any]]:
    """The answer to each submission of a group whose rows came out as `outcomes`."""
    total = sum(len(submission.decoded.events) for submission in group.submissions)
    by_place = np.full(total, -1, np.int64)  # -1: the event was refused before the ledger
    by_place[group.places] = outcomes
    problems = {problem.position: problem for problem in group.problems}
    start = 0
    for submission in group.submissions:
        decoded = submission.decoded
        mine = by_place[start : start + len(decoded.events)]
        accepted = int((mine == Outcome.ACCEPTED).sum())
        duplicates = int((mine == Outcome.DUPLICATE).sum())
        rejections = decoded.rejections
        if accepted + duplicates < len(mine):
            refused = np.nonzero((mine != Outcome.ACCEPTED) & (mine != Outcome.DUPLICATE))[0].tolist()
            rejections = [
                *rejections,
                *(_rejection(decoded, row, problems.get(start + row), int(mine[row])) for row in refused),
            ]
        yield _answer(decoded, accepted, duplicates, rejections)
        start += len(decoded.events)


def _rejection(decoded: Decoded, row: int, problem: Problem | None, outcome: int) -> Rejection:
    event = decoded.events[row]
    index, seconds = decoded.indexes[row], unix_seconds(event.timestamp)
    if problem:
        return Rejection(index, event.id, problem.code, problem.param, problem.message)
    if outcome == Outcome.TOO_OLD:
        return Rejection(
            index,
            event.id,
            "too_old",
            "timestamp",
            f"Invalid 'timestamp': the events of the day of {seconds} were dropped after their time, and nobody can "
            "tell whether this one was among them. Nothing was changed.",
        )
    return Rejection(
        index,
        event.id,
        "conflict",
        "id",
        f"An event with id '{event.id}' and timestamp {seconds} was kept before with another payload. "
        "Nothing was changed.",
    )


def _answer(decoded: Decoded, accepted: int, duplicates: int, rejections: list[Rejection]) -> dict[str, Any]:
    listed = sorted(rejections, key=lambda rejection: rejection.index)
    answer: dict[str, Any] = {
        "object": "event.batch",
        "accepted": accepted,
        "duplicates": duplicates,
        "rejected": decoded.total - accepted - duplicates,
        "errors": listed[:MOST_ERRORS_LISTED],
    }
    if len(listed) > MOST_ERRORS_LISTED:
        answer["errors_omitted"] = len(listed) - MOST_ERRORS_LISTED
    return answer


def as_request_error(error: UsageLedgerError) -> RequestError:
    """A failure of the ledger or the registry as the answer that it deserves: 503, to be sent again."""
    if isinstance(error, RequestError):
        return error
    return OverloadedError("The server cannot read or write its data now. Send the same request again.", retry_after=2)
