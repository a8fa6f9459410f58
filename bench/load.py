"""A load generator for loopback: keep-alive connections that each send prepared requests, one after the other."""

import selectors
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from itertools import islice
from typing import Self


def request_bytes(
    path: str, key: str, body: bytes | None = None, *, media_type: str = "application/json", encoding: str = "identity"
) -> bytes:
    """One HTTP/1.1 request: a POST where there is a body, else a GET; `encoding` is what is accepted."""
    method = "GET" if body is None else "POST"
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\nAccept-Encoding: {encoding}\r\n"
    )
    if body is None:
        return f"{head}\r\n".encode()
    return f"{head}Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def run(port: int, requests: Sequence[bytes], connections: int) -> tuple[float, list[float]]:
    """Sends every request once, over `connections`; the whole time and each request's, in seconds.

    One thread waits for all of them, so that it takes as little as can be from the server beside it.

    Raises:
        RuntimeError: an answer that is not 200, with its body.
    """
    waiting = iter(requests)
    latencies: list[float] = []
    with selectors.DefaultSelector() as selector, ExitStack() as opened:
        began = time.perf_counter()
        for request in islice(waiting, connections):
            exchange = _Exchange(opened.enter_context(socket.create_connection(("127.0.0.1", port))))
            selector.register(exchange.socket, exchange.begin(request), exchange)
        while selector.get_map():
            for key, events in selector.select():
                exchange = key.data
                if wanted := exchange.go_on(events):
                    if wanted != key.events:
                        selector.modify(exchange.socket, wanted, exchange)
                    continue
                latencies.append(time.perf_counter() - exchange.began)
                following = next(waiting, None)
                if following is None:
                    selector.unregister(exchange.socket)
                elif (wanted := exchange.begin(following)) != key.events:
                    selector.modify(exchange.socket, wanted, exchange)
        return time.perf_counter() - began, latencies


class _Exchange:
    """One connection that does not block, with the request that is under way on it."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connected

    def begin(self, request: bytes) -> int:
        """Starts with a request; what to wait for."""
        self.began = time.perf_counter()
        self._left = memoryview(request)
        self._answer = b""
        return self.go_on(selectors.EVENT_WRITE)

    def go_on(self, events: int) -> int:
        """Sends or receives; what to wait for, or 0 when the whole answer is there. Raises as `run` does."""
        if self._left:
            with suppress(BlockingIOError):
                while self._left:
                    self._left = self._left[self.socket.send(self._left) :]
            return selectors.EVENT_WRITE if self._left else selectors.EVENT_READ
        if events & selectors.EVENT_READ:
            data = self.socket.recv(1 << 16)
            self._answer += data
            head, found, body = self._answer.partition(b"\r\n\r\n")
            if found and len(body) >= _length(head):
                if not head.startswith(b"HTTP/1.1 200 "):
                    raise RuntimeError(f"{head[9:12].decode()}: {body[:500]!r}")
                return 0
            if not data:
                raise RuntimeError("the server closed the connection")
        return selectors.EVENT_READ


class Connection:
    """One keep-alive connection to 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, request: bytes) -> tuple[int, bytes]:
        """Sends one request and reads its whole answer: (status, body)."""
        self._socket.sendall(request)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._receive()
        head, _, body = data.partition(b"\r\n\r\n")
        status = int(head[9:12])
        parts, have, length = [body], len(body), _length(head)
        while have < length:
            parts.append(self._receive())
            have += len(parts[-1])
        return status, b"".join(parts)

    def _receive(self) -> bytes:
        data = self._socket.recv(1 << 20)
        if not data:
            raise RuntimeError("the server closed the connection")
        return data


def _length(head: bytes) -> int:
    """How long the body of an answer is; every answer says so."""
    return int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
