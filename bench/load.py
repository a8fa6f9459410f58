"""A load generator for loopback: keep-alive connections that each send prepared requests, one after the other."""

import socket
import threading
import time
from collections.abc import Sequence
from itertools import count
from typing import Self


def request_bytes(path: str, key: str, body: bytes | None = None) -> bytes:
    """One HTTP/1.1 request: a POST of JSON where there is a body, else a GET."""
    method = "GET" if body is None else "POST"
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
    if body is None:
        return f"{head}\r\n".encode()
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def run(port: int, requests: Sequence[bytes], connections: int) -> tuple[float, list[float]]:
    """Sends every request once, over `connections`; the whole time and each request's, in seconds.

    Raises:
        RuntimeError: an answer that is not 200, with its body.
    """
    ticket = count()
    latencies: list[float] = []
    failures: list[str] = []

    def work() -> None:
        with Connection(port) as connection:
            while (number := next(ticket)) < len(requests) and not failures:
                began = time.perf_counter()
                status, body = connection.send(requests[number])
                latencies.append(time.perf_counter() - began)
                if status != 200:
                    failures.append(f"{status}: {body[:500]!r}")

    threads = [threading.Thread(target=work) for _ in range(connections)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(failures[0])
    return time.perf_counter() - began, latencies


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
        lower = head.lower()
        if b"transfer-encoding: chunked" in lower:
            parts = [body]
            while not parts[-1].endswith(b"0\r\n\r\n"):
                parts.append(self._receive())
            return status, b"".join(parts)
        length = int(lower.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        parts, have = [body], len(body)
        while have < length:
            parts.append(self._receive())
            have += len(parts[-1])
        return status, b"".join(parts)

    def _receive(self) -> bytes:
        data = self._socket.recv(1 << 20)
        if not data:
            raise RuntimeError("the server closed the connection")
        return data
