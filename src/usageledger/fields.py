"""Fields of events and of JSON bodies: how each is read, and how its rule is put in words."""

from dataclasses import dataclass
from typing import Any

import msgspec

LONGEST_NAME = 256
LONGEST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an event: how it is read, and how its rule is put in words."""

    name: str
    rule_type: Any
    python: tuple[type, ...]
    noun: str
    rule: str
    default: Any = msgspec.NODEFAULT

    def problem(self, value: Any) -> tuple[str, str] | None:
        """(code, message) where `value` is not allowed, else None."""
        if isinstance(value, str) and "\0" in value:
            return "invalid_value", f"Invalid '{self.name}': expected text without NUL characters, got {shown(value)}"
        try:
            msgspec.convert(value, self.rule_type)
        except msgspec.ValidationError:
            wrong_type = type(value) not in self.python
            expected = self.noun if wrong_type else self.rule
            code = "invalid_type" if wrong_type else "invalid_value"
            return code, f"Invalid '{self.name}': expected {expected}, got {shown(value)}"
        return None


def shown(value: Any) -> str:
    """Return a value as messages have it, cut to `LONGEST_SHOWN` characters."""
    text = (
        repr(value[:LONGEST_SHOWN]) if isinstance(value, str) else msgspec.json.encode(value).decode(errors="replace")
    )
    cut = len(text) > LONGEST_SHOWN or (isinstance(value, str) and len(value) > LONGEST_SHOWN)
    return text[: LONGEST_SHOWN - 3] + "..." if cut else text
