"""Reservations: a request is admitted if spend, what is held for others and its own estimate stay within all limits.

The promise: recorded spend of a scope never passes its limit, as long as each request is reserved first, costs at most
what it reserved, and its event arrives before its reservation ends. An event is never refused for money; one settles
the hold that has its id. A hold that has ended counts no longer, whatever else happens; nothing is ever reset.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

from usageledger.errors import (
    ConflictError,
    NotFoundError,
    OverloadedError,
    SpendLimitError,
    UnknownCursorError,
)
from usageledger.locks import RankedLock, holding
from usageledger.pricing.money import usd_text
from usageledger.registry import Listing
from usageledger.spending.hold_file import Hold, HoldFile, Settled, Status
from usageledger.spending.months import month_of
from usageledger.spending.spend import ORGANIZATION, Spend, scopes_of

HELD_RETRY_SECONDS_MAX = 30
ENDED_KEPT_SECONDS = 7 * 86_400  # an event may come late, and a repeated request finds what became of it


@dataclass(frozen=True, slots=True)
class Balance:
    """A limit, and what there is of it; amounts in 10⁻¹⁸/9 USD.

    Attributes:
        scope: a project, or `ORGANIZATION`.
        spent: recorded in this month.
        held: by reservations that have not ended.
    """

    scope: str
    limit: int
    spent: int
    held: int

    @property
    def available(self) -> int:
        """The rest that may be reserved; below 0 where more was spent and held than the limit."""
        return self.limit - self.spent - self.held


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a reservation.

    Attributes:
        id: the one that the event will have.
        project_id: of the event; None where it will have none.
        amount: the most that it can cost, in 10⁻¹⁸/9 USD.
        seconds: for which it is held.
        content: what says that a request with this id is the same.
        dry_run: only decide, and keep nothing.
    """

    id: str
    project_id: str | None
    amount: int
    seconds: int
    content: bytes
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Reservation:
    """A hold, and the limits that it counts against; none where nothing limits it, and then nothing is kept."""

    hold: Hold
    balances: tuple[Balance, ...]


