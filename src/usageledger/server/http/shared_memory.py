"""Memory that many requests share, with a bound on all of them together."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from usageledger.errors import OverloadedError

FREE_BYTES = 64 * 1024  # of each, whatever others hold


class SharedMemory:
    """Counts what is held, beyond `FREE_BYTES` of each, so that small ones go on while large ones fill it.

    Safe to use from many threads.
    """

    def __init__(self, most_bytes: int, full: str) -> None:
        self._most_bytes, self._full = most_bytes, full
        self._lock = threading.Lock()  # guards _held
        self._held = 0

    @contextmanager
    def share(self) -> Generator[Callable[[int], None]]:
        """A function that says how many bytes one holds from now on, none after the block.

        It raises OverloadedError where that is too much with what others hold; a lone one may hold anything.
        """
        mine = 0

        def hold(size: int) -> None:
            nonlocal mine
            beyond = max(0, size - FREE_BYTES)
            with self._lock:
                others = self._held - mine
                if beyond > mine and others and others + beyond > self._most_bytes:
                    raise OverloadedError(self._full, retry_after=1)
                self._held, mine = others + beyond, beyond

        try:
            yield hold
        finally:
            with self._lock:
                self._held -= mine
