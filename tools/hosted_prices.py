"""Writes what Bedrock, Azure and Vertex AI charge for models, as LiteLLM lists it, into the price file.

`python -m tools.hosted_prices FOLDER` writes it anew. It reads LiteLLM's file of each release that the price file
knows, as `FOLDER/VERSION.json`. A price that is the vendor's, or that of the seller's own name without a place, times
one of `FACTORS` becomes a part of `hosted`; any other one a row, where LiteLLM names the seller's own page for it. Both
are of the newest release, and begin with the first one since which all have said the same. What differs from the
vendor's by less than `ROUNDED` is left out: it was rounded. So is a name without a place, where places differ. Names
that the file has are left to it, Google's own models to its own list, and what genai-prices has besides to that; where
it says another price, both are disputed.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import structs

from tools.price_file import PATH, finished
from usageledger.pricing.genai_list import GenaiList
from usageledger.pricing.hosted import all_rows, rows_by_name
from usageledger.pricing.listed_prices import CONDITIONS, seconds_of, times
from usageledger.pricing.names import Aliases
from usageledger.pricing.price_file import ANY, USABLE, Factor, Hosted, PriceFile, Row, read, written

FACTORS = ("1", "1.1", "1.2")
ROUNDED = Decimal("0.02")
LIST = "litellm"
_M = 10**6
_SELLERS = {"bedrock": "aws", "bedrock_converse": "aws", "azure": "azure", "azure_text": "azure", "vertex_ai": "google"}
# The pages by which a price of its own counts.
_PAGES = re.compile(
    r"https://([\w.-]+\.)?(amazonaws\.com|aws\.amazon\.com|awsstatic\.com|azure\.com|microsoft\.com|cloud\.google\.com)/"
)
# At Google's, the models of others; its own are in its own list, and by the character.
_PARTNERS = re.compile(r"claude-|mistral-|codestral|jamba-|[\w.-]+/")
_KINDS = {
    **dict.fromkeys(("chat", "completion", "responses", "realtime", "image_generation", "image_edit"), "completions"),
    "embedding": "completions",
    "audio_speech": "audio_speeches",
    "audio_transcription": "audio_transcriptions",
}
_PARTS = {
    "input_cost_per_token": "input_text_tokens",
    "output_cost_per_token": "output_text_tokens",
    "cache_read_input_token_cost": "input_cached_text_tokens",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "input_cache_write_1h_tokens",
    "input_cost_per_audio_token": "input_audio_tokens",
    "output_cost_per_audio_token": "output_audio_tokens",
    "cache_read_input_audio_token_cost": "input_cached_audio_tokens",
    "input_cost_per_image_token": "input_image_tokens",
    "output_cost_per_image_token": "output_image_tokens",
    "cache_read_input_image_token_cost": "input_cached_image_tokens",
    "input_cost_per_second": "seconds",
    "input_cost_per_character": "characters",
}
_UNITS = {"seconds": 60}
_PARTS_OF = {
    "completions": frozenset(_PARTS.values()) - {"seconds", "characters"},
    "audio_speeches": frozenset({"characters"}),
    "audio_transcriptions": frozenset({"seconds"}),
}
_KEY = re.compile(
    rf"({'|'.join(sorted(_PARTS, key=len, reverse=True))})(?:_above_(\d+)k_tokens)?(?:_(batches|flex|priority))?"
)
# The seller's names of a vendor's models: the vendor's own name, with what the seller puts around it.
_AWS = re.compile(
    r"(?:(?:bedrock/)?[a-z-]+-\d/|invoke/)?(?:(?:us|eu|jp|au|in|apac|global|us-gov)\.)?"
    r"(anthropic|openai|xai)\.([a-z0-9.-]+?)(?:-v\d+)?(?::\d+)?"
)
_AZURE = re.compile(r"(?:(?:us|eu|apac|global|global-standard|us-gov)/)?([a-z0-9.-]+)")
_PLACE = re.compile(
    r"(?:[a-z-]+-\d/)?(?:us|eu|jp|au|in|apac|global|us-gov)\.|[a-z-]+-\d/|(?:us|eu|apac|global|global-standard|us-gov)/"
)
_VERTEX = re.compile(r"(claude-[a-z0-9-]+)(?:@(default|\d{8}))?")

Prices = dict[int, Decimal]  # band → price


class Part(NamedTuple):
    """A part of usage of one kind and tier."""

    kind: str
    part: str
    tier: str


@dataclass(frozen=True)
class Entry:
    """A model of a seller in one release: its prices, the page that LiteLLM names, and the factor of a region."""

    prices: dict[Part, Prices]
    page: str
    uplift: str


@dataclass(frozen=True)
class Line:
    """What is alike of all names of one of `hosted`, but for its parts."""

    seller: str
    vendor: str
    kind: str
    factor: str
    start: str


_INPUT = Part("completions", "input_text_tokens", "standard")
Release = dict[tuple[str, str], Entry]


def entries(listed: dict[str, dict[str, Any]]) -> Release:
    """The sellers' models in LiteLLM's file."""
    found: Release = {}
    for name, about in listed.items():
        called = str(about.get("litellm_provider"))
        called = "vertex_ai" if called.startswith("vertex_ai-") else called
        if (seller := _SELLERS.get(called)) and (kind := _KINDS.get(str(about.get("mode")))):
            own = name.removeprefix(f"{called.removesuffix('_converse').removesuffix('_text')}/").lower()
            page = str(about.get("source") or "")
            uplift = str(about.get("regional_endpoint_uplift_multiplier") or "")
            found[seller, own] = Entry(_prices(kind, own, about), page if _PAGES.match(page) else "", uplift)
    return found


def _prices(kind: str, name: str, about: dict[str, Any]) -> dict[Part, Prices]:
    found: dict[Part, Prices] = {}
    if kind == "completions" and "input_cost_per_character" in about:
        return found  # then its tokens are an estimate of LiteLLM's
    for key, usd in about.items():
        if (match := _KEY.fullmatch(key)) and isinstance(usd, int | float | Decimal) and usd:
            listed, above, tier = match.groups()
            part = _PARTS[listed]
            if part == "cache_write":
                lifetime = "5m" if "claude" in name else "30m" if "gpt-" in name else "other"
                part = f"input_{part}_{lifetime}_tokens"
            if _PARTS[listed] in _PARTS_OF[kind]:
                tier = {"batches": "batch", None: "standard"}.get(tier, tier)
                per = _UNITS.get(part, _M)
                found.setdefault(Part(kind, part, tier), {})[int(above or 0) * 1000] = _exact(Decimal(usd) * per)
    return found


def _exact(usd: Decimal) -> Decimal:
    """A price without what floats left over in the list."""
    return Decimal(f"{usd:.12g}").normalize()


def vendor_model(seller: str, name: str) -> tuple[str, str] | None:
    """The vendor and its name of the model, where the seller's name has one of the known forms."""
    if seller == "aws" and name.startswith("claude_platform/"):
        return "anthropic", name.removeprefix("claude_platform/")
    if seller == "aws" and (match := _AWS.fullmatch(name)):
        return {"xai": "x-ai"}.get(match[1], match[1]), match[2]
    if seller == "azure" and (match := _AZURE.fullmatch(name)):
        return "openai", match[1]
    if seller == "google" and (match := _VERTEX.fullmatch(name)):
        dated = match[2] and match[2] != "default"
        return "anthropic", f"{match[1]}-{match[2]}" if dated else match[1]
    return None


