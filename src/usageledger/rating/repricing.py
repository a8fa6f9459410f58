"""Repricing of past usage: the rate cards that another price list changes, and the difference in costs."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from msgspec import structs

from usageledger.ledger import Ledger
from usageledger.ledger.price_table import PriceTable
from usageledger.meters import COSTS
from usageledger.pricing import Prices, Subject
from usageledger.pricing.book import PriceBook
from usageledger.pricing.own_prices import OwnPrices
from usageledger.questions.query import Query
from usageledger.rating.causes import cause
from usageledger.rating.charges import as_confirmed
from usageledger.rating.price_tables import price_table
from usageledger.registry import CardPrices

LINES_MAX = 250_000
NO_PROJECTS: Mapping[int, Sequence[str]] = MappingProxyType({})

# (model, line item) → (amount in 10⁻¹⁸/9 USD, quantity, its unit); likewise by cause of a change, and by both.
Key = tuple[str | None, str]
Lines = dict[Key, tuple[int, int, str]]
_BETWEEN = "\x1f"  # a cause and a line item, in one text that costs are asked by


@dataclass(frozen=True, slots=True)
class Change:
    """A rate card, and what it would say instead."""

    card: CardPrices
    prices: Prices

    def cause(self, part: str) -> str | None:
        """The cause for which a part has another price; None where it has not."""
        return cause(self.card.subject, part, self.card.prices, self.prices)


@dataclass(frozen=True, slots=True)
class Repricing:
    """The comparison of rate cards with the prices of today.

    Attributes:
        cards: every card looked at.
        changes: those that would say something else.
        kept: why a card keeps its prices although the book's have changed, in words.
    """

    cards: Sequence[CardPrices]
    changes: Sequence[Change]
    kept: Sequence[str]

    def tables(self) -> tuple[PriceTable, PriceTable]:
        """The prices before and after, each under its line item and the cause for which it changes."""
        changes = {change.card.card_id: change for change in self.changes}

        def named(card: CardPrices, part: str) -> str:
            change = changes.get(card.card_id)
            return f"{(change and change.cause(part)) or ''}{_BETWEEN}{card.subject.line_item(part)}"

        after = [replace(c, prices=changes[c.card_id].prices) if c.card_id in changes else c for c in self.cards]
        newest = max((card.card_id for card in self.cards), default=0)
        return PriceTable(price_table(self.cards, named), newest), PriceTable(price_table(after, named), newest)


def reprice(
    book: PriceBook, own: OwnPrices, cards: Iterable[CardPrices], sharing: Mapping[int, Sequence[str]] = NO_PROJECTS
) -> Repricing:
    """Compares `cards`, with every band of their subjects, to `book` and the operator's own prices.

    Args:
        book: lists.
        own: the operator's.
        cards: of the days to reprice, all of them.
        sharing: card → projects with own prices that have usage of it although it is not theirs alone.
    """
    looked_at = [as_confirmed(card, book.confirmed_through) for card in cards]
    families: dict[Subject, list[Subject]] = {}
    for card in looked_at:
        families.setdefault(_family(card.subject), []).append(card.subject)
    offered = {family: [at for at, _ in book.offers(family, own)] for family in families}
    changes: list[Change] = []
    kept: list[str] = []
    for card in looked_at:
        family = _family(card.subject)
        spans = _spans(card.subject, families[family], offered[family])
        prices = [book.prices(span, own) for span in spans]
        differing = [span for span, each in zip(spans, prices, strict=True) if each.rates != prices[0].rates]
        others = [p for p in sharing.get(card.card_id, ()) if _differs(book, own, spans, p)]
        if others:
            named = ", ".join(others)
            kept.append(
                f"{card.subject.words()} keeps its prices: {named} had no prices of their own when it was given, and "
                f"what others used by it cannot be told apart now. Own prices of {named} that begin on a later day "
                "(PART=list --project ID ends them on this one) let it be repriced for all"
            )
        elif differing:
            kept.append(
                f"{card.subject.words()} keeps its prices: from {differing[0].band:,} input tokens and second "
                f"{differing[0].second} of the day on others hold now, and its card is for both"
            )
        elif prices[0].rates != card.prices.rates:
            changes.append(Change(card, prices[0]))
    return Repricing(looked_at, changes, kept)


def _differs(book: PriceBook, own: OwnPrices, spans: Sequence[Subject], project: str) -> bool:
    """Tell whether a project's prices differ from those of all others."""
    return any(
        book.prices(structs.replace(span, project=project), own).rates != book.prices(span, own).rates for span in spans
    )


