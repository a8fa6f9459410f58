"""`usageledger serve`: the server."""

import os
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from usageledger import __version__
from usageledger.cli.local_registry import make_data_folder
from usageledger.cli.options import AsJson, with_settings
from usageledger.cli.terminal.output import note, print_json, visible
from usageledger.errors import SettingsError
from usageledger.settings import Settings, without_password

if TYPE_CHECKING:
    from logging import LogRecord

MESSAGES_KEPT_MAX = 1000  # remembered so that they are not repeated

EPILOG = """\
[bold]Examples[/]

  usageledger serve
  usageledger serve --data /var/lib/usageledger --port 9000
  usageledger serve --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem
  usageledger serve --registry postgresql+psycopg://ledger@db/ledger

Every option is also an environment variable: --max-results is
USAGELEDGER_MAX_RESULTS. SIGTERM and Ctrl-C end the server cleanly: it answers
what is under way, and what was acknowledged is on disk.
"""


@with_settings
def serve(settings: Settings, *, as_json: AsJson = False) -> None:
    """Run the server: events in, usage and costs out.

    The first start makes the data folder and an admin key, and shows the key
    this once. To choose the key yourself, set USAGELEDGER_ADMIN_KEY.
    """
    make_data_folder(settings)
    run_server(settings, as_json=as_json)


def run_server(settings: Settings, *, as_json: bool) -> None:
    """Serves until a signal ends the server; prints its address, and a new key once."""
    from usageledger.registry import open_registry
    from usageledger.server.process import run

    _check_network(settings)
    log_to_stderr()
    os.umask(0o077)  # whatever the ledger and the registry write is their owner's alone
    with open_registry(settings.registry_url) as registry:
        now = int(time.time())
        # A key that is there is not written again, so that a server starts, to read, on a full disk.
        if settings.admin_key and registry.find_key(settings.admin_key, now=now) is None:
            registry.create_key("bootstrap", value=settings.admin_key, now=now)

        def on_ready(address: str) -> None:
            # Made only now: a key that is made before a start that fails would never be seen.
            key = None if registry.has_keys() else registry.create_key("bootstrap", now=int(time.time()))[1]
            if as_json:
                print_json({"address": address, "data": str(settings.data.absolute()), "admin_key": key})
            else:
                _announce(address, settings, key)

        run(settings, on_ready)
    if not as_json:
        note("Stopped. Every acknowledged event is on disk.")


def _check_network(settings: Settings) -> None:
    """Refuses to let keys cross a network in the clear, or warns where that is wanted."""
    if settings.tls_cert or is_loopback(settings.host):
        return
    if not settings.allow_plain_http:
        raise SettingsError(
            f"--host: {settings.host} can be reached from other machines, and keys would cross the network in the "
            "clear. Give --tls-cert and --tls-key, or --allow-plain-http where something in front of it has TLS."
        )
    note(
        f"Warning: {settings.host} can be reached from other machines, and this server has no TLS: "
        "put a reverse proxy that has it in front."
    )


def _announce(address: str, settings: Settings, key: str | None) -> None:
    note(f"UsageLedger {__version__} is ready at {address}")
    if not (settings.ledger and settings.registry):
        note(f"Data folder: {settings.data.absolute()}")
    for name, url in (("Ledger", settings.ledger), ("Registry", settings.registry)):
        if url:
            note(f"{name}: {without_password(url)}")
    if key is None:
        return
    now = int(time.time())
    event = (
        f'{{"id": "evt_1", "kind": "completions", "timestamp": {now}, "model": "gpt-6-luna", '
        '"input_tokens": 1200, "output_tokens": 300}'
    )
    authorization = f"-H 'Authorization: Bearer {key}'"
    query = f"start_time={now - now % 86400}&group_by=model"
    for line in (
        f"Admin key, shown only now: {key}",
        "Try it:",
        f"  curl {address}/v1/events {authorization} -H 'Content-Type: application/json' -d '{event}'",
        f"  curl '{address}/v1/organization/usage/completions?{query}' {authorization}",
    ):
        note()
        note(line)
    note()


def is_loopback(host: str) -> bool:
    """Returns true for a host that only this machine reaches."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class OncePerMinute:
    """Lets a message through that was not let through within the last minute: a full disk must not fill the log too.

    Where a record has a `cause`, that is what is let through once: its message may name what a request chose.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, messages_kept_max: int = MESSAGES_KEPT_MAX
    ) -> None:
        self._clock = clock
        self._messages_kept_max = messages_kept_max
        self._until: dict[str, float] = {}

    def filter(self, record: "LogRecord") -> bool:
        """Returns true if `record` is logged."""
        now, cause = self._clock(), getattr(record, "cause", None) or record.getMessage()
        if self._until.get(cause, now) > now:
            return False
        if len(self._until) >= self._messages_kept_max:
            self._until = {known: until for known, until in self._until.items() if until > now}
        if len(self._until) < self._messages_kept_max:
            self._until[cause] = now + 60
        return True


def log_to_stderr() -> None:
    """The server's own messages: warnings of its libraries, and everything of ours from INFO on."""
    import logging

    class Formatter(logging.Formatter):
        """A record is one line, and its traceback lines that are set in: a name in them begins no other record."""

        def formatMessage(self, record: "LogRecord") -> str:  # noqa: N802 - as logging has it
            return visible(super().formatMessage(record))

        def formatException(self, ei: Any) -> str:  # noqa: N802 - as logging has it
            return "\n".join(f"  {visible(line)}" for line in super().formatException(ei).split("\n"))

    formatter = Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    handler.addFilter(OncePerMinute().filter)
    logging.getLogger().addHandler(handler)
    logging.getLogger("usageledger").setLevel(logging.INFO)
