"""The OpenAPI document's part about prices: what is unpriced, rate cards, explanations, repricing."""

from usageledger.pricing.cards import CASES
from usageledger.server.api.prices import REPRICE
from usageledger.server.json_schema import (
    COUNT,
    COUNT_OR_NULL,
    FLAG,
    NUMBER,
    SECONDS,
    SECONDS_OR_NULL,
    TEXT,
    TEXT_OR_NULL,
    Schema,
    answer,
    const,
    described,
    ref,
)
from usageledger.server.openapi.bodies import body

REPRICE_DOCS = {
    "start_time": "The first UTC day, inclusive; without it, from the first event on.",
    "end_time": "The UTC day before which to stop; without it, today is the last one.",
    "model": "Only usage of this model.",
    "apply": "Whether the new prices hold from now on. Without it nothing changes.",
    "reason": "Why, for whoever asks later. Required with `apply`.",
}


def price_components() -> dict[str, Schema]:
    """The named schemas of prices."""
    return {
        "Money": answer({"value": described({"type": "number"}, "All its digits."), "currency": const("usd")}),
        "UnpricedQuantity": answer(
            {
                "part": described(TEXT, "The stored count that has no price."),
                "line_item": described(TEXT, "What its line item would be called."),
                "quantity": described(NUMBER, "How much of it was used."),
                "quantity_unit": TEXT,
                "reason": described(TEXT, "Why, as a code: `no_alias`, `no_row`, `ambiguous:tool` and others."),
                "message": described(TEXT, "Why, in words."),
            }
        ),
        "UnpricedList": _list_of(_unpriced(), "Usage with no known price."),
        "RateCardList": _list_of(_rate_card(), "Prices, the one with the largest amount first."),
        "Explanation": _explanation(),
        "Reprice": body(REPRICE, REPRICE_DOCS),
        "Repricing": _repricing(),
    }


def _list_of(entry: Schema, description: str) -> Schema:
    return answer({"object": const("list"), "data": {"type": "array", "items": entry}}, description)


def _unpriced() -> Schema:
    names = ("provider", "model", "service_tier", *CASES)
    return answer(
        {
            "object": const("unpriced"),
            "kind": TEXT,
            **dict.fromkeys(names, TEXT_OR_NULL),
            "batch": FLAG,
            "quantities": {"type": "array", "items": ref("UnpricedQuantity")},
            "first_time": described(SECONDS, "The first such event, Unix seconds."),
            "last_time": described(SECONDS, "The last such event, Unix seconds."),
        }
    )


def _about() -> dict[str, Schema]:
    return {
        "kind": TEXT,
        "provider": TEXT,
        "model": TEXT_OR_NULL,
        "tier": described(TEXT, "`standard`, `batch`, or a service tier."),
        **dict.fromkeys(CASES, TEXT_OR_NULL),
        "above_input_tokens": described(COUNT, "For events with more input tokens than this."),
        "from_second": described(COUNT, "From this second of the UTC day on."),
        "project_id": described(TEXT_OR_NULL, "Only for a project that has prices of its own for this."),
    }


def _priced_line() -> dict[str, Schema]:
    return {
        "part": described(TEXT, "The stored count that is charged for."),
        "line_item": TEXT,
        "unit_price": described(ref("Money"), "Of one unit; of a size, of a GiB-hour."),
        "quantity": NUMBER,
        "quantity_unit": TEXT,
        "amount": ref("Money"),
        **_origin(),
    }


def _origin() -> dict[str, Schema]:
    return {
        "source": described(TEXT_OR_NULL, "Who says so."),
        "layer": described(TEXT_OR_NULL, "`operator`, `curated` (checked by a person) or `observed` (seen in lists)."),
        "from": described(TEXT_OR_NULL, "The UTC day or instant from which the price holds."),
        "from_is": described(TEXT_OR_NULL, "`launch`, `announced`, `vendor_rule` or `first_seen`."),
        "to": described(TEXT_OR_NULL, "The day or instant at which it ends, where an end is known."),
        "confidence": described(TEXT_OR_NULL, "`high` or `medium`."),
        "provisional": described(FLAG, "Nobody has confirmed the price for that day yet."),
        "resolved_from": described(TEXT_OR_NULL, "`gpt-4o → gpt-4o-2024-08-06`, where the name stands for another."),
        "assumed": described(TEXT_OR_NULL, "`lifetime 5m`, which the event leaves out and a default of yours says."),
    }