class Maker:
    """Makes `hosted` and rows of the releases, the newest of which is last."""

    def __init__(self, file: PriceFile, releases: dict[str, Release]) -> None:
        self._by_name = rows_by_name(file.rows)
        self._aliases = Aliases(file.aliases)
        self._releases = sorted(releases.items())
        self._versions = {day: version for version, day in file.lists[LIST].items()}
        self.seen, self._newest = self._releases[-1]
        self._known = {each for each in self._by_name if self._holding(*each)}
        self._listed = rows_by_name(row for of in ("aws", "azure") for row in GenaiList("1970-01-01").rows(of))
        self.rows: list[Row] = []
        self._parts: dict[tuple[Line, str, str], dict[str, list[str]]] = {}

    def hosted(self) -> Iterator[Hosted]:
        """Yields what is sold at a vendor's prices, and collects the other rows."""
        for seller, name in sorted(self._newest, key=lambda each: bool(_PLACE.match(each[1]))):
            if (seller, name) in self._known or (seller == "google" and not _PARTNERS.match(name)):
                continue
            if not self._dispute(seller, name) and self._is_placed(seller, name):
                for part in self._newest[seller, name].prices:
                    self._take(seller, name, part)
        names: dict[tuple[Line, str], dict[str, str]] = {}
        for (line, name, model), parts in self._parts.items():
            text = json.dumps({tier: sorted(parts[tier]) for tier in sorted(parts)})
            names.setdefault((line, text), {})[name] = model
        for (line, text), models_of in sorted(names.items(), key=str):
            yield Hosted(
                provider=line.seller,
                vendor=line.vendor,
                models=dict(sorted(models_of.items())),
                kind=line.kind,
                prices={tier: tuple(parts) for tier, parts in json.loads(text).items()},
                factor=line.factor,
                start=line.start,
                seen=self.seen,
                source=self._source(line.start),
            )

    def _is_placed(self, seller: str, name: str) -> bool:
        """Tell whether a name says where the model runs, if its price depends on it."""
        placed = self._newest.get((seller, f"us.{name}"))
        return not placed or placed.prices.get(_INPUT) == self._newest[seller, name].prices.get(_INPUT)

    def _dispute(self, seller: str, name: str) -> bool:
        """Tell whether genai-prices has the name otherwise; what both price and not alike is added as disputed."""
        entry, before = self._newest[seller, name], len(self.rows)
        listed = [row for row in self._listed.get((seller, name), ()) if row.kind == "completions" and not row.end]
        said = [(row, entry.prices.get(Part(row.kind, row.part, row.tier), {}).get(row.above)) for row in listed]
        for row, usd in said:
            if usd is not None and usd != Decimal(row.price):
                source = f"{row.source}; {self._source(self.seen)}"
                note = f"{row.price} ({row.source}), or {usd:f}"
                about = {"start": self.seen, "confidence": "disputed", "source": source, "note": note}
                self.rows += [structs.replace(row, **about, price=price) for price in (row.price, f"{usd:f}")]
        return len(self.rows) > before or any(usd is None for _, usd in said) or (bool(said) and not entry.page)

    def _take(self, seller: str, name: str, part: Part) -> None:
        """Takes the prices of a part as those of another model times a factor, or else as the seller's own."""
        entry, is_near = self._newest[seller, name], False
        prices = entry.prices[part]
        for vendor, model in self._models(seller, name):
            factor, begun = self._factor(vendor, model, part, prices)
            if factor in FACTORS:
                start = self._since(seller, name, lambda each: each.prices.get(part), begun)
                line = Line(seller, vendor, part.kind, str(factor), start)
                self._parts.setdefault((line, name, model), {}).setdefault(part.tier, []).append(part.part)
                return
            is_near |= factor is not None and vendor != seller and _is_near(factor)
        if entry.page and not is_near:
            self._add(seller, name, part)

    def factors(self) -> Iterator[Factor]:
        """Yields the factors of any region but the global one."""
        for (seller, name), entry in sorted(self._newest.items()):
            if entry.uplift and (vendor_model(seller, name) or ("",))[0] == "anthropic":
                start = self._since(seller, name, lambda each: each.uplift)
                source = self._source(start)
                yield Factor(seller, name, ANY, entry.uplift, start, "first_seen", "medium", source, origin="observed")

    def _models(self, seller: str, name: str) -> list[tuple[str, str]]:
        """The models that may be sold under a name: the vendor's, and the seller's own one without a place."""
        vendor, model = vendor_model(seller, name) or ("", "")
        path = self._aliases.path(vendor, model, self.seen)
        found = [(vendor, each) for each in path if self._holding(vendor, each)][:1]
        base = _PLACE.sub("", name, count=1) if _PLACE.match(name) else ""
        return [*found, *([(seller, base)] if self._holding(seller, base) else [])]

    def _holding(self, vendor: str, model: str | None) -> list[Row]:
        second = seconds_of(self.seen)
        rows = self._by_name.get((vendor, model), ())
        return [row for row in rows if times(row)[0] <= second < times(row)[1]]

    def _factor(self, vendor: str, model: str, part: Part, prices: Prices) -> tuple[str | None, str]:
        """The factor on a model's prices that gives `prices` in each band, if one does, and the day they began."""
        rows = [row for row in self._holding(vendor, model) if (row.kind, row.part, row.tier) == part]
        plain = [row for row in rows if row.confidence in USABLE and not row.hours and _is_plain(row)]
        of_vendor = {row.above: Decimal(row.price) * _UNITS.get(part.part, _M) / row.per for row in plain}
        if not plain or len(plain) != len(rows) or of_vendor.keys() != prices.keys() or not all(of_vendor.values()):
            return None, ""
        factors = {(prices[band] / of_vendor[band]).normalize() for band in prices}
        return f"{factors.pop():f}" if len(factors) == 1 else None, max(row.start[:10] for row in plain)

    def _since(self, seller: str, name: str, said: Callable[[Entry], object], begun: str = "") -> str:
        """The day of the first release, on `begun` or after it, since which all have said the same as the newest."""
        start, now = self.seen, said(self._newest[seller, name])
        for day, release in reversed(self._releases):
            entry = release.get((seller, name))
            if day < begun or not entry or said(entry) != now:
                break
            start = day
        return start

    def _add(self, seller: str, name: str, part: Part) -> None:
        """Adds the rows of a price of the seller's own."""
        entry = self._newest[seller, name]
        start = self._since(seller, name, lambda each: each.prices.get(part))
        for above, usd in sorted(entry.prices[part].items()):
            row = Row(
                provider=seller,
                model=name,
                **part._asdict(),
                above=above,
                price=f"{usd.normalize():f}",
                per=_UNITS.get(part.part, _M),
                start=start,
                start_is="first_seen",
                confidence="medium",
                origin="observed",
                source=f"{self._source(start)}; {entry.page}",
            )
            self.rows.append(row)
            self._by_name.setdefault((seller, name), []).append(row)

    def _source(self, start: str) -> str:
        return f"{LIST} {self._versions[start]} (PyPI) {start}..{self.seen}"


