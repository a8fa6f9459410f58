"""Events of an application → the ledger, in the background.

`send` queues an event and never waits. One thread takes batches from the queue and sends each, byte for byte the same,
until the server has answered. What cannot be delivered is counted, logged and told: nothing is lost in silence.
"""

import asyncio
import atexit
import encodings.idna  # noqa: F401 # pyright: ignore[reportUnusedImport] - see `_after_fork`
import logging
import os
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from math import inf
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

import httpx

from usageledger.client.delivery import must_split, post
from usageledger.client.errors import (
    APIError,
    APIStatusError,
    BadRequestError,
    RequestTooLargeError,
    SettingsError,
    UnprocessableEntityError,
)
from usageledger.client.events import Answer, Event, decode, encode, read_answer
from usageledger.client.outbox import Outbox, SenderCounts
from usageledger.client.transport import Retries, SyncTransport

DEFAULT_URL = "http://127.0.0.1:8080"
KEY_VARIABLES = ("USAGELEDGER_API_KEY", "USAGELEDGER_ADMIN_KEY")
RETRIES = Retries(count_max=None, backoff_s_max=30.0, asked_s_max=inf, worth=lambda _: True)
CLOSING_BACKOFF_S_MAX = 0.5
LOG_EVERY_S = 10.0

logger = logging.getLogger("usageledger.client")

DropReason: TypeAlias = Literal["queue_full", "closed", "refused", "unsent"]
WHY: dict[DropReason, str] = {
    "queue_full": "the queue is full: events come faster than they are delivered",
    "closed": "the sender is closed",
    "unsent": "the sender closed before they were answered",
}


@dataclass(frozen=True, slots=True)
class Drop:
    """An event that does not reach the ledger.

    Attributes:
        event: as it was given, with its `id`.
        reason: `queue_full`; `closed`: it came after that; `refused` by the server; `unsent`: not answered before the
            sender closed, so that it may have arrived.
        message: why, in words.
    """

    event: dict[str, Any]
    reason: DropReason
    message: str


class _Connection(SyncTransport):
    def batch(self, lines: list[bytes]) -> Answer:
        """The answer to one try of sending a batch."""
        return read_answer(self._send(post(lines)), len(lines))


