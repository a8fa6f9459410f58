"""The endpoints of prices: the rate cards behind costs, what made the cost of one event, and repricing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from msgspec import Meta, structs
from starlette.responses import Response

from usageledger.buckets import DAY_SECONDS, LATEST_TIME, floor
from usageledger.errors import InvalidRequestError, NotFoundError
from usageledger.events.typed_events import FIELDS, ID_CHARACTERS_MAX, Name
from usageledger.fields import NAME_CHARACTERS_MAX, Field
from usageledger.ledger import Ledger, lookups
from usageledger.ledger.lookups import StoredEvent
from usageledger.meters import COSTS, METER_BY_KIND, WHOLE
from usageledger.pricing import Reason, Source, Subject
from usageledger.pricing.book import PriceBook
from usageledger.pricing.cards import CASES, PARTS, origin
from usageledger.pricing.own_prices import OwnPrices
from usageledger.questions.pages import money, quantity_number
from usageledger.questions.query import Query, parse, read_time
from usageledger.rating.causes import cause
from usageledger.rating.charges import Charge, as_confirmed, charges_of_costs, charges_of_event, total
from usageledger.rating.repricing import (
    Costs,
    Key,
    Lines,
    Repricing,
    costs_by_line,
    price_changes,
    projects_of_cards,
    reprice,
    window,
)
from usageledger.rating.unpriced import reasons
from usageledger.registry import GIVEN, MANAGE, READ, CardPrices, RateCards, Revision
from usageledger.server.api.charges import part_used, unpriced_part
from usageledger.server.api.shared_parameters import TIME, filter_parameters, window_parameters
from usageledger.server.endpoint import Answer, Call, Endpoint, object_body
from usageledger.server.http.parameters import Parameter, refused
from usageledger.server.http.requests import json_response, parameters
from usageledger.server.json_schema import NO_NUL, ref
from usageledger.server.services import Services, in_slot

REASON_CHARACTERS_MAX = 1_000

_Day = Annotated[int, Meta(ge=0, le=LATEST_TIME, extra_json_schema={"multipleOf": DAY_SECONDS})]
_Reason = Annotated[str, Meta(min_length=1, max_length=REASON_CHARACTERS_MAX)]
_DAY_RULE = "Unix seconds at which a UTC day begins"
REPRICE = (
    Field("start_time", _Day | None, (int,), "an integer", _DAY_RULE, None),
    Field("end_time", _Day | None, (int,), "an integer", _DAY_RULE, None),
    Field("model", Name | None, (str,), "a string", f"1 to {NAME_CHARACTERS_MAX} characters", None),
    Field("apply", bool, (bool,), "true or false", "true or false", False),
    Field(
        "reason",
        _Reason | None,
        (str,),
        "a string",
        f"1 to {REASON_CHARACTERS_MAX} characters",
        None,
    ),
)


# --- rate cards --------------------------------------------------------------------------------------------------


async def rate_cards(call: Call) -> Response:
    """Lists the prices behind the costs of a window, with what each of them made."""
    given = [*parameters(call.request), ("bucket_width", WHOLE.name)]
    query = parse(COSTS, given, now=int(call.services.clock()), secret=b"")
    return json_response(
        {"object": "list", "data": await in_slot(call.services, partial(_cards, call.services, query))}
    )


def _cards(services: Services, query: Query) -> list[dict[str, Any]]:
    prices, limits = services.price_tables, services.settings
    revision = prices.revision(query.as_of)
    table = partial(prices.window, query.start_time, query.end_time, revision)
    asked = replace(query, group_by=("line_item", "rate_id"))
    answer = services.ledger.costs(asked, table, max_seconds=limits.max_query_seconds, max_results=limits.max_results)
    said = prices.rate_cards.at(set(answer.columns.get("rate_id", ())), revision)
    through = services.price_book().confirmed_through
    cards = {card_id: as_confirmed(card, through) for card_id, card in said.items()}
    given = prices.rate_cards.at({card.card_id for card in cards.values() if card.revision != GIVEN}, GIVEN)
    entries: dict[tuple[Subject, str, int, Source | None, int, str | None], list[Charge]] = {}
    for each in charges_of_costs(answer, cards):
        about, before = structs.replace(each.card.subject, day=0), given.get(each.card.card_id, each.card)
        why = cause(about, each.part, before.prices, each.card.prices)
        entries.setdefault((about, each.part, each.rate, each.source, each.card.revision, why), []).append(each)
    found = sorted(entries.items(), key=lambda entry: total(entry[1]), reverse=True)
    return [_card_entry(charges, why) for (*_, why), charges in found]


def _card_entry(charges: Sequence[Charge], why: str | None) -> dict[str, Any]:
    """Puts the charges of cards with the same price on several days into one entry; `why` it is not the first one."""
    first = charges[0]
    days = [each.card.subject.day for each in charges]
    return {
        "object": "rate_card",
        **_about(first.card.subject),
        "part": first.part,
        "line_item": first.line_item,
        "unit_price": money(first.rate),
        "quantity": quantity_number(sum(each.quantity for each in charges), first.unit),
        "quantity_unit": first.unit,
        "amount": money(total(charges)),
        **origin(first.source),
        "revision": first.card.revision or None,
        "cause": why,
        "first_day": min(days),
        "last_day": max(days),
    }


def _about(subject: Subject) -> dict[str, Any]:
    """Returns the fields of a card's subject, without the day."""
    names = ("kind", "provider", "model", "tier", *CASES)
    return {
        **{name: getattr(subject, name) for name in names},
        "above_input_tokens": subject.band,
        "from_second": subject.second,
        "project_id": subject.project,
    }


