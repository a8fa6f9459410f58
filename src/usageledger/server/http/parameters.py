"""Query parameters of the addresses that are not usage: which there are, once each, and what they may be."""

import re
from collections.abc import Mapping, Sequence

from starlette.requests import Request

from usageledger.errors import InvalidRequestError
from usageledger.hints import did_you_mean
from usageledger.server.http.requests import parameters


def take(request: Request, known: Sequence[str] = (), listed: Sequence[str] = ()) -> dict[str, list[str]]:
    """Parameter name → its values; those in `listed` are lists, in any of the three encodings."""
    found: dict[str, list[str]] = {}
    for raw, value in parameters(request):
        name = raw.removesuffix("[]") if raw.removesuffix("[]") in listed else raw
        if name not in known:
            allowed = ", ".join(f"'{k}'" for k in known) or "none"
            hint = did_you_mean(name, known) or f" Allowed are: {allowed}."
            raise refused(raw[:256], f"Unknown parameter: '{raw[:256]}'.{hint}", "unknown_parameter")
        if name not in listed and name in found:
            raise refused(name, f"Parameter given twice: '{name}'.")
        if "\0" in value:
            raise refused(name, f"Invalid '{name}': expected text without NUL, got {value[:100]!r}.")
        # In brackets a value stands for itself, so that one with a comma can be asked for.
        found.setdefault(name, []).extend(value.split(",") if raw in listed else [value])
    return found


def take_limit(given: Mapping[str, list[str]], default: int, most: int) -> int:
    """How many entries are listed at most."""
    text = given.get("limit", [str(default)])[0]
    if not re.fullmatch("-?[0-9]{1,18}", text):
        raise refused("limit", f"Invalid type for 'limit': expected an integer, got '{text[:100]}'.", "invalid_type")
    if not 1 <= int(text) <= most:
        raise refused("limit", f"Invalid 'limit': expected an integer from 1 to {most}, got {text}.")
    return int(text)


def one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    """`value`, which has to be one of these."""
    if value not in allowed:
        supported = ", ".join(f"'{v}'" for v in allowed)
        hint = did_you_mean(value, allowed)
        raise refused(name, f"Invalid value for '{name}': '{value[:256]}'. Supported values are: {supported}.{hint}")
    return value


def refused(param: str, message: str, code: str = "invalid_value") -> InvalidRequestError:
    """The error of a parameter that cannot be taken."""
    return InvalidRequestError(message, param=param, code=code)