def _rate_card() -> Schema:
    return answer(
        {
            "object": const("rate_card"),
            **_about(),
            **_priced_line(),
            "revision": described(COUNT_OR_NULL, "The repricing that it is from, if any."),
            "cause": described(TEXT_OR_NULL, "Why it is another price than at first, as `cause` of a repricing."),
            "first_day": described(SECONDS, "The first UTC day with such usage."),
            "last_day": described(SECONDS, "The last one."),
        }
    )


def _explanation() -> Schema:
    said = {
        "revision": described(COUNT_OR_NULL, "Null for the prices that the card was given with."),
        "created_at": SECONDS_OR_NULL,
        "reason": TEXT_OR_NULL,
        "amount": ref("Money"),
    }
    event: Schema = {"type": "object", "required": ["id", "timestamp", "kind", "provider"]}
    counts: Schema = {"type": "object", "additionalProperties": COUNT}
    return answer(
        {
            "object": const("explanation"),
            "event": described(event, "Who used what."),
            "counts": described(counts, "The disjoint parts that are stored, those that are 0 left out."),
            "rate_card": answer({"id": COUNT, "day": SECONDS, **_about()}),
            "lines": {"type": "array", "items": answer(_priced_line())},
            "unpriced": {"type": "array", "items": ref("UnpricedQuantity")},
            "amount": described(ref("Money"), "The sum of the lines."),
            "history": {"type": "array", "items": answer(said), "description": "What each revision made of it."},
        },
        "What an event costs. A size costs what the largest one of its store and UTC hour does, once.",
    )


def _repricing() -> Schema:
    side = {"anyOf": [answer({"amount": ref("Money"), "quantity": NUMBER}), {"type": "null"}]}
    line = {
        "model": TEXT_OR_NULL,
        "line_item": TEXT,
        "quantity_unit": TEXT,
        "before": described(side, "Null where it had no price."),
        "after": described(side, "Null where it has none."),
        "difference": ref("Money"),
    }
    amount = {"anyOf": [ref("Money"), {"type": "null"}]}
    cause = described(
        TEXT, "`own price`, `list row since 2025-06-10`, `another part's price: input`, `no price: no_row`."
    )
    caused = {
        "model": TEXT_OR_NULL,
        "cause": cause,
        "before": described(amount, "Null where it had no price."),
        "after": described(amount, "Null where it has none."),
        "difference": ref("Money"),
    }
    price = {"anyOf": [answer({"unit_price": ref("Money"), **_origin()}), {"type": "null"}]}
    days = {"first_day": SECONDS, "last_day": SECONDS}
    changed = {
        **_about(),
        "part": TEXT,
        "line_item": TEXT,
        "quantity_unit": TEXT,
        "before": price,
        "after": price,
        "cause": cause,
        "reason": described(TEXT_OR_NULL, "Why it has no price any more, as a code."),
        "message": described(TEXT_OR_NULL, "Why, in words."),
    }
    revision = answer({"id": COUNT, "created_at": SECONDS, "reason": TEXT})
    return answer(
        {
            "object": const("repricing"),
            "applied": FLAG,
            "revision": {"anyOf": [revision, {"type": "null"}]},
            "rate_cards": described(COUNT, "How many cards say something else."),
            "total": answer(dict.fromkeys(("before", "after", "difference"), ref("Money"))),
            "causes": {"type": "array", "items": answer(caused), "description": "What changes, by model and cause."},
            "lines": {"type": "array", "items": answer(line), "description": "Line items whose costs differ."},
            "prices": {"type": "array", "items": answer(changed | days), "description": "Prices that differ."},
            "kept": {"type": "array", "items": TEXT, "description": "Cards that cannot say the new price, and why."},
        },
        "The difference that today's prices make.",
    )
