"""The process of a relay: its socket, signals and spool, around the application."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import uvicorn

from usageledger.capturing.calls import vendor_of
from usageledger.capturing.recorder import CaptureCounts, Recorder
from usageledger.client.outbox import SenderCounts
from usageledger.errors import SettingsError
from usageledger.relay.forwarding import Relay
from usageledger.relay.spool import Spool
from usageledger.server.http.listening import StoppableServer, listen
from usageledger.server.http.upgrades import UpgradesIgnored
from usageledger.sources.vendors import VENDORS

IDLE_S = 75
CLOSING_S = 10


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """The settings of a relay.

    Attributes:
        upstream: the vendor's address.
        vendor: whose answers they are; by the upstream's host where it is not given.
        host: to listen on.
        port: to listen on; 0 is any that is free.
        ledger_url: with `/v1`.
        ledger_key: a key of the ledger.
        spool: the folder of events that are not yet delivered.
        fields: for whom calls are whose headers do not say it.
    """

    upstream: str
    vendor: str | None
    host: str
    port: int
    ledger_url: str
    ledger_key: str = field(repr=False)
    spool: Path
    fields: dict[str, str]


def run(settings: RelaySettings, on_ready: Callable[[str], None]) -> tuple[CaptureCounts, SenderCounts]:
    """Forwards until SIGINT or SIGTERM, and gives the counts.

    Args:
        settings: where to listen, where to forward to, and where the ledger is.
        on_ready: called once with the relay's address.

    Raises:
        SettingsError: an upstream whose vendor is not known, an address or a folder that cannot be used.
    """
    upstream = _address(settings.upstream)
    host = upstream.host if upstream.port is None else f"{upstream.host}:{upstream.port}"
    vendor = settings.vendor or vendor_of(host)
    if vendor not in VENDORS:
        raise SettingsError(f"vendor: expected one of {', '.join(VENDORS)}, whose answers {host} gives, got {vendor}.")
    with (
        closing(listen(settings.host, settings.port)) as listener,
        closing(Spool(settings.spool, settings.ledger_key, settings.ledger_url)) as spool,
    ):
        recorder = Recorder(spool.send, vendor)
        config = uvicorn.Config(
            Relay(upstream, recorder, settings.fields),
            loop="uvloop",
            http=UpgradesIgnored,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=IDLE_S,
            timeout_graceful_shutdown=CLOSING_S,
        )
        shown = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"http://{shown}:{listener.getsockname()[1]}"
        server = StoppableServer(config, lambda: on_ready(address))
        server.run(sockets=[listener])
    return recorder.counts, spool.counts


def _address(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in {"http", "https"} or not url.host or url.query or url.fragment or url.userinfo:
        raise SettingsError(f"upstream: expected https://HOST or http://HOST:PORT, got {text!r}.")
    return url
