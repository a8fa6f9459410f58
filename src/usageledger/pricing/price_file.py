"""The file of dated public prices: what each vendor's list said of a name, a part and a tier, since when, and where.

A file has rows, aliases, regional factors, what others sell, and parts that cost alike. A row is a price for exactly
that model, kind, part and tier, where all of its conditions hold, between two days or instants. What no row says is not
known: a row is never taken for another, unless a source says that they are one price.

`rows_sha256` is the SHA-256 of the canonical form of what the file says: its rows, aliases, factors, hosted, alike and
corrections, in this order and the file's, each as JSON in one line: keys sorted, no blanks, UTF-8, without fields that
have their default. A line feed joins lines. The first 12 digits of the SHA-256 of such a line are the id of the row.
The next file has this `rows_sha256` as its `previous_sha256`, and all later ones have it in `earlier_sha256`. A further
field of a row is a further format, so that no version reads a price without its conditions.
"""

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

from usageledger.errors import PriceFileError

FORMAT = 1
ID_DIGITS = 12
ANY = "*"  # as a model: any of the provider's that has no row of its own for the part

Confidence = Literal["high", "medium", "low", "disputed"]
USABLE: tuple[Confidence, ...] = ("high", "medium")
StartIs = Literal["launch", "announced", "vendor_rule", "first_seen"]
Origin = Literal["curated", "observed"]


