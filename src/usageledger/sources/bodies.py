"""Bodies of sources → the texts of their JSON objects, whatever the bodies are labelled.

They are one object, an array of objects, one a line (NDJSON), or a saved stream of server-sent events. Texts are found
without making anything of them, so that a body takes little more memory than it has bytes.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, TypeVar

import msgspec

from usageledger.errors import BodyTooLargeError, InvalidRequestError
from usageledger.json_text import elements, is_array

ITEMS_MAX = 10_000  # things of one body that are counted, or not
LINES_TRIED_MAX = 1_000  # of which one has to be JSON
USAGE_BYTES_MAX = 1 << 16  # of a usage block
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
END: Final = b"[DONE]"  # of a saved stream; more of them may follow

_MARK = b"\xef\xbb\xbf"
_LINE = re.compile(rb"[^\r\n]+")
_STREAM = re.compile(rb"(?:data|event|id|retry)?:")
_checked: msgspec.json.Decoder[msgspec.Raw] = msgspec.json.Decoder(msgspec.Raw)

T = TypeVar("T")


def texts(body: bytes) -> Iterator[bytes]:
    """Gives the texts of a body's objects, `END` after each saved stream. Lines need not be JSON.

    Raises:
        InvalidRequestError: the body is no JSON at all.
    """
    body = body.removeprefix(_MARK).strip()
    if _STREAM.match(body):
        return event_texts(body)
    whole = is_json(body)
    if whole and is_array(body):
        return elements(body)
    if whole:
        return iter([body])
    if not any(is_json(line) for line in islice(line_texts(body), LINES_TRIED_MAX)):
        raise InvalidRequestError(
            "The body is neither JSON nor lines of JSON (NDJSON) nor a stream of server-sent events.",
            code="invalid_json",
        )
    return line_texts(body)


def is_json(text: bytes) -> bool:
    """Returns true for a text that is JSON, and not nested too deeply."""
    try:
        text.decode()
        _checked.decode(text)
    except UNREADABLE:
        return False
    return True


def read(decoder: msgspec.json.Decoder[T], text: bytes | msgspec.Raw) -> T | None:
    """Decodes a text; None where it is not JSON, or not what the decoder is for."""
    try:
        return decoder.decode(text)
    except UNREADABLE:
        return None


def read_each(decoder: msgspec.json.Decoder[T], array: msgspec.Raw, elements_max: int) -> list[T | None]:
    """Decodes the first elements of an array; what is none has none."""
    text = bytes(array)
    return [read(decoder, each) for each in islice(elements(text), elements_max)] if is_array(text) else []


def check_items(items: int, items_max: int) -> None:
    """Raises BodyTooLargeError for more things than a body may have."""
    if items > items_max:
        raise BodyTooLargeError(f"Too many responses: more than {items_max}, which is the most that a request carries.")


def plain(raw: msgspec.Raw, bytes_max: int) -> Any:
    """The value of a text; None where it is longer than that, or cannot be read."""
    if not 0 < len(raw) <= bytes_max:
        return None
    try:
        return msgspec.json.decode(raw)
    except UNREADABLE:
        return None


def line_texts(body: bytes) -> Iterator[bytes]:
    """Gives the lines of a body that are not empty."""
    for line in _LINE.finditer(body):
        if text := line[0].strip():
            yield text


def event_texts(body: bytes) -> Iterator[bytes]:
    """Gives the data of each event of a stream. Fields other than `data` only repeat what the data say."""
    for line in _LINE.finditer(body):
        name, colon, value = line[0].partition(b":")
        if name == b"data" and colon and (text := value.strip()):
            yield text
