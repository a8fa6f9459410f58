"""Calendar months in UTC: the periods of limits and alerts."""

from dataclasses import dataclass
from datetime import UTC, datetime

DECEMBER = 12


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month, from `start` to `end` (exclusive), Unix seconds."""

    start: int
    end: int

    @property
    def name(self) -> str:
        """The month for a person: `November 2026`."""
        return f"{datetime.fromtimestamp(self.start, UTC):%B %Y}"


def month_of(seconds: int) -> Month:
    """The month that a time (Unix seconds) is in."""
    first = datetime.fromtimestamp(seconds, UTC).replace(day=1, hour=0, minute=0, second=0)
    after = (
        first.replace(year=first.year + 1, month=1) if first.month == DECEMBER else first.replace(month=first.month + 1)
    )
    return Month(int(first.timestamp()), int(after.timestamp()))
