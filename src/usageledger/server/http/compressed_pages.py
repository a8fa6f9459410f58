"""JSON that is kept compressed, and bodies put together from it without compressing it again.

A body is one zstd frame or one gzip member, since many clients stop at the end of the first, or fail where the next
one begins a read (httpx 0.28, urllib3 2). So what is kept are blocks that need nothing of what stands before them,
and may stand anywhere (RFC 8878, 3.1.1.2; RFC 1951, 3.2.3).
"""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Self

import zstandard

from usageledger.server.http.compression import COMPRESSED_BYTES_MIN, GZIP_LEVEL, ZSTD_LEVEL

PIECE_BYTES = 256 * 1024

WINDOW_LOG = 20
UNPACKING_BYTES = 2 * 1024**2  # what unpacks a run as it is sent: its window, and a piece
# A worker of libzstd compresses what comes between two flushes by itself, for any worker may have it. Without workers
# the first block may repeat a distance that only the start of its own frame has.
ZSTD = zstandard.ZstdCompressionParameters.from_level(
    ZSTD_LEVEL, window_log=WINDOW_LOG, threads=1, overlap_log=1, job_size=1 << 20, write_content_size=False
)
ZSTD_HEAD = zstandard.FRAME_HEADER + bytes([0, (WINDOW_LOG - 10) << 3])
ZSTD_END = bytes([1, 0, 0])  # a last block, of nothing

GZIP_HEAD = bytes([0x1F, 0x8B, zlib.DEFLATED, 0, 0, 0, 0, 0, 4, 255])
GZIP_END = bytes([3, 0])  # the same
CRC_POLYNOMIAL = 0xEDB88320


@dataclass(frozen=True, slots=True)
class Deflated:
    """Deflate blocks; `shift` is x^(8 * size) modulo the polynomial of CRC-32, which joins the sums of two pieces."""

    blocks: bytes
    crc: int
    shift: int


@dataclass(frozen=True, slots=True)
class Packed:
    """`size` bytes as zstd blocks, and as deflate blocks once a client asked for gzip."""

    size: int
    blocks: bytes
    deflated: Deflated | None = None

    @classmethod
    def of(cls, plain: bytes) -> Self:
        """`plain`, compressed."""
        frame = zstandard.ZstdCompressor(compression_params=ZSTD).compressobj()
        frame.compress(b" ")  # goes out with the frame's head, before the blocks
        frame.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        return cls(len(plain), frame.compress(plain) + frame.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))

    @property
    def kept_bytes(self) -> int:
        """The bytes of memory that the blocks take."""
        return len(self.blocks) + (len(self.deflated.blocks) if self.deflated else 0)

    def plain(self) -> Iterable[bytes]:
        """Decompresses the page, in pieces of at most `PIECE_BYTES`."""
        frame = ZSTD_HEAD + self.blocks + ZSTD_END
        if self.size <= PIECE_BYTES:
            return [zstandard.ZstdDecompressor().decompress(frame, max_output_size=max(1, self.size))]
        return zstandard.ZstdDecompressor().read_to_iter(frame, write_size=PIECE_BYTES)

    def with_deflated(self) -> Self:
        """The same, with deflate blocks."""
        return self if self.deflated else replace(self, deflated=_deflated(b"".join(self.plain())))


@dataclass(frozen=True, slots=True)
class Body:
    """A body of `size` bytes in one of the encodings, or as it is where there is none.

    Attributes:
        held: bytes of memory that it takes until it is sent.
    """

    encoding: str | None
    size: int
    held: int
    pieces: Iterable[bytes]


def joined(parts: Iterable[bytes | Packed], encoding: str | None) -> Body:
    """The body that `parts` are together; without an encoding what is packed is unpacked only when it is sent."""
    runs = list(_runs(parts))
    size = sum(run.size if isinstance(run, Packed) else len(run) for run in runs)
    if encoding is None or size < COMPRESSED_BYTES_MIN:
        held = sum(run.kept_bytes if isinstance(run, Packed) else len(run) for run in runs)
        held += UNPACKING_BYTES if held < size else 0
        return Body(None, size, held, _pieces(_unpacked(runs)))
    pieces = list(_pieces(_zstd(runs) if encoding == "zstd" else _gzip(runs, size)))
    size = sum(map(len, pieces))
    return Body(encoding, size, size, pieces)


def _runs(parts: Iterable[bytes | Packed]) -> Iterator[bytes | Packed]:
    """Joins parts that are not packed to larger pieces."""
    held: list[bytes] = []
    for part in parts:
        if isinstance(part, Packed):
            yield from _pieces(held)
            held = []
            yield part
        else:
            held.append(part)
    yield from _pieces(held)


def _pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """`parts` joined to pieces of at least `PIECE_BYTES`, so that other requests get their turn between them."""
    held: list[bytes] = []
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size >= PIECE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if size:
        yield b"".join(held)


def _unpacked(runs: Iterable[bytes | Packed]) -> Iterator[bytes]:
    for run in runs:
        if isinstance(run, Packed):
            yield from run.plain()
        else:
            yield run


# --- zstd --------------------------------------------------------------------------------------------------------


def _zstd(runs: Iterable[bytes | Packed]) -> Iterator[bytes]:
    yield ZSTD_HEAD
    for run in runs:
        if isinstance(run, Packed):
            yield run.blocks
        elif len(run) < COMPRESSED_BYTES_MIN:
            yield (len(run) << 3).to_bytes(3, "little") + run  # a raw block
        else:
            yield Packed.of(run).blocks
    yield ZSTD_END


# --- gzip --------------------------------------------------------------------------------------------------------


def _gzip(runs: Iterable[bytes | Packed], size: int) -> Iterator[bytes]:
    yield GZIP_HEAD
    crc = 0
    for run in runs:
        if isinstance(run, Packed) or len(run) >= COMPRESSED_BYTES_MIN:
            deflated = (run.deflated if isinstance(run, Packed) else None) or _deflated(_whole(run))
            crc = _times(deflated.shift, crc) ^ deflated.crc
            yield deflated.blocks
        else:
            crc = zlib.crc32(run, crc)
            yield b"\0" + len(run).to_bytes(2, "little") + (len(run) ^ 0xFFFF).to_bytes(2, "little") + run  # stored
    yield GZIP_END + crc.to_bytes(4, "little") + (size % 2**32).to_bytes(4, "little")


def _whole(run: bytes | Packed) -> bytes:
    return b"".join(run.plain()) if isinstance(run, Packed) else run


def _deflated(plain: bytes) -> Deflated:
    deflate = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return Deflated(deflate.compress(plain) + deflate.flush(zlib.Z_FULL_FLUSH), zlib.crc32(plain), _shift(len(plain)))


def _shift(size: int) -> int:
    """x^(8 * size) modulo CRC-32's polynomial; the highest bit is 1, the next one x."""
    power, square = 1 << 31, 1 << 23
    while size:
        if size & 1:
            power = _times(power, square)
        square = _times(square, square)
        size >>= 1
    return power


def _times(left: int, right: int) -> int:
    """The product of two polynomials modulo CRC-32's."""
    product = 0
    while left:
        if left & 1 << 31:
            product ^= right
        left = left << 1 & 0xFFFFFFFF
        right = right >> 1 ^ (CRC_POLYNOMIAL if right & 1 else 0)
    return product
