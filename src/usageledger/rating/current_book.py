"""The price book of the newest public prices: those of this version, or those that were taken since."""

import logging
import threading
from collections.abc import Callable
from functools import partial

from usageledger.errors import PriceFileError
from usageledger.pricing.book import PriceBook
from usageledger.pricing.price_file import PriceFile, read, shipped
from usageledger.registry import PriceFiles

LOOKED_UP_SECONDS = 60

logger = logging.getLogger("usageledger.pricing")


def newest_prices(files: PriceFiles) -> PriceFile:
    """The newer one of the shipped file and of the one that was taken.

    Raises:
        PriceFileError: a later version took one that this version cannot read.
    """
    if files.serial() <= shipped().serial:
        return shipped()
    stored = files.newest()
    return read(stored.text) if stored else shipped()


class CurrentBook:
    """Gives the book when called; what is taken meanwhile is in it a minute later. For many threads.

    Args:
        files: where it is looked up.
        clock: Unix seconds.
        strict_days: of the book.
    """

    def __init__(self, files: PriceFiles, clock: Callable[[], float], *, strict_days: bool = False) -> None:
        self._files = files
        self._clock = clock
        self._looking = threading.Lock()
        self._strict_days = strict_days
        self._serial = max(files.serial(), shipped().serial)
        self._book = self._newest(partial(PriceBook, strict_days=strict_days))
        self._looked_at = clock()

    def __call__(self) -> PriceBook:
        """The book in use, looked up anew where a minute has passed."""
        due = not 0 <= self._clock() - self._looked_at < LOOKED_UP_SECONDS
        if due and self._looking.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._looking.release()
        return self._book

    def _look(self) -> None:
        serial = self._files.serial()
        if serial > self._serial:
            self._serial = serial
            self._book = self._newest(lambda: self._book)
        self._looked_at = self._clock()

    def _newest(self, otherwise: Callable[[], PriceBook]) -> PriceBook:
        """The book of the newest prices, or another one where these cannot be read."""
        try:
            book = PriceBook(newest_prices(self._files), strict_days=self._strict_days)
        except PriceFileError as error:
            book = otherwise()
            logger.error("%s stay in use: prices %d cannot be read: %s", book.name, self._serial, error)  # noqa: TRY400 - its message says all
        else:
            if self._serial > shipped().serial:
                logger.info("%s are in use", book.name)
        return book
