"""Records → the server: batches, each sent until it is answered, and the count of what came of them."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx
import zstandard

from usageledger import __version__
from usageledger.cli.connection import Connection
from usageledger.cli.output import CommandError, counted
from usageledger.cli.records import Record

BATCH_BYTES = 8 * 1024**2
RETRIED = (408, 429, 502, 503, 504)
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
LONGEST_ASKED_WAIT_S = 300.0
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
MOST_REFUSALS_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason why the server refused one event, and where that event stands."""

    file: str
    line: int
    id: str | None
    code: str | None
    param: str | None
    message: str


@dataclass(slots=True)
class Tally:
    """What came of the events so far; of many refusals only the first ones are kept.

    Attributes:
        resent: batches sent again after an answer was lost, so that the events of the first try count as duplicates.
    """

    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    batches: int = 0
    retries: int = 0
    resent: int = 0
    errors: list[Refusal] = field(default_factory=list)

    def refuse(self, refusals: Iterable[Refusal]) -> None:
        """Notes why events were refused."""
        for refusal in refusals:
            if len(self.errors) < MOST_REFUSALS_KEPT:
                self.errors.append(refusal)


def batches(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    """`records` in lists of `size`, and of at most `BATCH_BYTES` unless one alone is larger."""
    batch: list[Record] = []
    held = 0
    for record in records:
        if batch and (len(batch) == size or held + len(record.text) > BATCH_BYTES):
            yield batch
            batch, held = [], 0
        batch.append(record)
        held += len(record.text) + 1
    if batch:
        yield batch


class Delivery:
    """Sends batches to one server, one after the other.

    Args:
        retries: how often a batch is sent again when it gets no answer, or one that says later.
        say: called with a line for a person when a batch has to wait.
    """

    def __init__(self, server: Connection, *, retries: int, say: Callable[[str], None]) -> None:
        self._url = f"{server.url}/events"
        self._retries = retries
        self._say = say
        self._compressor = zstandard.ZstdCompressor()
        self._client = httpx.Client(
            timeout=TIMEOUT,
            headers={
                "authorization": f"Bearer {server.key}",
                "content-type": "application/x-ndjson",
                "content-encoding": "zstd",
                "user-agent": f"usageledger/{__version__}",
            },
        )
        self.tally = Tally()

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()

    def send(self, batch: Sequence[Record]) -> None:
        """Sends a batch, in halves where it is too large for the server.

        Raises:
            CommandError: the server cannot be reached, or answers with an error that is not about single events.
        """
        response = self._post(self._compressor.compress(b"\n".join(record.text for record in batch)))
        tally = self.tally
        if response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and len(batch) > 1:
            middle = len(batch) // 2
            self.send(batch[:middle])
            self.send(batch[middle:])
            return
        code, message = (None, "") if response.is_success else _error(response)
        if response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or code == "invalid_json":
            # The server names single events, unless one is too large for it or not one line of a body is JSON.
            tally.rejected += len(batch)
            message = "The event is not JSON" if code == "invalid_json" else message
            tally.refuse(Refusal(record.file, record.line, None, code, None, message) for record in batch)
        elif response.is_success:
            self._count(batch, _answer(response))
        else:
            raise CommandError(f"{self._url} answered {response.status_code}: {message}")
        tally.batches += 1

    def _count(self, batch: Sequence[Record], answer: dict[str, Any]) -> None:
        self.tally.accepted += answer["accepted"]
        self.tally.duplicates += answer["duplicates"]
        self.tally.rejected += answer["rejected"]
        self.tally.refuse(
            Refusal(
                batch[error["index"]].file,
                batch[error["index"]].line,
                error["id"],
                error["code"],
                error["param"],
                error["message"],
            )
            for error in answer["errors"]
        )

    def _post(self, body: bytes) -> httpx.Response:
        """The answer to `body`, which is sent again, byte for byte, where that may help."""
        lost = False
        attempt = 0
        while True:
            try:
                response = self._client.post(self._url, content=body)
            except httpx.TransportError as error:
                # After a failed connect nothing can have arrived; otherwise it may have, and the answer is lost.
                lost = lost or not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                reason, asked = f"cannot be reached: {str(error) or type(error).__name__}", None
            else:
                if response.status_code not in RETRIED:
                    self.tally.resent += lost
                    return response
                reason, asked = f"answered {response.status_code}: {_error(response)[1]}", _retry_after(response)
            if attempt == self._retries:
                raise CommandError(f"{self._url} {reason} ({counted(attempt + 1, 'attempt')})")
            self._wait(attempt, reason, asked)
            attempt += 1

    def _wait(self, attempt: int, reason: str, asked: float | None) -> None:
        backoff = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        seconds = backoff if asked is None else min(asked, LONGEST_ASKED_WAIT_S)
        self.tally.retries += 1
        self._say(f"{self._url} {reason}. Trying again in {seconds:.1f} s ({attempt + 1} of {self._retries}).")
        time.sleep(seconds)


def _retry_after(response: httpx.Response) -> float | None:
    """The seconds that a `Retry-After` header asks for, which it gives as a number or as a date."""
    value = response.headers.get("retry-after", "").strip()
    if value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _error(response: httpx.Response) -> tuple[str | None, str]:
    """(code, message) of an error; a proxy's answer has neither, and is told by its status."""
    body = _json(response)
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return error.get("code"), error["message"]
    location = response.headers.get("location")
    return None, response.reason_phrase + (f", moved to {location}" if location else "")


def _answer(response: httpx.Response) -> dict[str, Any]:
    body = _json(response)
    if not isinstance(body, dict) or body.get("object") != "event.batch":
        raise CommandError(f"{response.url} is not a UsageLedger: it answered something other than an event.batch.")
    return body
