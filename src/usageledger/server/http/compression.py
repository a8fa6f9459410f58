"""Compression of answers by zstd or gzip, if the client accepts them (RFC 9110, 12.5.3)."""

import zlib
from collections.abc import Callable
from typing import Protocol

import zstandard
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COMPRESSED_BYTES_MIN = 1_000  # below it the headers cost more than is saved
ZSTD_LEVEL, GZIP_LEVEL = 1, 1  # the page is read once: time counts
GZIP_WINDOW = 16 + zlib.MAX_WBITS


class Compressor(Protocol):
    """Takes the pieces of a body one after the other."""

    def compress(self, data: bytes, /) -> bytes:
        """Compresses `data`; returns the bytes that are ready."""
        ...

    def flush(self) -> bytes:
        """The rest."""
        ...


# The first one wins where the client likes both the same.
ENCODERS: dict[str, Callable[[], Compressor]] = {
    "zstd": lambda: zstandard.ZstdCompressor(level=ZSTD_LEVEL).compressobj(),
    "gzip": lambda: zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_WINDOW),
}


class Compression:
    """Compresses the bodies of another application, large ones piece by piece as they are sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        encoding = chosen(Headers(scope=scope).get("accept-encoding", "")) if scope["type"] == "http" else None
        await self._app(scope, receive, Answer(send, encoding) if scope["type"] == "http" else send)


class Answer:
    """An answer on its way out; its start waits for the first piece of its body, which says how large it is."""

    def __init__(self, send: Send, encoding: str | None) -> None:
        self._send = send
        self._encoding = encoding
        self._start: Message | None = None
        self._compressor: Compressor | None = None

    async def __call__(self, message: Message) -> None:
        """ASGI's `send`."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        headers: MutableHeaders | None = None
        if self._start:
            headers = MutableHeaders(raw=list(self._start["headers"]))
            headers.add_vary_header("Accept-Encoding")
            if self._encoding and "content-encoding" not in headers and (more or len(body) >= COMPRESSED_BYTES_MIN):
                self._compressor = ENCODERS[self._encoding]()
                headers["content-encoding"] = self._encoding
                del headers["content-length"]
        if self._compressor:
            body = self._compressor.compress(body) + (b"" if more else self._compressor.flush())
        if self._start and headers is not None:
            if self._compressor and not more:
                headers["content-length"] = str(len(body))
            await self._send({**self._start, "headers": headers.raw})
            self._start = None
        await self._send({**message, "body": body})


def chosen(accepted: str) -> str | None:
    """The encoding that an `Accept-Encoding` likes best of those that there are; None where it likes none of them."""
    weights: dict[str, float] = {}
    for item in accepted.split(","):
        name, _, parameters = item.partition(";")
        key, _, value = parameters.strip().partition("=")
        try:
            weights[name.strip().lower()] = float(value) if key.strip().lower() == "q" else 1.0
        except ValueError:
            weights[name.strip().lower()] = 0.0
    best = max(ENCODERS, key=lambda name: weights.get(name, weights.get("*", 0.0)))
    return best if weights.get(best, weights.get("*", 0.0)) > 0 else None
