"""The process of a server: its socket, TLS, signals, open files and garbage collection, around the application."""

import gc
import resource
import socket
import ssl
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager

import uvicorn

from usageledger.errors import LedgerUnavailableError, RegistryError, SettingsError
from usageledger.ledger import Ledger, open_ledger
from usageledger.ledger.lookups import card_beyond
from usageledger.registry import Registry, open_registry
from usageledger.server.api.otlp import OTLP_PATHS
from usageledger.server.app import create_app
from usageledger.server.http.http_connection import protocol_of
from usageledger.server.http.listening import StoppableServer, listen
from usageledger.settings import Settings, without_password

OWN_FILES = 200  # files, sockets and pipes of the server itself, generously
BACKLOG = 1024  # connections that wait to be taken
# Objects made before the garbage collector looks at them: most are gone by then, and when it looks at all there are,
# it goes through each name that is remembered.
COLLECTED_OBJECTS = 5_000


def run(settings: Settings, on_ready: Callable[[str], None]) -> None:
    """Serves until SIGINT or SIGTERM, then answers what is under way, drains the queue and closes the ledger.

    Args:
        settings: where to listen, and where the data is.
        on_ready: called once with the address, for instance `http://127.0.0.1:8080`, when requests are answered.

    Raises:
        SettingsError: the address cannot be listened on, or the certificate cannot be used.
        LedgerError: the ledger cannot be opened.
        RegistryError: the registry cannot be opened, or is not that of the ledger.
        LedgerUnavailableError: a thread that writes ended by an error.
    """
    _check_tls(settings)
    with (
        closing(listen(settings.host, settings.port)) as listener,
        closing(open_registry(settings.registry_url)) as registry,
        closing(open_ledger(settings.ledger_url, memory_bytes=settings.memory_bytes)) as ledger,
    ):
        if settings.retention_days and not ledger.retention:
            raise SettingsError(
                "retention_days: this ledger has no sums that would stay, so it drops no events: use 0."
            )
        _check_cards(ledger, registry, settings)
        failures: list[str] = []

        def end(reason: str) -> None:
            failures.append(reason)
            server.should_exit = True

        config = uvicorn.Config(
            create_app(settings, ledger, registry, on_failure=end),
            loop="uvloop",
            http=protocol_of(settings, _connections_max(settings), OTLP_PATHS),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=settings.trusted_proxies is not None,
            forwarded_allow_ips=settings.trusted_proxies or "",
            ssl_certfile=settings.tls_cert,
            ssl_keyfile=settings.tls_key,
            lifespan="on",
            timeout_keep_alive=settings.idle_seconds,
            timeout_graceful_shutdown=10,
            backlog=BACKLOG,
        )
        server = StoppableServer(config, lambda: on_ready(_address(settings, listener)))
        with _startup_objects_frozen():
            server.run(sockets=[listener])
        if failures:
            raise LedgerUnavailableError(f"{failures[0]}, so nothing could be written any more: the server ended.")


@contextmanager
def _startup_objects_frozen() -> Generator[None]:
    """Freezes start-up objects, so that the garbage collector skips them, and lets it run less often."""
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(COLLECTED_OBJECTS, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def _check_cards(ledger: Ledger, registry: Registry, settings: Settings) -> None:
    """Refuses a registry that gave fewer rate cards than events have: it would give their numbers to others."""
    given = registry.rate_cards.newest_card()
    with ledger.snapshot() as snapshot:
        card = card_beyond(snapshot, given)
    if card is not None:
        raise RegistryError(
            f"Events in the ledger have rate card {card}, and the registry {without_password(settings.registry_url)} "
            f"gave {given}: they do not belong together, and costs would be wrong. Restore both from one backup."
        )


def _address(settings: Settings, listener: socket.socket) -> str:
    scheme = "https" if settings.tls_cert else "http"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{listener.getsockname()[1]}"


def _check_tls(settings: Settings) -> None:
    """Raises SettingsError where a certificate or key is given that cannot be used."""
    if settings.tls_cert is None and settings.tls_key is None:
        return
    if settings.tls_cert is None or settings.tls_key is None:
        raise SettingsError("tls_cert and tls_key belong together: give both, or neither.")
    for name, file in (("tls_cert", settings.tls_cert), ("tls_key", settings.tls_key)):
        try:
            file.read_bytes()
        except OSError as error:
            raise SettingsError(f"{name}: {file} cannot be read: {error.strerror}") from None

    def no_password() -> str:
        raise SettingsError(f"tls_key: {settings.tls_key} is protected by a password, which nobody could give.")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key, no_password)
    except ssl.SSLError as error:
        files = f"{settings.tls_cert} and {settings.tls_key}"
        raise SettingsError(f"tls_cert, tls_key: {files} are no certificate and its key: {error.reason}") from None


def _connections_max(settings: Settings) -> int:
    """As many as are set, and as the process may have files open, beside its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.max_connections + OWN_FILES
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
        return settings.max_connections
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(1, hard - OWN_FILES)