class Hours(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Times of day, UTC, as `01:00-04:00`, on some days of the week (1 is Monday) or on all of them."""

    hours: tuple[str, ...]
    days: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7)


class Row(
    Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename={"start": "from", "start_is": "from_is", "end": "to"},
):
    """A public price: `per` units of `part` cost `price` USD.

    Attributes:
        model: the exact id; `ANY`, or None for usage that has no model.
        price: a decimal, as text.
        start: the first UTC day, or the instant, from which it holds.
        start_is: how the start is known. Before a `first_seen` start the price is not known.
        end: the first day or instant at which it no longer holds; None where no end is known.
        last_seen: of a row without an end that its lists dropped: the last day on which one had it.
        above: only for requests with more input tokens than this, up to the next number that a row of the model says.
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
    context_level: str | None = None
    tool: str | None = None
    size: str | None = None
    quality: str | None = None
    memory_gb: str | None = None
    minutes_min: int | None = None
    hours: tuple[Hours, ...] = ()
    note: str = ""


class Alias(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename={"start": "from", "end": "to"}):
    """A name that stands for a model between two UTC days."""

    provider: str
    name: str
    resolves_to: str
    start: str
    source: str
    end: str | None = None
    note: str = ""


class Factor(
    Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename={"start": "from", "start_is": "from_is", "end": "to"},
):
    """A factor on all token prices of a model where a region processes the request; `ANY` is each that has none."""

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


class Hosted(
    Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename={"start": "from", "end": "to"}
):
    """Models that a provider sells at what their vendor charges for them, times a factor.

    Attributes:
        provider: the one that sells them.
        models: its exact name → the vendor's, which has rows.
        prices: tier → parts: those of the vendor's prices that are its own as well.
        start: the first UTC day on which a source says so. Before it the prices are not known.
        seen: the last one. A price of the vendor's that begins later is not known to be the provider's.
    """

    provider: str
    vendor: str
    models: dict[str, str]
    kind: str
    prices: dict[str, tuple[str, ...]]
    factor: str
    start: str
    seen: str
    source: str
    end: str | None = None


class Alike(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename={"start": "from", "end": "to"}):
    """Parts that a provider charges at the price of another one, whatever that is, in all tiers and bands.

    Attributes:
        models: its exact names. A row of theirs for such a part holds in any case, from its start on.
        parts: part → the one whose price is its own as well.
        start: the first UTC day of which the source says so.
    """

    provider: str
    models: tuple[str, ...]
    kind: str
    parts: dict[str, str]
    start: str
    source: str
    end: str | None = None


def holds(said: Alias | Factor, day: str) -> bool:
    """Tell whether an alias or a factor holds on a UTC day (ISO)."""
    last_seen = None if isinstance(said, Alias) else said.last_seen
    return said.start <= day and (said.end is None or day < said.end) and (last_seen is None or day <= last_seen)


class Correction(Struct, frozen=True, forbid_unknown_fields=True):
    """The reason for which a row of an earlier file, named by its id, no longer says the same of days past."""

    corrects: str
    reason: str


Said: TypeAlias = Row | Alias | Factor | Hosted | Alike | Correction


class PriceFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A release of public prices.

    Attributes:
        serial: grows with every release.
        made: its UTC day.
        confirmed_through: the last UTC day on which the lists were compared with its open rows.
        lists: package → version → the UTC day on which it was published.
        rows_sha256: of the canonical form.
        previous_sha256: `rows_sha256` of the release that this one was made from; None of the first one.
        earlier_sha256: those of the releases before that, the newest first.
    """

    format: int
    serial: int
    made: str
    confirmed_through: str
    lists: dict[str, dict[str, str]]
    rows: tuple[Row, ...]
    aliases: tuple[Alias, ...] = ()
    factors: tuple[Factor, ...] = ()
    hosted: tuple[Hosted, ...] = ()
    alike: tuple[Alike, ...] = ()
    corrections: tuple[Correction, ...] = ()
    rows_sha256: str = ""
    previous_sha256: str | None = None
    earlier_sha256: tuple[str, ...] = ()

    @property
    def made_from(self) -> tuple[str, ...]:
        """`rows_sha256` of all releases before it, the newest first."""
        return tuple(each for each in (self.previous_sha256, *self.earlier_sha256) if each is not None)

    @property
    def said(self) -> tuple[Said, ...]:
        """Everything that it says, in the order of the canonical form."""
        return *self.rows, *self.aliases, *self.factors, *self.hosted, *self.alike, *self.corrections


class _Form(Struct):
    format: int


def read(text: bytes) -> PriceFile:
    """Reads a price file of the one format that this version knows.

    Raises:
        PriceFileError: it is none; the message names the row.
    """
    try:
        form = msgspec.json.decode(text, type=_Form).format
        if form != FORMAT:
            raise PriceFileError(f"format {form} is not known: this version reads format {FORMAT}")
        return msgspec.json.decode(text, type=PriceFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PriceFileError(f"it is not a price file: {error}") from None


def shipped_text() -> bytes:
    """The file that comes with this version."""
    return (files("usageledger.pricing") / "data" / "prices.json").read_bytes()


@cache
def shipped() -> PriceFile:
    """The prices that come with this version."""
    return read(shipped_text())


def canonical(said: Said) -> bytes:
    """The line of the canonical form that says this."""
    return msgspec.json.encode(said, order="sorted")


def id_of(said: Said) -> str:
    """The id by which a correction names it."""
    return hashlib.sha256(canonical(said)).hexdigest()[:ID_DIGITS]


def digest(file: PriceFile) -> str:
    """The SHA-256 of the canonical form of what a file says, as `rows_sha256` has it."""
    return hashlib.sha256(b"\n".join(map(canonical, file.said))).hexdigest()


# --- writing -----------------------------------------------------------------------------------------------------

_LISTS = ("rows", "aliases", "factors", "hosted", "alike", "corrections")
_FIRST = ("provider", "model", "name", "vendor", "kind", "part", "tier", "region")
_LAST = ("price", "per", "factor", "resolves_to", "from", "from_is", "seen", "to", "last_seen", "confidence", "origin")
_END = ("source", "note")


def written(file: PriceFile) -> bytes:
    """The text of a file: its header, then what it says, one to a line, each for a person to read from the left."""
    header = {key: value for key, value in msgspec.to_builtins(file).items() if key not in _LISTS}
    if not file.earlier_sha256:
        del header["earlier_sha256"]
    parts = [msgspec.json.encode(header)[:-1]]
    for name in _LISTS:
        lines = [msgspec.json.encode(_ordered(said)) for said in getattr(file, name)]
        parts.append(b'"%s":[\n%s\n]' % (name.encode(), b",\n".join(lines)) if lines else b'"%s":[]' % name.encode())
    return b",\n".join(parts) + b"}\n"


def _ordered(said: Said) -> dict[str, Any]:
    fields = msgspec.to_builtins(said)
    conditions = [name for name in fields if name not in (*_FIRST, *_LAST, *_END)]
    return {name: fields[name] for name in (*_FIRST, *conditions, *_LAST, *_END) if name in fields}
