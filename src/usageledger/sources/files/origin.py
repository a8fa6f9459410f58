"""Origins of texts, and names in them: the common part of readers of files."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import PurePath, PureWindowsPath
from typing import Any, NamedTuple

from usageledger.sources.readings import Reading, Readings, Reason

_WITHOUT_ZONE = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?")


class Origin(NamedTuple):
    """The file that texts are from.

    Attributes:
        file: its path.
        now: the time at which it is read, Unix seconds.
        written: the time at which it was written, of records that say none, so that they have the same one each time.
    """

    file: str
    now: int
    written: int


def folder_name(path: object) -> str | None:
    """Gives the last part of a working folder, on whatever system it is; None for none."""
    if not isinstance(path, str):
        return None
    return (PureWindowsPath(path) if "\\" in path else PurePath(path)).name or None


def leave_text(reading: Reading, text: bytes) -> None:
    """Leaves a text that cannot be read; its digest names it."""
    reading.leave(Reason.REFUSED, hashlib.sha256(text).hexdigest(), "It is not JSON of the form of this source.")


def take_readings(readings: Readings, reading: Reading) -> Iterator[dict[str, Any]]:
    """Takes readings of a body: gives their events, and adds what they left out to `reading`."""
    for each in readings.values():
        yield from each.events
        reading.add(each)


def utc(time: object) -> object:
    """Gives a time without a zone, as databases write it, one: UTC; any other value as it is."""
    return f"{time}Z" if isinstance(time, str) and _WITHOUT_ZONE.fullmatch(time) else time
