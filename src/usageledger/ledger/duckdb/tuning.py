"""Numbers that an embedded ledger works by: when it does what it puts off, and how much it remembers."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Worth:
    """Thresholds from which a step of a family of rollups is worth a transaction.

    Attributes:
        events: of later commits, which queries read one by one until they are added to the rollups.
        rows: added to one rollup since its fullest spans were merged.
        spans: merged in one step, so that a step stays short.
    """

    events: int
    rows: int
    spans: int


def _worth() -> dict[str, Worth]:
    return {"models": Worth(300_000, 150_000, 64), "keys": Worth(800_000, 600_000, 1)}


@dataclass(frozen=True, slots=True)
class Tuning:
    """The tuning of an embedded ledger. The defaults were measured, and are those of every ledger outside of tests.

    Attributes:
        full_rows: in the journal, that make it worth moving at once; a commit of more goes straight to the events: one
            of twice as many would be written twice.
        full_bytes: the same: rows of long texts take more than others.
        full_commits: the same; each is a piece of what queries read.
        journal_rows_max: where moving does not keep up, the writer waits for it.
        journal_bytes_max: the same.
        busy_seconds: after a commit, another is likely.
        identities_kept_max: of recent commits, remembered; about 30 MB.
        responses_kept_max: of the days that commits ask about, remembered in 8 bytes each. Where a commit asks about
            days with more, each commit reads the ids of these days.
        facets_kept_max: values of dimensions, remembered; about 40 MB.
        worth: of each family of rollups. Larger steps cost less each event and leave less of the file unused; a query
            reads what is left in some milliseconds.
        checkpoint_threshold: of the log, from which it is folded into the file. 8 MB: stalls of 2 s; 256 MB: rare ones
            of 5 s.
        mend_seconds: between attempts to write after that failed, and the first two to fold the log in.
        mend_seconds_max: between later attempts to fold the log in, each of which ends the engine again.
    """

    full_rows: int = 60_000
    full_bytes: int = 64 * 1024**2
    full_commits: int = 256
    journal_rows_max: int = 500_000
    journal_bytes_max: int = 256 * 1024**2
    busy_seconds: float = 1.0
    identities_kept_max: int = 500_000
    responses_kept_max: int = 20_000_000
    facets_kept_max: int = 300_000
    worth: Mapping[str, Worth] = field(default_factory=_worth)
    checkpoint_threshold: str = "64MB"
    mend_seconds: float = 2.0
    mend_seconds_max: float = 60.0


MEASURED = Tuning()
