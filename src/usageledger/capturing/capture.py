"""`usageledger.capture`: a client of a vendor, whose usage goes to the ledger from now on."""

import logging
from functools import partial
from types import TracebackType
from typing import Any, Self

from usageledger.capturing.calls import named
from usageledger.capturing.recorder import CaptureCounts, Recorder
from usageledger.capturing.transports import AsyncReading, SyncReading, http_clients, is_async, is_tapped, tap, untap
from usageledger.client.errors import SettingsError
from usageledger.client.outbox import SenderCounts
from usageledger.client.sender import EventSender
from usageledger.sources.vendors import VENDORS

logger = logging.getLogger("usageledger.capture")


class Capture:
    """A client whose usage is read, until it is closed. It goes on without anybody holding this.

    Attributes:
        sender: takes the events to the ledger.
    """

    def __init__(self, sender: EventSender, recorder: Recorder, clients: list[Any], *, owns_sender: bool) -> None:
        self.sender = sender
        self._recorder = recorder
        self._clients = clients
        self._owns_sender = owns_sender

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Capture(counts={self.counts}, sent={self.sent})"

    @property
    def counts(self) -> CaptureCounts:
        """The counts of answers so far, among them those whose usage nobody knows."""
        return self._recorder.counts

    @property
    def sent(self) -> SenderCounts:
        """The counts of events so far, as those of the sender."""
        return self.sender.counts

    def flush(self, timeout: float | None = None) -> bool:
        """Sends what is queued, and waits until all of it is answered; False where `timeout` seconds pass before."""
        return self.sender.flush(timeout)

    def close(self) -> None:
        """Leaves the client as it was, and closes the sender unless it was given."""
        for each in self._clients:
            untap(each)
        self._clients = []
        if self._owns_sender:
            self.sender.close()


def capture(  # noqa: PLR0913 - an option each
    client: Any,
    *,
    project_id: str | None = None,
    user_id: str | None = None,
    api_key_id: str | None = None,
    vendor: str | None = None,
    ask_for_usage: bool = False,
    api_key: str | None = None,
    base_url: str | None = None,
    sender: EventSender | None = None,
) -> Capture:
    """Reads the usage of a client's calls from now on, and sends it to the ledger in the background.

    Requests and answers pass as they are, errors too, and nothing that goes wrong with the reading or with the ledger
    is felt by a call: it is logged and counted.

    Args:
        client: of OpenAI, Anthropic, Google (google-genai), Mistral, or any that has an httpx client, or such a one
            itself, sync or async.
        project_id: for whom calls are that no block of `usageledger.attributes` is around.
        user_id: the same.
        api_key_id: the same.
        vendor: whose answers they are; by the host of the request where it is not given.
        ask_for_usage: ask for the usage of streams of chat completions that would not say it. Their last chunk, which
            has no choices, reaches the application as the vendor sent it.
        api_key: the ledger's, as `EventSender` takes it.
        base_url: the ledger, as `EventSender` takes it.
        sender: one that is shared or has options of its own, in place of `api_key` and `base_url`.

    Raises:
        SettingsError: no key, an unknown vendor, or a client that cannot be captured or is captured already.
    """
    if vendor is not None and vendor not in VENDORS:
        raise SettingsError(f"vendor: expected one of {', '.join(VENDORS)}, got {vendor!r}.")
    clients = http_clients(client)
    if any(map(is_tapped, clients)):
        raise SettingsError("The client is captured already: close that capture first.")
    _warn_of_aiohttp(client)
    owns_sender = sender is None
    sender = sender or EventSender(api_key, base_url)
    recorder = Recorder(sender.send, vendor)
    fields = named(project_id, user_id, api_key_id)
    for each in clients:
        kind = AsyncReading if is_async(each) else SyncReading
        tap(each, partial(kind, recorder=recorder, fields=fields, ask_for_usage=ask_for_usage))
    return Capture(sender, recorder, clients, owns_sender=owns_sender)


def _warn_of_aiohttp(client: Any) -> None:
    """Says that calls of Google's client pass beside httpx where it found aiohttp."""
    uses_aiohttp = getattr(getattr(client, "_api_client", None), "_use_aiohttp", None)
    if uses_aiohttp is not None and uses_aiohttp():
        logger.warning("asynchronous calls of google-genai by aiohttp are not read: give it an httpx_async_client")
