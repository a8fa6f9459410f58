"""Rate cards, their revisions, and the operator's own prices: appended, never changed."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, func, insert, select

from usageledger.errors import RegistryError
from usageledger.pricing import Override, Prices, Subject
from usageledger.registry.audit import note
from usageledger.registry.database import Database, insert_or_ignore, lock_prices
from usageledger.registry.tables import card_prices, price_lists, price_overrides, price_revisions, rate_cards

T = TypeVar("T")

AT_ONCE = 500  # values in one IN list
GIVEN = 0  # the revision of what a card said when it was given


@dataclass(frozen=True, slots=True)
class CardPrices:
    """What a card says since a revision.

    Attributes:
        number: grows with every one written.
        card_id: the `rate_id` of events.
        revision: `GIVEN`, or the number of a repricing.
    """

    number: int
    card_id: int
    revision: int
    subject: Subject
    prices: Prices


@dataclass(frozen=True, slots=True)
class OwnPrice:
    """A price of the operator's, and when it was set, in Unix seconds."""

    id: int
    created_at: int
    price: Override


@dataclass(frozen=True, slots=True)
class Revision:
    """A repricing: `created_at` is in Unix seconds."""

    id: int
    created_at: int
    reason: str


class RateCards:
    """The store of prices; safe to use from many threads and processes. Every method may raise RegistryError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def give(self, offers: Sequence[tuple[Subject, Prices]]) -> list[int]:
        """The card of each subject; one that has none yet is given what is offered, for good."""
        texts = {_digest(text): text for text in (_encode(subject) for subject, _ in offers)}
        with self._database.write() as connection:
            lock_prices(connection)
            known = _ids(connection, rate_cards, texts)
            fresh = [offer for offer in offers if _digest(_encode(offer[0])) not in known]
            if fresh:
                known |= _add(connection, rate_cards, "subject", [_encode(subject) for subject, _ in fresh])
                cards = [known[_digest(_encode(subject))] for subject, _ in fresh]
                _say(connection, cards, [prices for _, prices in fresh], GIVEN)
        return [known[_digest(_encode(subject))] for subject, _ in offers]

    def since(self, number: int) -> list[CardPrices]:
        """What was written after `number`, in the order of their numbers; 0 for everything."""
        with self._database.read() as connection:
            return _said(connection, card_prices.c.id > number)

    def of(self, subjects: Sequence[Subject]) -> dict[Subject, CardPrices]:
        """What the cards of these subjects say today; one that was not given a card is absent."""
        found: dict[Subject, CardPrices] = {}
        with self._database.read() as connection:
            cards = _ids(connection, rate_cards, (_digest(_encode(subject)) for subject in subjects))
            for ids in _batches(cards.values()):
                found.update({said.subject: said for said in _said(connection, card_prices.c.card_id.in_(ids))})
        return found

    def newest_card(self) -> int:
        """The `rate_id` that was given last; 0 where none was."""
        with self._database.read() as connection:
            return connection.execute(select(func.max(rate_cards.c.id))).scalar() or 0

    def newest(self) -> int:
        """The number of what was written last; 0 where nothing was."""
        with self._database.read() as connection:
            return connection.execute(select(func.max(card_prices.c.id))).scalar() or 0

    def revise(
        self, changes: Sequence[tuple[int, Prices]], reason: str, *, actor: str | None = None, now: int
    ) -> Revision:
        """Cards (by id) say something else from here on; what they said stays readable.

        `actor` is the id of the key that does it, or None for the machine's user.

        Raises:
            RegistryError: no reason is given, or nothing changes.
        """
        if not reason.strip():
            raise RegistryError("A repricing needs a reason.")
        if not changes:
            raise RegistryError("A repricing changes what at least one card says.")
        with self._database.write() as connection:
            lock_prices(connection)
            made = connection.execute(insert(price_revisions).values(created_at=now, reason=reason))
            revision = Revision(_number(made), now, reason)
            _say(connection, [card for card, _ in changes], [prices for _, prices in changes], revision.id)
            details = {"id": revision.id, "reason": reason, "rate_cards": len(changes)}
            note(connection, "price.revised", actor, details, now=now)
        return revision

    def revisions(self) -> list[Revision]:
        """Every repricing, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(select(price_revisions).order_by(price_revisions.c.id)).all()
        return [Revision(row.id, row.created_at, row.reason) for row in rows]

    def revision_at(self, seconds: int) -> int:
        """The last repricing at or before `seconds`; `GIVEN` where there was none."""
        query = select(func.max(price_revisions.c.id)).where(price_revisions.c.created_at <= seconds)
        with self._database.read() as connection:
            return connection.execute(query).scalar() or GIVEN

    def set_prices(self, prices: Iterable[Override], *, actor: str | None = None, now: int) -> None:
        """Adds prices of the operator's. Cards that were given already stay as they are.

        `actor` is the id of the key that does it, or None for the machine's user.
        """
        texts = [_encode(price) for price in prices]
        with self._database.write() as connection:
            connection.execute(insert(price_overrides), [{"created_at": now, "price": text} for text in texts])
            details = {"prices": [msgspec.Raw(text.encode()) for text in texts]}
            note(connection, "price.set", actor, details, now=now)

    def own_prices(self) -> list[OwnPrice]:
        """The operator's prices, in the order in which they were set."""
        with self._database.read() as connection:
            rows = connection.execute(select(price_overrides).order_by(price_overrides.c.id)).all()
        return [OwnPrice(row.id, row.created_at, _override(row.price)) for row in rows]

    def overrides(self) -> list[Override]:
        """What the operator's prices say, oldest first."""
        return [own.price for own in self.own_prices()]


