"""Ids that the registry makes, and the rules of the text that it keeps."""

import secrets

from usageledger.errors import RegistryError
from usageledger.registry.schema import TEXT_CHARACTERS_MAX


def new_id(prefix: str) -> str:
    """Makes an id that nothing else has."""
    return prefix + secrets.token_urlsafe(18)


def check_text(what: str, text: str) -> None:
    """Raises RegistryError unless this is text of 1 to 256 characters."""
    if not 1 <= len(text) <= TEXT_CHARACTERS_MAX:
        raise RegistryError(f"{what} must be 1 to {TEXT_CHARACTERS_MAX} characters long, not {len(text)}.")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise RegistryError(f"{what} must be text that UTF-8 can hold, not {text!r}.")