# --- one event ---------------------------------------------------------------------------------------------------


async def explain(call: Call) -> Response:
    """Shows an event's parts, its rate card, where its prices are from, and the sum."""
    services = call.services
    event_id, timestamp = _identity(call.given())
    event = await in_slot(services, lambda: _event(services.ledger, event_id, timestamp))
    if event is None:
        raise NotFoundError(f"No event has the id {event_id[:256]!r} and the timestamp {timestamp}.", param="id")
    explained = partial(_explanation, event, services.registry.rate_cards, services.price_book())
    return json_response(await in_slot(services, explained))


def _event(ledger: Ledger, event_id: str, timestamp: int) -> StoredEvent | None:
    with ledger.snapshot() as snapshot:
        return lookups.event(snapshot, event_id, timestamp)


def _identity(given: Mapping[str, list[str]]) -> tuple[str, int]:
    for name in ("id", "timestamp"):
        if name not in given:
            raise refused(name, f"Missing required parameter: '{name}'.", "missing_parameter")
    (event_id,), (timestamp,) = given["id"], given["timestamp"]
    if problem := FIELDS["completions"]["id"].problem(event_id):
        raise refused("id", problem[1], problem[0])
    return event_id, read_time("timestamp", timestamp) or 0


def _explanation(event: StoredEvent, rate_cards: RateCards, book: PriceBook) -> dict[str, Any]:
    columns = event.columns
    said = [as_confirmed(card, book.confirmed_through) for card in rate_cards.history(columns["rate_id"])]
    revisions = {revision.id: revision for revision in rate_cards.revisions()}
    made = [charges_of_event(event, card) for card in said]
    last, subject = made[-1], said[-1].subject
    lacking = reasons(book, OwnPrices(rate_cards.overrides()), (each for each in last if each.lacks_price))
    return {
        "object": "explanation",
        "event": {
            "id": columns["event_id"],
            "timestamp": columns["ts"],
            "kind": columns["kind"],
            "provider": columns["provider"],
            **{d.name: columns[d.name] for d in METER_BY_KIND[columns["kind"]].dimensions},
        },
        "counts": {c: columns[c] for c in METER_BY_KIND[columns["kind"]].columns if columns[c]},
        "rate_card": {"id": columns["rate_id"], "day": subject.day, **_about(subject)},
        "lines": [_line(each) for each in last if each.amount is not None],
        "unpriced": [unpriced_part(each, reason) for each, reason in lacking],
        "amount": money(total(last)),
        "history": [_said(card, revisions, total(charges)) for card, charges in zip(said, made, strict=True)],
    }