def _said(connection: Connection, condition: ColumnElement[bool]) -> list[CardPrices]:
    query = (
        select(card_prices.c.id, card_prices.c.card_id, card_prices.c.revision, rate_cards.c.subject)
        .add_columns(price_lists.c.prices)
        .join(rate_cards, rate_cards.c.id == card_prices.c.card_id)
        .join(price_lists, price_lists.c.id == card_prices.c.price_list_id)
        .where(condition)
        .order_by(card_prices.c.id)
    )
    lists: dict[str, Prices] = {}
    return [
        CardPrices(
            number=row.id,
            card_id=row.card_id,
            revision=row.revision,
            subject=msgspec.json.decode(row.subject, type=Subject),
            prices=lists.setdefault(row.prices, _prices(row.prices)),
        )
        for row in connection.execute(query)
    ]


def _batches(values: Iterable[T]) -> Iterator[list[T]]:
    """`values` in lists that one IN may hold."""
    held = list(values)
    return (held[start : start + AT_ONCE] for start in range(0, len(held), AT_ONCE))


def _say(connection: Connection, cards: Sequence[int], prices: Sequence[Prices], revision: int) -> None:
    texts = [_encode(each) for each in prices]
    lists = _add(connection, price_lists, "prices", texts)
    rows = [
        {"card_id": card, "revision": revision, "price_list_id": lists[_digest(text)]}
        for card, text in zip(cards, texts, strict=True)
    ]
    connection.execute(insert_or_ignore(connection, card_prices), rows)


def _add(connection: Connection, table: Table, column: str, texts: Iterable[str]) -> dict[bytes, int]:
    """Digest → id of each text, added where it is not there yet."""
    by_digest = {_digest(text): text for text in texts}
    rows = [{"digest": digest, column: text} for digest, text in by_digest.items()]
    connection.execute(insert_or_ignore(connection, table), rows)
    return _ids(connection, table, by_digest)


def _ids(connection: Connection, table: Table, digests: Iterable[bytes]) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for wanted in _batches(digests):
        query = select(table.c.digest, table.c.id).where(table.c.digest.in_(wanted))
        found.update({bytes(digest): id_ for digest, id_ in connection.execute(query)})
    return found


def _number(result: Any) -> int:
    return int(result.inserted_primary_key[0])


def _encode(value: Subject | Prices | Override) -> str:
    if isinstance(value, Prices):
        # Rates are text: JSON's readers may take a number of 20 digits for a double.
        rates = {part: str(rate) for part, rate in value.rates.items()}
        return msgspec.json.encode({"rates": rates, "sources": dict(value.sources)}, order="sorted").decode()
    fields = asdict(value)
    if isinstance(value, Override) and value.rate is not None:
        fields["rate"] = str(value.rate)
    return msgspec.json.encode(fields, order="sorted").decode()


def _prices(text: str) -> Prices:
    stored: dict[str, dict[str, str]] = msgspec.json.decode(text)
    rates = {part: int(rate) for part, rate in stored["rates"].items()}
    return Prices(MappingProxyType(rates), MappingProxyType(stored["sources"]))


def _override(text: str) -> Override:
    stored: dict[str, Any] = msgspec.json.decode(text)
    if stored["rate"] is not None:
        stored["rate"] = int(stored["rate"])
    return Override(**stored)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
