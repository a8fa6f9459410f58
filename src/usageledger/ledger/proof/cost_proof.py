"""Proof of costs: invariant 5, that they follow from the events and their rate cards, checked on a ledger at rest.

Quantities are taken from the events themselves and multiplied here, in integers of Python; amounts are asked as a
client would ask them, from the rollups.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from msgspec import structs

from usageledger.buckets import iso
from usageledger.errors import InvalidRequestError
from usageledger.ledger.price_table import PriceTable
from usageledger.ledger.proof import inspection
from usageledger.ledger.proof.inspection import CardUse
from usageledger.ledger.proof.usage_proof import DIFFERENCES_MAX, QUERY_SECONDS, RESULTS_MAX, Finding, counted, finding
from usageledger.ledger.protocol import Ledger
from usageledger.meters import COSTS
from usageledger.pricing import Subject, usd_text
from usageledger.pricing.cards import charge
from usageledger.pricing.money import RATE_STEP
from usageledger.questions.query import Query

DAY = 86_400


@dataclass(frozen=True, slots=True)
class Priced:
    """A ledger and what its cards say.

    Attributes:
        prices: of all days.
        said: (`rate_id`, part) → 10⁻¹⁸/9 USD a unit, and the line item.
    """

    ledger: Ledger
    prices: PriceTable
    said: Mapping[tuple[int, str], tuple[int, str]]


Compare = Callable[[Priced, int], Iterator[str]]


def verify_costs(ledger: Ledger, prices: PriceTable, subjects: Mapping[int, Subject]) -> Iterator[Finding]:
    """Checks rate cards and amounts; a finding for each check."""
    columns = (prices.rows[name].to_pylist() for name in ("rate_id", "part", "rate_high", "rate_low", "line_item"))
    said = {
        (rate_id, part): (high * RATE_STEP + low, item) for rate_id, part, high, low, item in zip(*columns, strict=True)
    }
    priced = Priced(ledger, prices, said)
    with ledger.snapshot() as snapshot:
        uses = inspection.cards_used(snapshot)
    days = sorted({use.day for use in uses})
    cards = counted(len({use.rate_id for use in uses}), "rate card")
    yield finding("every event has its rate card", list(islice(_misplaced(uses, subjects), DIFFERENCES_MAX)), cards)
    compared = counted(len(days), "day")
    for name, compare in (
        ("costs equal quantity times rate", _by_events),
        ("groups of costs sum to the whole", _by_groups),
        ("hours of costs sum to days", _by_hours),
    ):
        left_out: list[str] = []
        wrong = list(islice(_on_days(priced, days, compare, left_out), DIFFERENCES_MAX))
        yield finding(name, wrong, compared, left_out)


def _on_days(priced: Priced, days: Sequence[int], compare: Compare, left_out: list[str]) -> Iterator[str]:
    """Finds what is wrong on each day; a day that is not answered is left out, and the others are compared."""
    for day in days:
        try:
            found = list(compare(priced, day))
        except InvalidRequestError as error:
            left_out.append(f"costs on {iso(day)[:10]} ({error.code})")
        else:
            yield from found


def _misplaced(uses: Sequence[CardUse], subjects: Mapping[int, Subject]) -> Iterator[str]:
    """Finds events whose card is not in the registry, or is about something else.

    The band is that of the mean of an event's requests; of events that were kept before, that of their sum. So a sum is
    above the band of either, and a mean in it or below.
    """
    siblings: dict[Subject, list[Subject]] = {}
    for subject in subjects.values():
        siblings.setdefault(structs.replace(subject, band=0, second=0), []).append(subject)
    for use in uses:
        card = subjects.get(use.rate_id)
        if card is None:
            yield f"{use.events} events of {use.subject.words()} have card {use.rate_id}, which the registry lacks"
            continue
        same = siblings[structs.replace(card, band=0, second=0)]
        bands = sorted({each.band for each in same if each.second == card.second})
        seconds = sorted({each.second for each in same})
        fits = (
            structs.replace(card, band=0, second=0, project=None) == structs.replace(use.subject, project=None)
            and card.project in (None, use.subject.project)
            and (card.band == 0 or use.input_least > card.band)
            and all(use.request_most <= band for band in bands if band > card.band)
            and use.second_least >= card.second
            and all(use.second_most < second for second in seconds if second > card.second)
        )
        if not fits:
            yield f"{use.events} events of {use.subject.words()} have card {use.rate_id} of {card.words()}"


def _by_events(priced: Priced, day: int) -> Iterator[str]:
    raw: dict[str | None, int] = {}
    with priced.ledger.snapshot() as snapshot:
        quantities = inspection.quantities(snapshot, day, day + DAY)
    for rate_id, part, quantity in quantities:
        if (rate_id, part) in priced.said:
            rate, item = priced.said[rate_id, part]
            raw[item] = raw.get(item, 0) + charge(part, quantity, rate)
    return _unequal(day, ("from the events", raw), ("answered", _amounts(priced, day, "line_item")))


def _by_groups(priced: Priced, day: int) -> Iterator[str]:
    whole = sum(_amounts(priced, day, None).values())
    for dimension in COSTS.groupings:
        groups = sum(_amounts(priced, day, dimension.name).values())
        yield from _unequal(day, (f"by {dimension.name}", {None: groups}), ("ungrouped", {None: whole}))


def _by_hours(priced: Priced, day: int) -> Iterator[str]:
    hours = _amounts(priced, day, "line_item", width="1h")
    return _unequal(day, ("by hours", hours), ("by the day", _amounts(priced, day, "line_item")))


def _amounts(priced: Priced, day: int, by: str | None, *, width: str = "1d") -> dict[str | None, int]:
    """Group → what a day of it cost."""
    query = Query(
        meter=COSTS,
        start_time=day,
        end_time=day + DAY,
        open_ended=False,
        width=COSTS.width(width),
        filters=(),
        group_by=(by,) if by else (),
        limit=DAY // COSTS.width(width).seconds,
        page_start=day,
    )
    answer = priced.ledger.costs(query, lambda: priced.prices, max_seconds=QUERY_SECONDS, max_results=RESULTS_MAX)
    amounts: dict[str | None, int] = {}
    names = answer.columns.get(by, ()) if by else [None] * len(answer.starts)
    for name, amount in zip(names, answer.columns.get("amount", ()), strict=True):
        amounts[name] = amounts.get(name, 0) + amount
    return amounts


def _unequal(
    day: int, one: tuple[str, Mapping[str | None, int]], other: tuple[str, Mapping[str | None, int]]
) -> Iterator[str]:
    (called, left), (called_other, right) = one, other
    for name in sorted(left.keys() | right.keys(), key=str):
        if left.get(name, 0) != right.get(name, 0):
            amounts = [
                f"{usd_text(side.get(name, 0))} USD {word}" for word, side in ((called, left), (called_other, right))
            ]
            yield f"{name or 'costs'} of {iso(day)[:10]}: {', '.join(amounts)}"
