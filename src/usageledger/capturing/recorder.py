"""Answers that pass → events for a sender, and counts of those whose usage nobody knows. Nothing here fails a call."""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from usageledger.capturing.answer_reader import AnswerReader
from usageledger.capturing.calls import Call, call_of, uses_model, vendor_of
from usageledger.errors import UsageLedgerError
from usageledger.events.typed_events import RESPONSE_PREFIX
from usageledger.sources.readings import Readings, Reason

HINTS = {
    True: "the vendor says it only with stream_options.include_usage; see docs/python.md",
    False: "the stream was cut before the vendor said it, or the answer does not say it",
}

logger = logging.getLogger("usageledger.capture")

_lock = threading.RLock()  # guards the counts and what was logged; a fork waits until no other thread holds it
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


@dataclass(frozen=True, slots=True)
class CaptureCounts:
    """Counts of what was read.

    Attributes:
        answers: successful ones of calls that use a model; each is in one of `counted`, `unknown` and `not_counted`.
        counted: answers that said their usage.
        events: made of these.
        unknown: answers whose usage nobody knows: it is not 0, and no event says so.
        not_counted: answers that are not to be counted: failed calls, and numbers that contradict each other.
    """

    answers: int = 0
    counted: int = 0
    events: int = 0
    unknown: int = 0
    not_counted: int = 0


class Recorder:
    """A maker of events from calls and their answers.

    Args:
        send: takes an event, at once.
        vendor: whose answers they are, whatever the host; by the host where it is not given.
    """

    def __init__(self, send: Callable[[dict[str, Any]], object], vendor: str | None = None) -> None:
        self._send = send
        self._vendor = vendor
        self._counts = CaptureCounts()
        self._logged: set[str] = set()

    @property
    def counts(self) -> CaptureCounts:
        """The counts so far."""
        with _lock:
            return self._counts

    def call(self, method: str, host: str, path: str, body: bytes, fields: Mapping[str, str]) -> Call | None:
        """Reads a request; None for one that uses no model, or of a vendor that nobody knows.

        Args:
            method: of the request.
            host: with its port where it is not that of the scheme.
            path: without its query.
            body: the whole, or the beginning of a form; empty where it is not known.
            fields: of its events: for whom it is.
        """
        if not uses_model(method, path):
            return None
        vendor = self._vendor or vendor_of(host)
        if vendor is None:
            self.log_once(host, "usage of %s is not read: give vendor=…, whose answers they are", host)
            return None
        return call_of(vendor, path, body, fields)

    def exchange(self, call: Call, status: int, media_type: str, encoding: str) -> "Exchange | None":
        """Begins to read the answer to a call; None where the call failed."""
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return None
        self.count(answers=1)
        return Exchange(self, call, media_type, encoding)

    def record(self, call: Call, readings: Readings) -> None:
        """Sends the events of an answer, or counts why it has none."""
        events = [event for reading in readings.values() for event in reading.events]
        reasons = {reason for reading in readings.values() for reason in reading.not_counted}
        if not events:
            if reasons - {Reason.NO_USAGE}:
                self.count(not_counted=1)
                self.log_once(
                    f"{call.vendor} {reasons}", "an answer of %s is not counted: %s", call.path, _why(readings)
                )
            else:
                self.unknown(call, HINTS[call.lacks_usage])
            return
        self.count(counted=1, events=len(events))
        for event in events:
            # Without an id of the vendor's an answer would be known by its text, which others may have as well.
            if not event["id"].startswith(RESPONSE_PREFIX):
                del event["id"]
            self._send({**event, **call.fields})

    def unknown(self, call: Call, why: str) -> None:
        """Counts an answer whose usage nobody knows; logs the first one of a reason."""
        self.count(unknown=1)
        self.log_once(
            f"{call.vendor} {why}", "usage of an answer of %s is unknown, and not counted: %s", call.path, why
        )

    def log_once(self, about: str, message: str, *values: object) -> None:
        """Logs a warning, unless one about the same was logged before."""
        with _lock:
            if about in self._logged:
                return
            self._logged.add(about)
        logger.warning(message, *values)

    def log_defect(self, error: Exception) -> None:
        """Logs a defect of ours, which no call may feel, once a kind."""
        kind = type(error).__name__
        with _lock:
            if kind in self._logged:
                return
            self._logged.add(kind)
        logger.error("usage cannot be read: a defect", exc_info=error)

    def count(self, **counts: int) -> None:
        """Adds to the counts."""
        with _lock:
            self._counts = replace(
                self._counts, **{name: getattr(self._counts, name) + number for name, number in counts.items()}
            )


class Exchange:
    """An answer as it passes. Whatever goes wrong here is counted as an answer of unknown usage, and logged."""

    def __init__(self, recorder: Recorder, call: Call, media_type: str, encoding: str) -> None:
        self._recorder = recorder
        self._call = call
        self._reader: AnswerReader | None = None
        self._guarded(lambda: self._begin(media_type, encoding))

    def feed(self, chunk: bytes) -> None:
        """Takes the next piece of the body, as it was sent."""
        if reader := self._reader:
            self._guarded(lambda: reader.feed(chunk))

    def end(self) -> None:
        """Ends the answer, whole or not; only the first time counts."""
        reader, self._reader = self._reader, None
        if reader:
            self._guarded(lambda: self._recorder.record(self._call, reader.end()))

    def _begin(self, media_type: str, encoding: str) -> None:
        self._reader = AnswerReader(self._call.vendor, self._call.model, int(time.time()), media_type, encoding)

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except UsageLedgerError as error:
            self._reader = None
            self._recorder.unknown(self._call, str(error))
        except Exception as error:  # noqa: BLE001 - logged
            self._reader = None
            self._recorder.log_defect(error)
            self._recorder.count(unknown=1)


def _why(readings: Readings) -> str:
    refused = [why for reading in readings.values() for _, why in reading.refused]
    return "; ".join(refused) or ", ".join(
        sorted({reason for each in readings.values() for reason in each.not_counted})
    )