def _family(subject: Subject) -> Subject:
    return structs.replace(subject, band=0, second=0)


def _spans(at: Subject, given: Sequence[Subject], offered: Sequence[Subject]) -> list[Subject]:
    """Lists the bands and times of day, within the card `at`, from which today's list has a price; `at` comes first.

    Args:
        at: what a card is about.
        given: what the cards of its family are about.
        offered: the bands and times of day that today's list tells apart.
    """
    band_end = min((each.band for each in given if each.band > at.band), default=None)
    second_end = min((each.second for each in given if each.second > at.second), default=None)
    bands = {each.band for each in offered if at.band < each.band and (band_end is None or each.band < band_end)}
    seconds = {
        each.second for each in offered if at.second < each.second and (second_end is None or each.second < second_end)
    }
    return [
        structs.replace(at, band=b, second=s) for b in sorted({at.band, *bands}) for s in sorted({at.second, *seconds})
    ]


# --- the difference ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Costs:
    """The costs of a window, by model and line item, and those of prices that change by model and cause."""

    lines: Lines
    causes: Lines


def costs_by_line(ledger: Ledger, query: Query, prices: PriceTable, max_seconds: float) -> Costs:
    """Sums the costs of a window by one of the tables of a repricing.

    Raises:
        InvalidRequestError, LedgerUnavailableError: as `Ledger.costs`.
    """
    asked = replace(query.whole, group_by=("line_item", "model"))
    answer = ledger.costs(asked, lambda: prices, max_seconds=max_seconds, max_results=LINES_MAX)
    columns = (answer.columns.get(n, ()) for n in ("model", "line_item", "amount", "quantity", "quantity_unit"))
    costs = Costs({}, {})
    for model, named, *added in zip(*columns, strict=True):
        why, _, item = named.partition(_BETWEEN)
        _add(costs.lines, (model, item), *added)
        if why:
            _add(costs.causes, (model, why), *added)
    return costs


def _add(sums: Lines, key: Key, amount: int, quantity: int, unit: str) -> None:
    before = sums.get(key, (0, 0, unit))
    sums[key] = before[0] + amount, before[1] + quantity, unit


def projects_of_cards(
    ledger: Ledger, query: Query, cards: Iterable[CardPrices], projects: Collection[str], max_seconds: float
) -> dict[int, list[str]]:
    """Finds which of these projects have usage of cards that are for all projects; raises as `Ledger.costs` does."""
    if not projects:
        return {}
    shared = [replace(card, prices=_zero(card.subject)) for card in cards if card.subject.project is None]
    newest = max((card.card_id for card in shared), default=0)
    table = PriceTable(price_table(shared), newest)
    filters = (*query.filters, ("project_id", tuple(sorted(projects))))
    asked = replace(query.whole, group_by=("project_id", "rate_id"), filters=filters)
    answer = ledger.costs(asked, lambda: table, max_seconds=max_seconds, max_results=LINES_MAX)
    found: dict[int, list[str]] = {}
    for project, card_id in zip(*(answer.columns.get(name, ()) for name in ("project_id", "rate_id")), strict=True):
        found.setdefault(card_id, []).append(project)
    return {card_id: sorted(names) for card_id, names in found.items()}


def _zero(subject: Subject) -> Prices:
    """A price of nothing for every part, so that a sum of costs has all usage."""
    return Prices(dict.fromkeys(subject.parts, 0))


def window(start: int, end: int, model: str | None) -> Query:
    """A query for what these UTC days cost."""
    return Query(
        meter=COSTS,
        start_time=start,
        end_time=end,
        open_ended=False,
        width=COSTS.width("1d"),
        filters=(("model", (model,)),) if model else (),
        group_by=(),
        limit=1,
        page_start=start,
    )


def price_changes(changes: Iterable[Change]) -> Iterator[dict[str, Any]]:
    """The prices that change, those that are the same for several days together; rates in 10⁻¹⁸/9 USD a unit."""
    found: dict[tuple[Subject, str, int | None, int | None, str | None], dict[str, Any]] = {}
    for change in changes:
        before, after, subject = change.card.prices, change.prices, change.card.subject
        for part in subject.parts:
            old, new = before.rates.get(part), after.rates.get(part)
            if old == new:
                continue
            entry = found.setdefault(
                (structs.replace(subject, day=0), part, old, new, change.cause(part)),
                {"subject": subject, "part": part, "before": old, "after": new, "days": []}
                | {"source_before": before.sources.get(part), "source_after": after.sources.get(part)}
                | {"reason_after": after.reasons.get(part), "cause": change.cause(part)},
            )
            entry["days"].append(subject.day)
    yield from found.values()
