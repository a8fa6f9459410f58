"""Authentication: API keys and dashboard sessions, scopes, rate limits, and a limit on wrong keys.

A browser adds the session's cookie to whatever request a page makes, so a request by cookie must also show that it was
made by our own page: it has `PAGE_HEADER`, which no other origin may set, and its origin is ours.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from math import ceil, inf

import anyio.to_thread
from starlette.requests import Request

from usageledger.errors import AuthenticationError, PermissionDeniedError, RateLimitError, RegistryError
from usageledger.registry import AdminKey, Registry
from usageledger.settings import Settings

KEYS_KEPT_MAX = 10_000
ADDRESSES_KEPT_MAX = 10_000
ADDRESS_CHARACTERS_MAX = 64  # an IPv6 address has at most 45 and a zone; a proxy may say anything
SESSION_COOKIE = "usageledger_session"
PAGE_HEADER = "x-usageledger-dashboard"

logger = logging.getLogger("usageledger")


@dataclass(slots=True)
class _Bucket:
    """A rate limit: the requests left of a number a minute; a minute's worth at most is saved up."""

    per_minute: int
    left: float
    filled_at: float

    def take(self, now: float) -> int | None:
        """Takes one; where none is left, in how many seconds there will be one."""
        rate = self.per_minute / 60
        self.left = min(float(self.per_minute), self.left + max(0.0, now - self.filled_at) * rate)
        self.filled_at = now
        if self.left < 1:
            return max(1, ceil((1 - self.left) / rate))
        self.left -= 1
        return None


@dataclass(frozen=True, slots=True)
class _Credential:
    """A request's credential: the value of a key, or of a session that stands for one; `client` is its address."""

    value: str
    client: str
    is_session: bool = False

    @property
    def digest(self) -> bytes:
        """Cache key; sessions and API keys never share one."""
        return sha256(f"{self.is_session}:{self.value}".encode()).digest()

    def refusal(self) -> AuthenticationError:
        """The error where it is unknown, expired, revoked or signed out."""
        if self.is_session:
            return AuthenticationError("Your session has ended: sign in again.", code="session_ended")
        return AuthenticationError(
            f"Incorrect API key provided: {_masked(self.value)}. You can make a key with `usageledger keys create`."
        )


@dataclass(slots=True)
class _Entry:
    """A key, the time at which it was found, and the requests that it has left."""

    key: AdminKey
    found_at: float
    requests: _Bucket


