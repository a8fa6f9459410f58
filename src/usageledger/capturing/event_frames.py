"""Bedrock's streams of binary frames (`application/vnd.amazon.eventstream`) → the texts of their objects.

A frame is its length and that of its headers, a checksum, the headers, the payload, and a checksum.
"""

import struct
from binascii import Error, a2b_base64
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from usageledger.errors import InvalidRequestError
from usageledger.sources.bodies import read

MEDIA_TYPE = "application/vnd.amazon.eventstream"
FRAME_BYTES_MAX = 24 * 1024**2  # as Amazon bounds them
_PRELUDE, _CHECKSUM = 12, 4
_TYPE = b":event-type\x07"  # of a text, whose length follows


class _Chunk(Struct):
    """An object of InvokeModel's answer, as Base64."""

    bytes: str | None = None


_chunks: msgspec.json.Decoder[_Chunk] = msgspec.json.Decoder(_Chunk)


def whole_frames(data: bytes) -> tuple[list[bytes], bytes]:
    """Gives the texts in the frames that are whole, and the beginning of the next one.

    Raises:
        InvalidRequestError: it is no such stream.
    """
    texts: list[bytes] = []
    place = 0
    while len(data) - place >= _PRELUDE:
        length, headers = struct.unpack_from(">II", data, place)
        if not _PRELUDE + headers + _CHECKSUM <= length <= FRAME_BYTES_MAX:
            raise InvalidRequestError("The answer is no stream of Amazon's events.")
        if len(data) - place < length:
            break
        begin = place + _PRELUDE + headers
        texts += _text(data[place + _PRELUDE : begin], data[begin : place + length - _CHECKSUM])
        place += length
    return texts, data[place:]


def _text(headers: bytes, payload: bytes) -> Iterator[bytes]:
    """Gives the object of a frame, in the form that other ways of getting it have; nothing for one of an error."""
    _, found, rest = headers.partition(_TYPE)
    if not found:
        return
    name = rest[2 : 2 + int.from_bytes(rest[:2], "big")]
    if name != b"chunk":
        yield b'{"%s": %s}' % (name, payload)
    elif (chunk := read(_chunks, payload)) and chunk.bytes:
        try:
            yield a2b_base64(chunk.bytes)
        except (Error, ValueError):
            raise InvalidRequestError("A frame's Base64 cannot be read.") from None
