"""The OpenAPI document's part about spend and reservations."""

from usageledger.server.api.reservations import EXTENSION, RESERVATION, STATUSES
from usageledger.server.json_schema import (
    COUNT,
    NUMBER,
    SECONDS,
    TEXT,
    TEXT_OR_NULL,
    Schema,
    answer,
    const,
    described,
    ref,
)
from usageledger.server.openapi.bodies import body
from usageledger.server.openapi.schemas import list_of

AMOUNT_TEXT: Schema = {"type": "string", "pattern": r"^[0-9]{1,7}(\.[0-9]{1,30})?$"}
_MONEY = ref("Money")
_MONEY_OR_NULL: Schema = {"anyOf": [_MONEY, {"type": "null"}]}
_DOCS = {
    "id": "The id that the event will have; its arrival ends the reservation.",
    "kind": "The kind of the event.",
    "amount": "The most that it can cost, instead of numbers that a price is known for.",
    "expires_in_seconds": "How long the money is held where no event comes.",
    "dry_run": "Only decide: nothing is held.",
}


def reservation_components() -> dict[str, Schema]:
    """Makes the named schemas of spend."""
    hold = {
        "object": const("reservation"),
        "id": TEXT,
        "status": {"type": "string", "enum": list(STATUSES)},
        "project_id": TEXT_OR_NULL,
        "amount": _MONEY,
        "created_at": SECONDS,
        "expires_at": SECONDS,
    }
    balance = answer(
        {
            "object": {"type": "string", "enum": ["organization.spend_limit", "project.spend_limit"]},
            "project_id": TEXT_OR_NULL,
            **dict.fromkeys(("limit", "spent", "held", "available"), _MONEY),
        }
    )
    amount: Schema = {
        "type": "object",
        "properties": {
            "value": {"anyOf": [NUMBER, AMOUNT_TEXT], "description": "USD; as text with all its digits."},
            "currency": const("usd"),
        },
        "required": ["value", "currency"],
        "additionalProperties": False,
    }
    made = body(RESERVATION, _DOCS)
    made["properties"]["amount"] = described({"anyOf": [amount, {"type": "null"}]}, _DOCS["amount"])
    return {
        "ReservationCreate": made,
        "ReservationExtend": body(EXTENSION, {"expires_in_seconds": "How long from now on."}),
        "Reservation": answer({**hold, "limits": {"type": "array", "items": balance}}, "Money that is held."),
        "ReservationState": answer(hold, "Money that is or was held."),
        "ReservationList": list_of("ReservationState"),
        "SpendList": answer({"object": const("list"), "data": {"type": "array", "items": _spend()}}),
    }


def _spend() -> Schema:
    forecast = answer(
        dict.fromkeys(("amount", "low", "high"), _MONEY), "With seven days like the last: median and range."
    )
    names = ("cost_above_holds", "cost_without_hold", "cost_after_holds_ended")
    accuracy = answer(dict.fromkeys(names, _MONEY), "What no reservation foresaw.")
    return answer(
        {
            "object": const("spend"),
            "project_id": described(TEXT_OR_NULL, "Null for the organization."),
            "start_time": SECONDS,
            "end_time": SECONDS,
            "as_of": SECONDS,
            "limit": _MONEY_OR_NULL,
            "status": {"type": "string", "enum": ["inactive", "enforcing"]},
            "spent": _MONEY,
            "held": _MONEY,
            "available": described(_MONEY_OR_NULL, "Below 0 where more is spent and held than the limit."),
            "forecast": {"anyOf": [forecast, {"type": "null"}]},
            "unpriced_requests": described(
                COUNT, "Requests of which a part has no price: what they cost is not in it."
            ),
            "accuracy": {"anyOf": [accuracy, {"type": "null"}]},
        }
    )
