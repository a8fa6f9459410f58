"""Charges as the API shows them."""

from typing import Any

from usageledger.pricing import Reason
from usageledger.questions.pages import quantity_number
from usageledger.rating.charges import Charge


def part_used(charge: Charge) -> dict[str, Any]:
    """Show which part was used, and how much of it."""
    return {
        "part": charge.part,
        "line_item": charge.line_item,
        "quantity": quantity_number(charge.quantity, charge.unit),
        "quantity_unit": charge.unit,
    }


def unpriced_part(charge: Charge, reason: Reason) -> dict[str, Any]:
    """Show a part that has no price, and why it has none."""
    return {**part_used(charge), "reason": reason.code, "message": reason.words}