def _line(charge: Charge) -> dict[str, Any]:
    return {
        **part_used(charge),
        "unit_price": money(charge.rate),
        "amount": money(charge.amount or 0),
        **origin(charge.source),
    }


def _said(card: CardPrices, revisions: Mapping[int, Revision], amount: int) -> dict[str, Any]:
    """Returns the sum of an event by one revision of its card; the first is the one it was given with."""
    revision = revisions.get(card.revision)
    return {
        "revision": card.revision or None,
        "created_at": revision.created_at if revision else None,
        "reason": revision.reason if revision else None,
        "amount": money(amount),
    }


# --- repricing ---------------------------------------------------------------------------------------------------


async def repricing(call: Call) -> Response:
    """Shows the difference that today's prices make to past usage; with `apply` they hold for it."""
    services, given = call.services, await call.read()
    now = int(services.clock())
    query = window(*_days(given, now + services.settings.max_future_seconds), given["model"])
    if given["apply"] and not (given["reason"] or "").strip():
        raise InvalidRequestError(
            "Missing required field: 'reason', why past costs change.", param="reason", code="missing_field"
        )
    return json_response(await in_slot(services, lambda: _reprice(services, query, given, now, call.actor)))


def _days(given: Mapping[str, Any], latest: int) -> tuple[int, int]:
    start = given["start_time"] or 0
    end = given["end_time"] if given["end_time"] is not None else floor(latest, DAY_SECONDS) + DAY_SECONDS
    for name, value in (("start_time", start), ("end_time", end)):
        if value % DAY_SECONDS:
            raise InvalidRequestError(
                f"Invalid '{name}': expected {_DAY_RULE}, got {value}: rate cards are by UTC day. The day begins at "
                f"{floor(value, DAY_SECONDS)}.",
                param=name,
                code="invalid_value",
            )
    if end <= start:
        raise InvalidRequestError(
            f"Invalid 'end_time': {end} is not after 'start_time' {start}.", param="end_time", code="invalid_value"
        )
    return start, end


def _reprice(services: Services, query: Query, given: Mapping[str, Any], now: int, actor: str) -> dict[str, Any]:
    rate_cards = services.registry.rate_cards
    cards = list(rate_cards.between(query.start_time, query.end_time, model=given["model"]))
    own, seconds = OwnPrices(rate_cards.overrides()), services.settings.max_query_seconds
    sharing = projects_of_cards(services.ledger, query, cards, own.projects, seconds)
    made = reprice(services.price_book(), own, cards, sharing)
    before, after = (costs_by_line(services.ledger, query, table, seconds) for table in made.tables())
    revision = None
    if given["apply"] and made.changes:
        changes = [(change.card.card_id, change.prices) for change in made.changes]
        revision = rate_cards.revise(changes, given["reason"], actor=actor, now=now)
    return _difference(made, before, after, revision)


def _difference(made: Repricing, before: Costs, after: Costs, revision: Revision | None) -> dict[str, Any]:
    totals = [sum(amount for amount, *_ in side.lines.values()) for side in (before, after)]
    causes = [
        {"model": key[0], "cause": key[1], **_sides(old and money(old[0]), new and money(new[0]), _more(old, new))}
        for key, old, new in _differing(before.causes, after.causes)
    ]
    return {
        "object": "repricing",
        "applied": revision is not None,
        "revision": None
        if revision is None
        else {"id": revision.id, "created_at": revision.created_at, "reason": revision.reason},
        "rate_cards": len(made.changes),
        "total": {"before": money(totals[0]), "after": money(totals[1]), "difference": money(totals[1] - totals[0])},
        "causes": causes,
        "lines": [_changed(key, old, new) for key, old, new in _differing(before.lines, after.lines)],
        "prices": [_changed_price(entry) for entry in price_changes(made.changes)],
        "kept": list(made.kept),
    }


