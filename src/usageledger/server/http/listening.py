"""A socket that listens, and a server that says when it answers and ends cleanly."""

import errno
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import uvicorn

from usageledger.errors import SettingsError


class StoppableServer(uvicorn.Server):
    """A server that says when it answers, and that ends cleanly on a signal instead of raising it again."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to serve, and says so."""
        await super().startup(sockets)
        if self.started:
            try:
                self._on_started()
            except BaseException:
                await self.shutdown(sockets)  # or the loop waits for ever for what still listens
                raise

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Ends the server at SIGINT and SIGTERM; afterwards their handlers are those from before."""
        before: dict[int, Any] = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def listen(host: str, port: int) -> socket.socket:
    """Opens a socket that listens; port 0 is any that is free.

    Raises:
        SettingsError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        free = ". Give another --port, or --port 0 for a free one." if error.errno == errno.EADDRINUSE else ""
        raise SettingsError(f"Cannot listen on {host}:{port}: {error.strerror}{free}") from error
    listener.set_inheritable(True)
    return listener
