"""Questions for the values of a dimension."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facet:
    """A question for the values that a dimension has; times are Unix seconds.

    Attributes:
        kind: only values of this kind of usage; None for all kinds.
        start, end: of the window, whole UTC days.
        search: only values that have this in them, its letters' case folded, and those of `named`; empty for all.
    """

    dimension: str
    kind: str | None
    start: int
    end: int
    search: str = ""
    named: Sequence[str] = ()
