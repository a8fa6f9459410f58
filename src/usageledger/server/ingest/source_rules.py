"""The operator's rules on sources, as servers have them: what is set is in use some seconds later."""

import threading
from collections.abc import Callable, Mapping

from usageledger.registry.source_rules import SourceRules
from usageledger.sources.rules import Rule, Rules

LOOKED_UP_SECONDS = 5


class CurrentRules:
    """Gives the rules for a request. For many threads; may raise RegistryError."""

    def __init__(self, stored: SourceRules, clock: Callable[[], float]) -> None:
        self._stored = stored
        self._clock = clock
        self._looking = threading.Lock()
        self._rules: list[Rule] = []
        self._looked_at = float("-inf")

    def __call__(self, key_id: str | None, headers: Mapping[str, str]) -> Rules:
        """The rules for what a key sends with these headers."""
        with self._looking:
            if self._clock() - self._looked_at >= LOOKED_UP_SECONDS:
                self._rules = [each.rule for each in self._stored.list()]
                self._looked_at = self._clock()
        return Rules(self._rules, key_id, headers)
