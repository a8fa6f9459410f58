"""Locks that assert their order."""

import threading
from collections.abc import Callable

import pytest

from usageledger.locks import RankedCondition, RankedLock, holding


class Store:
    """Something with three locks."""

    def __init__(self) -> None:
        self.first = RankedLock("first", 1)
        self.second = RankedLock("second", 2)
        self.readers = RankedLock("readers", 3, shared=True)

    @holding("first", "second")
    def change(self, by: int, *, times: int = 1) -> int:
        return by * times


@pytest.fixture
def store() -> Store:
    return Store()


def in_another_thread(work: Callable[[], object]) -> object:
    found: list[object] = []

    def run() -> None:
        try:
            found.append(work())
        except AssertionError as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    return found[0]


def test_locks_are_taken_in_the_order_of_their_ranks(store: Store) -> None:
    with store.first, store.second, store.readers:
        assert [store.first.held, store.readers.held] == [True, True]
    assert not store.first.held
    with store.second, pytest.raises(AssertionError, match=r"RankedLock\('first', 1\) is taken while .*'second', 2"):
        store.first.__enter__()
    with store.readers, pytest.raises(AssertionError, match=r"'second', 2.* is taken while .*'readers', 3"):
        store.second.__enter__()
    with store.first, store.second:
        pass


def test_two_locks_of_one_rank_exclude_each_other(store: Store) -> None:
    with store.first, pytest.raises(AssertionError, match="other"):
        RankedLock("other", 1).__enter__()


def test_a_lock_that_is_held_may_be_taken_again(store: Store) -> None:
    with store.first, store.second, store.first:
        assert store.first.held
        with store.second:
            pass
        assert store.second.held


def test_it_excludes_other_threads_and_a_shared_one_does_not(store: Store) -> None:
    entered = threading.Event()

    def enter() -> bool:
        with store.first:
            entered.set()
            return True

    thread = threading.Thread(target=enter)
    with store.first, store.readers:
        thread.start()
        assert not entered.wait(0.05)

        def read() -> bool:
            with store.readers:
                return store.readers.held and not store.first.held

        assert in_another_thread(read) is True
    thread.join(60)
    assert entered.is_set()


def test_who_waits_lets_others_in_and_has_its_locks_again() -> None:
    first, changed = RankedLock("first", 1), RankedCondition("changed", 2)
    found: list[int] = []

    def add() -> None:
        for number in range(3):
            with changed:
                found.append(number)
                changed.notify() if number % 2 else changed.notify_all()

    with first, changed:
        assert not changed.wait(0.01)
        assert not changed.wait_for(lambda: bool(found), 0.01)
        thread = threading.Thread(target=add)
        thread.start()
        assert changed.wait_for(lambda: changed.held and len(found) == 3, 60)
        assert first.held
        with pytest.raises(AssertionError, match=r"'other', 2.* is taken while RankedLock\('changed', 2\)"):
            RankedLock("other", 2).__enter__()
    thread.join(60)
    assert not changed.held
    with pytest.raises(RuntimeError):
        changed.notify()


def test_a_method_says_which_locks_it_needs(store: Store) -> None:
    with store.first, store.second:
        assert store.change(2, times=3) == 6
        error = in_another_thread(lambda: store.change(2))
    assert "Store.change needs RankedLock('first', 1)" in str(error)
    with store.first, pytest.raises(AssertionError, match=r"Store.change needs RankedLock\('second', 2\)"):
        store.change(2)


def test_an_error_frees_it(store: Store) -> None:
    with pytest.raises(ValueError, match="broken"), store.first:
        raise ValueError("broken")
    assert not store.first.held
    assert in_another_thread(store.first.__enter__) is None
