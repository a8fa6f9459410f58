"""Locks with a name and a rank: a thread takes them in the order of their ranks, which is asserted each time.

Two threads that take the same two locks in different orders wait for each other for ever. Where every thread takes
locks of ascending rank that cannot happen, and a wrong order shows at once, in whatever thread it is, and not only when
two of them meet.

The embedded ledger has rollups 1, events 2, writer 3, cursor 4 and readers 5; prices, looked up while a cursor is open,
have 6. The way in has turn 1 and arrived 2, and holds neither while a ledger works. A lock that nobody takes beside
another one has no rank, and a line that says what it guards. Nor has any in the client: signal handlers and finalizers
of an application may send events, whatever their thread holds.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from types import TracebackType
from typing import Concatenate, ParamSpec, TypeVar, cast

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")


class _Held(threading.local):
    """The locks that the running thread holds, the one taken last at the end."""

    def __init__(self) -> None:
        self.locks: list[RankedLock] = []


_held = _Held()


class RankedLock:
    """A lock for `with`. A thread that holds it may take it again, and none of a lower rank beside it.

    Args:
        name: of what it guards, for messages.
        rank: locks of a higher rank may be taken while this one is held.
        shared: any number of threads hold it at once; it keeps the order, and nobody out.

    Raises:
        AssertionError: it is taken while the thread holds a lock of the same or a higher rank.
    """

    def __init__(self, name: str, rank: int, *, shared: bool = False) -> None:
        self.name = name
        self.rank = rank
        self._lock: AbstractContextManager[object] = nullcontext() if shared else threading.RLock()

    def __repr__(self) -> str:
        return f"RankedLock({self.name!r}, {self.rank})"

    @property
    def held(self) -> bool:
        """True if the running thread holds this lock."""
        return self in _held.locks

    def __enter__(self) -> None:
        locks = _held.locks
        if locks and self not in locks:
            highest = max(locks, key=lambda lock: lock.rank)
            assert highest.rank < self.rank, f"{self} is taken while {highest} is held"  # noqa: S101 - our defect
        self._lock.__enter__()
        locks.append(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _held.locks.pop()
        self._lock.__exit__(kind, error, traceback)


class RankedCondition(RankedLock):
    """A ranked lock whose holder may wait for what another thread changes, and let it in meanwhile."""

    def __init__(self, name: str, rank: int) -> None:
        super().__init__(name, rank)
        self._lock = self._condition = threading.Condition()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until another thread notifies; false where `timeout` seconds pass before."""
        return self._condition.wait(timeout)

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        """Waits until `predicate` holds, or `timeout` seconds have passed; returns what it says then."""
        return self._condition.wait_for(predicate, timeout)

    def notify(self) -> None:
        """Wakes one thread that waits."""
        self._condition.notify()

    def notify_all(self) -> None:
        """Wakes every thread that waits."""
        self._condition.notify_all()


def holding(*names: str) -> Callable[[Callable[Concatenate[S, P], T]], Callable[Concatenate[S, P], T]]:
    """Decorate a method that may be called only by a thread that holds the locks in these attributes of the object."""

    def decorate(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
        @wraps(method)
        def checked(self: S, *args: P.args, **kwargs: P.kwargs) -> T:
            for name in names:
                lock: RankedLock = getattr(self, name)
                assert lock.held, f"{method.__qualname__} needs {lock}"  # noqa: S101 - our defect
            return method(self, *args, **kwargs)

        return cast("Callable[Concatenate[S, P], T]", checked)

    return decorate