def confirmed(file: PriceFile, release: Release, day: str) -> tuple[PriceFile, list[str]]:
    """The file with the day on which a release still said its sellers' prices, and those that it says otherwise."""
    rows = [row for row in all_rows(file) if times(row)[0] <= seconds_of(day) < times(row)[1]]
    said: dict[tuple[str, str | None], dict[Part, Prices]] = {}
    for row in rows:
        prices = said.setdefault((row.provider, row.model), {}).setdefault(Part(row.kind, row.part, row.tier), {})
        prices[row.above] = Decimal(row.price) * _UNITS.get(row.part, _M) / row.per
    names: list[tuple[Hosted | None, tuple[str, str], Part]] = [
        (each, (each.provider, name), part) for each in file.hosted for name in each.models for part in _parts(each)
    ]
    own = (
        (row.provider, str(row.model), Part(row.kind, row.part, row.tier))
        for row in rows
        if _is_made(row) and row.confidence in USABLE
    )
    names += [(None, (seller, name), part) for seller, name, part in dict.fromkeys(own)]
    others: list[tuple[Hosted | None, str]] = []
    for each, name, part in names:
        ours, theirs = said.get(name, {}).get(part), release[name].prices.get(part) if name in release else None
        if ours != theirs:
            words = f"- {name[0]} `{name[1]}`, {part.tier}, {part.part}: {_words(ours)} → {_words(theirs)}"
            others.append((each, words))
    differing = [each for each, _ in others]
    hosted = tuple(each if each in differing else structs.replace(each, seen=day) for each in file.hosted)
    return finished(structs.replace(file, hosted=hosted)), [words for _, words in others]


