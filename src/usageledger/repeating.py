"""Work that is done again and again, in a thread of its own."""

import logging
import threading
from collections.abc import Callable

from usageledger.errors import UsageLedgerError

logger = logging.getLogger("usageledger")


class Repeating:
    """Does some work every few seconds, from `start` to `stop`; what fails is logged, and tried again the next time.

    Args:
        name: of the thread.
        seconds: between the end of one time and the next.
        work: raises where it cannot be done.
        failed: said in the log then, before the reason.
    """

    def __init__(self, name: str, seconds: float, work: Callable[[], object], failed: str) -> None:
        self._seconds = seconds
        self._work = work
        self._failed = failed
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begins; the first time comes after `seconds`."""
        self._thread.start()

    def stop(self) -> None:
        """Ends, after what is under way; where it was not begun there is nothing to end."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            self.once()

    def once(self) -> None:
        """Does the work once, in the thread that calls."""
        try:
            self._work()
        except UsageLedgerError as error:
            logger.warning("%s: %s", self._failed, error)
        except Exception:
            logger.exception("%s", self._failed)
