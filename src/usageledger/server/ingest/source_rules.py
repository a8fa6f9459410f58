"""The operator's rules on sources, as servers have them: what is set is in use some seconds later."""

from collections.abc import Callable, Mapping

import anyio.to_thread

from usageledger.registry.source_rules import SourceRules
from usageledger.sources.rules import Rule, Rules

LOOKED_UP_SECONDS = 5


class CurrentRules:
    """Gives the rules for a request. For one event loop."""

    def __init__(self, stored: SourceRules, clock: Callable[[], float]) -> None:
        self._stored = stored
        self._clock = clock
        self._rules: list[Rule] = []
        self._looked_at = float("-inf")

    async def of(self, key_id: str | None, headers: Mapping[str, str]) -> Rules:
        """The rules for what a key sends with these headers; raises RegistryError."""
        if self._clock() - self._looked_at >= LOOKED_UP_SECONDS:
            stored = await anyio.to_thread.run_sync(self._stored.list)
            self._rules, self._looked_at = [each.rule for each in stored], self._clock()
        return Rules(self._rules, key_id, headers)
