"""Rate cards, their revisions, and the operator's own prices: appended, never changed."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import structs
from sqlalchemy import ColumnElement, Connection, Table, and_, exists, func, insert, select

from usageledger.errors import RegistryError
from usageledger.pricing import Override, Prices, Source, Subject
from usageledger.pricing.money import UNITS
from usageledger.registry.audit import note
from usageledger.registry.database import Database, in_batches, insert_many, lock_prices, next_numbers
from usageledger.registry.schema import card_prices, price_lists, price_overrides, price_revisions, rate_cards

ROWS_AT_ONCE = 1_000
_ENCODER = msgspec.json.Encoder(order="sorted")
# The fields of subjects of the first version. Later ones stand in the text of a card only where they say something, so
# that the cards that earlier versions gave are found.
_FIRST = (
    "day",
    "kind",
    "provider",
    "model",
    "service_tier",
    "batch",
    "size",
    "quality",
    "context_level",
    "band",
    "second",
)
_StoredSubject = msgspec.defstruct(
    "_StoredSubject",
    [(name, Any) if name in _FIRST else (name, Any, None) for name in sorted(Subject.__struct_fields__)],
    kw_only=True,
    omit_defaults=True,
)
GIVEN = 0  # the revision of what a card said when it was given


@dataclass(frozen=True, slots=True)
class CardPrices:
    """The prices of a card since a revision.

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


class _StoredPrices(msgspec.Struct, frozen=True):
    rates: dict[str, str]
    sources: dict[str, str | Source]


