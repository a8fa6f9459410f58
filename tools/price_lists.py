"""Public price lists, read strictly as rows: the installed genai-prices, a wheel of litellm, a clone of llm-prices.

A row is what a list says of exactly one name, part, tier and band. What a list says by a pattern, or of something that
has no part here, is left out.
"""

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from genai_prices.data_snapshot import DataSnapshot, get_snapshot

from usageledger.pricing.genai_list import PACKAGE, GenaiList, package_version
from usageledger.pricing.price_file import Row

# The vendors whose own prices the file has, and litellm's names of them.
VENDORS = ("anthropic", "deepseek", "google", "mistral", "openai", "x-ai")
_LITELLM = {
    **{name: name for name in VENDORS if name not in {"google", "x-ai"}},
    "gemini": "google",
    "xai": "x-ai",
    "text-completion-openai": "openai",
}
LITELLM_FILE = "litellm/model_prices_and_context_window_backup.json"
_WHEEL = re.compile(r"litellm-(?P<version>[\w.]+)-.*\.whl")
_TEXT_MODES = ("chat", "completion", "responses", "embedding")
_PARTS = {
    "input_cost_per_token": "input_text_tokens",
    "output_cost_per_token": "output_text_tokens",
    "cache_read_input_token_cost": "input_cached_text_tokens",
    "input_cost_per_audio_token": "input_audio_tokens",
    "output_cost_per_audio_token": "output_audio_tokens",
    "cache_read_input_audio_token_cost": "input_cached_audio_tokens",
    "input_cost_per_image_token": "input_image_tokens",
    "output_cost_per_image_token": "output_image_tokens",
}
_KEY = re.compile(rf"({'|'.join(_PARTS)})(?:_above_(\d+)k_tokens)?(?:_(batches|flex|priority|ultrafast))?")
_M = 10**6


@dataclass(frozen=True)
class PriceList:
    """A list as it is at one version.

    Attributes:
        source: as rows name it: `litellm 1.110.2 (PyPI)`.
        names: (provider, model) of every name that it has, whatever it says of it.
        adds: its names are those of the vendors, so that a price may be added by it alone.
    """

    package: str
    version: str
    source: str
    rows: tuple[Row, ...]
    names: frozenset[tuple[str, str]]
    adds: bool = True


def genai_list(day: str, snapshot: DataSnapshot | None = None, version: str | None = None) -> PriceList:
    """The prices of a day in the installed genai-prices, or in another snapshot of it."""
    snapshot, version = snapshot or get_snapshot(), version or package_version()
    listing, source = GenaiList("1970-01-01", snapshot), f"{PACKAGE} {version} (PyPI)"
    rows = [row for vendor in VENDORS for row in listing.rows(vendor) if row.kind == "completions"]
    ids = {(each.id, model.id.lower()) for each in snapshot.providers for model in each.models if each.id in VENDORS}
    said = tuple(_said(row, source) for row in rows if row.start <= day and (row.end is None or day < row.end))
    names = ids | {(row.provider, str(row.model)) for row in rows}
    return PriceList(PACKAGE, version, source, said, frozenset(names))


def litellm_list(wheel: Path) -> PriceList:
    """The list in a wheel of litellm."""
    named = _WHEEL.fullmatch(wheel.name)
    if not named:
        raise ValueError(f"expected a wheel of litellm, got {wheel.name}")
    models = litellm_models(wheel)
    source = f"litellm {named['version']} (PyPI)"
    ours = {
        (vendor, name.removeprefix(f"{about['litellm_provider']}/").lower()): about
        for name, about in models.items()
        if (vendor := _LITELLM.get(str(about.get("litellm_provider"))))
    }
    rows = (row for (vendor, name), about in ours.items() for row in _litellm_rows(vendor, name, about, source))
    return PriceList("litellm", named["version"], source, tuple(rows), frozenset(ours))


def litellm_models(wheel: Path) -> dict[str, dict[str, Any]]:
    """LiteLLM's file in a wheel of it."""
    with zipfile.ZipFile(wheel) as opened:
        models: dict[str, dict[str, Any]] = json.loads(opened.read(LITELLM_FILE), parse_float=Decimal)
    return models


def _litellm_rows(vendor: str, name: str, about: dict[str, Any], source: str) -> Iterator[Row]:
    for key, usd in about.items():
        found = _KEY.fullmatch(key)
        if not found or not isinstance(usd, int | float | Decimal):
            continue
        part, above, tier = found.groups()
        # A model of images or speech says by its plain keys what it says by others elsewhere.
        if about.get("mode") in _TEXT_MODES or part not in {"input_cost_per_token", "output_cost_per_token"}:
            yield _row(
                *(vendor, name, _PARTS[part], Decimal(usd) * _M, source),
                tier={"batches": "batch", None: "standard"}.get(tier, tier),
                above=int(above or 0) * 1000,
            )


def llm_prices_list(folder: Path, version: str) -> PriceList:
    """The files of simonw/llm-prices at a commit (12 digits); its names are partly of its own making."""
    source, rows = f"simonw/llm-prices@{version}", list[Row]()
    for file in sorted((folder / "data").glob("*.json")):
        said = json.loads(file.read_text("utf-8"), parse_float=Decimal)
        for model in said["models"] if _vendor(said["vendor"]) in VENDORS else ():
            for price in model["price_history"]:
                rows += _llm_prices_rows(_vendor(said["vendor"]), model["id"], price, source)
    names = frozenset((row.provider, str(row.model)) for row in rows)
    return PriceList("simonw/llm-prices", version, source, tuple(rows), names, adds=False)


def _vendor(name: str) -> str:
    return {"xai": "x-ai"}.get(name, name)


def _llm_prices_rows(vendor: str, name: str, price: dict[str, Any], source: str) -> Iterator[Row]:
    parts = {"input": "input_text_tokens", "output": "output_text_tokens", "input_cached": "input_cached_text_tokens"}
    for key, part in parts.items():
        if price.get(key) is not None and price.get("to_date") is None:
            yield _row(vendor, name.lower(), part, Decimal(price[key]), source)


def _row(  # noqa: PLR0913 - all of it is a price
    vendor: str, name: str, part: str, usd: Decimal, source: str, *, tier: str = "standard", above: int = 0
) -> Row:
    return Row(
        provider=vendor,
        model=name,
        kind="completions",
        part=part,
        tier=tier,
        above=above,
        price=_text(usd),
        per=_M,
        start="1970-01-01",
        start_is="first_seen",
        confidence="medium",
        source=source,
        origin="observed",
    )


def _said(row: Row, source: str) -> Row:
    return _row(
        *(row.provider, str(row.model), row.part, Decimal(row.price) * _M / row.per, source),
        tier=row.tier,
        above=row.above,
    )


def _text(usd: Decimal) -> str:
    text = f"{usd:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"
