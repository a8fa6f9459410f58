"""Bodies joined of what is kept compressed: in every encoding one frame or member, and the same bytes."""

import os
import zlib
from itertools import permutations

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from usageledger.server.http.compressed_pages import PIECE_BYTES, Body, Packed, joined

# What tempts a compressor to repeat a distance from before the piece: runs, and periods of 4 and 8 bytes.
TEMPTING = st.builds(
    lambda before, unit, times, after: before + unit * times + after,
    st.binary(max_size=5),
    st.sampled_from([b"0", b"01", b"abcd", b"00000000", b'{"input_tokens":1000000,"model":null},']),
    st.integers(0, 3000),
    st.binary(max_size=5),
)
PARTS = st.lists(st.tuples(TEMPTING, st.sampled_from(["plain", "packed", "deflated"])), max_size=8)


def part(plain: bytes, how: str) -> bytes | Packed:
    if how == "plain":
        return plain
    return Packed.of(plain) if how == "packed" else Packed.of(plain).with_deflated()


def unpacked(body: Body) -> bytes:
    """As the strictest client reads it: one frame or member, and nothing behind it."""
    sent = b"".join(body.pieces)
    assert len(sent) == body.size
    if body.encoding is None:
        return sent
    reader = zstandard.ZstdDecompressor().decompressobj() if body.encoding == "zstd" else zlib.decompressobj(31)
    plain = reader.decompress(sent)
    assert reader.eof
    assert reader.unused_data == b""
    return plain


@given(PARTS)
@example([(b"", "packed"), (b"x" * 1000, "plain"), (b"", "deflated")])
def test_every_encoding_says_the_same(drawn: list[tuple[bytes, str]]) -> None:
    parts = [part(*each) for each in drawn]
    plain = b"".join(text for text, _ in drawn)
    for encoding in ("zstd", "gzip", None):
        body = joined(parts, encoding)
        assert body.encoding == (encoding if len(plain) >= 1000 else None)
        assert unpacked(body) == plain


@pytest.mark.parametrize("encoding", ["zstd", "gzip", None])
def test_pieces_may_stand_in_any_order_and_more_than_once(encoding: str | None) -> None:
    texts = [b"0" * 5000, b"[" + b"0001" * 4000 + b"]", os.urandom(3000) + b"1000", b'{"a":1000000}' * 900]
    packed = [Packed.of(text).with_deflated() for text in texts]
    for order in permutations(range(4)):
        places = [*order, *order]
        assert unpacked(joined([packed[place] for place in places], encoding)) == b"".join(texts[p] for p in places)


@pytest.mark.parametrize("encoding", ["zstd", "gzip", None])
def test_pieces_larger_than_a_window(encoding: str | None) -> None:
    """Each is several jobs, many blocks, and pieces of an answer that is not held at once."""
    large = b"".join(b'{"input_tokens":%d,"model":"gpt-%d"},' % (number**2, number % 7) for number in range(100_000))
    assert len(large) > 3 << 20
    packed = Packed.of(large)
    assert packed.kept_bytes < len(large) / 4
    assert max(map(len, packed.plain())) <= PIECE_BYTES
    assert unpacked(joined([b"[", packed, b",", packed, large, b"]"], encoding)) == b"".join(
        [b"[", large, b",", large, large, b"]"]
    )


def test_what_is_packed_is_not_compressed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = Packed.of(b"0" * 50_000).with_deflated()
    monkeypatch.setattr(zstandard, "ZstdCompressor", None)
    monkeypatch.setattr(zlib, "compressobj", None)
    for encoding in ("zstd", "gzip"):
        assert unpacked(joined([b"[", packed, b"]"], encoding)) == b"[" + b"0" * 50_000 + b"]"


def test_the_bytes_that_are_kept_are_counted() -> None:
    packed = Packed.of(os.urandom(20_000))
    assert packed.kept_bytes == len(packed.blocks) > 20_000
    both = packed.with_deflated()
    assert both.deflated
    assert both.kept_bytes == len(packed.blocks) + len(both.deflated.blocks)
    assert both.with_deflated() is both