class RateCards:
    """The store of prices; safe to use from many threads and processes. Every method may raise RegistryError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def give(self, offers: Iterable[tuple[Subject, Prices]]) -> list[int]:
        """The card of each subject; one that has none yet is given what is offered, for good."""
        # Columns, since there may be very many: objects for each would keep Python's collector busy.
        texts: list[str] = []
        days: list[int] = []
        prices: list[Prices] = []
        for subject, offered in offers:
            texts.append(_encode(subject))
            days.append(subject.day)
            prices.append(offered)
        digests = list(map(_digest, texts))
        places = {digest: place for place, digest in enumerate(digests)}
        if not places:
            return []
        with self._database.write() as connection:
            lock_prices(connection)
            # Numbered here, so that new ones need not be looked up by their digests; and in the order of these, which
            # is that of their index, so that one page of it after the other is written.
            known = dict(zip(sorted(places), next_numbers(connection, rate_cards, len(places)), strict=True))
            rows = [(number, digest, texts[places[digest]]) for digest, number in known.items()]
            if insert_many(connection, rate_cards, ("id", "digest", "subject"), rows) < len(rows):
                numbered, known = known, _ids(connection, rate_cards, known)
                places = {digest: place for digest, place in places.items() if known[digest] == numbered[digest]}
            if places:
                _say(connection, [(known[d], days[place], prices[place]) for d, place in places.items()], GIVEN)
        return [known[digest] for digest in digests]

    def between(self, start: int, end: int, *, model: str | None = None) -> Iterator[CardPrices]:
        """Yields today's prices of the cards of these days (Unix seconds, end exclusive), of all models or of one."""
        days = (card_prices.c.day >= start, card_prices.c.day < end)
        with self._database.read() as connection:
            for said in _said(connection, *days, _is_last(None)):
                if model in (None, said.subject.model):
                    yield said

    def at(self, card_ids: Iterable[int], revision: int | None = None) -> dict[int, CardPrices]:
        """Returns the prices of these cards (by id) after a repricing, or today's."""
        with self._database.read() as connection:
            return {
                said.card_id: said
                for ids in in_batches(card_ids)
                for said in _said(connection, card_prices.c.card_id.in_(ids), _is_last(revision))
            }

    def history(self, card_id: int) -> list[CardPrices]:
        """Lists the prices of a card: those it was given first, then those of each revision."""
        with self._database.read() as connection:
            return list(_said(connection, card_prices.c.card_id == card_id))

    def of(self, subjects: Sequence[Subject]) -> dict[Subject, CardPrices]:
        """Returns today's prices of the cards of these subjects, as far as they have cards."""
        with self._database.read() as connection:
            cards = _ids(connection, rate_cards, (_digest(_encode(subject)) for subject in subjects))
        return {said.subject: said for said in self.at(cards.values()).values()}

    def subjects_with(self, text: str) -> Iterator[Subject]:
        """Yields the subjects of cards in whose JSON a text is, in whatever case."""
        query = select(rate_cards.c.subject).where(rate_cards.c.subject.icontains(text, autoescape=True))
        with self._database.read() as connection:
            for row in connection.execute(query, execution_options={"yield_per": ROWS_AT_ONCE}):
                yield msgspec.json.decode(row.subject, type=Subject)

    def newest_card(self) -> int:
        """The `rate_id` that was given last; 0 where none was."""
        with self._database.read() as connection:
            return connection.execute(select(func.max(rate_cards.c.id))).scalar() or 0

    def newest(self) -> int:
        """The number of what was written last; 0 where nothing was."""
        with self._database.read() as connection:
            return connection.execute(select(func.max(card_prices.c.id))).scalar() or 0

    def days(self, after: int, upto: int) -> dict[int, int]:
        """The days of cards that something was written of, by its number, and the last repricing among it."""
        days = select(card_prices.c.day, func.max(card_prices.c.revision).label("revision")).where(
            *_written(after, upto)
        )
        with self._database.read() as connection:
            return {row.day: row.revision for row in connection.execute(days.group_by(card_prices.c.day))}

    def priced(self, days: Sequence[int], *, after: int, upto: int, revision: int) -> Iterator[CardPrices]:
        """Yields the prices of the cards of these days after a repricing, without cards that have no price.

        Args:
            days: their starts, Unix seconds.
            after: the number after which it was written; 0 for all of it.
            upto: the number up to which it was.
            revision: of the repricing.
        """
        # What is new is found by its number: it is little, and a day may hold much.
        day = card_prices.c.day + 0 if after else card_prices.c.day  # + 0: not by the index
        nothing = select(price_lists.c.id).where(price_lists.c.digest == NOTHING).scalar_subquery()
        says = card_prices.c.price_list_id != func.coalesce(nothing, 0)
        with self._database.read() as connection:
            for some in in_batches(days):
                yield from _said(connection, day.in_(some), *_written(after, upto), says, _is_last(revision))

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
            days = _days(connection, [card for card, _ in changes])
            _say(connection, [(card, days[card], prices) for card, prices in changes], revision.id)
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
        """Lists the operator's prices as overrides, oldest first."""
        return [own.price for own in self.own_prices()]


def _said(connection: Connection, *conditions: ColumnElement[bool]) -> Iterator[CardPrices]:
    """Yields the prices that fit `conditions`, in the order of their numbers, read piece by piece."""
    query = (
        select(card_prices.c.id, card_prices.c.card_id, card_prices.c.revision, card_prices.c.price_list_id)
        .add_columns(rate_cards.c.subject)
        .join(rate_cards, rate_cards.c.id == card_prices.c.card_id)
        .where(*conditions)
        .order_by(card_prices.c.id)
    )
    lists: dict[int, Prices] = {}
    for rows in connection.execute(query, execution_options={"yield_per": ROWS_AT_ONCE}).partitions():
        unread = {row.price_list_id for row in rows} - lists.keys()
        texts = select(price_lists.c.id, price_lists.c.prices).where(price_lists.c.id.in_(unread))
        lists |= {id_: _prices(text) for id_, text in (connection.execute(texts) if unread else ())}
        for number, card_id, revision, price_list_id, subject in rows:
            about = msgspec.json.decode(subject, type=Subject)
            yield CardPrices(number, card_id, revision, about, lists[price_list_id])


