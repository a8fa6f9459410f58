"""The bodies of requests: decompressed, each under a limit, and all that are held at once under another."""

import zlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import zstandard
from starlette.requests import Request

from usageledger.errors import BodyTooLargeError, InvalidRequestError, UnsupportedMediaTypeError
from usageledger.server.http.shared_memory import SharedMemory
from usageledger.settings import Settings

LARGE_BODY_BYTES = 256 * 1024  # a larger one is decompressed off the event loop
UNPACKED_AT_ONCE_MAX = 4  # large ones at once
DECODED_AT_ONCE_MAX = 2  # off the event loop; readers of JSON take turns anyway
GZIP_STEP_BYTES = 4096  # a byte can stand for a thousand, so a step is at most 4 MB
ZSTD_STEP_BYTES = 256  # four bytes can stand for 128 KB, so a step is at most 8 MB
PIECES_MAX = 10_000  # members of gzip and frames of zstd, which cost their time even if there is nothing in them
GZIP_WINDOW = 16 + zlib.MAX_WBITS
ENCODINGS = ("identity", "gzip", "zstd")

T = TypeVar("T")


class Bodies:
    """Reads the bodies of many clients in bounded memory, however slow they are with them."""

    def __init__(self, settings: Settings) -> None:
        self._largest = settings.max_body_bytes
        self._memory = SharedMemory(
            settings.max_bodies_bytes,
            f"The bodies of requests that are being received are larger than {settings.max_bodies_bytes} bytes "
            "together. Nothing of this request was kept: send the same request again.",
        )
        self._unpacking = anyio.CapacityLimiter(UNPACKED_AT_ONCE_MAX)
        self._decoding = anyio.CapacityLimiter(DECODED_AT_ONCE_MAX)

    async def work(self, function: Callable[..., T], *given: Any) -> T:
        """Does long work on a body off the event loop, on few at once, since their events take memory as well."""
        return await anyio.to_thread.run_sync(function, *given, limiter=self._decoding)

    @asynccontextmanager
    async def read(self, request: Request, largest: int | None = None) -> AsyncGenerator[bytes]:
        """The body, which is held until the block ends; a lone one is read however large it may be.

        Args:
            request: whose body it is.
            largest: bytes that it may have, where that is not what the settings say.

        Raises:
            OverloadedError: it would be too much with what others hold.
            BodyTooLargeError, UnsupportedMediaTypeError, InvalidRequestError: as `read_body` does.
        """
        with self._memory.share() as hold:
            yield await read_body(request, largest or self._largest, hold, self._unpacking)


async def read_body(
    request: Request,
    limit: int,
    hold: Callable[[int], None] = lambda _: None,
    unpacking: anyio.CapacityLimiter | None = None,
) -> bytes:
    """The body, decompressed, of at most `limit` bytes before and after.

    `hold` is told how much there is of it, as it comes and as it is decompressed, perhaps from another thread; a large
    one is decompressed when `unpacking` lets it.

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
    del chunks  # or it would be there twice
    if encoding == "identity":
        return body
    if size > LARGE_BODY_BYTES:
        return await anyio.to_thread.run_sync(_decompress, body, encoding, limit, hold, limiter=unpacking)
    return _decompress(body, encoding, limit, hold)


def _decompress(body: bytes, encoding: str, limit: int, hold: Callable[[int], None]) -> bytes:
    try:
        plain = _unpack(body, encoding, limit, lambda size: hold(len(body) + size))
    except (EOFError, zlib.error, zstandard.ZstdError) as error:
        raise InvalidRequestError(f"The body is not {encoding}: {error}", code="invalid_encoding") from None
    if len(plain) > limit:
        raise _too_large(limit)
    return plain


def _unpack(body: bytes, encoding: str, limit: int, hold: Callable[[int], None]) -> bytes:
    """All members or frames of `body`, in steps until there are more than `limit` bytes.

    The libraries' own readers take a zstd frame that is cut short for a whole one, so that events would be lost in
    silence, and a hundred thousand empty gzip members take them seconds.
    """
    step = GZIP_STEP_BYTES if encoding == "gzip" else ZSTD_STEP_BYTES
    zstd = zstandard.ZstdDecompressor()
    plain = bytearray()
    piece: Any = None
    pieces = 0
    for start in range(0, len(body), step):
        left = body[start : start + step]
        while left:
            if piece is None:
                left = left.lstrip(b"\0") if encoding == "gzip" and pieces else left  # members may be padded
                if not left:
                    break
                pieces += 1
                if pieces > PIECES_MAX:
                    raise EOFError(f"it has more than {PIECES_MAX} members or frames")
                piece = zstd.decompressobj() if encoding == "zstd" else zlib.decompressobj(GZIP_WINDOW)
            plain += piece.decompress(left)
            left, piece = (piece.unused_data, None) if piece.eof else (b"", piece)
        hold(len(plain))
        if len(plain) > limit:
            break
    else:
        if piece is not None:
            raise EOFError("it ends before its end")
    return bytes(plain)


def _too_large(limit: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"The body is larger than {limit} bytes (decompressed): send fewer events at a time.")
