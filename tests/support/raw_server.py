"""A server of plain sockets: each connection's request as it came, byte for byte, and an answer that a test writes."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Step = Callable[[socket.socket], object]


@dataclass
class RawRequest:
    """A request: its first line, its headers as they came, and its body, chunked or not, as it came."""

    line: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def values(self, name: bytes) -> list[bytes]:
        return [value for each, value in self.headers if each.lower() == name]


@dataclass
class RawServer:
    """Where it listens, what it does next, one step for each connection, and what it was asked."""

    url: str
    steps: list[Step] = field(default_factory=list)
    asked: list[RawRequest] = field(default_factory=list)


@contextmanager
def raw_server() -> Iterator[RawServer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = RawServer(f"http://127.0.0.1:{listener.getsockname()[1]}")
        threads: list[threading.Thread] = []

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connected, _ = listener.accept()
                    thread = threading.Thread(target=handle, args=(connected,))
                    threads.append(thread)
                    thread.start()

        def handle(connected: socket.socket) -> None:
            with connected:
                connected.settimeout(30)
                if request := read_request(connected):
                    server.asked.append(request)
                    server.steps.pop(0)(connected)

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for thread in threads:
                thread.join()


def read_request(connected: socket.socket) -> RawRequest | None:
    data = _until(connected, b"", b"\r\n\r\n")
    if data is None:
        return None
    head, _, rest = data.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    headers = [(name, value.strip()) for name, _, value in (each.partition(b":") for each in lines)]
    request = RawRequest(line, headers, rest)
    if request.values(b"transfer-encoding"):
        request.body = _until(connected, rest, b"0\r\n\r\n") or b""
    for length in request.values(b"content-length"):
        while len(request.body) < int(length) and (more := connected.recv(65536)):
            request.body += more
    return request


def _until(connected: socket.socket, data: bytes, end: bytes) -> bytes | None:
    while end not in data:
        more = connected.recv(65536)
        if not more:
            return None
        data += more
    return data


def says(answer: bytes) -> Step:
    """Sends an answer and ends the connection."""
    return lambda connected: connected.sendall(answer)


def head(*headers: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)