class Reservations:
    """Decides from memory and keeps holds in a file; for many threads.

    Args:
        file: of holds; owned.
        spend: of this month.
        clock: Unix seconds.
    """

    def __init__(self, file: HoldFile, spend: Spend, clock: Callable[[], float]) -> None:
        self._file = file
        self._spend = spend
        self._clock = clock
        self._lock = RankedLock("holds", 7)  # guards all below, and the file
        self._limits: Mapping[str, int] = {}
        self._latest = 0  # time that was seen: a clock that is put back revives no hold
        self._holds: dict[str, Hold] = {}  # of every status
        self._held: dict[str, int] = {}  # scope → the sum of active holds
        self._ends: list[tuple[int, str]] = []  # a heap
        self._settled = file.settled()
        with self._lock:
            for hold in file.holds():
                self._holds[hold.id] = hold
                if hold.status == "active":
                    self._count(hold, hold.amount)
                    heapq.heappush(self._ends, (hold.expires_at, hold.id))

    def close(self) -> None:
        """Ends it."""
        with self._lock:
            self._file.close()

    def limit(self, limits: Mapping[str, int]) -> None:
        """Lets these limits hold: scope → amount of a month."""
        with self._lock:
            self._limits = limits

    # --- gateways ------------------------------------------------------------------------------------------------

    def reserve(self, asked: Asked) -> Reservation:
        """Holds what is asked for, or tells why not; the same request again gets the same answer.

        Raises:
            SpendLimitError: a limit would be passed.
            ConflictError: the id has another content.
            OverloadedError: spend is not known yet.
            LedgerUnavailableError: the hold could not be kept.
        """
        digest = sha256(asked.content).digest()
        with self._lock:
            now = self._now()
            if known := self._holds.get(asked.id):
                if known.content != digest:
                    raise ConflictError(
                        f"A reservation with id '{asked.id}' was made before, with another content. It is unchanged.",
                        param="id",
                    )
                return Reservation(replace(known), self._balances(known.project_id, now))
            hold = Hold(asked.id, asked.project_id, asked.amount, now, now + asked.seconds, digest)
            balances = self._balances(hold.project_id, now)
            self._admit(hold.amount, balances, now)
            if asked.dry_run or not balances:
                return Reservation(hold, balances)
            self._file.put(hold)
            self._holds[hold.id] = hold
            self._count(hold, hold.amount)
            heapq.heappush(self._ends, (hold.expires_at, hold.id))
            return Reservation(replace(hold), self._balances(hold.project_id, now))

    @holding("_lock")
    def _admit(self, amount: int, balances: Iterable[Balance], now: int) -> None:
        """Raises SpendLimitError where a limit would be passed: first one that no other hold's end would change."""
        for each in balances:
            left = each.limit - each.spent
            if left <= 0:
                raise _exceeded(each, f"{usd_text(each.spent)} USD of {usd_text(each.limit)} USD are spent this month.")
            if amount > left:
                raise _exceeded(
                    each,
                    f"{usd_text(amount)} USD were asked for, and {usd_text(left)} USD of {usd_text(each.limit)} USD "
                    "are left this month.",
                )
        for each in balances:
            if amount > each.available:
                first_end = self._ends[0][0] if self._ends else now
                raise SpendLimitError(
                    f"The spend limit of {_named(each.scope)} leaves {usd_text(max(each.available, 0))} USD beside "
                    f"{usd_text(each.held)} USD that others hold, and {usd_text(amount)} USD were asked for.",
                    code="spend_limit_reserved",
                    retry_after=min(max(first_end - now, 1), HELD_RETRY_SECONDS_MAX),
                )

    def release(self, hold_id: str) -> Hold:
        """Ends a hold for which nothing was sent to a provider; one that was released stays so.

        Raises:
            NotFoundError: there is none with this id.
            ConflictError: it was settled by its event, or has ended.
            LedgerUnavailableError: that could not be kept.
        """
        with self._lock:
            hold = self._active(hold_id, self._now(), also="released")
            if hold.status == "active":
                self._file.put(replace(hold, status="released"))
                self._end(hold, "released")
            return replace(hold)

    def extend(self, hold_id: str, seconds: int) -> Hold:
        """Lets a hold last for `seconds` from now on, or as before where that is longer; raises as `release`."""
        with self._lock:
            now = self._now()
            hold = self._active(hold_id, now)
            expires_at = max(hold.expires_at, now + seconds)
            self._file.put(replace(hold, expires_at=expires_at))
            hold.expires_at = expires_at
            heapq.heappush(self._ends, (expires_at, hold_id))
            return replace(hold)

    @holding("_lock")
    def _active(self, hold_id: str, now: int, also: Status = "active") -> Hold:
        self._end_due(now)
        hold = self._holds.get(hold_id)
        if hold is None:
            raise NotFoundError(f"No such reservation: {hold_id[:256]!r}.", param="id")
        if hold.status not in ("active", also):
            raise ConflictError(f"The reservation {hold_id!r} is {hold.status}, not active.", param="id")
        return hold

    # --- events --------------------------------------------------------------------------------------------------

    @property
    def empty(self) -> bool:
        """True if there is no hold, of any status."""
        return not self._holds

    def awaited(self, event_ids: Iterable[str]) -> list[int]:
        """The places of events that there is a hold for."""
        with self._lock:
            return [place for place, each in enumerate(event_ids) if each in self._holds]

    def settle(self, events: Iterable[tuple[str, str | None, int, int]]) -> None:
        """Ends the holds of events that are in the ledger; raises LedgerUnavailableError, and they end by themselves.

        Args:
            events: of each its id, project, time (Unix seconds), and cost; that of one that was there before is 0.
        """
        with self._lock:
            self._end_due(self._now())
            ended: list[Hold] = []
            sums: dict[tuple[int, str], Settled] = {}
            for event_id, project_id, timestamp, cost in events:
                hold = self._holds.get(event_id)
                if hold is None or hold.status not in ("active", "expired"):
                    continue
                for scope in scopes_of(project_id):
                    key = month_of(timestamp).start, scope
                    before = sums.get(key) or self._settled.get(key) or Settled()
                    late = cost if hold.status == "expired" else 0
                    above = max(0, cost - hold.amount)
                    sums[key] = Settled(before.cost + cost, before.above + above, before.late + late)
                ended.append(hold)
            if ended:
                self._file.settle([replace(hold, status="settled") for hold in ended], sums)
                self._settled |= sums
                for hold in ended:
                    self._end(hold, "settled")

    # --- what there is -------------------------------------------------------------------------------------------

    def get(self, hold_id: str) -> Hold | None:
        """Finds a hold."""
        with self._lock:
            self._end_due(self._now())
            hold = self._holds.get(hold_id)
            return hold and replace(hold)

    def list(self, status: Status, *, after: str | None, before: str | None, limit: int) -> Listing[Hold]:
        """Lists holds of a status, the one that ends first, first; raises UnknownCursorError."""
        with self._lock:
            self._end_due(self._now())
            found = [replace(hold) for hold in self._holds.values() if hold.status == status]
            ends = {name: _end_of(self._holds[name]) for name in (after, before) if name in self._holds}
        for cursor, given in (("after", after), ("before", before)):
            if given is not None and given not in ends:
                raise UnknownCursorError(f"there is no reservation {given!r}.", cursor)
        found.sort(key=_end_of)
        if after is not None:
            found = [hold for hold in found if _end_of(hold) > ends[after]]
        if before is not None:
            found = [hold for hold in found if _end_of(hold) < ends[before]]
        return Listing.of(found, limit, at_end=before is not None and after is None)

    def held(self, scope: str) -> int:
        """The sum of a scope's active holds."""
        with self._lock:
            self._end_due(self._now())
            return self._held.get(scope, 0)

    def settled(self, month_start: int, scope: str) -> Settled:
        """The sums of a month's events that had a hold."""
        with self._lock:
            return replace(self._settled.get((month_start, scope)) or Settled())

    def sweep(self) -> None:
        """Drops what ended long ago, and lets the file be written; raises LedgerUnavailableError."""
        with self._lock:
            now = self._now()
            self._end_due(now)
            before = now - ENDED_KEPT_SECONDS
            gone = [hold.id for hold in self._holds.values() if hold.expires_at < before]
            if gone:
                self._file.forget(before)
                for hold_id in gone:
                    del self._holds[hold_id]
        self._file.checkpoint()

    # --- state ---------------------------------------------------------------------------------------------------

    @holding("_lock")
    def _now(self) -> int:
        self._latest = max(self._latest, int(self._clock()))
        return self._latest

    @holding("_lock")
    def _balances(self, project_id: str | None, now: int) -> tuple[Balance, ...]:
        """The limits that count for a project's requests, the organization's first."""
        self._end_due(now)
        found = []
        for scope in scopes_of(project_id):
            limit = self._limits.get(scope)
            if limit is not None:
                spent = self._spend.of(month_of(now), scope)
                if spent is None:
                    raise OverloadedError("What this month has cost is being added up.", retry_after=1)
                found.append(Balance(scope, limit, spent, self._held.get(scope, 0)))
        return tuple(found)

    @holding("_lock")
    def _count(self, hold: Hold, amount: int) -> None:
        """Adds to what is held in the scopes of a hold."""
        for scope in scopes_of(hold.project_id):
            self._held[scope] = self._held.get(scope, 0) + amount
            if not self._held[scope]:
                del self._held[scope]

    @holding("_lock")
    def _end(self, hold: Hold, status: Status) -> None:
        if hold.status == "active":
            self._count(hold, -hold.amount)
        hold.status = status

    @holding("_lock")
    def _end_due(self, now: int) -> None:
        """Lets holds end whose time has come."""
        while self._ends and self._ends[0][0] <= now:
            _, hold_id = heapq.heappop(self._ends)
            hold = self._holds.get(hold_id)
            if hold and hold.status == "active" and hold.expires_at <= now:
                self._end(hold, "expired")


def _end_of(hold: Hold) -> tuple[int, str]:
    return hold.expires_at, hold.id


def _named(scope: str) -> str:
    return "the organization" if scope == ORGANIZATION else f"project {scope!r}"


def _exceeded(balance: Balance, why: str) -> SpendLimitError:
    """Makes the error as OpenAI has it."""
    message = f"The monthly spend limit of {_named(balance.scope)} is reached: {why}"
    if balance.scope == ORGANIZATION:
        return SpendLimitError(message, code="organization_spend_limit_exceeded")
    return SpendLimitError(message, code="project_spend_limit_exceeded")
