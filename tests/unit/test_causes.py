"""The cause for which a price changes, as a repricing tells it."""

import pytest

from usageledger.pricing import Prices, Reason, Source, Subject
from usageledger.rating.causes import cause

SUBJECT = Subject(0, "completions", "openai", "m")
INPUT, CACHED, AUDIO, OUTPUT = (
    "input_text_tokens",
    "input_cached_text_tokens",
    "input_audio_tokens",
    "output_text_tokens",
)
OLD = Source("genai-prices 0.1.4")  # of a card that was given before layers were kept
LIST = Source("a list", "curated", start="2025-06-10")
OWN = Source("operator: contract", "operator", start="2026-11-01")


def prices(**priced: tuple[int, Source]) -> Prices:
    """The prices of these parts; the others have none, since no row is for them."""
    named = {"input": INPUT, "cached": CACHED, "audio": AUDIO, "output": OUTPUT}
    found = {named[name]: price for name, price in priced.items()}
    return Prices(
        {part: rate for part, (rate, _) in found.items()},
        {part: source for part, (_, source) in found.items()},
        {part: Reason("no_row", "none") for part in SUBJECT.parts if part not in found},
    )


@pytest.mark.parametrize(
    ("part", "before", "after", "expected"),
    [
        (INPUT, prices(input=(2, OLD)), prices(input=(2, LIST)), None),
        (INPUT, prices(), prices(), None),
        (INPUT, prices(input=(2, OLD)), prices(input=(1, LIST)), "list row since 2025-06-10"),
        (INPUT, prices(), prices(input=(1, LIST)), "list row since 2025-06-10"),
        (INPUT, prices(input=(2, LIST)), prices(), "no price: no_row"),
        (INPUT, prices(input=(2, OLD)), prices(input=(1, OWN)), "own price"),
        (INPUT, prices(), prices(input=(1, OWN)), "own price"),
        (INPUT, prices(input=(2, OWN)), prices(input=(1, LIST)), "own price ended"),
        (INPUT, prices(input=(2, Source("operator"))), prices(), "own price ended"),
        (AUDIO, prices(input=(2, OLD), audio=(2, OLD)), prices(input=(2, LIST)), "another part's price: input"),
        (
            CACHED,
            prices(input=(2, OLD), cached=(2, OLD)),
            prices(input=(2, LIST), cached=(1, LIST)),
            "another part's price: input",
        ),
        # Where both cost the same today as well, or the other has no price itself, none was taken for another.
        (
            AUDIO,
            prices(input=(2, OLD), audio=(2, OLD)),
            prices(input=(3, LIST), audio=(3, LIST)),
            "list row since 2025-06-10",
        ),
        (AUDIO, prices(input=(2, OLD), audio=(2, OLD)), prices(), "no price: no_row"),
        (INPUT, prices(input=(2, OLD), audio=(2, OLD)), prices(input=(3, LIST)), "list row since 2025-06-10"),
        (AUDIO, prices(input=(2, LIST), audio=(2, LIST)), prices(input=(2, LIST)), "no price: no_row"),
    ],
)
def test_causes(part: str, before: Prices, after: Prices, expected: str | None) -> None:
    assert cause(SUBJECT, part, before, after) == expected
