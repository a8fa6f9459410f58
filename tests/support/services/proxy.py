"""A connection that can be cut at any moment: bytes pass through it between a server and what it works with."""

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress


class Proxy:
    """Listens on `port`, and passes on to another port of the loopback."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Ends every connection at once, in the middle of whatever it carries."""
        with self._lock:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                inner, _ = self._listener.accept()
                try:
                    outer = socket.create_connection(("127.0.0.1", self._to))
                except OSError:
                    inner.close()
                    continue
                threading.Thread(target=self._join, args=(inner, outer), daemon=True).start()

    def _join(self, inner: socket.socket, outer: socket.socket) -> None:
        with inner, outer:
            with self._lock:
                self._open |= {inner, outer}
            back = threading.Thread(target=_pass_on, args=(outer, inner), daemon=True)
            back.start()
            _pass_on(inner, outer)
            back.join()
            with self._lock:
                self._open -= {inner, outer}


def _pass_on(giver: socket.socket, taker: socket.socket) -> None:
    """Until one of them ends, and with it the other."""
    with suppress(OSError):
        while some := giver.recv(16_384):
            taker.sendall(some)
    for each in (giver, taker):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(to: int) -> Generator[Proxy]:
    made = Proxy(to)
    try:
        yield made
    finally:
        made.close()
