"""Projects and users that events mention."""

from collections.abc import Callable

from usageledger.registry import Registry

NAMES_KEPT_MAX = 100_000  # of projects, and of users; about 10 MB each


class SeenNames:
    """Lets the registry know each project and user, when an event first names it.

    Names that it knows for certain are remembered, so that most commits ask it nothing; there may be any number of
    others, which it finds for itself.
    """

    def __init__(self, registry: Registry, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._clock = clock
        self._projects: set[str] = set()
        self._users: set[str] = set()

    def note(self, projects: set[str], users: set[str]) -> None:
        """Called by one writer at a time, before the events are committed."""
        new_projects, new_users = projects - self._projects, users - self._users
        if new_projects or new_users:
            self._registry.note_seen(new_projects, new_users, now=int(self._clock()))
            _remember(self._projects, new_projects)
            _remember(self._users, new_users)


def _remember(known: set[str], new: set[str]) -> None:
    """Adds the new ones; where that is too much, they alone are kept, unless they are too many themselves."""
    if len(known) + len(new) > NAMES_KEPT_MAX:
        known.clear()
    if len(new) <= NAMES_KEPT_MAX:
        known.update(new)
