"""The file of dated public prices: what each vendor's list said of a name, a part and a tier, since when, and where.

A file has rows, aliases and regional factors. A row is a price for exactly that model, kind, part and tier, where all
of its conditions hold, between two days or instants. What no row says is not known: a row is never taken for another.
"""

from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec
from msgspec import Struct

FORMAT = 1
USABLE = ("high", "medium")  # confidence in what is charged
ANY = "*"  # as a model: any of the provider's that has no row of its own for the part

Confidence = Literal["high", "medium", "low", "disputed"]
StartIs = Literal["launch", "announced", "vendor_rule", "first_seen"]
Origin = Literal["curated", "observed"]


class Hours(Struct, frozen=True, forbid_unknown_fields=True):
    """Times of day, UTC, as `01:00-04:00`, on some days of the week (1 is Monday) or on all of them."""

    hours: tuple[str, ...]
    days: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7)


class Row(
    Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from", "start_is": "from_is", "end": "to"}
):
    """A public price: `per` units of `part` cost `price` USD.

    Attributes:
        model: the exact id; `ANY`, or None for usage that has no model.
        price: a decimal, as text.
        start: the first UTC day, or the instant, from which it holds.
        start_is: how the start is known. Before a `first_seen` start the price is not known.
        end: the first day or instant at which it no longer holds; None where no end is known.
        last_seen: of a row without an end that its lists dropped: the last day on which one had it.
        above: only for requests with more input tokens than this.
        up_to: only for requests with no more input tokens than this.
        minutes_min: it is for minutes that each unit lasted, of at least so many; events say them.
        hours: only at these times of the week.
    """

    provider: str
    kind: str
    part: str
    price: str
    per: int
    start: str
    start_is: StartIs
    confidence: Confidence
    source: str
    model: str | None = None
    tier: str = "standard"
    end: str | None = None
    last_seen: str | None = None
    origin: Origin = "curated"
    above: int = 0
    up_to: int | None = None
    context_level: str | None = None
    tool: str | None = None
    size: str | None = None
    quality: str | None = None
    memory_gb: str | None = None
    minutes_min: int | None = None
    hours: tuple[Hours, ...] = ()
    note: str = ""


class Alias(Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from", "end": "to"}):
    """A name that stands for a model between two UTC days."""

    provider: str
    name: str
    resolves_to: str
    start: str
    source: str
    end: str | None = None
    note: str = ""


class Factor(
    Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from", "start_is": "from_is", "end": "to"}
):
    """A factor on all token prices of a model where a region processes the request."""

    provider: str
    model: str
    region: str
    factor: str
    start: str
    start_is: StartIs
    confidence: Confidence
    source: str
    end: str | None = None
    last_seen: str | None = None
    origin: Origin = "curated"


class PriceFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A release of public prices.

    Attributes:
        serial: grows with every release.
        made: its UTC day.
        confirmed_through: the last UTC day on which the lists were compared with its open rows.
        lists: package → version → the UTC day on which it was published.
    """

    format: int
    serial: int
    made: str
    confirmed_through: str
    lists: dict[str, dict[str, str]]
    rows: tuple[Row, ...]
    aliases: tuple[Alias, ...] = ()
    factors: tuple[Factor, ...] = ()


@cache
def shipped() -> PriceFile:
    """The prices that come with this version."""
    return msgspec.json.decode((files(__package__) / "data" / "prices.json").read_bytes(), type=PriceFile)