Line = tuple[int, int, str]


def _differing(before: Lines, after: Lines) -> Iterator[tuple[Key, Line | None, Line | None]]:
    """Yields what has another amount, by model and name."""
    for key in sorted(before.keys() | after.keys(), key=lambda key: (key[0] or "", key[1])):
        if before.get(key) != after.get(key):
            yield key, before.get(key), after.get(key)


def _more(before: Line | None, after: Line | None) -> int:
    return (after[0] if after else 0) - (before[0] if before else 0)


def _sides(before: Any, after: Any, difference: int) -> dict[str, Any]:
    return {"before": before, "after": after, "difference": money(difference)}


def _changed(key: Key, before: Line | None, after: Line | None) -> dict[str, Any]:
    """A line item on both sides; null where it has no price at all."""

    def side(line: Line | None) -> dict[str, Any] | None:
        return line and {"amount": money(line[0]), "quantity": quantity_number(line[1], line[2])}

    return {
        "model": key[0],
        "line_item": key[1],
        "quantity_unit": (before or after or (0, 0, ""))[2],
        **_sides(side(before), side(after), _more(before, after)),
    }


def _changed_price(entry: Mapping[str, Any]) -> dict[str, Any]:
    subject: Subject = entry["subject"]
    part: str = entry["part"]

    def side(name: str) -> dict[str, Any] | None:
        rate: int | None = entry[name]
        return None if rate is None else {"unit_price": money(rate), **origin(entry[f"source_{name}"])}

    reason: Reason | None = entry["reason_after"]

    return {
        **_about(subject),
        "part": part,
        "line_item": subject.line_item(part),
        "quantity_unit": PARTS[part].unit,
        "before": side("before"),
        "after": side("after"),
        "cause": entry["cause"],
        "reason": reason and reason.code,
        "message": reason and reason.words,
        "first_day": min(entry["days"]),
        "last_day": max(entry["days"]),
    }


# --- the rows ----------------------------------------------------------------------------------------------------


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/rate_cards",
        rate_cards,
        name="list-rate-cards",
        tag="Prices",
        summary="List the prices behind the costs of a window, and what each of them made.",
        scopes=(READ,),
        answer=Answer(ref("RateCardList")),
        parameters=(
            *window_parameters(required=True),
            Parameter("timezone", ref("TimeZone"), "The time zone whose hours the window is widened to."),
            Parameter("as_of", TIME, "By the prices of this time, Unix seconds."),
            *filter_parameters(COSTS),
        ),
    ),
    Endpoint(
        "GET",
        "/v1/explain",
        explain,
        name="explain-event",
        tag="Prices",
        summary="Explain what an event costs: its parts, its rate card, where the prices are from, and the sum.",
        scopes=(READ,),
        answer=Answer(ref("Explanation")),
        parameters=(
            Parameter(
                "id",
                {"type": "string", "minLength": 1, "maxLength": ID_CHARACTERS_MAX, "pattern": NO_NUL},
                "The event's id.",
                required=True,
            ),
            Parameter("timestamp", TIME, "The event's timestamp, Unix seconds.", required=True),
        ),
        errors=(NotFoundError,),
    ),
    Endpoint(
        "POST",
        "/v1/reprice",
        repricing,
        name="reprice",
        tag="Prices",
        summary="Show what today's prices would make of past costs, or let them hold.",
        scopes=(MANAGE,),
        answer=Answer(ref("Repricing")),
        checks_parameters=False,
        body=object_body("Reprice", REPRICE, {"model": "gpt-5"}),
    ),
)
