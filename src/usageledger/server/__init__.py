"""The HTTP server: `run` it, or `create_app` to mount it elsewhere."""

import signal
import socket
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from typing import Any

import uvicorn

from usageledger.errors import SettingsError
from usageledger.ledger import open_ledger
from usageledger.registry import open_registry
from usageledger.server.app import create_app
from usageledger.server.protocol import Protocol
from usageledger.settings import Settings

__all__ = ["create_app", "run"]


def run(settings: Settings, on_ready: Callable[[str], None]) -> None:
    """Serves until SIGINT or SIGTERM, then answers what is under way, drains the queue and closes the ledger.

    Args:
        settings: where to listen, and where the data is.
        on_ready: called once with the address, for instance `http://127.0.0.1:8080`, when requests are answered.

    Raises:
        SettingsError: the address cannot be listened on.
        LedgerError: the ledger cannot be opened.
        RegistryError: the registry cannot be opened.
    """
    with (
        closing(_listen(settings.host, settings.port)) as listener,
        closing(open_registry(settings.registry_url)) as registry,
        closing(open_ledger(settings.ledger_url, memory_bytes=settings.memory_bytes)) as ledger,
    ):
        config = uvicorn.Config(
            create_app(settings, ledger, registry),
            loop="uvloop",
            http=Protocol,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="on",
            timeout_graceful_shutdown=10,
        )
        _Server(config, lambda: on_ready(_address(settings.host, listener))).run(sockets=[listener])


class _Server(uvicorn.Server):
    """A server that says when it answers, and that ends cleanly on a signal instead of raising it again."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        before: dict[int, Any] = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingsError(f"Cannot listen on {host}:{port}: {error.strerror}") from error
    listener.set_inheritable(True)
    return listener


def _address(host: str, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
