"""The pages of a Parquet file by their own headers, so that what they become is known before any is unpacked.

The footer of a file says how large everything is, and may lie; readers believe the headers of pages, so these count.
Source: PageHeader in parquet.thrift of the Parquet format, by Thrift's compact protocol.
"""

from typing import Any

from usageledger.errors import BodyTooLargeError

DATA, DICTIONARY, DATA_V2 = 0, 2, 3
DELTA_BYTE_ARRAY = 7  # each text is as much of the one before as it likes, and a rest
TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 12
DEEPEST = 4


def check_pages(body: bytes, metadata: Any, max_bytes: int) -> list[frozenset[str]]:
    """Lists the columns with a dictionary of each row group, of a file whose pages fit into its rows and `max_bytes`.

    Args:
        body: the file.
        metadata: its `pyarrow.parquet.FileMetaData`.
        max_bytes: for all pages together, unpacked.

    Raises:
        BodyTooLargeError: they are larger.
        ValueError, IndexError: the file contradicts itself, or has an encoding whose size no header says.
    """
    packed = unpacked = 0
    groups: list[frozenset[str]] = []
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        with_dictionaries: set[str] = set()
        for column in range(group.num_columns):
            chunk = group.column(column)
            packed += chunk.total_compressed_size
            if chunk.total_compressed_size < 0 or packed > len(body):
                raise ValueError("its columns are larger than the file")
            size, has_dictionary = _unpacked(body, chunk, group.num_rows)
            unpacked += size
            if has_dictionary:
                with_dictionaries.add(chunk.path_in_schema)
            if unpacked > max_bytes:
                raise BodyTooLargeError(f"The body is larger than {max_bytes} bytes (decompressed): send fewer events.")
        groups.append(frozenset(with_dictionaries))
    return groups


def _unpacked(body: bytes, chunk: Any, rows: int) -> tuple[int, bool]:
    """The bytes of a column's pages of one row group, once they are decompressed, and whether one is a dictionary."""
    place = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < place:
        place = chunk.dictionary_page_offset
    end = place + chunk.total_compressed_size
    name = chunk.path_in_schema[:256]
    if place < 0:
        raise ValueError(f"the column '{name}' is not in the file")
    size = values = pages = 0
    has_dictionary = False
    while place < end and values < chunk.num_values:
        header, place = _struct(body, place, DEEPEST)
        kind, packed = header[1], header[3]
        data = header.get({DATA: 5, DATA_V2: 8}.get(kind, 0))
        if data:
            values += data[1]
            if data[4 if kind == DATA_V2 else 2] == DELTA_BYTE_ARRAY:
                raise ValueError(f"the column '{name}' is encoded as DELTA_BYTE_ARRAY: write it plain or by dictionary")
        has_dictionary |= kind == DICTIONARY
        size += header[2]
        place += packed
        pages += 1
        if min(header[2], packed, values) < 0 or place > end or values > rows or pages > rows + 1:
            raise ValueError(f"the pages of the column '{name}' do not fit into it")
    return size, has_dictionary


def _struct(data: bytes, place: int, depth: int) -> tuple[dict[int, Any], int]:
    """The 32-bit integers and the structs in a struct by their field's number, and where it ends."""
    fields: dict[int, Any] = {}
    number = 0
    while head := data[place]:
        place += 1
        kind, step = head & 15, head >> 4
        if step:
            number += step
        else:
            coded, place = _varint(data, place)
            number = _signed(coded)
        if kind in {I16, I32, I64}:
            coded, place = _varint(data, place)
            if kind == I32:
                fields[number] = _signed(coded & 0xFFFFFFFF)
        elif kind == BINARY:
            length, place = _varint(data, place)
            place += length
        elif kind == STRUCT and depth:
            fields[number], place = _struct(data, place, depth - 1)
        elif kind in {BYTE, DOUBLE}:
            place += 1 if kind == BYTE else 8
        elif kind not in {TRUE, FALSE}:
            raise ValueError("a page has a header that is none")
    return fields, place + 1


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:  # noqa: PLR2004 - ten bytes are the most that 64 bits take
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:  # noqa: PLR2004 - the last one
            return value, place
    raise ValueError("a page has a header that is none")


def _signed(coded: int) -> int:
    return (coded >> 1) ^ -(coded & 1)