class Sender:
    """The base of both senders: a queue and a thread that sends.

    Many threads may use it. After a fork the child begins with an empty queue and connections of its own; what the
    parent had queued stays the parent's. It closes when the interpreter exits. A process that is killed, or ended by a
    signal that it does not handle, loses what is queued.

    A batch is sent again until it is answered, for as long as it takes, since a server that is away, or a key that is
    wrong for now, is no reason to lose events: what bounds them is the queue.

    Args:
        api_key: a key with the scope `api.usage.write`; `USAGELEDGER_API_KEY` or `USAGELEDGER_ADMIN_KEY` where it is
            not given.
        base_url: the UsageLedger, with or without `/v1`; `USAGELEDGER_URL` where it is not given, then this machine's.
        timeout: seconds for each wait of a request, or httpx's own.
        http_client: one of your own, which must not be shared with another process by a fork.
        queue_events: most events that wait; further ones are dropped.
        batch_events: a batch is sent when so many wait …
        flush_seconds: … or when the oldest has waited for so long.
        exit_seconds: how long closing goes on trying.
        on_drop: called with each event that does not reach the ledger, by the thread that finds out.

    Raises:
        SettingsError: no key, or an argument that cannot be used.
    """

    def __init__(  # noqa: PLR0913 - an option each
        self,
        api_key: str | None = None,
        base_url: str | httpx.URL | None = None,
        *,
        timeout: float | httpx.Timeout | None = None,
        http_client: httpx.Client | None = None,
        queue_events: int = 10_000,
        batch_events: int = 500,
        flush_seconds: float = 1.0,
        exit_seconds: float = 5.0,
        on_drop: Callable[[Drop], object] | None = None,
    ) -> None:
        if not 1 <= batch_events <= queue_events:
            raise SettingsError(f"batch_events: expected 1 to queue_events ({queue_events}), got {batch_events!r}.")
        self._connection = _Connection(
            _key(api_key), _address(base_url), timeout=timeout, max_retries=0, http_client=http_client
        )
        self._new_outbox: Callable[[], Outbox] = partial(Outbox, queue_events, batch_events, flush_seconds)
        self._exit_seconds = exit_seconds
        self._on_drop = on_drop
        self._begin()
        _senders.add(self)

    def _begin(self) -> None:
        """The state of a process that has sent nothing."""
        self._outbox = self._new_outbox()
        self._starting = threading.Lock()  # guards _thread
        self._thread: threading.Thread | None = None
        self._logging = threading.Lock()  # guards the next two
        self._unlogged: Counter[DropReason] = Counter()
        self._logged_at = -LOG_EVERY_S

    def _after_fork(self) -> None:
        closed = self._outbox.closing
        self._begin()
        if closed:
            self._outbox.close(0)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._connection.base_url!r}, counts={self.counts})"

    @property
    def counts(self) -> SenderCounts:
        """The counts so far."""
        return self._outbox.counts

    def send(self, event: Event) -> bool:
        """Queues an event and returns at once; False where it was dropped instead.

        It is encoded now, so that it may be changed afterwards, and gets an `id` where it has none.

        Raises:
            TypeError: it is no dict, or holds what JSON cannot say.
        """
        line = encode(event)
        self._start()
        reason = self._outbox.put(line)
        if reason is None:
            return True
        self._log_overflow(reason)
        self._tell([Drop(decode(line), reason, WHY[reason])])
        return False

    def _flush(self, timeout: float | None = None) -> bool:
        return self._outbox.flush(timeout)

    def _close(self, timeout: float | None = None) -> None:
        seconds = self._exit_seconds if timeout is None else timeout
        self._outbox.close(seconds)
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(seconds)
        atexit.unregister(self._close)
        lines = self._outbox.abandon()
        self._log_overflow(None)
        if lines:
            logger.error("events dropped: %d; %s", len(lines), WHY["unsent"])
        self._tell(Drop(decode(line), "unsent", WHY["unsent"]) for line in lines)

    # --- the thread ----------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """Starts the thread that sends, with the first event of a process."""
        with self._starting:
            if self._thread is not None or self._outbox.closing:
                return
            thread = threading.Thread(target=self._run, name="usageledger-sender", daemon=True)
            thread.start()
            self._thread = thread
        atexit.register(self._close)
        # A child of multiprocessing may end without the interpreter's own exit handlers.
        multiprocessing = sys.modules.get("multiprocessing")
        if multiprocessing is not None and multiprocessing.parent_process() is not None:
            multiprocessing.util.Finalize(None, self._close, exitpriority=10)

    def _run(self) -> None:
        while (lines := self._outbox.take()) is not None:
            try:
                self._deliver(lines)
            except Exception:
                logger.exception("events dropped: %d; a defect of the sender", len(lines))
                if self._outbox.settle(dropped=len(lines)):
                    self._tell(Drop(decode(line), "unsent", "a defect of the sender, see the log") for line in lines)
        self._connection.close()

    def _deliver(self, lines: list[bytes]) -> None:
        answer = self._answer(lines)
        if answer is None:
            return
        if isinstance(answer, (Answer, RequestTooLargeError)) and must_split(lines, answer):
            self._outbox.halve()
        elif isinstance(answer, Answer):
            reasons: dict[int, str] = {}
            for error in answer.errors:
                reasons[error.index] = "; ".join(filter(None, (reasons.get(error.index), error.message)))
            self._settle(lines, answer.rejected, reasons)
        else:
            self._settle(lines, len(lines), dict.fromkeys(range(len(lines)), str(answer)))

    def _settle(self, lines: list[bytes], refused: int, reasons: dict[int, str]) -> None:
        """Counts a batch, the events at some places of which were refused; the others are delivered."""
        if self._outbox.settle(delivered=len(lines) - refused, refused=refused) and reasons:
            drops = [Drop(decode(lines[place]), "refused", reason) for place, reason in reasons.items()]
            logger.warning("events refused: %d; the first, %r: %r", refused, drops[0].event["id"], drops[0].message)
            self._tell(drops)

    def _answer(self, lines: list[bytes]) -> Answer | APIStatusError | None:
        """The answer to a batch, or the error that is about it, however often it is sent; None when time is up."""
        for attempt in count():
            try:
                return self._connection.batch(lines)
            except (BadRequestError, RequestTooLargeError, UnprocessableEntityError) as error:
                return error
            except APIError as error:
                seconds = self._retries().wait_s(attempt, error) or 0.0
                logger.warning("events sent again in %.1f s: %d; %r", seconds, len(lines), str(error))
                asked = isinstance(error, APIStatusError) and error.retry_after is not None
            if not self._outbox.pause(seconds, asked=asked):
                break
        return None

    def _retries(self) -> Retries:
        return replace(RETRIES, backoff_s_max=CLOSING_BACKOFF_S_MAX) if self._outbox.closing else RETRIES

    # --- what is lost --------------------------------------------------------------------------------------------

    def _log_overflow(self, reason: DropReason | None) -> None:
        """Logs a drop, in a flood of them one line for all of some seconds; with None what is not logged yet."""
        with self._logging:
            if reason:
                self._unlogged[reason] += 1
                if time.monotonic() - self._logged_at < LOG_EVERY_S:
                    return
            numbers, self._unlogged, self._logged_at = self._unlogged, Counter(), time.monotonic()
        for each, number in numbers.items():
            logger.error("events dropped: %d; %s", number, WHY[each])

    def _tell(self, drops: Iterable[Drop]) -> None:
        if self._on_drop is None:
            return
        for drop in drops:
            try:
                self._on_drop(drop)
            except Exception:
                logger.exception("on_drop failed")


