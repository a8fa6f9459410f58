"""The queue of a sender: what is due when, in which order, and that the counts always add up."""

import threading
import time

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from usageledger.client.delivery import BATCH_BYTES
from usageledger.client.outbox import Outbox, SenderCounts

LATER = 3600.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def filled(number: int, *, most: int = 100, batch: int = 10, flush_seconds: float = LATER) -> Outbox:
    box = Outbox(most, batch, flush_seconds)
    for each in range(number):
        assert box.put(b"%d" % each) is None
    return box


def test_a_full_batch_is_due_at_once() -> None:
    box = filled(25)
    assert box.take() == [b"%d" % n for n in range(10)]
    box.settle(delivered=10)
    assert box.take() == [b"%d" % n for n in range(10, 20)]
    assert box.counts == SenderCounts(offered=25, delivered=10, waiting=15)


def test_the_oldest_waits_no_longer_than_it_should(clock: list[float]) -> None:
    box = filled(1, flush_seconds=5)
    clock[0] += 4
    box.put(b"late")
    assert box._due_in() == 1
    clock[0] += 1
    assert box.take() == [b"0", b"late"]


def test_a_batch_is_bounded_in_bytes() -> None:
    half, too_large = b"1" * (BATCH_BYTES // 2 - 1), b"1" * 2 * BATCH_BYTES
    box = Outbox(100, 4, LATER)
    for line in (half, half, half, too_large):
        box.put(line)
    box.close(LATER)
    assert [box.take() == batch for batch in ([half, half], [half], [too_large], None)] == [True] * 4


def test_what_is_being_sent_counts_as_waiting() -> None:
    box = filled(10, most=10)
    assert box.take() is not None
    assert box.put(b"more") == "queue_full"
    box.settle(delivered=10)
    assert box.put(b"more") is None
    assert box.counts == SenderCounts(offered=12, delivered=10, dropped=1, waiting=1)


def test_flush_waits_for_what_was_there_before() -> None:
    box = filled(3)
    assert not box.flush(0)
    assert box.take() == [b"0", b"1", b"2"]
    box.put(b"after")
    done = threading.Event()

    def flush() -> None:
        assert box.flush(60)
        done.set()

    thread = threading.Thread(target=flush)
    thread.start()
    box.settle(delivered=2, refused=1)
    assert box.take() == [b"after"]  # flushed while it waited, or asked for by the second flush
    box.settle(delivered=1)
    assert done.wait(60)
    thread.join()
    assert box.flush(0)


def test_after_closing_nothing_is_taken_in_and_everything_is_due() -> None:
    box = filled(2)
    box.close(LATER)
    assert box.put(b"late") == "closed"
    assert box.take() == [b"0", b"1"]
    box.settle(delivered=2)
    assert box.take() is None


def test_halves_come_first_and_in_their_order() -> None:
    box = filled(12)
    assert len(box.take() or []) == 10
    box.halve()
    assert box.take() == [b"%d" % n for n in range(5)]
    box.halve()
    assert [box.take(), box.take()] == [[b"0", b"1"], [b"2", b"3", b"4"]]
    assert box.counts.waiting == 12


def test_what_is_given_up_is_everything_that_is_not_settled() -> None:
    box = filled(25)
    box.take()
    box.halve()
    box.take()
    assert box.abandon() == [b"%d" % n for n in range(25)]
    assert not box.settle(delivered=5)
    assert box.counts == SenderCounts(offered=25, dropped=25)
    assert box.take() is None
    assert box.abandon() == []
    assert box.flush(0)


def test_a_pause_ends_at_its_time_or_when_time_is_up(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    box = filled(1)
    waited: list[float] = []

    def wait(seconds: float | None = None) -> bool:
        waited.append(seconds or 0)
        clock[0] += seconds or 0
        return True

    monkeypatch.setattr(box._changed, "wait", wait)
    assert box.pause(3, asked=False)
    box.close(5)
    assert box.pause(2, asked=False)
    assert not box.pause(60, asked=True)
    assert waited == [3, 2, 3]
    assert box.counts.retries == 3


@pytest.mark.parametrize("asked", [False, True])
def test_closing_ends_a_pause_unless_the_server_asked_for_it(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    box = filled(1)

    def wait(seconds: float | None = None) -> bool:
        if not box.closing:
            box.close(10)
        else:
            clock[0] += seconds or 0
        return True

    monkeypatch.setattr(box._changed, "wait", wait)
    assert box.pause(7, asked=asked)
    assert clock[0] == (107 if asked else 100)


class Sending(RuleBasedStateMachine):
    """One thread does everything that two would, in any order; a list is the model."""

    def __init__(self) -> None:
        super().__init__()
        self.box = Outbox(12, 4, LATER)
        self.number = 0
        self.left: list[bytes] = []
        self.taken: list[bytes] | None = None
        self.counts = {"delivered": 0, "refused": 0, "dropped": 0}
        self.closed = self.abandoned = False

    @rule()
    def put(self) -> None:
        self.number += 1
        line = b"%d" % self.number
        why = self.box.put(line)
        assert why == ("closed" if self.closed else "queue_full" if len(self.left) == 12 else None)
        if why is None:
            self.left.append(line)
        else:
            self.counts["dropped"] += 1

    @precondition(lambda self: self.taken is None and (len(self.left) >= 4 or self.closed))
    @rule()
    def take(self) -> None:
        self.taken = self.box.take()
        if self.left and not self.abandoned:
            assert self.taken == self.left[: len(self.taken or [])]
            assert 1 <= len(self.taken or []) <= 4
        else:
            assert self.taken is None

    @precondition(lambda self: self.taken)
    @rule(refused=st.integers(0, 4))
    def settle(self, refused: int) -> None:
        taken = self.taken or []
        refused = min(refused, len(taken))
        assert self.box.settle(delivered=len(taken) - refused, refused=refused) == (not self.abandoned)
        if not self.abandoned:
            self.counts["delivered"] += len(taken) - refused
            self.counts["refused"] += refused
            del self.left[: len(taken)]
        self.taken = None

    @precondition(lambda self: not self.abandoned and len(self.taken or []) > 1)
    @rule()
    def halve(self) -> None:
        self.box.halve()
        self.taken = None

    @rule()
    def close(self) -> None:
        self.box.close(LATER)
        self.closed = True

    @precondition(lambda self: self.closed)
    @rule()
    def abandon(self) -> None:
        assert self.box.abandon() == self.left
        self.counts["dropped"] += len(self.left)
        self.left = []
        self.abandoned = True

    @invariant()
    def the_counts_add_up(self) -> None:
        found = self.box.counts
        assert found == SenderCounts(offered=self.number, waiting=len(self.left), **self.counts)
        assert found.offered == found.delivered + found.refused + found.dropped + found.waiting


Sending.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestSending = Sending.TestCase
