"""Origins of texts, and usage blocks made into events: the common part of readers of files."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import PurePath, PureWindowsPath
from typing import Any, NamedTuple

from usageledger.sources.readings import Reading, Readings, Reason, short_id
from usageledger.sources.usage_blocks import Refusal, Usage, for_kind

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


def events_of(
    usage: Usage | Refusal | None, fields: dict[str, Any], name: tuple[str, ...], reading: Reading
) -> Iterator[dict[str, Any]]:
    """Makes the events of a call, or leaves it with the reason.

    Args:
        usage: that its block says.
        fields: of its event, beside counts; `kind` is `completions` where there is none.
        name: the prefix of the event's id and its parts.
        reading: takes what is left out.
    """
    event_id = short_id(*name)
    if usage is None:
        reading.leave(Reason.NO_USAGE, event_id)
        return
    if isinstance(usage, Refusal):
        reading.leave(Reason.REFUSED, event_id, usage.message)
        return
    event = usage.said | fields
    kind = event.pop("kind", "completions")
    yield for_kind(kind, event | usage.counts | {"id": event_id})
    for further in usage.further:
        yield for_kind(further.kind, event | further.fields | {"id": short_id(*name, further.suffix)})
    for note in usage.notes:
        reading.note(note, event_id)


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
