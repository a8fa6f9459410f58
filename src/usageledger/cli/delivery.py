"""Delivery of records to the server through the client, with counts of the outcomes."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

from usageledger.cli.event_files import Record
from usageledger.cli.server_connection import Connection
from usageledger.cli.terminal.output import CommandError, counted
from usageledger.client.delivery import PATH, deliver
from usageledger.client.errors import APIConnectionError, APIError, APIResponseValidationError, APIStatusError
from usageledger.client.events import EventError
from usageledger.client.transport import Request, Retries, SyncTransport

RETRIED = (408, 429, 502, 503, 504)
BACKOFF_S_MAX = 30.0
REFUSALS_KEPT_MAX = 1000


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason why the server refused an event, and the event's file and line."""

    file: str
    line: int
    id: str | None
    code: str | None
    param: str | None
    message: str


@dataclass(slots=True)
class Tally:
    """Counts of the events so far; of many refusals only the first ones are kept.

    Attributes:
        same_response: those of the duplicates that came another way before.
        batches: those that the server took.
        resent: batches sent again after an answer was lost, so that the events of the first try count as duplicates.
    """

    accepted: int = 0
    duplicates: int = 0
    same_response: int = 0
    rejected: int = 0
    batches: int = 0
    retries: int = 0
    resent: int = 0
    errors: list[Refusal] = field(default_factory=list)

    def refuse(self, refusals: Iterable[Refusal]) -> None:
        """Notes why events were refused."""
        for refusal in refusals:
            if len(self.errors) < REFUSALS_KEPT_MAX:
                self.errors.append(refusal)


class Delivery(SyncTransport):
    """Sends batches to one server, one after the other.

    Args:
        retries: how often a batch is sent again when it gets no answer, or one that says later.
        say: called with a line for a person when a batch has to wait.
    """

    def __init__(self, server: Connection, *, retries: int, say: Callable[[str], None]) -> None:
        super().__init__(server.key, server.url)
        self._retries = Retries(retries, BACKOFF_S_MAX, asked_s_max=inf, worth=_may_pass)
        self._say = say
        self._attempts = 0  # of the request that is under way
        self._lost = False  # an answer to it may have been lost
        self.tally = Tally()

    def send(self, batch: Sequence[Record]) -> None:
        """Sends a batch, in halves where it is too large for the server or has too many refusals to name.

        Raises:
            CommandError: the server cannot be reached, or answers with an error that is not about single events.
        """
        try:
            report = deliver(self._post, [record.text for record in batch])
        except APIResponseValidationError as error:
            self.tally.batches -= 1  # what answered took nothing
            raise CommandError(f"{self.base_url}{PATH} is not a UsageLedger: {error.message}") from None
        except APIError as error:
            tries = f" ({counted(self._attempts, 'attempt')})" if _may_pass(error) else ""
            raise CommandError(f"{self.base_url}{PATH} {_reason(error)}{tries}") from None
        self.tally.accepted += report.accepted
        self.tally.duplicates += report.duplicates
        self.tally.same_response += report.same_response
        self.tally.rejected += report.rejected
        self.tally.refuse(_refusal(batch[error.index], error) for error in report.errors)

    def _post(self, request: Request) -> bytes:
        self._attempts, self._lost = 1, False
        content = self._send(request)
        self.tally.batches += 1
        self.tally.resent += self._lost
        return content

    def _note_retry(self, request: Request, attempt: int, seconds: float, error: APIError) -> None:
        """Says that a batch has to wait."""
        self.tally.retries += 1
        self._attempts = attempt + 2
        self._lost |= isinstance(error, APIConnectionError) and error.may_have_arrived
        self._say(
            f"{self.base_url}{request.path} {_reason(error)}. Trying again in {seconds:.1f} s "
            f"({attempt + 1} of {self._retries.count_max})."
        )


def _may_pass(error: APIError) -> bool:
    return error.status_code in RETRIED if isinstance(error, APIStatusError) else isinstance(error, APIConnectionError)


def _reason(error: APIError) -> str:
    if isinstance(error, APIStatusError):
        return f"answered {error.status_code}: {error.message}"
    return f"did not answer: {error.message}"


def _refusal(record: Record, error: EventError) -> Refusal:
    return Refusal(record.file, record.line, error.id, error.code, error.param, error.message)
