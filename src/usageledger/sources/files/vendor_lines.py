"""Files whose lines are answers of a vendor: output files of batches, invocation logs."""

from collections.abc import Iterable, Iterator
from typing import Any

from usageledger.errors import InvalidRequestError
from usageledger.sources.files.origin import Origin, leave_text, take_readings
from usageledger.sources.readings import Reading
from usageledger.sources.vendors import read_vendor


def read_lines(vendor: str, texts: Iterable[bytes], origin: Origin, reading: Reading) -> Iterator[dict[str, Any]]:
    """Reads lines, each by itself, as `POST /v1/sources/{vendor}` does."""
    for text in texts:
        try:
            readings = read_vendor(vendor, text, now=origin.written)
        except InvalidRequestError:
            leave_text(reading, text)
            continue
        yield from take_readings(readings, reading)
