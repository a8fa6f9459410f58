"""Counts of what emitters sent, on their way to the registry: added up here, written once a second."""

import threading
from collections.abc import Callable, Mapping

from usageledger.registry.schema import TEXT_CHARACTERS_MAX
from usageledger.registry.source_counts import OTHERS, EmitterName, SourceCounts
from usageledger.repeating import Repeating
from usageledger.sources.readings import EMITTER_CHARACTERS_MAX, Emitter

SECONDS_BETWEEN_WRITES = 1.0
PENDING_MAX = 10_000  # counts of single emitters that wait; further emitters are counted together

Counted = dict[tuple[EmitterName, str], tuple[int, str]]


class PendingSourceCounts:
    """Adds counts up until they are written; those of the last second are lost with a server that is killed."""

    def __init__(self, stored: SourceCounts, clock: Callable[[], float]) -> None:
        self._stored = stored
        self._clock = clock
        self._pending: Counted = {}
        self._lock = threading.Lock()  # guards _pending
        self._writing = threading.Lock()  # of the one thread that writes
        self._repeating = Repeating(
            "source counts", SECONDS_BETWEEN_WRITES, self.write, "counts of sources were not written"
        )

    def start(self) -> None:
        """Starts to write."""
        self._repeating.start()

    def close(self) -> None:
        """Writes what is left, and ends."""
        self._repeating.stop()
        self._repeating.once()

    def add(self, emitter: Emitter, found: Mapping[str, tuple[int, str]]) -> None:
        """Adds item → (how many more, the id of one of them)."""
        with self._lock:
            name = OTHERS
            if len(self._pending) < PENDING_MAX:
                most = EMITTER_CHARACTERS_MAX
                name = (_storable(emitter.name, most), _storable(emitter.version, most))
            for item, (count, example) in found.items():
                before, _ = self._pending.get((name, item), (0, ""))
                self._pending[name, item] = (before + count, _storable(example, TEXT_CHARACTERS_MAX))

    def write(self) -> None:
        """Writes all that was added; raises RegistryError, and keeps it then."""
        with self._writing:
            with self._lock:
                taken, self._pending = self._pending, {}
            if not taken:
                return
            try:
                self._stored.add(taken, now=int(self._clock()))
            except BaseException:
                with self._lock:
                    for key, (count, example) in taken.items():
                        more, newer = self._pending.get(key, (0, example))
                        self._pending[key] = (count + more, newer)
                raise


def _storable(text: str, characters_max: int) -> str:
    """The beginning of a text as every database can keep it: a NUL, or half a character, is replaced."""
    return text[:characters_max].replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