class EventSender(Sender):
    """Sends events in the background: `with EventSender() as sender: sender.send({…})`. Its arguments: `Sender`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def flush(self, timeout: float | None = None) -> bool:
        """Sends what is queued, and waits until all of it is answered; False where `timeout` seconds pass before."""
        return self._flush(timeout)

    def close(self, timeout: float | None = None) -> None:
        """Sends what is queued, for at most `timeout` seconds (`exit_seconds` where not given), and ends.

        What has no answer by then is dropped: counted, logged and given to `on_drop`. What is sent later is as well.
        """
        self._close(timeout)


class AsyncEventSender(Sender):
    """As `EventSender`, for `async with` and `await`: the event loop never waits for it. Its arguments: `Sender`.

    `send` is no coroutine, as it does not wait. The thread is the same sort as that of `EventSender`, so it does
    not matter which event loop is running, or none when the process ends.
    """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def flush(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - the same surface as `EventSender`
        """Sends what is queued, and waits until all of it is answered; False where `timeout` seconds pass before."""
        return await asyncio.to_thread(self._flush, timeout)

    async def close(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the same
        """Sends what is queued, for at most `timeout` seconds (`exit_seconds` where not given), and ends.

        What has no answer by then is dropped: counted, logged and given to `on_drop`. What is sent later is as well.
        """
        await asyncio.to_thread(self._close, timeout)


_senders: "weakref.WeakSet[Sender]" = weakref.WeakSet()


def _after_fork() -> None:
    """In the child: the parent's thread is not here, its locks may be held, and its events are its own.

    Nor can a child go on with an import that a thread of the parent had begun: what the first connection would import
    is therefore loaded with this module.
    """
    for sender in list(_senders):
        sender._after_fork()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - of this module


os.register_at_fork(after_in_child=_after_fork)


def _key(given: str | None) -> str:
    if given is not None:
        return given
    key = next(filter(None, map(os.environ.get, KEY_VARIABLES)), None)
    if key is None:
        raise SettingsError(f"There is no API key: give api_key, or set {' or '.join(KEY_VARIABLES)}.")
    return key


def _address(given: str | httpx.URL | None) -> str:
    text = str(given if given is not None else os.environ.get("USAGELEDGER_URL") or DEFAULT_URL).rstrip("/")
    return text if text.endswith("/v1") else f"{text}/v1"
