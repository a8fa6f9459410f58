"""The share of a sample of names that have a price, and prices that the installed list says otherwise than the file."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from io import StringIO

from usageledger.errors import PriceError
from usageledger.pricing.book import PriceBook
from usageledger.pricing.cards import Subject, of_tier
from usageledger.pricing.genai_list import GenaiList
from usageledger.pricing.listed_prices import listed
from usageledger.pricing.money import usd_text
from usageledger.pricing.names import provider_name
from usageledger.pricing.own_prices import NO_OWN_PRICES, OwnPrices
from usageledger.pricing.price_file import PriceFile, Row

PRICED = "priced"
DEFAULT_MODE = "chat"
_TEXT = (("completions", ("input_text_tokens", "output_text_tokens")),)
# What a model is for, as LiteLLM calls it → kinds of usage and the parts of each that need a price: all of one of them.
MODES: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "chat": _TEXT,
    "completion": _TEXT,
    "responses": _TEXT,
    "realtime": _TEXT,
    "embedding": (("embeddings", ("input_text_tokens",)),),
    "moderation": (("moderations", ("input_text_tokens",)),),
    "decisions": (("decisions", ("input_text_tokens",)),),
    "image_generation": (("completions", ("output_image_tokens",)), ("images", ("images",))),
    "image_edit": (("completions", ("output_image_tokens",)), ("images", ("images",))),
    "audio_transcription": (("audio_transcriptions", ("seconds",)), ("completions", ("input_audio_tokens",))),
    "audio_speech": (("audio_speeches", ("characters",)), ("completions", ("output_audio_tokens",))),
}


@dataclass(frozen=True, slots=True)
class Name:
    """A model as an event may name it, and what it is for: one of `MODES`."""

    provider: str
    mode: str
    model: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A row of the list, and the price in USD for as many units that the price file says on a day."""

    row: Row
    usd: str


def sample() -> list[Name]:
    """The names that come with this version: those of LiteLLM 1.110.2 (PyPI, 2026-11-20), of providers with a list."""
    return read_names((files("usageledger.pricing") / "data" / "names.csv").read_text("utf-8"))


def read_names(text: str) -> list[Name]:
    """Reads names from CSV with the titles provider, mode and model; without a mode it is `DEFAULT_MODE`.

    Raises:
        PriceError: names the line that is wrong.
    """
    reader = csv.DictReader(StringIO(text))
    if not {"provider", "model"} <= set(reader.fieldnames or ()):
        raise PriceError(f"expected a line with the titles provider, model and mode, got {reader.fieldnames}")
    names: list[Name] = []
    for row in reader:
        name = Name(row["provider"] or "", row.get("mode") or DEFAULT_MODE, row["model"] or "")
        if not name.provider or not name.model or name.mode not in MODES:
            allowed = ", ".join(MODES)
            raise PriceError(
                f"line {reader.line_num}: expected a provider, a model, and a mode of {allowed}: got {row}"
            )
        names.append(name)
    return names


def coverage(
    book: PriceBook, names: Iterable[Name], day: int, own: OwnPrices = NO_OWN_PRICES
) -> dict[str, Counter[str]]:
    """The provider, as prices know it → how many of its names are `PRICED` on a day, and of each reason why not."""
    found: dict[str, Counter[str]] = {}
    for name in names:
        provider = found.setdefault(provider_name(name.provider), Counter())
        provider[_outcome(book, name, day, own)] += 1
    return found


def _outcome(book: PriceBook, name: Name, day: int, own: OwnPrices) -> str:
    """`PRICED`, or the reason why the first part that it needs has no price; of several kinds, the most telling one."""
    reasons: list[str] = []
    for kind, parts in MODES[name.mode]:
        prices = book.prices(Subject(day, kind, name.provider, name.model), own)
        missing = [part for part in parts if part not in prices.rates]
        if not missing:
            return PRICED
        reasons.append(prices.reasons[missing[0]].code)
    return next((reason for reason in reasons if reason != "no_row"), reasons[0])


def differences(file: PriceFile, day: int, listing: GenaiList | None = None) -> Iterator[Difference]:
    """Yields the prices that the installed list says otherwise than a file, for names that both have, on a day."""
    book = PriceBook(file, GenaiList(None))
    listing = listing or GenaiList("1970-01-01")
    for provider in dict.fromkeys(row.provider for row in file.rows):
        for row in listing.rows(provider):
            price = listed(row)
            service_tier, batch = of_tier(row.tier)
            subject = Subject(day, row.kind, provider, row.model, service_tier, batch, band=row.above)
            if price.holds(day) and book.knows(subject):
                rate = book.prices(subject).rates.get(row.part, price.rate)
                if rate != price.rate:
                    yield Difference(row, usd_text(rate * row.per))
