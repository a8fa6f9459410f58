"""Files of events → records: the text of one event each, and where it stands.

What a file is follows from its content, not from its name: gzip, Zstandard or plain; one JSON object a line (NDJSON),
an array of objects, or one object. NDJSON is streamed; an array is read whole. Files of others may be CSV as well.
"""

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import BinaryIO, NamedTuple, cast

import msgspec
import zstandard

from usageledger.cli.terminal.output import CommandError

STDIN = "-"
LINE_BYTES_MAX = 16 * 1024**2
OBJECT_BYTES_MAX = 1024**2  # an event that spans lines is looked for in so many bytes
OTHERS_OBJECT_BYTES_MAX = 256 * 1024**2  # an export or a session is one object
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UNREADABLE = (OSError, EOFError, zlib.error, zstandard.ZstdError)


class Record(NamedTuple):
    """The text of one event, on one line, and its file and line number."""

    text: bytes
    file: str
    line: int


class ZstdReader(io.RawIOBase):
    """Decompresses any number of Zstandard frames; unlike the library's own reader it refuses one that is cut short."""

    CHUNK = 128 * 1024

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._plain = memoryview(b"")

    def readable(self) -> bool:
        """Returns true: the file can be read."""
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]  # what io hands over
        """Fills `buffer` as far as one chunk goes; 0 at the end."""
        while not self._plain:
            chunk = self._source.read(self.CHUNK)
            if not chunk:
                if self._frame is not None:
                    raise EOFError("Zstandard frame ended before its end was reached")
                return 0
            self._plain = memoryview(self._decompress(chunk))
        count = min(len(buffer), len(self._plain))
        buffer[:count] = self._plain[:count]
        self._plain = self._plain[count:]
        return count

    def _decompress(self, chunk: bytes) -> bytes:
        pieces: list[bytes] = []
        while chunk:
            if self._frame is None:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            pieces.append(self._frame.decompress(chunk))
            chunk = b""
            if self._frame.eof:
                chunk, self._frame = self._frame.unused_data, None
        return b"".join(pieces)


@contextmanager
def open_file(name: str) -> Generator[BinaryIO]:
    """A file as its bytes on disk, or stdin for `-`."""
    if name == STDIN:
        yield sys.stdin.buffer
        return
    with open(name, "rb") as file:  # noqa: PTH123 - a name is all there is
        yield file


def read_records(file: BinaryIO, name: str, *, own: bool = True) -> Iterator[Record]:
    """The records of an open file, called `name` in messages.

    Args:
        file: its bytes.
        name: of it.
        own: false for a file of others, which may be CSV, or one long object.

    Raises:
        CommandError: it cannot be read, is cut short, or is neither NDJSON nor JSON.
    """
    try:
        for text, line in _records(cast("BinaryIO", _decompressed(file)), name, own=own):
            yield Record(text, name, line)
    except UNREADABLE as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise CommandError(f"{name} cannot be read: {reason}") from None


def _decompressed(file: BinaryIO) -> io.BufferedIOBase:
    buffered = file if isinstance(file, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", file))
    magic = buffered.peek(4)[:4]
    if magic[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=buffered)
    if magic == b"\x28\xb5\x2f\xfd":
        return io.BufferedReader(ZstdReader(cast("BinaryIO", buffered)), 256 * 1024)
    return buffered


def _records(file: BinaryIO, name: str, *, own: bool) -> Iterator[tuple[bytes, int]]:
    """(text, line) of each event."""
    number, first = 1, file.readline(LINE_BYTES_MAX).removeprefix(BYTE_ORDER_MARK)
    while first and not first.strip():
        number, first = number + 1, file.readline(LINE_BYTES_MAX)
    if not first:
        return
    start = first.lstrip()[:1]
    if start == b"[":
        yield from _array(first + file.read(), name, number)
    elif start == b"{":
        yield from _lines_or_object(first, file, name, number, OBJECT_BYTES_MAX if own else OTHERS_OBJECT_BYTES_MAX)
    elif not own and b"," in first:
        yield from _rows(first, file, name, number)
    else:
        shown = first.strip()[:40].decode(errors="replace")
        raise CommandError(f"{name}:{number}: expected one JSON object a line, or a JSON array, got {shown!r}")


def _array(body: bytes, name: str, number: int) -> Iterator[tuple[bytes, int]]:
    """The elements of a JSON array whose first byte stands in line `number`."""
    try:
        elements = msgspec.json.decode(body, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CommandError(f"{name} is not a JSON array: {error}") from None
    position = 0
    for element in elements:
        text = bytes(element)
        found = body.index(text, position)
        number += body.count(b"\n", position, found)
        yield _on_one_line(text), number
        position = found + len(text)
        number += text.count(b"\n")


def _rows(first: bytes, file: BinaryIO, name: str, number: int) -> Iterator[tuple[bytes, int]]:
    """The rows of CSV, each as a JSON object of texts by the names in the first line."""
    csv.field_size_limit(LINE_BYTES_MAX)
    lines = chain([first], _lines(file, name, number))
    rows = csv.DictReader(line.decode(errors="replace") for line in lines)
    try:
        for row in rows:
            yield msgspec.json.encode({column: text for column, text in row.items() if column}), rows.line_num
    except csv.Error as error:
        raise CommandError(f"{name}:{rows.line_num}: this is no CSV: {error}") from None


def _lines_or_object(
    first: bytes, file: BinaryIO, name: str, number: int, bytes_max: int
) -> Iterator[tuple[bytes, int]]:
    """NDJSON, unless its first line goes on in the next ones to make one object of so many bytes."""
    rest = b""
    if not _is_json(first):
        rest = file.read(bytes_max)
        if len(rest) < bytes_max and _is_json(first + rest):
            yield _on_one_line(first + rest), number
            return
        rest += file.readline(LINE_BYTES_MAX)
    yield first.strip(), number
    for source in (io.BytesIO(rest), file):
        for line in _lines(source, name, number):
            number += 1
            if text := line.strip():
                yield text, number


def _lines(file: BinaryIO, name: str, number: int) -> Iterable[bytes]:
    for count, line in enumerate(iter(lambda: file.readline(LINE_BYTES_MAX), b""), number + 1):
        if len(line) == LINE_BYTES_MAX and not line.endswith(b"\n"):
            raise CommandError(f"{name}:{count}: this line is longer than {LINE_BYTES_MAX:,} bytes")
        yield line


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _on_one_line(text: bytes) -> bytes:
    """JSON has line ends only between its tokens, where a space is as good."""
    return text.replace(b"\r", b" ").replace(b"\n", b" ").strip()
