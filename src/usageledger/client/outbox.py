"""A bounded queue of encoded events, emptied in batches by one thread, with counts of the outcomes."""

import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import Literal

from usageledger.client.delivery import BATCH_BYTES


@dataclass(frozen=True, slots=True)
class SenderCounts:
    """Counts of the events given to a sender: `offered` is the sum of the next four.

    Attributes:
        offered: events given.
        delivered: answered by the server: on its disk, once.
        refused: the server said why it does not keep them.
        dropped: the queue was full, or the sender closed.
        waiting: in the queue, or sent and not yet answered.
        retries: how often a batch was sent again.
    """

    offered: int = 0
    delivered: int = 0
    refused: int = 0
    dropped: int = 0
    waiting: int = 0
    retries: int = 0


class Outbox:
    """The queue. `put` and `flush` are for any thread, `take` and the methods after it for the one that sends.

    Args:
        events_max: more than so many are not taken in, those being sent included.
        batch_events: a batch is due when so many wait …
        flush_seconds: … or when the oldest has waited for so long.
    """

    def __init__(self, events_max: int, batch_events: int, flush_seconds: float) -> None:
        self._events_max = events_max
        self._batch_events = batch_events
        self._flush_seconds = flush_seconds
        self._changed = threading.Condition()  # guards everything below
        self._waiting: deque[tuple[float, bytes]] = deque()  # with the time when each came
        self._batches: list[list[bytes]] = []  # halves of a batch that was too large, the next one last
        self._taken: list[bytes] = []
        self._counts = SenderCounts()
        self._settled = 0  # accepted events that were delivered or dropped, in order
        self._flush_to = 0
        self._deadline: float | None = None
        self._abandoned = False

    @property
    def counts(self) -> SenderCounts:
        """The counts so far."""
        with self._changed:
            return self._counts

    @property
    def closing(self) -> bool:
        """True if no more events are accepted."""
        return self._deadline is not None

    def put(self, line: bytes) -> Literal["queue_full", "closed"] | None:
        """Accepts an event, or returns the reason why not."""
        with self._changed:
            if self.closing or self._counts.waiting >= self._events_max:
                self._add(offered=1, dropped=1)
                return "closed" if self.closing else "queue_full"
            self._add(offered=1, waiting=1)
            self._waiting.append((time.monotonic(), line))
            if len(self._waiting) in (1, self._batch_events):
                self._changed.notify_all()
            return None

    def flush(self, timeout: float | None) -> bool:
        """Makes everything that waits due, and waits until it is settled; False where `timeout` passes before."""
        with self._changed:
            target = self._settled + self._counts.waiting
            self._flush_to = max(self._flush_to, target)
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._settled >= target, timeout)

    def close(self, seconds: float) -> None:
        """Accepts no more events; the waiting ones are due, and are given up after `seconds`."""
        with self._changed:
            self._deadline = time.monotonic() + seconds
            self._changed.notify_all()

    def abandon(self) -> list[bytes]:
        """Gives up all events that are not settled, and returns them."""
        with self._changed:
            batches = [line for batch in reversed(self._batches) for line in batch]
            lines = [*self._taken, *batches, *(line for _, line in self._waiting)]
            self._abandoned = True
            self._settle(dropped=len(lines))
            self._waiting.clear()
            self._batches.clear()
            return lines

    # --- for the thread that sends -------------------------------------------------------------------------------

    def take(self) -> list[bytes] | None:
        """The next batch, once it is due; None when there will be none."""
        with self._changed:
            while not self._abandoned:
                if self._batches:
                    self._taken = self._batches.pop()
                    return self._taken
                due_in = self._due_in()
                if due_in is not None and due_in <= 0:
                    self._taken = self._next_lines()
                    return self._taken
                if self.closing and not self._waiting:
                    break
                self._changed.wait(due_in)
            return None

    def settle(self, *, delivered: int = 0, refused: int = 0, dropped: int = 0) -> bool:
        """Counts the outcome of the batch taken last; False if it was given up meanwhile."""
        with self._changed:
            if self._abandoned:
                return False
            self._settle(delivered=delivered, refused=refused, dropped=dropped)
            return True

    def halve(self) -> None:
        """Puts the batch taken last back, as two halves."""
        with self._changed:
            middle = len(self._taken) // 2
            self._batches += [self._taken[middle:], self._taken[:middle]]
            self._taken = []

    def pause(self, seconds: float, *, asked: bool) -> bool:
        """Waits before a batch is sent again; False where its time is up.

        Closing ends the wait, for one more try at once, unless the server has `asked` for the wait.
        """
        with self._changed:
            self._add(retries=1)
            was_closing = self.closing
            end = time.monotonic() + seconds
            while not self._abandoned:
                now = time.monotonic()
                last = float("inf") if self._deadline is None else self._deadline
                if now >= last:
                    return False
                if now >= end or (self.closing and not was_closing and not asked):
                    return True
                self._changed.wait(min(end, last) - now)
            return False

    # --- under the lock ------------------------------------------------------------------------------------------

    def _due_in(self) -> float | None:
        """Seconds until a batch is due; None where nothing waits."""
        if not self._waiting:
            return None
        if len(self._waiting) >= self._batch_events or self.closing or self._flush_to > self._settled:
            return 0.0
        return self._waiting[0][0] + self._flush_seconds - time.monotonic()

    def _next_lines(self) -> list[bytes]:
        lines: list[bytes] = []
        held = 0
        while self._waiting and len(lines) < self._batch_events:
            held += len(self._waiting[0][1]) + 1
            if lines and held > BATCH_BYTES:
                break
            lines.append(self._waiting.popleft()[1])
        return lines

    def _settle(self, **counts: int) -> None:
        settled = sum(counts.values())
        self._add(waiting=-settled, **counts)
        self._settled += settled
        self._taken = []
        self._changed.notify_all()

    def _add(self, **counts: int) -> None:
        self._counts = replace(self._counts, **{name: getattr(self._counts, name) + n for name, n in counts.items()})
