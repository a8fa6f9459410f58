"""Fields of events and of JSON bodies: how each is read, and how its rule is put in words."""

from dataclasses import dataclass
from typing import Any

import msgspec

NAME_CHARACTERS_MAX = 256
SHOWN_MAX = 100
END_OF_TEXT = r"(?![\s\S])"  # `$` is also before a newline at the end, and not all readers of patterns know `\Z`
_NUMBERS = msgspec.json.Encoder(decimal_format="number")


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
    """Return a value as messages have it, cut to `SHOWN_MAX` characters."""
    text = repr(value[:SHOWN_MAX]) if isinstance(value, str) else _NUMBERS.encode(value).decode(errors="replace")
    cut = len(text) > SHOWN_MAX or (isinstance(value, str) and len(value) > SHOWN_MAX)
    return text[: SHOWN_MAX - 3] + "..." if cut else text
