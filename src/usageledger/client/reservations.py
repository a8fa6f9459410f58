"""Reservations of a UsageLedger: money that is held for a request before it is made."""

from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
import msgspec

from usageledger.client.spend import Money, read

PATH = "/reservations"
# Statuses with which a provider turns a request away before it runs, so that it costs nothing.
TURNED_AWAY = frozenset({400, 401, 403, 404, 405, 413, 415, 422, 429})


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that a reservation counts against.

    Attributes:
        project_id: the project; None for the organization.
        limit: the amount of a month.
        spent: recorded in this month.
        held: by reservations, this one among them.
        available: what is left for others.
    """

    project_id: str | None
    limit: Money
    spent: Money
    held: Money
    available: Money


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """A reservation as the server answered it.

    Attributes:
        id: the one that its event will have.
        status: `active`, `settled`, `released` or `expired`.
        project_id: of its event, or None.
        amount: what is held.
        created_at: Unix seconds.
        expires_at: Unix seconds.
        limits: those that it counts against; empty where nothing limits it, and nothing is held then.
    """

    id: str
    status: str
    project_id: str | None
    amount: Money
    created_at: int
    expires_at: int
    limits: tuple[Balance, ...] = ()

    @property
    def address(self) -> str:
        """The path of it."""
        return f"{PATH}/{quote(self.id, safe='')}"


class Hold:
    """Money that is held while a block runs: `with client.reserve(…) as hold: …`.

    Where the block ends by an error that shows that the provider ran nothing (it could not be reached, or turned the
    request away), the hold is released. In every other case it stands until its event comes or it ends by itself: the
    request may have cost something.
    """

    def __init__(self, reservation: Reservation, request: Callable[..., dict[str, Any]]) -> None:
        self.reservation = reservation
        self._request = request

    def release(self) -> None:
        """Gives the money back: nothing was sent to the provider. Raises APIError."""
        if self.reservation.limits:
            self._request("POST", f"{self.reservation.address}/release")

    def extend(self, seconds: int) -> None:
        """Holds it for so long from now on. Raises APIError."""
        if self.reservation.limits:
            self._request("POST", f"{self.reservation.address}/extend", body={"expires_in_seconds": seconds})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None and ran_nothing(error):
            self.release()


class AsyncHold:
    """The same of an asynchronous client: `async with await client.reserve(…) as hold: …`."""

    def __init__(self, reservation: Reservation, request: Callable[..., Awaitable[dict[str, Any]]]) -> None:
        self.reservation = reservation
        self._request = request

    async def release(self) -> None:
        """Gives the money back: nothing was sent to the provider. Raises APIError."""
        if self.reservation.limits:
            await self._request("POST", f"{self.reservation.address}/release")

    async def extend(self, seconds: int) -> None:
        """Holds it for so long from now on. Raises APIError."""
        if self.reservation.limits:
            await self._request("POST", f"{self.reservation.address}/extend", body={"expires_in_seconds": seconds})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None and ran_nothing(error):
            await self.release()


def ran_nothing(error: BaseException) -> bool:
    """Tell whether an error shows that the provider ran nothing: no connection, or a status that turns away."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
            return True
        status = getattr(seen, "status_code", None) or getattr(getattr(seen, "response", None), "status_code", None)
        if status is not None:
            return status in TURNED_AWAY
        seen = seen.__cause__
    return False


def asked(hold_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Makes the body that asks for a reservation; amounts are sent with all their digits."""
    body = {"id": hold_id, **{name: value for name, value in fields.items() if value is not None}}
    if "amount" in body:
        body["amount"] = {"value": str(body["amount"]), "currency": "usd"}
    return body


def read_reservation(body: Mapping[str, Any]) -> Reservation:
    """Makes the reservation that an answer is. Raises APIResponseValidationError."""
    return read(body, Reservation)