class Authenticator:
    """Finds the key of a request; keys that were found are remembered for `key_cache_seconds`.

    Args:
        keys_kept_max: keys that are remembered.
        addresses_kept_max: addresses that are remembered with their wrong keys.
    """

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        clock: Callable[[], float],
        *,
        keys_kept_max: int = KEYS_KEPT_MAX,
        addresses_kept_max: int = ADDRESSES_KEPT_MAX,
    ) -> None:
        self._registry = registry
        self._cache_seconds = settings.key_cache_seconds
        self._per_minute = settings.requests_per_minute
        self._guesses = _Guesses(settings.wrong_keys_per_minute, clock, addresses_kept_max)
        self._clock = clock
        self._keys_kept_max = keys_kept_max
        self._entries: dict[bytes, _Entry] = {}
        self._under_way: dict[_Credential, asyncio.Task[_Entry | None]] = {}  # what is being looked up now

    def forget(self, key_id: str) -> None:
        """Drops a key that was revoked, so that it does not work a moment longer in this process."""
        self._under_way.clear()  # what they find may have been found just before
        self._entries = {digest: entry for digest, entry in self._entries.items() if entry.key.id != key_id}

    def forget_session(self, value: str) -> None:
        """Drops a session that was signed out, so that it does not work a moment longer in this process."""
        self._under_way.clear()
        self._entries.pop(_Credential(value, "", is_session=True).digest, None)

    async def require(self, request: Request, *scopes: str) -> AdminKey:
        """The request's key, by header or by session, which has one of `scopes`.

        Raises:
            AuthenticationError: no key, or one that is unknown, expired or revoked; a session that has ended.
            PermissionDeniedError: the key has none of the scopes, or a page that is not ours asks by cookie.
            RateLimitError: the key has used up its requests for now, or the client too many wrong keys.
        """
        session = request.cookies.get(SESSION_COOKIE)
        if session is None or "authorization" in request.headers:
            return await self.admit(_bearer(request), client_of(request), *scopes)
        require_own_page(request)
        return await self._granted(_Credential(session, client_of(request), is_session=True), scopes)

    async def admit(self, value: str, client: str, *scopes: str) -> AdminKey:
        """The key with this value, as someone at the address `client` gives it, which has one of `scopes`.

        Raises:
            AuthenticationError: it is unknown, expired or revoked.
            PermissionDeniedError: it has none of the scopes.
            RateLimitError: it has used up its requests, or too many wrong keys came from there.
        """
        return await self._granted(_Credential(value, client), scopes)

    async def _granted(self, credential: _Credential, scopes: tuple[str, ...]) -> AdminKey:
        entry = await self._entry(credential)
        if not set(scopes) & set(entry.key.scopes):
            raise PermissionDeniedError(
                f"You have insufficient permissions for this operation. Missing scopes: {' or '.join(scopes)}. "
                "Check that you have the correct role in your organization, and if you're using a restricted API key, "
                "that it has the necessary scopes."
            )
        if self._per_minute and (seconds := entry.requests.take(self._clock())):
            raise RateLimitError(
                f"Rate limit reached: this key may make {self._per_minute} requests per minute.", retry_after=seconds
            )
        return entry.key

    async def _entry(self, credential: _Credential) -> _Entry:
        """Returns the entry of a credential; requests that show it at once share one look-up in the registry.

        Raises:
            AuthenticationError: it is unknown, expired or revoked.
            RateLimitError: too many wrong keys came from there.
        """
        now, entry = self._clock(), self._entries.get(credential.digest)
        if entry and abs(now - entry.found_at) < self._cache_seconds and not _expired(entry.key, now):
            return entry
        task = self._under_way.get(credential)
        if task is None:
            if entry:
                entry.found_at = now  # one request looks, and those beside it go on with what it found before
            task = self._under_way[credential] = asyncio.create_task(self._look_up(credential, entry))
        found = await asyncio.shield(task)  # a client that goes away takes no answer from others
        if found is None:
            raise credential.refusal()
        return found

    async def _look_up(self, credential: _Credential, entry: _Entry | None) -> _Entry | None:
        """Looks a credential up in the registry and remembers the result; `entry` is the one found before."""
        now, digest, task = self._clock(), credential.digest, asyncio.current_task()

        async def find() -> AdminKey | None:
            return await anyio.to_thread.run_sync(self._find, credential, int(now))

        # A value that was right before is no guess.
        guessed = entry is None and not credential.is_session
        try:
            key = await (self._guesses.attempt(credential.client, find) if guessed else find())
        except BaseException:
            if entry:
                entry.found_at = -inf
            raise
        finally:
            is_current = self._under_way.get(credential) is task  # else it may have been revoked since
            if is_current:
                del self._under_way[credential]
        if key is None:
            self._entries.pop(digest, None)
            return None
        # The same value may have come from another address; they share what is left of its requests.
        entry = self._entries.get(digest) or _Entry(key, now, _Bucket(self._per_minute, float(self._per_minute), now))
        if is_current:
            entry.key, entry.found_at = key, now
            self._remember(digest, entry)
        return entry

    def _remember(self, digest: bytes, entry: _Entry) -> None:
        if len(self._entries) >= self._keys_kept_max:
            self._entries.clear()
        self._entries[digest] = entry

    def _find(self, credential: _Credential, now: int) -> AdminKey | None:
        find = self._registry.sessions.find_key if credential.is_session else self._registry.find_key
        key = find(credential.value, now=now)
        if key:
            try:
                self._registry.touch_key(key.id, now=now)
            except RegistryError as error:
                logger.warning("when a key was used could not be noted: %s", error)  # a right key reads all the same
        return key