def _written(after: int, upto: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """By the numbers only where something was read before; else an index of the days is better."""
    number = card_prices.c.id if after else card_prices.c.id + 0
    return number > after, number <= upto


def _is_last(revision: int | None) -> ColumnElement[bool]:
    """Selects the last prices of each card, up to a repricing; None for today's."""
    if revision == GIVEN:
        return card_prices.c.revision == GIVEN
    later = card_prices.alias("later")
    newer = exists().where(later.c.card_id == card_prices.c.card_id, later.c.revision > card_prices.c.revision)
    if revision is None:
        return ~newer
    return and_(card_prices.c.revision <= revision, ~newer.where(later.c.revision <= revision))


def _days(connection: Connection, cards: Iterable[int]) -> dict[int, int]:
    """Card → its day."""
    given = select(card_prices.c.card_id, card_prices.c.day).where(card_prices.c.revision == GIVEN)
    batches = (connection.execute(given.where(card_prices.c.card_id.in_(ids))) for ids in in_batches(cards))
    return {card: day for rows in batches for card, day in rows}


def _say(connection: Connection, said: Sequence[tuple[int, int, Prices]], revision: int) -> None:
    """Writes the card, its day and its prices; many cards share what they say."""
    texts = {id(prices): _encode(prices) for prices in {id(prices): prices for *_, prices in said}.values()}
    lists = _add(connection, price_lists, "prices", texts.values())
    numbers = {key: lists[_digest(text)] for key, text in texts.items()}
    rows = [(card, day, revision, numbers[id(prices)]) for card, day, prices in said]
    insert_many(connection, card_prices, ("card_id", "day", "revision", "price_list_id"), rows)


def _add(connection: Connection, table: Table, column: str, texts: Iterable[str]) -> dict[bytes, int]:
    """Digest → id of each text, added where it is not there yet."""
    by_digest = {_digest(text): text for text in texts}
    insert_many(connection, table, ("digest", column), list(by_digest.items()))
    return _ids(connection, table, by_digest)


def _ids(connection: Connection, table: Table, digests: Iterable[bytes]) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for wanted in in_batches(digests):
        query = select(table.c.digest, table.c.id).where(table.c.digest.in_(wanted))
        found.update({bytes(digest): id_ for digest, id_ in connection.execute(query)})
    return found


def _number(result: Any) -> int:
    return int(result.inserted_primary_key[0])


def _encode(value: Subject | Prices | Override) -> str:
    if isinstance(value, Prices):
        rates = {part: _rate_text(rate) for part, rate in value.rates.items()}
        return msgspec.json.encode({"rates": rates, "sources": dict(value.sources)}, order="sorted").decode()
    if isinstance(value, Override) and value.rate is not None:
        return msgspec.json.encode(structs.asdict(value) | {"rate": _rate_text(value.rate)}, order="sorted").decode()
    if isinstance(value, Subject):
        return msgspec.json.encode(_StoredSubject(**structs.asdict(value))).decode()
    return _ENCODER.encode(value).decode()


def _prices(text: str) -> Prices:
    stored = msgspec.json.decode(text, type=_StoredPrices)
    rates = {part: _rate(rate) for part, rate in stored.rates.items()}
    # Before layers were kept a source was its text alone.
    sources = {part: Source(said) if isinstance(said, str) else said for part, said in stored.sources.items()}
    return Prices(MappingProxyType(rates), MappingProxyType(sources))


def _rate_text(rate: int) -> str:
    """A rate in 10⁻¹⁸ USD, as text: JSON's readers may take a number of 20 digits for a double."""
    return str(rate // UNITS) if rate % UNITS == 0 else f"{rate}/{UNITS}"


def _rate(text: str) -> int:
    whole, slash, _ = text.partition("/")
    return int(whole) if slash else int(whole) * UNITS


def _override(text: str) -> Override:
    stored: dict[str, Any] = msgspec.json.decode(text)
    if stored["rate"] is not None:
        stored["rate"] = _rate(stored["rate"])
    return Override(**stored)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


NOTHING = _digest(_encode(Prices()))  # by which the list without prices is found
