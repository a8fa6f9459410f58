"""Rules of the operator: from what of an emitter the project, the user and the API key of its events come.

One rule is of another kind: `signal` says which of an emitter's signals of OpenTelemetry counts.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from usageledger.fields import NAME_CHARACTERS_MAX
from usageledger.sources.otlp.signals import Signal

SIGNAL = "signal"
RULE_FIELDS = ("project_id", "user_id", "api_key_id", SIGNAL)
ATTRIBUTE, HEADER, VALUE = "attribute", "header", "value"
PLACES = (ATTRIBUTE, HEADER, VALUE)
ORIGINS_MAX = 20


@dataclass(frozen=True, slots=True)
class Origin:
    """A place where a value may be.

    Attributes:
        place: `attribute` of an item, its resource or a gateway's metadata; `header` of the request; or `value`, which
            is the value itself.
        name: of the attribute or header, or the value.
    """

    place: str
    name: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule for one field.

    Attributes:
        field: of an event, or `signal`.
        origins: in order; the first that gives something counts.
        emitter: a pattern of names of emitters, or of their services.
        key_id: the key that sends; None for any.
    """

    field: str
    origins: tuple[Origin, ...]
    emitter: str = "*"
    key_id: str | None = None


def origin_of(text: str) -> Origin:
    """Reads an origin: the name of an attribute, or `header:NAME`, `value:TEXT`, `attribute:NAME`.

    Raises:
        ValueError: it names nothing, or too much.
    """
    place, colon, name = text.partition(":")
    if not colon or place not in PLACES:
        place, name = ATTRIBUTE, text
    name = name.strip()
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX:
        raise ValueError(f"expected 1 to {NAME_CHARACTERS_MAX} characters, got {text[:100]!r}")
    return Origin(place, name.lower() if place == HEADER else name)


def signal_of(text: str) -> Origin:
    """Reads the origin of a rule on the signal that counts: its name.

    Raises:
        ValueError: it is no signal.
    """
    name = text.removeprefix(f"{VALUE}:")
    if name not in set(Signal):
        raise ValueError(f"expected one of {', '.join(Signal)}, got {text[:100]!r}")
    return Origin(VALUE, name)


def text_of(origin: Origin) -> str:
    """Writes an origin as `origin_of` reads it."""
    return origin.name if origin.place == ATTRIBUTE and ":" not in origin.name else f"{origin.place}:{origin.name}"


class Rules:
    """Rules that hold for one request; those of its key come last and prevail.

    Attributes:
        attributes: the names of those that are read.
    """

    def __init__(
        self, rules: Iterable[Rule] = (), key_id: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        held = (rule for rule in rules if rule.key_id in (None, key_id))
        self._rules = sorted(held, key=lambda rule: rule.key_id is not None)
        self._key_id = key_id
        self._headers = headers or {}
        self.attributes = frozenset(
            origin.name for rule in self._rules for origin in rule.origins if origin.place == ATTRIBUTE
        )

    def of(self, *names: str) -> "Rules":
        """Gives those for an emitter that goes by any of these names."""
        chosen = (rule for rule in self._rules if any(fnmatchcase(name, rule.emitter) for name in names))
        return Rules(chosen, self._key_id, self._headers) if self._rules else self

    @property
    def signal(self) -> Signal | None:
        """The only signal that counts; None where no rule says it."""
        named = [rule.origins[0].name for rule in self._rules if rule.field == SIGNAL]
        return Signal(named[-1]) if named else None

    def who(self, attribute: Callable[[str], object]) -> dict[str, str]:
        """Finds what they give: field → its value."""
        found: dict[str, str] = {}
        for rule in self._rules:
            if rule.field == SIGNAL:
                continue
            value = next(filter(None, (self._find(origin, attribute) for origin in rule.origins)), "")
            found |= {rule.field: value} if value else {}
        return found

    def _find(self, origin: Origin, attribute: Callable[[str], object]) -> str:
        if origin.place == VALUE:
            return origin.name
        found = self._headers.get(origin.name) if origin.place == HEADER else attribute(origin.name)
        return "" if found is None or isinstance(found, dict | list) else str(found)


NO_RULES = Rules()