def _parts(said: Hosted) -> list[Part]:
    return [Part(said.kind, part, tier) for tier, parts in said.prices.items() for part in parts]


def _words(prices: Prices | None) -> str:
    said = (f"{usd:f} above {band:,}" if band else f"{usd:f}" for band, usd in sorted((prices or {}).items()))
    return ", ".join(said) or "none"


def _is_made(row: Row) -> bool:
    own = row.source.startswith(f"{LIST} ") and "; https://" in row.source
    return row.provider in _SELLERS.values() and (own or (row.provider != "google" and row.confidence == "disputed"))


def _is_plain(row: Row) -> bool:
    return all(getattr(row, name) is None for name in CONDITIONS)


def _is_near(factor: str) -> bool:
    return any(abs(Decimal(factor) / Decimal(each) - 1) < ROUNDED for each in FACTORS)


def main(arguments: Sequence[str]) -> int:
    """Writes the file; the exit code."""
    if len(arguments) != 1:
        print("usage: python -m tools.hosted_prices FOLDER", file=sys.stderr)
        return 2
    file = read(PATH.read_bytes())
    kept = {
        "rows": tuple(row for row in file.rows if not _is_made(row)),
        "factors": tuple(factor for factor in file.factors if factor.region != ANY),
    }
    file = structs.replace(file, **kept)
    releases = {
        day: entries(json.loads(path.read_text("utf-8"), parse_float=Decimal))
        for version, day in file.lists[LIST].items()
        if (path := Path(arguments[0], f"{version}.json")).exists()
    }
    maker = Maker(file, releases)
    hosted = tuple(maker.hosted())
    said = {"rows": (*file.rows, *maker.rows), "factors": (*file.factors, *maker.factors()), "hosted": hosted}
    file = finished(structs.replace(file, **said))
    PATH.write_bytes(written(file))
    print(f"{len(hosted):,} lines of {sum(len(each.models) for each in hosted):,} names, and {len(maker.rows):,} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
