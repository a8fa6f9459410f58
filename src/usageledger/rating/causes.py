"""The cause for which a repricing gives a part of a card another price, in a few words, the same for like cases."""

from collections.abc import Sequence

from usageledger.pricing import Prices, Source, Subject
from usageledger.pricing.operator_prices import part_name

OWN = "own price"
OWN_ENDED = "own price ended"


def cause(subject: Subject, part: str, before: Prices, after: Prices) -> str | None:
    """`another part's price: input`, `list row since 2025-06-10`, `no price: no_row`; None where nothing changes."""
    if before.rates.get(part) == after.rates.get(part):
        return None
    old, new = before.sources.get(part, Source("")), after.sources.get(part)
    if new and new.layer == "operator":
        return OWN
    if old.text.startswith("operator") or old.layer == "operator":
        return OWN_ENDED
    if not old.layer and (lender := _lender(subject.parts, part, before, after)):
        return f"another part's price: {part_name(subject.kind, lender)}"
    if new is None:
        return f"no price: {after.reasons[part].code}"
    return f"list row since {new.start}"


def _lender(parts: Sequence[str], part: str, before: Prices, after: Prices) -> str | None:
    """The part whose price was taken for this one, as was done before prices had layers: it has one, and another."""
    side = part.partition("_")[0]  # input or output
    for other in parts[: parts.index(part)]:
        lent = other.startswith(side) and before.rates.get(other) == before.rates.get(part) is not None
        if lent and other in after.rates and after.rates[other] != after.rates.get(part):
            return other
    return None
