"""Limits of spend and alerts on it, of the organization or of a project, as the API has them: frozen values."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from usageledger.client.errors import APIResponseValidationError

ALERTS_LISTED_MAX = 100
MONTHLY = {"currency": "USD", "interval": "month"}

T = TypeVar("T")


class Enforcement(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a limit.

    Attributes:
        status: `enforcing` while the recorded spend of the month has reached it, else `inactive`.
    """

    status: str


class SpendLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A limit of spend.

    Attributes:
        threshold_amount: the amount in cents.
        currency: `USD`.
        interval: `month`.
        enforcement: its state.
    """

    threshold_amount: int
    currency: str
    interval: str
    enforcement: Enforcement


class NotificationChannel(msgspec.Struct, frozen=True, kw_only=True):
    """A way to tell of an alert.

    Attributes:
        type: `email`.
        recipients: the addresses.
        subject_prefix: stands before the subject, or None.
    """

    type: str
    recipients: tuple[str, ...]
    subject_prefix: str | None = None


class SpendAlert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert on spend.

    Attributes:
        id: its id.
        threshold_amount: the amount in cents.
        currency: `USD`.
        interval: `month`.
        notification_channel: whom to tell, and how.
    """

    id: str
    threshold_amount: int
    currency: str
    interval: str
    notification_channel: NotificationChannel


class Money(msgspec.Struct, frozen=True):
    """An amount, exactly, and its currency, `usd`."""

    value: Decimal
    currency: str = "usd"


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """Spend at the end of the month, with days like the last seven: by their median, the least and the most of them."""

    amount: Money
    low: Money
    high: Money


class Accuracy(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of this month that no reservation foresaw; where all are 0, the limit could not be passed.

    Attributes:
        cost_above_holds: by how much requests cost more than they had reserved.
        cost_without_hold: of requests that had reserved nothing.
        cost_after_holds_ended: of requests whose event came after the end of their reservation.
    """

    cost_above_holds: Money
    cost_without_hold: Money
    cost_after_holds_ended: Money


class Spend(msgspec.Struct, frozen=True, kw_only=True):
    """The spend of this month, of a project or of the organization.

    Attributes:
        project_id: None for the organization.
        start_time: of the month, Unix seconds.
        end_time: of the month, exclusive.
        as_of: when it was asked, Unix seconds.
        limit: of a month; None where there is none.
        status: `enforcing` where recorded spend has reached the limit, else `inactive`.
        spent: recorded costs.
        held: by reservations.
        available: the limit without both; None without a limit.
        forecast: None in the first two days of a month.
        unpriced_requests: those of which a part has no price, so that it is not in `spent`.
        accuracy: None where the server takes no reservations.
    """

    project_id: str | None
    start_time: int
    end_time: int
    as_of: int
    limit: Money | None
    status: str
    spent: Money
    held: Money
    available: Money | None
    forecast: Forecast | None
    unpriced_requests: int
    accuracy: Accuracy | None


class _SpendList(msgspec.Struct):
    data: tuple[Spend, ...]


class AlertPage(msgspec.Struct, frozen=True):
    """A page of alerts."""

    data: tuple[SpendAlert, ...]
    has_more: bool = False


def read(body: Mapping[str, Any], kind: type[T]) -> T:
    """Makes the value that an answer is.

    Raises:
        APIResponseValidationError: it is none.
    """
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        raise APIResponseValidationError(f"The answer is no {kind.__name__}: {error}.") from None


def read_spend(body: Mapping[str, Any]) -> tuple[Spend, ...]:
    """Makes the values that an answer lists. Raises APIResponseValidationError."""
    return read(body, _SpendList).data


def address(what: str, project_id: str | None, alert_id: str | None = None) -> str:
    """Makes the path of a scope's limit or alerts, or of one of these."""
    project = "" if project_id is None else f"/projects/{_in_path(project_id)}"
    return f"/organization{project}/{what}" + ("" if alert_id is None else f"/{_in_path(alert_id)}")


def alert_body(threshold_amount: int, recipients: Sequence[str], subject_prefix: str | None) -> dict[str, Any]:
    """Makes the body of an alert."""
    channel = {"type": "email", "recipients": list(recipients), "subject_prefix": subject_prefix}
    return {"threshold_amount": threshold_amount, **MONTHLY, "notification_channel": channel}


def page_query(alerts: Sequence[SpendAlert]) -> dict[str, Any]:
    """Makes the parameters of the page after these alerts."""
    return {"limit": ALERTS_LISTED_MAX} | ({"after": alerts[-1].id} if alerts else {})


def _in_path(text: str) -> str:
    return text.replace(".", "%2E") if text in (".", "..") else quote(text, safe="")
