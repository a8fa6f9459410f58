"""The scopes of limits and alerts, which are the organization and its projects, and the fields that both have."""

from typing import Annotated, Literal

from msgspec import Meta

from usageledger.fields import Field
from usageledger.registry.spend_settings import THRESHOLD_CENTS_MAX
from usageledger.server.api.listing import take_project
from usageledger.server.endpoint import Call

TAG = "Spend"
ROOT = "/v1/organization"
PROJECT = f"{ROOT}/projects/{{project_id}}"
CURRENCY = Field("currency", Literal["USD"], (str,), "a string", "'USD'")
INTERVAL = Field("interval", Literal["month"], (str,), "a string", "'month'")


def threshold(least: int) -> Field:
    """Makes the field of the amount."""
    rule = f"an integer from {least} to {THRESHOLD_CENTS_MAX}, in US cents"
    rule_type = Annotated[int, Meta(ge=least, le=THRESHOLD_CENTS_MAX)]
    return Field("threshold_amount", rule_type, (int,), "an integer, in US cents", rule)


async def take_scope(call: Call) -> str | None:
    """Finds the project whose id is in the path; returns None where none is. Raises NotFoundError."""
    return (await take_project(call)).id if "project_id" in call.endpoint.ids else None


def level(call: Call) -> str:
    """Names the kind of the scope, as objects are called."""
    return "project" if "project_id" in call.endpoint.ids else "organization"
