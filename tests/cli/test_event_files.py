"""Files in every shape that is read, and where their events stand in them."""

import gzip
import io
import json
from collections.abc import Callable

import pytest
import zstandard
from tests.cli.support import Run, one_error

from usageledger.cli.event_files import LINE_BYTES_MAX, OBJECT_BYTES_MAX, Record, read_records
from usageledger.cli.terminal.output import CommandError

EVENTS = [{"id": f"evt_{number}", "text": "ä \\n \u2028 [{"} for number in range(5)]
NDJSON = b"".join(json.dumps(event, ensure_ascii=False).encode() + b"\n" for event in EVENTS)


def zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(content)


def read(content: bytes) -> list[Record]:
    return list(read_records(io.BufferedReader(io.BytesIO(content)), "f"))


def decoded(found: list[Record]) -> list[object]:
    assert all(b"\n" not in record.text for record in found)
    return [json.loads(record.text) for record in found]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd], ids=["plain", "gzip", "zstd"])
@pytest.mark.parametrize(
    ("content", "places"),
    [
        (NDJSON, [1, 2, 3, 4, 5]),
        (NDJSON.rstrip(), [1, 2, 3, 4, 5]),
        (NDJSON.replace(b"\n", b"\r\n"), [1, 2, 3, 4, 5]),
        (b"\xef\xbb\xbf" + NDJSON, [1, 2, 3, 4, 5]),
        (b"\n \n" + NDJSON.replace(b"\n", b"\n\n"), [3, 5, 7, 9, 11]),
        (json.dumps(EVENTS).encode(), [1, 1, 1, 1, 1]),
        (json.dumps(EVENTS, indent=2).encode(), [2, 6, 10, 14, 18]),
        (b"\r\n\n" + json.dumps(EVENTS, indent=2).replace("\n", "\r\n").encode(), [4, 8, 12, 16, 20]),
    ],
    ids=["ndjson", "no_last_newline", "crlf", "bom", "blank_lines", "array", "indented", "indented_crlf"],
)
def test_every_shape_is_read(content: bytes, places: list[int], pack: Callable[[bytes], bytes]) -> None:
    found = read(pack(content))
    assert decoded(found) == EVENTS
    assert [record.line for record in found] == places


@pytest.mark.parametrize("indent", [None, 2])
def test_one_object(indent: int | None) -> None:
    found = read(b"\n" + json.dumps(EVENTS[0], indent=indent).encode())
    assert decoded(found) == EVENTS[:1]
    assert found[0].line == 2


def test_a_broken_first_line_is_an_event_of_its_own() -> None:
    found = read(b'{"id": "cut off\n' + NDJSON)
    assert found[0].text == b'{"id": "cut off'
    assert [record.line for record in found] == [1, 2, 3, 4, 5, 6]


def test_a_broken_first_line_before_more_than_is_looked_through() -> None:
    times = OBJECT_BYTES_MAX // len(NDJSON) + 2
    found = read(b'{"id": "cut off\n' + NDJSON * times)
    assert decoded(found[1:]) == EVENTS * times
    assert [record.line for record in found] == list(range(1, 2 + len(EVENTS) * times))


@pytest.mark.parametrize("content", [b"", b"\n \n", gzip.compress(b""), zstd(b"")], ids=["", "blank", "gzip", "zstd"])
def test_nothing(content: bytes) -> None:
    assert read(content) == []


def test_several_compressed_parts_are_one_file() -> None:
    half = NDJSON.index(b"\n") + 5
    for pack in (gzip.compress, zstd):
        assert decoded(read(pack(NDJSON[:half]) + pack(NDJSON[half:]))) == EVENTS


@pytest.mark.parametrize("pack", [gzip.compress, zstd], ids=["gzip", "zstd"])
@pytest.mark.parametrize("lost", [1, 4, 20])
def test_a_compressed_file_that_is_cut_short_is_no_shorter_file(pack: Callable[[bytes], bytes], lost: int) -> None:
    with pytest.raises(CommandError, match=r"f cannot be read: .*ended before"):
        read(pack(NDJSON * 1000)[:-lost])


@pytest.mark.parametrize("pack", [gzip.compress, zstd], ids=["gzip", "zstd"])
def test_garbage_after_compressed_data(pack: Callable[[bytes], bytes]) -> None:
    with pytest.raises(CommandError, match="f cannot be read: "):
        read(pack(NDJSON) + b"garbage")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id,kind\n", "f:1: expected one JSON object a line, or a JSON array, got 'id,kind'"),
        (b"\n\nnull\n", "f:3: expected one JSON object a line"),
        (b'[{"id": 1}', "f is not a JSON array: "),
        (b"[1] [2]", "f is not a JSON array: "),
        (b"[" * 100_000, "f is not a JSON array: "),
        (b"\x00\x01", "f:1: expected one JSON object a line"),
    ],
)
def test_what_is_no_file_of_events(content: bytes, message: str) -> None:
    with pytest.raises(CommandError) as caught:
        read(content)
    assert str(caught.value).startswith(message)


def test_a_line_without_end() -> None:
    with pytest.raises(CommandError, match="f:2: this line is longer than 16,777,216 bytes"):
        read(b'{"id": 1}\n{"id": "' + b"x" * LINE_BYTES_MAX + b'"}\n')
    assert len(read(b'{"id": 1}\n{"id": "' + b"x" * (LINE_BYTES_MAX - 11) + b'"}\n')) == 2


def test_missing_files_are_named_before_anything_is_sent(call: Run, environment: dict[str, str]) -> None:
    done = call("ingest", "no-such-file.ndjson", USAGELEDGER_API_KEY="k")
    assert one_error(done, 2) == "Error: There is no file no-such-file.ndjson."
    done = call("ingest", environment["HOME"], USAGELEDGER_API_KEY="k")
    assert one_error(done, 2).endswith("is a folder: name the files in it.")
