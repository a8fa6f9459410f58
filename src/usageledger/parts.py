"""Stored counts and how each of them is charged: what measures are made of.

Keys of price lists are those of `genai-prices`, which say their own unit: `_mtok` is a price for a million tokens.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Price:
    """The way in which a stored count is charged.

    Attributes:
        line_item: what its line item is called after the model.
        unit: the unit of its quantity, as `quantity_unit` says it.
        per: how many units price lists give a price for.
        listed: the keys of `genai-prices` that price exactly this, the most exact first.
        name: what it is called among the parts of its kind, where its line item says more than that.
        details: the dimensions whose values its line item names.
        unit_bits: its unit is 2 to the power of so many of what is stored.
        optional: it costs nothing where nobody says a price, so that usage without one is not unpriced.
    """

    line_item: str
    unit: str
    per: int
    listed: tuple[str, ...] = ()
    name: str | None = None
    details: tuple[str, ...] = ()
    unit_bits: int = 0
    optional: bool = False


# Said of a count that costs nothing, and of a sum whose parts are charged by themselves.
NOT_CHARGED = None


@dataclass(frozen=True, slots=True)
class Part:
    """A stored column, and how it is charged."""

    name: str
    price: Price | None


def _tokens(name: str, line_item: str, *listed: str) -> Part:
    return Part(name, Price(line_item, "tokens", 10**6, listed))


UNCACHED_PARTS = (
    _tokens("input_text_tokens", "input", "input_text_mtok", "input_mtok"),
    _tokens("input_audio_tokens", "audio input", "input_audio_mtok"),
    _tokens("input_image_tokens", "image input", "input_image_mtok"),
)
CACHED_PARTS = (
    _tokens("input_cached_text_tokens", "cached input", "cache_text_read_mtok", "cache_read_mtok"),
    _tokens("input_cached_audio_tokens", "cached audio input", "cache_audio_read_mtok"),
    _tokens("input_cached_image_tokens", "cached image input", "cache_image_read_mtok"),
)
# By lifetime, and last those whose lifetime nobody said.
CACHE_WRITE_PARTS = (
    _tokens("input_cache_write_5m_tokens", "cache write 5m", "cache_write_mtok"),
    _tokens("input_cache_write_30m_tokens", "cache write 30m", "cache_write_mtok"),
    _tokens("input_cache_write_1h_tokens", "cache write 1h", "cache_write_1h_mtok"),
    _tokens("input_cache_write_12h_tokens", "cache write 12h"),
    _tokens("input_cache_write_other_tokens", "cache write", "cache_write_mtok"),
)


def cache_write_of(lifetime: str) -> str:
    """The part of cache writes of a lifetime such as `5m`."""
    return f"input_cache_write_{lifetime}_tokens"


def lifetime_of(part: str) -> str | None:
    """The lifetime of cache writes that a part is of, if it is of one."""
    found = re.fullmatch("input_cache_write_([0-9]+[mh])_tokens", part)
    return found and found[1]


OUTPUT_PARTS = (
    _tokens("output_text_tokens", "output", "output_text_mtok", "output_mtok"),
    _tokens("output_audio_tokens", "audio output", "output_audio_mtok"),
    _tokens("output_image_tokens", "image output", "output_image_mtok"),
)
UNCACHED, CACHED, CACHE_WRITE, OUTPUT = (
    tuple(part.name for part in parts) for parts in (UNCACHED_PARTS, CACHED_PARTS, CACHE_WRITE_PARTS, OUTPUT_PARTS)
)
TOKEN_PARTS = {part.name: part for part in (*UNCACHED_PARTS, *CACHED_PARTS, *CACHE_WRITE_PARTS, *OUTPUT_PARTS)}
