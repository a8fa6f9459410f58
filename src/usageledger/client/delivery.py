"""Delivery of events to `POST /v1/events`: batches, compressed, each sent until it is answered, in halves if need be.

The senders in the background, `send_events` and `usageledger ingest` all deliver by this. Source: docs/events.md.
"""

from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Sequence
from typing import TypeVar

import zstandard

from usageledger.client.errors import APIStatusError, RequestTooLargeError
from usageledger.client.events import Answer, EventError, EventReport, identity, read_answer
from usageledger.client.transport import Request

PATH = "/events"
CONTENT_TYPE = "application/x-ndjson"
BATCH_EVENTS = 1000
BATCH_BYTES = 4 * 1024**2
NO_JSON = "invalid_json"  # the code of a body of which no line is JSON

T = TypeVar("T")


def batches(items: Iterable[T], size: int, length: Callable[[T], int]) -> Iterator[list[T]]:
    """Yield `items` in lists of `size`, and of at most `BATCH_BYTES` by `length` unless one alone is larger."""
    batch: list[T] = []
    held = 0
    for item in items:
        if batch and (len(batch) == size or held + length(item) > BATCH_BYTES):
            yield batch
            batch, held = [], 0
        batch.append(item)
        held += length(item) + 1
    if batch:
        yield batch


def post(lines: Sequence[bytes]) -> Request:
    """Return the request that sends lines of events."""
    body = zstandard.ZstdCompressor().compress(b"\n".join(lines))
    return Request("POST", PATH, body=body, content_type=CONTENT_TYPE, content_encoding="zstd")


def deliver(send: Callable[[Request], bytes], lines: Sequence[bytes], first: int = 0) -> EventReport:
    """Send one batch, and report what became of its events, the first of which has the place `first`.

    Args:
        send: returns the body of the answer to a request, and sends again by rules of its own.
        lines: an event each.
        first: the place of the first one among all that are sent.

    Raises:
        APIError: there is no answer, or one that is about no single event.
    """
    steps = _steps(lines, first)
    part = next(steps)
    while True:
        try:
            answer: Answer | APIStatusError = read_answer(send(post(part)), len(part))
        except APIStatusError as error:
            answer = about_events(error)
        try:
            part = steps.send(answer)
        except StopIteration as end:
            report: EventReport = end.value
            return report


async def deliver_async(
    send: Callable[[Request], Awaitable[bytes]], lines: Sequence[bytes], first: int = 0
) -> EventReport:
    """Do as `deliver` does, with a `send` that is awaited."""
    steps = _steps(lines, first)
    part = next(steps)
    while True:
        try:
            answer: Answer | APIStatusError = read_answer(await send(post(part)), len(part))
        except APIStatusError as error:
            answer = about_events(error)
        try:
            part = steps.send(answer)
        except StopIteration as end:
            report: EventReport = end.value
            return report


def about_events(error: APIStatusError) -> APIStatusError:
    """Return the error where it is about the events of its request; raise it where it is not."""
    if isinstance(error, RequestTooLargeError) or error.code == NO_JSON:
        return error
    raise error


def must_split(lines: Sequence[bytes], answer: Answer | APIStatusError) -> bool:
    """Tell whether a batch is to be sent again in halves: it is too large, or not all of its refusals were named.

    What the server has kept by then counts as a duplicate and is not doubled.
    """
    omitted = isinstance(answer, Answer) and answer.errors_omitted > 0
    return len(lines) > 1 and (omitted or isinstance(answer, RequestTooLargeError))


def _steps(lines: Sequence[bytes], first: int) -> Generator[Sequence[bytes], Answer | APIStatusError, EventReport]:
    """Yield the lines to send, get their answer, and return the report."""
    answer = yield lines
    if must_split(lines, answer):
        middle = len(lines) // 2
        left = yield from _steps(lines[:middle], first)
        right = yield from _steps(lines[middle:], first + middle)
        kept = answer.accepted if isinstance(answer, Answer) else 0
        return left + right + EventReport(accepted=kept, duplicates=-kept)
    if isinstance(answer, Answer):
        return answer.report(first)
    message = "The event is not JSON" if answer.code == NO_JSON else answer.message
    refused = (
        EventError(place, identity(line), answer.code, answer.param, message) for place, line in enumerate(lines, first)
    )
    return EventReport(rejected=len(lines), errors=tuple(refused))
