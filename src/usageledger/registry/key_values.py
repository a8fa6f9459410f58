"""Values of admin API keys: new ones, checks of given ones, and their digests; and scopes that are given."""

import hashlib
import secrets
from collections.abc import Iterable

from usageledger.errors import RegistryError
from usageledger.registry.records import SCOPES

KEY_PREFIX = "sk-admin-"
KEY_CHARACTERS_MIN = 20
KEY_CHARACTERS_MAX = 512


def new_value() -> str:
    """Makes a value that nobody can guess."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def check_value(value: str) -> str:
    """Returns the value if a key may have it; the errors do not show it."""
    if not KEY_CHARACTERS_MIN <= len(value) <= KEY_CHARACTERS_MAX:
        lengths = f"{KEY_CHARACTERS_MIN} to {KEY_CHARACTERS_MAX} characters"
        raise RegistryError(f"The value of a key must be {lengths} long, not {len(value)}.")
    if not all("!" <= character <= "~" for character in value):
        raise RegistryError("The value of a key must be visible ASCII characters, without spaces or line ends.")
    return value


def digest_of(value: str) -> bytes:
    """The SHA-256 digest that a value is found by, of a key or a session."""
    # A header may hold what is no text; that is an unknown key, not a failure.
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest()


def redact(value: str) -> str:
    """Returns enough of a value to recognise it by."""
    return f"{KEY_PREFIX if value.startswith(KEY_PREFIX) else ''}...{value[-4:]}"


def check_scopes(scopes: Iterable[str]) -> list[str]:
    """Gives the scopes, each once, in the order of SCOPES. Raises RegistryError."""
    asked = set(scopes)
    unknown = sorted(asked.difference(SCOPES))
    if unknown:
        raise RegistryError(f"Unknown scope: {', '.join(map(repr, unknown))}. Allowed are {', '.join(SCOPES)}.")
    if not asked:
        raise RegistryError(f"A key needs a scope. Allowed are {', '.join(SCOPES)}.")
    return [scope for scope in SCOPES if scope in asked]