@dataclass(slots=True)
class _Guesser:
    """A client address: its guesses left, and the number of its values being looked up."""

    left: _Bucket
    under_way: int = 0
    ended: asyncio.Condition = field(default_factory=asyncio.Condition)


class _Guesses:
    """Counts of the wrong keys of each client address, so that keys cannot be guessed; the memory is bounded."""

    def __init__(self, per_minute: int, clock: Callable[[], float], kept_max: int) -> None:
        self._per_minute = per_minute
        self._kept_max = kept_max
        self._clock = clock
        self._guessers: OrderedDict[str, _Guesser] = OrderedDict()  # the address heard of last stands last

    async def attempt(self, client: str, find: Callable[[], Awaitable[AdminKey | None]]) -> AdminKey | None:
        """Looks with `find`; where it finds nothing, `client` has one guess less.

        A guess is taken before, so that guesses made at once count as well, and given back after. Where all that are
        left are under way it waits for them: a right key is not refused since others are looked up beside it.

        Raises:
            RateLimitError: it has none left.
        """
        if not self._per_minute:
            return await find()
        guesser = self._guesser(client)
        async with guesser.ended:
            while seconds := guesser.left.take(self._clock()):
                if not guesser.under_way:
                    guesser.ended.notify()  # the next one that waits is refused as well
                    raise RateLimitError(
                        f"Too many wrong API keys came from your address: at most {self._per_minute} a minute are "
                        "looked at.",
                        retry_after=seconds,
                    )
                await guesser.ended.wait()
            guesser.under_way += 1
        was_wrong = False
        try:
            key = await find()
            was_wrong = key is None
        finally:
            async with guesser.ended:
                guesser.under_way -= 1
                guesser.left.left += not was_wrong
                guesser.ended.notify()
        return key

    def _guesser(self, client: str) -> _Guesser:
        guesser = self._guessers.get(client)
        if guesser is None:
            guesser = self._guessers[client] = _Guesser(
                _Bucket(self._per_minute, float(self._per_minute), self._clock())
            )
        self._guessers.move_to_end(client)
        if len(self._guessers) > self._kept_max:
            self._guessers.popitem(last=False)
        return guesser


def client_of(request: Request) -> str:
    """The address that a request came from; for IPv6 its /64, of which one client may have every address."""
    return _network(request.client.host[:ADDRESS_CHARACTERS_MAX] if request.client else "")


@lru_cache(ADDRESSES_KEPT_MAX)
def _network(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(IPv6Address(int(address) >> 64 << 64))
    return host


def require_own_page(request: Request) -> None:
    """Refuses a request that a page of another origin may have made.

    Raises:
        PermissionDeniedError: it lacks `PAGE_HEADER`, or its origin is not ours.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    # `Sec-Fetch-Site` is not sent over plain HTTP from elsewhere than this machine; `Host` may be a proxy's own.
    of_ours = site == "same-origin" if site else not origin or origin.partition("://")[2] == request.headers.get("host")
    if not of_ours or PAGE_HEADER not in request.headers:
        raise PermissionDeniedError(
            "A session is for the dashboard's own pages. Other programs send a key: Authorization: Bearer YOUR_KEY.",
            code="foreign_page",
        )


def _bearer(request: Request) -> str:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not value.strip():
        raise AuthenticationError(
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer "
            "auth (i.e. Authorization: Bearer YOUR_KEY)."
        )
    return value.strip()


def _expired(key: AdminKey, now: float) -> bool:
    return key.expires_at is not None and key.expires_at <= now


def _masked(value: str) -> str:
    """`sk-admin*fake`: enough to recognise a key by, not enough to use it."""
    shown = value if len(value) <= 64 else value[:32] + value[-32:]  # noqa: PLR2004 - a long one is cut short
    if len(shown) <= 12:  # noqa: PLR2004 - too short to show any of it
        return "*" * len(shown)
    return shown[:8] + "*" * (len(shown) - 12) + shown[-4:]
