"""Senders: the emitter of a group of items, for whom its items were, and which of its signals counts."""

from usageledger.pricing.names import provider_name
from usageledger.sources.otlp.dialect import Dialect, Layout, first_of
from usageledger.sources.otlp.dialects import counts_by_metrics
from usageledger.sources.otlp.items import Attributes, Group
from usageledger.sources.otlp.signals import Signal
from usageledger.sources.readings import Emitter
from usageledger.sources.rules import NO_RULES, Rules

UNNAMED_SERVICE = "unknown_service"  # as SDKs name a program that has no name


class Sender:
    """The emitter of a group, and for whom its resource says that all of it was.

    Attributes:
        signal: the only one that counts; None where their dialects say it.
    """

    def __init__(self, group: Group, rules: Rules = NO_RULES) -> None:
        self.scope, self._resource = group.scope, group.resource
        self._rules = rules.of(group.scope, str(group.resource.get("service.name", "")))
        given = self._rules.signal
        self.signal = Signal.METRICS if given is None and counts_by_metrics(group.scope) else given
        self._version = group.version
        self._emitters: dict[str, Emitter] = {}
        self._whos: dict[Dialect, dict[str, str]] = {}

    def emitter(self, attributes: Attributes) -> Emitter:
        """Names it, by what one of its items says."""
        version = self._version or _version_in(attributes) or str(self._resource.get("service.version", ""))
        if version not in self._emitters:
            name = self.scope or str(self._resource.get("service.name", "")) or "unnamed"
            self._emitters[version] = Emitter(name, version)
        return self._emitters[version]

    def who_of(self, row: Dialect, layout: Layout, attributes: Attributes) -> dict[str, str]:
        """Field of an event → its value: the operator's rules come before an item, and an item before its resource."""

        def attribute(name: str) -> object:
            return attributes.get(name, self._resource.get(name))

        of_item = {field: str(attributes[name]) for field, name in layout.who.items()}
        return self._who(row) | of_item | self._rules.who(attribute)

    def _who(self, row: Dialect) -> dict[str, str]:
        """Gives what the resource says; a service without a name is no project."""
        if row not in self._whos:
            found = {field: str(self._resource[name]) for field, name in first_of(row.who, self._resource).items()}
            self._whos[row] = {field: value for field, value in found.items() if not value.startswith(UNNAMED_SERVICE)}
        return self._whos[row]


def _version_in(attributes: Attributes) -> str:
    """The version that the AI SDK has in its user agent, `ai/5.0.277`."""
    name, _, version = str(attributes.get("ai.request.headers.user-agent", "")).partition("/")
    return version.partition(" ")[0] if name == "ai" else ""


def provider_of(given: str, row: Dialect) -> str:
    """The name by which prices know a provider; `github` is Copilot there, and GitHub Models elsewhere."""
    name = given.partition(".")[0] if row.dotted_providers else given
    return "github-copilot" if name == "github" else provider_name(name) or name
