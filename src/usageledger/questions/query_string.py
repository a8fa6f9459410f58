"""Names, lists and values in a query string, as clients write them."""

import re
from collections.abc import Sequence

from usageledger.errors import InvalidRequestError
from usageledger.hints import did_you_mean

COMMA = re.compile(r", *(?=[^, ])|,")  # blanks behind it belong to it, but for a value that is nothing else
SPACED_COMMA = re.compile(r",(?! )")  # between values that may have a comma and a blank in them
_BRACKETS = re.compile(r"\[[0-9]{0,4}\]$")


def bare_name(raw: str) -> str:
    """Gives the name of a parameter without the brackets of a list: `models` of `models[]` and of `models[2]`."""
    return _BRACKETS.sub("", raw)


def unknown_parameter(raw: str, known: Sequence[str], value: str | None = None) -> InvalidRequestError:
    """Makes the error of a parameter, as it is written in the query string, that is not among `known`.

    It shows the `value` where that is given: not of any parameter, since it may be a secret.
    """
    allowed = ", ".join(f"'{name}'" for name in known) or "none"
    hint = did_you_mean(bare_name(raw), known) or f" Allowed are: {allowed}."
    shown = raw[:256]
    given = "" if value is None else f", given as '{value[:100]}'"
    return InvalidRequestError(f"Unknown parameter: '{shown}'{given}.{hint}", param=shown, code="unknown_parameter")


def unsupported(name: str, value: str, allowed: Sequence[str], others: str = "") -> InvalidRequestError:
    """Makes the error of a value that is not among `allowed`; `others` is a sentence about further values."""
    supported = ", ".join(f"'{v}'" for v in allowed)
    return InvalidRequestError(
        f"Invalid value for '{name}': '{value[:256]}'. Supported values are: {supported}."
        f"{others}{did_you_mean(value, allowed)}",
        param=name,
        code="invalid_value",
    )
