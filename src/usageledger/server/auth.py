"""Who may do what: `Authorization: Bearer` keys, their scopes, and how often each may ask."""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from math import ceil

import anyio.to_thread
from starlette.requests import Request

from usageledger.errors import AuthenticationError, PermissionDeniedError, RateLimitError
from usageledger.registry import AdminKey, Registry

CACHE_SECONDS = 2  # how long a revoked key may still work
MOST_CACHED_KEYS = 10_000


@dataclass(slots=True)
class _Entry:
    """A key that was found, when it was, and what is left of its requests."""

    key: AdminKey
    found_at: float
    tokens: float
    refilled_at: float = field(default=0.0)


class Authenticator:
    """Finds the key of a request; keys that were found are remembered for `CACHE_SECONDS`."""

    def __init__(self, registry: Registry, requests_per_minute: int, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._per_minute = requests_per_minute
        self._clock = clock
        self._entries: dict[bytes, _Entry] = {}
        self._times_forgotten = 0

    def forget(self, key_id: str) -> None:
        """Drops a key that was revoked, so that it does not work a moment longer in this process."""
        self._times_forgotten += 1
        self._entries = {digest: entry for digest, entry in self._entries.items() if entry.key.id != key_id}

    async def require(self, request: Request, *scopes: str) -> AdminKey:
        """The request's key, which has one of `scopes`.

        Raises:
            AuthenticationError: no key, or one that is unknown, expired or revoked.
            PermissionDeniedError: the key has none of the scopes.
            RateLimitError: the key has used up its requests for now.
        """
        entry = await self._entry(_bearer(request))
        if not set(scopes) & set(entry.key.scopes):
            raise PermissionDeniedError(
                f"You have insufficient permissions for this operation. Missing scopes: {' or '.join(scopes)}. "
                "Check that you have the correct role in your organization, and if you're using a restricted API key, "
                "that it has the necessary scopes."
            )
        if self._per_minute:
            self._spend(entry)
        return entry.key

    async def _entry(self, value: str) -> _Entry:
        now = self._clock()
        digest = sha256(value.encode()).digest()
        entry = self._entries.get(digest)
        if entry and abs(now - entry.found_at) < CACHE_SECONDS and not _expired(entry.key, now):
            return entry
        forgotten = self._times_forgotten
        key = await anyio.to_thread.run_sync(self._find, value, int(now))
        if key is None:
            self._entries.pop(digest, None)
            raise AuthenticationError(
                f"Incorrect API key provided: {_masked(value)}. You can make a key with `usageledger keys create`."
            )
        # Another request with this key may have been faster; they share what is left of its requests.
        entry = self._entries.get(digest) or _Entry(key, now, tokens=float(self._per_minute), refilled_at=now)
        if forgotten == self._times_forgotten:  # else it may have been found just before it was revoked
            entry.key, entry.found_at = key, now
            self._remember(digest, entry)
        return entry

    def _remember(self, digest: bytes, entry: _Entry) -> None:
        if len(self._entries) >= MOST_CACHED_KEYS:
            self._entries.clear()
        self._entries[digest] = entry

    def _find(self, value: str, now: int) -> AdminKey | None:
        key = self._registry.find_key(value, now=now)
        if key:
            self._registry.touch_key(key.id, now=now)
        return key

    def _spend(self, entry: _Entry) -> None:
        """Takes one request from the key's bucket, which fills at `requests_per_minute` and holds a minute's worth."""
        now, rate = self._clock(), self._per_minute / 60
        entry.tokens = min(float(self._per_minute), entry.tokens + max(0.0, now - entry.refilled_at) * rate)
        entry.refilled_at = now
        if entry.tokens < 1:
            raise RateLimitError(
                f"Rate limit reached: this key may make {self._per_minute} requests per minute.",
                retry_after=max(1, ceil((1 - entry.tokens) / rate)),
            )
        entry.tokens -= 1


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
