"""The endpoints of reservations: money that is held for a request before it is made. An extension of the API."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, Literal, cast

import msgspec
from anyio.to_thread import run_sync
from msgspec import Meta, Struct
from starlette.responses import Response

from usageledger.buckets import DAY_SECONDS
from usageledger.errors import ConflictError, SpendLimitError
from usageledger.events.typed_events import FIELDS
from usageledger.fields import Field, shown
from usageledger.meters import METER_BY_KIND
from usageledger.pricing import Subject
from usageledger.pricing.cards import CASES
from usageledger.pricing.money import to_rate
from usageledger.questions.pages import money
from usageledger.registry import READ, WRITE
from usageledger.server.api.listing import PAGE_PARAMETERS, found, list_response, take_id, take_page
from usageledger.server.endpoint import Answer, Call, Endpoint, object_body
from usageledger.server.http.parameters import Parameter, one_of, refused
from usageledger.server.http.requests import json_response
from usageledger.server.json_schema import ref
from usageledger.spending.estimates import estimated_measures
from usageledger.spending.hold_file import Hold, Status
from usageledger.spending.reservations import Asked, Balance, Reservation, Reservations
from usageledger.spending.spend import ORGANIZATION
from usageledger.spending.spending import Spending

HELD_SECONDS, HELD_SECONDS_MAX = 600, 86_400  # OpenAI's clients wait as long for an answer
STATUSES: tuple[Status, ...] = ("active", "expired", "settled", "released")
KINDS = tuple(kind for kind in METER_BY_KIND if estimated_measures(kind))
MEASURES = tuple(dict.fromkeys(name for kind in KINDS for name in estimated_measures(kind)))
AN_AMOUNT = "an object with the 'value' in USD, from 0 to 1000000, and the 'currency' 'usd'"


class Amount(Struct, forbid_unknown_fields=True, frozen=True):
    """An amount as a client says it."""

    value: Decimal
    currency: Literal["usd"]


def _fields() -> tuple[Field, ...]:
    """The fields of events that prices and limits depend on, those of all kinds together, and our own."""
    every = {name: field for kind in reversed(KINDS) for name, field in FIELDS[kind].items()}
    of_event = ("provider", "project_id", "user_id", "api_key_id", "model", "service_tier", "batch", *CASES)
    seconds = Annotated[int, Meta(ge=1, le=HELD_SECONDS_MAX)]
    up_to = f"an integer from 1 to {HELD_SECONDS_MAX}"
    kinds = "one of " + ", ".join(f"'{kind}'" for kind in KINDS)
    return (
        every["id"],
        Field("kind", Literal[KINDS], (str,), "a string", kinds, "completions"),
        *(every[name] for name in of_event),
        *(replace(every[name], rule_type=every[name].rule_type | None, default=None) for name in MEASURES),
        Field("amount", Amount | None, (dict,), "an object", AN_AMOUNT, None),
        Field("expires_in_seconds", seconds, (int,), "an integer", up_to, HELD_SECONDS),
        Field("dry_run", bool, (bool,), "true or false", "true or false", False),
    )


RESERVATION = _fields()
EXTENSION = tuple(field for field in RESERVATION if field.name == "expires_in_seconds")
EXAMPLE = {"id": "req_8f3c", "project_id": "proj_a", "model": "gpt-5", "input_tokens": 1200, "output_tokens": 4096}


async def reserve(call: Call) -> Response:
    """Holds the most that a request can cost, or refuses it where a limit would be passed."""
    body = await call.read()
    spending = _spending(call)
    content = msgspec.json.encode({**body, "dry_run": False}, order="sorted")
    amount = _amount(spending, int(call.services.clock()), body)
    asked = Asked(body["id"], body["project_id"], amount, body["expires_in_seconds"], content, body["dry_run"])
    return json_response(_reservation(spending.reservations.reserve(asked)))


def _amount(spending: Spending, now: int, body: Mapping[str, Any]) -> int:
    """Reads the amount that is given, or estimates it. Raises InvalidRequestError."""
    quantities = {name: body[name] for name in MEASURES if body[name] is not None}
    given: Amount | None = body["amount"] and msgspec.convert(body["amount"], Amount)
    if given is None:
        return _estimated(spending, now, body, quantities)
    if quantities:
        raise refused("amount", f"Give the 'amount' or {', '.join(quantities)}, not both.")
    try:
        return to_rate(given.value, 1)
    except (ValueError, ArithmeticError):
        raise refused("amount", f"Invalid 'amount': expected {AN_AMOUNT}, got {shown(body['amount'])}") from None


def _estimated(spending: Spending, now: int, body: Mapping[str, Any], quantities: dict[str, int]) -> int:
    kind = body["kind"]
    said = [name for name in (*quantities, *CASES) if body[name] is not None]
    if strange := [name for name in said if name not in FIELDS[kind]]:
        raise refused(strange[0], f"Unknown field: '{strange[0]}' is none of {kind}.", code="unknown_field")
    counted = {name: quantities.get(name, default) for name, default in estimated_measures(kind).items()}
    if missing := [name for name, quantity in counted.items() if quantity is None]:
        raise refused(
            missing[0],
            f"Missing required field: '{missing[0]}', the most that there will be of it; or give the 'amount'.",
            code="missing_field",
        )
    subject = Subject(
        day=now - now % DAY_SECONDS,
        batch=bool(body["batch"]),
        project=body["project_id"],
        **{name: body[name] for name in ("kind", "provider", "model", "service_tier", *CASES)},
    )
    amount = spending.estimator.estimate(subject, {name: each or 0 for name, each in counted.items()})
    if isinstance(amount, str):
        raise refused(
            "model",
            f"No price is known for {amount} of {subject.words()}: set one with `usageledger prices set`, or give the "
            "'amount'.",
            code="unpriced_model",
        )
    return amount


async def release(call: Call) -> Response:
    """Ends a hold for whose request nothing was sent to a provider."""
    return json_response(_hold(await run_sync(_reservations(call).release, take_id(call))))


async def extend(call: Call) -> Response:
    """Lets a hold last longer."""
    seconds = (await call.read())["expires_in_seconds"]
    return json_response(_hold(await run_sync(_reservations(call).extend, take_id(call), seconds)))


async def get_reservation(call: Call) -> Response:
    """Finds a reservation."""
    return json_response(_hold(found(_reservations(call).get(take_id(call)), call)))


async def list_reservations(call: Call) -> Response:
    """Lists reservations of a status."""
    given = call.given()
    status = cast("Status", one_of("status", given.get("status", ["active"])[0], STATUSES))
    find = partial(_reservations(call).list, status, **take_page(given))
    return await list_response(find, _hold)


def _reservations(call: Call) -> Reservations:
    return _spending(call).reservations


def _spending(call: Call) -> Spending:
    spending = call.services.spending
    if spending is None:
        raise ConflictError("Reservations are decided by one server, and this ledger may have several: it has none.")
    return spending


def _hold(hold: Hold) -> dict[str, Any]:
    return {
        "object": "reservation",
        "id": hold.id,
        "status": hold.status,
        "project_id": hold.project_id,
        "amount": money(hold.amount),
        "created_at": hold.made_at,
        "expires_at": hold.expires_at,
    }


def _reservation(made: Reservation) -> dict[str, Any]:
    return {**_hold(made.hold), "limits": [_balance(each) for each in made.balances]}


def _balance(balance: Balance) -> dict[str, Any]:
    scope = "organization" if balance.scope == ORGANIZATION else "project"
    return {
        "object": f"{scope}.spend_limit",
        "project_id": balance.scope or None,
        "limit": money(balance.limit),
        "spent": money(balance.spent),
        "held": money(balance.held),
        "available": money(balance.available),
    }


TAG, PATH = "Spend", "/v1/reservations"
STATUS = Parameter("status", {"type": "string", "enum": list(STATUSES), "default": "active"}, "Of which status.")
ENDPOINTS = (
    Endpoint(
        "POST",
        PATH,
        reserve,
        name="create-reservation",
        tag=TAG,
        summary="Reserve what a request can cost at most.",
        scopes=(WRITE,),
        answer=Answer(ref("Reservation")),
        body=object_body("ReservationCreate", RESERVATION, EXAMPLE),
        errors=(SpendLimitError, ConflictError),
    ),
    Endpoint(
        "GET",
        PATH,
        list_reservations,
        name="list-reservations",
        tag=TAG,
        summary="List reservations, the one that ends first, first.",
        scopes=(READ,),
        answer=Answer(ref("ReservationList")),
        parameters=(*PAGE_PARAMETERS, STATUS),
        errors=(ConflictError,),
    ),
    Endpoint(
        "POST",
        f"{PATH}/{{reservation_id}}/release",
        release,
        name="release-reservation",
        tag=TAG,
        summary="Release a reservation: nothing was sent to the provider.",
        scopes=(WRITE,),
        answer=Answer(ref("ReservationState")),
        errors=(ConflictError,),
    ),
    Endpoint(
        "POST",
        f"{PATH}/{{reservation_id}}/extend",
        extend,
        name="extend-reservation",
        tag=TAG,
        summary="Let a reservation last longer.",
        scopes=(WRITE,),
        answer=Answer(ref("ReservationState")),
        body=object_body("ReservationExtend", EXTENSION, {"expires_in_seconds": 600}),
        errors=(ConflictError,),
    ),
    Endpoint(
        "GET",
        f"{PATH}/{{reservation_id}}",
        get_reservation,
        name="get-reservation",
        tag=TAG,
        summary="Get a reservation.",
        scopes=(READ,),
        answer=Answer(ref("ReservationState")),
        errors=(ConflictError,),
    ),
)
