"""Projects and users that events mention."""

from collections.abc import Callable

from usageledger.registry import Registry

NAMES_KEPT_MAX = 100_000  # of projects, and of users; about 10 MB each


class SeenNames:
    """Lets the registry know each project and user, when an event first names it.

    Names that it knows for certain are remembered, so that most commits ask it nothing; there may be any number of
    others, which it finds for itself.

    Args:
        kept_max: how many projects are remembered, and how many users.
    """

    def __init__(self, registry: Registry, clock: Callable[[], float], *, kept_max: int = NAMES_KEPT_MAX) -> None:
        self._registry = registry
        self._clock = clock
        self._kept_max = kept_max
        self._projects: set[str] = set()
        self._users: set[str] = set()

    def note(self, projects: set[str], users: set[str]) -> None:
        """Called by one writer at a time, before the events are committed."""
        new_projects, new_users = projects - self._projects, users - self._users
        if new_projects or new_users:
            self._registry.note_seen(new_projects, new_users, now=int(self._clock()))
            self._remember(self._projects, new_projects)
            self._remember(self._users, new_users)

    def _remember(self, known: set[str], new: set[str]) -> None:
        """Adds the new ones; where that is too much, they alone are kept, unless they are too many themselves."""
        if len(known) + len(new) > self._kept_max:
            known.clear()
        if len(new) <= self._kept_max:
            known.update(new)
