"""The bodies of requests: decompressed, each under a limit, and all that are held at once under another."""

import gzip
import zlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from io import BytesIO

import anyio
import anyio.to_thread
import zstandard
from starlette.requests import Request

from usageledger.errors import BodyTooLargeError, InvalidRequestError, OverloadedError, UnsupportedMediaTypeError
from usageledger.settings import Settings

FREE_BYTES = 64 * 1024  # of each body, whatever others hold
LARGE_BODY_BYTES = 256 * 1024  # a larger one is decompressed off the event loop
MOST_UNPACKED = 4  # large ones at once
ZSTD_STEP_BYTES = 256  # four bytes can stand for 128 KB, so a step is at most 8 MB
ENCODINGS = ("identity", "gzip", "zstd")


class Bodies:
    """Reads the bodies of many clients in bounded memory, however slow they are with them.

    What they hold counts only beyond `FREE_BYTES` of each, so that a small body is read while large ones are not.
    """

    def __init__(self, settings: Settings) -> None:
        self._largest, self._together = settings.max_body_bytes, settings.max_bodies_bytes
        self._held = 0
        self._unpacking = anyio.CapacityLimiter(MOST_UNPACKED)

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncGenerator[bytes]:
        """The body, which is held until the block ends; a lone one is read however large it may be.

        Raises:
            OverloadedError: it would be too much with what others hold.
            BodyTooLargeError, UnsupportedMediaTypeError, InvalidRequestError: as `read_body` does.
        """
        mine = 0

        def hold(size: int) -> None:
            nonlocal mine
            others, beyond = self._held - mine, max(0, size - FREE_BYTES)
            if others and others + beyond > self._together:
                raise OverloadedError(
                    f"The bodies of requests that are being received are larger than {self._together} bytes together. "
                    "Nothing of this request was kept: send the same request again.",
                    retry_after=1,
                )
            self._held, mine = others + beyond, beyond

        try:
            yield await read_body(request, self._largest, hold, self._unpacking)
        finally:
            self._held -= mine


async def read_body(
    request: Request,
    limit: int,
    hold: Callable[[int], None] = lambda _: None,
    unpacking: anyio.CapacityLimiter | None = None,
) -> bytes:
    """The body, decompressed, of at most `limit` bytes before and after.

    `hold` is told how much there is of it, as it comes; a large one is decompressed when `unpacking` lets it.

    Raises:
        BodyTooLargeError: more than `limit` bytes.
        UnsupportedMediaTypeError: an encoding other than gzip and zstd.
        InvalidRequestError: bytes that are not of the encoding they claim.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ENCODINGS:
        raise UnsupportedMediaTypeError(
            f"Unsupported Content-Encoding: '{encoding}'. Supported are: 'gzip', 'zstd', or none.",
            param="content-encoding",
        )
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        hold(size)
        chunks.append(chunk)
    body = b"".join(chunks)
    if encoding == "identity":
        return body
    if size > LARGE_BODY_BYTES:
        return await anyio.to_thread.run_sync(_decompress, body, encoding, limit, limiter=unpacking)
    return _decompress(body, encoding, limit)


def _decompress(body: bytes, encoding: str, limit: int) -> bytes:
    try:
        plain = gzip.GzipFile(fileobj=BytesIO(body)).read(limit + 1) if encoding == "gzip" else _unzstd(body, limit)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise InvalidRequestError(f"The body is not {encoding}: {error}", code="invalid_encoding") from None
    if len(plain) > limit:
        raise _too_large(limit)
    return plain


def _unzstd(body: bytes, limit: int) -> bytes:
    """All frames of `body`, in steps until there are more than `limit` bytes.

    The library's own reader takes a frame that is cut short for a whole one; events would be lost in silence.
    """
    decompressor = zstandard.ZstdDecompressor()
    plain = bytearray()
    frame: zstandard.ZstdDecompressionObj | None = None
    for start in range(0, len(body), ZSTD_STEP_BYTES):
        left = body[start : start + ZSTD_STEP_BYTES]
        while left:
            frame = frame or decompressor.decompressobj()
            plain += frame.decompress(left)
            left, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
        if len(plain) > limit:
            break
    else:
        if frame is not None:
            raise EOFError("it ends before the end of a frame")
    return bytes(plain)


def _too_large(limit: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"The body is larger than {limit} bytes (decompressed): send fewer events at a time.")
