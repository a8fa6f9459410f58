"""Bodies of vendors' answers, piece by piece as they pass → usage. Of a stream no more is held than one line."""

import zlib
from collections.abc import Callable, Iterable
from functools import cache, partial
from importlib import import_module
from typing import TypeAlias

import zstandard

from usageledger.capturing.event_frames import MEDIA_TYPE, whole_frames
from usageledger.errors import BodyTooLargeError, InvalidRequestError
from usageledger.sources.bodies import ITEMS_MAX, event_texts, line_texts, texts
from usageledger.sources.readings import Readings
from usageledger.sources.vendors import VENDORS
from usageledger.sources.vendors.collector import Collector

BYTES_MAX = 64 * 1024**2  # of an answer that is no stream, or of a line of one
GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
BROTLI = ("brotli", "brotlicffi")

Texts: TypeAlias = Callable[[bytes], Iterable[bytes]]
# Streams are read line by line, everything else as a whole.
STREAMS: dict[str, Texts] = {
    "text/event-stream": event_texts,
    "application/x-ndjson": line_texts,
    "application/jsonl": line_texts,
    "application/stream+json": line_texts,
}


class AnswerReader:
    """A reader of one answer.

    Args:
        vendor: a name of `VENDORS`.
        model: the one of answers that name none.
        now: the time of answers that say none, Unix seconds.
        media_type: the answer's `content-type`.
        encoding: the answer's `content-encoding`.

    Raises:
        InvalidRequestError: an encoding that cannot be read, or a body that has no usage, such as sound.
    """

    def __init__(self, vendor: str, model: str | None, now: int, media_type: str, encoding: str) -> None:
        self._collector = Collector(VENDORS[vendor], now, model, ITEMS_MAX)
        name = media_type.partition(";")[0].strip().lower()
        self._in_frames = name == MEDIA_TYPE
        if name not in STREAMS and name and not self._in_frames and not name.endswith(("json", "text/plain")):
            raise InvalidRequestError(f"An answer of the type {name} does not say its usage.")
        self._texts = STREAMS.get(name)
        self._unpack = _unpacker(encoding.strip().lower())
        self._parts: list[bytes] = []  # of a line, or of the whole
        self._held = 0

    def feed(self, chunk: bytes) -> None:
        """Takes the next piece of the body.

        Raises:
            BodyTooLargeError: more has to be held than is allowed.
            InvalidRequestError: it is not compressed as it says.
        """
        try:
            chunk = self._unpack(chunk)
        except (zlib.error, zstandard.ZstdError) as error:
            raise InvalidRequestError(f"The answer is not compressed as it says: {error}") from None
        if self._in_frames:
            self._hold(chunk)
            found, rest = whole_frames(self._release())
            self._collector.take_all(found)
            self._hold(rest)
            return
        if self._texts is None:
            self._hold(chunk)
            return
        lines, end, rest = chunk.rpartition(b"\n")
        if end:
            self._hold(lines)
            self._collector.take_all(self._texts(self._release()))
        self._hold(rest)

    def end(self) -> Readings:
        """Ends the body, wherever it is.

        Raises:
            InvalidRequestError: it is no JSON.
        """
        body = self._release()
        if body.strip() and not self._in_frames:
            self._collector.take_all((self._texts or texts)(body))
        self._collector.end()
        return self._collector.readings

    def _hold(self, chunk: bytes) -> None:
        self._held += len(chunk)
        if self._held > BYTES_MAX:
            self._release()
            raise BodyTooLargeError(f"An answer of more than {BYTES_MAX} bytes is not read.")
        if chunk:
            self._parts.append(chunk)

    def _release(self) -> bytes:
        body = b"".join(self._parts)
        self._parts.clear()
        self._held = 0
        return body


@cache
def readable_encodings() -> tuple[str, ...]:
    """Names the encodings of answers that can be read here."""
    return ("gzip", "deflate", "zstd", *(["br"] if _brotli() else []))


def _unpacker(encoding: str) -> Callable[[bytes], bytes]:
    if encoding in {"", "identity"}:
        return bytes
    if encoding in {"gzip", "x-gzip", "deflate"}:
        return zlib.decompressobj(GZIP_OR_ZLIB).decompress
    if encoding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj(read_across_frames=True).decompress
    if encoding == "br" and (brotli := _brotli()):
        return brotli
    raise InvalidRequestError(f"An answer compressed by {encoding} cannot be read here.")


def _brotli() -> Callable[[bytes], bytes] | None:
    """Makes a decompressor where one of the packages for it is installed, as httpx does."""
    for name in BROTLI:
        try:
            decompressor = import_module(name).Decompressor()
        except ImportError:
            continue
        return partial(getattr(decompressor, "process", None) or decompressor.decompress)
    return None
