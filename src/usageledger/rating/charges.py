"""Charges: parts of usage at the price that a rate card says, of one event or of a window."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from msgspec import structs

from usageledger.ledger.lookups import StoredEvent
from usageledger.pricing.cards import PARTS, Source, charge
from usageledger.questions.aggregate import Aggregate
from usageledger.registry import CardPrices


@dataclass(frozen=True, slots=True)
class Charge:
    """A part of usage and what it costs.

    Attributes:
        card: the rate card, and what it says since one of its revisions.
        part: the stored column that is charged.
        quantity: in units of `part`; for a size, bytes times hours.
        amount: in 10⁻¹⁸/9 USD; None where the card has no price for the part.
    """

    card: CardPrices
    part: str
    quantity: int
    amount: int | None

    @property
    def unit(self) -> str:
        """The unit that the quantity is shown in."""
        return PARTS[self.part].unit

    @property
    def line_item(self) -> str:
        """The line item of costs that it is part of."""
        return self.card.subject.line_item(self.part)

    @property
    def rate(self) -> int:
        """The price of a unit in 10⁻¹⁸/9 USD, of a part that has one."""
        return self.card.prices.rates[self.part]

    @property
    def source(self) -> Source | None:
        """The source of the price, and for when it is."""
        return self.card.prices.sources.get(self.part)

    @property
    def lacks_price(self) -> bool:
        """Tell whether it has no price and needs one: some parts are free where nobody charges for them."""
        return self.amount is None and not PARTS[self.part].optional


def as_confirmed(card: CardPrices, through: int) -> CardPrices:
    """The text of a card, none of it provisional any more where the lists of its day were compared since.

    Args:
        card: as it was given.
        through: the start of the last day on which lists were compared with prices.
    """
    sources = card.prices.sources
    if card.subject.day > through or not any(source.provisional for source in sources.values()):
        return card
    confirmed = {part: structs.replace(source, provisional=False) for part, source in sources.items()}
    return replace(card, prices=replace(card.prices, sources=confirmed))


def charges_of_event(event: StoredEvent, card: CardPrices) -> list[Charge]:
    """Make the charges of an event by what its card says, a charge for each part that it has some of."""
    rates = card.prices.rates
    return [
        Charge(card, part, quantity, None if (rate := rates.get(part)) is None else charge(part, quantity, rate))
        for part in card.subject.parts
        if (quantity := event.columns[part] if event.largest is None else event.largest)
    ]


def charges_of_costs(costs: Aggregate, cards: Mapping[int, CardPrices]) -> Iterator[Charge]:
    """Make charges of costs that were asked for by `rate_id` and line item."""
    columns = (costs.columns.get(name, ()) for name in ("rate_id", "line_item", "amount", "quantity"))
    for rate_id, item, amount, quantity in zip(*columns, strict=True):
        card = cards[rate_id]
        part = next(part for part in card.prices.rates if card.subject.line_item(part) == item)
        yield Charge(card, part, quantity, amount)


def total(charges: Iterable[Charge]) -> int:
    """Add up amounts in 10⁻¹⁸/9 USD; what has no price adds nothing."""
    return sum(each.amount or 0 for each in charges)
