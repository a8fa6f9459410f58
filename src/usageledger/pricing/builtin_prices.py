"""Public prices that the price book lacks, each with its source and the day from which we know it to hold.

Images of the gpt-image models are charged by their tokens, so they have no price a piece here: that would charge them
twice.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

_IMAGES = "https://platform.openai.com/docs/pricing"
_FILES = "https://www.modelcostwatch.com/openai/tool-costs/file-search"
_SEARCHES = "https://www.modelcostwatch.com/openai/tool-costs/web-search"
_SESSIONS = "https://developers.openai.com/api/docs/changelog"
_MODERATION = "https://platform.openai.com/docs/guides/moderation"


@dataclass(frozen=True, slots=True)
class Entry:
    """A public price: `per` units of `part` cost `usd` from `start` on.

    Attributes:
        source: the public page that says so, or that sums up the vendor's.
        checked: when it was last compared with public pages.
        models: exact names; empty for usage that has no model.
        end: the first day on which it no longer holds, or None.
    """

    kind: str
    part: str
    usd: Decimal
    per: int
    start: date
    source: str
    checked: date
    models: tuple[str, ...] = ()
    size: str | None = None
    quality: str | None = None
    provider: str = "openai"
    end: date | None = None


_CHECKED = date(2026, 11, 24)


def _image(model: str, quality: str | None, size: str, usd: str, start: date) -> Entry:
    return Entry("images", "images", Decimal(usd), 1, start, _IMAGES, _CHECKED, (model,), size, quality)


_DALLE_2, _DALLE_3 = date(2022, 11, 3), date(2023, 11, 6)
_DALLE_3_SIZES = {"1024x1024": ("0.040", "0.080"), "1024x1792": ("0.080", "0.120"), "1792x1024": ("0.080", "0.120")}

BUILTIN_PRICES: tuple[Entry, ...] = (
    _image("dall-e-2", None, "256x256", "0.016", _DALLE_2),
    _image("dall-e-2", None, "512x512", "0.018", _DALLE_2),
    _image("dall-e-2", None, "1024x1024", "0.020", _DALLE_2),
    *(_image("dall-e-3", "standard", size, usd, _DALLE_3) for size, (usd, _) in _DALLE_3_SIZES.items()),
    *(_image("dall-e-3", "hd", size, usd, _DALLE_3) for size, (_, usd) in _DALLE_3_SIZES.items()),
    # 0.10 USD a GB and day; the first GB, which is free, is an organization's and not an event's.
    Entry("vector_stores", "usage_bytes", Decimal("0.10"), 24, date(2024, 4, 17), _FILES, _CHECKED),
    # Since then a session is charged by the memory of its container and by the minute, which events do not carry.
    Entry(
        "code_interpreter_sessions",
        "num_sessions",
        Decimal("0.03"),
        1,
        date(2023, 11, 6),
        _SESSIONS,
        _CHECKED,
        end=date(2026, 3, 31),
    ),
    Entry("file_search_calls", "num_requests", Decimal("2.50"), 1000, date(2025, 3, 11), _FILES, _CHECKED),
    Entry(
        "web_search_calls",
        "num_requests",
        Decimal("25.00"),
        1000,
        date(2025, 10, 1),
        _SEARCHES,
        _CHECKED,
        (
            "gpt-4o-search-preview",
            "gpt-4o-search-preview-2025-03-11",
            "gpt-4o-mini-search-preview",
            "gpt-4o-mini-search-preview-2025-03-11",
        ),
    ),
    Entry(
        "moderations",
        "input_text_tokens",
        Decimal(0),
        1_000_000,
        date(2022, 8, 10),
        _MODERATION,
        _CHECKED,
        (
            "omni-moderation-latest",
            "omni-moderation-2024-09-26",
            "text-moderation-latest",
            "text-moderation-stable",
            "text-moderation-007",
        ),
    ),
)
