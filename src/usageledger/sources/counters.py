"""Counters: running totals that metrics have, and what of them is new since they were counted last.

A counter is one series of points since its start: resource, scope, metric and attributes identify it, and the moment at
which it was zero. What is counted is the growth of the total, never the total; so a point that comes again, or too
late, adds nothing, and one that is lost is in the next.
"""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from usageledger.buckets import DAY_SECONDS
from usageledger.sources.readings import CounterPoint
from usageledger.sources.values import NANOSECONDS

KEPT_SECONDS = 90 * DAY_SECONDS  # since its last point, that a counter is remembered


@dataclass(frozen=True, slots=True)
class Counted:
    """The part of a counter that is counted.

    Attributes:
        total: of tokens.
        requests: of observations.
        at: the time of the point that said so, nanoseconds since 1970.
    """

    total: int = 0
    requests: int = 0
    at: int = 0


Known = MutableMapping[bytes, Counted]


def count(point: CounterPoint, known: Known, now: int) -> dict[str, Any] | str | None:
    """Makes the event of what is new in a point; why it cannot be told, or None where nothing is new.

    Args:
        point: of a counter.
        known: counter → what is counted of it; brought up to date.
        now: Unix seconds.
    """
    before = known.get(point.counter)
    if before is None and _is_unknown(point.start, point.at, now):
        return _begin(point, known)
    before = before or Counted()
    total, requests = point.total - before.total, point.requests - before.requests
    if point.at <= before.at:
        return _contradiction(point, before) if total > 0 or requests > 0 else None
    if total < 0 or requests < 0:
        return _contradiction(point, before)
    known[point.counter] = Counted(point.total, point.requests, point.at)
    if not total and not requests:
        return None
    counts = dict.fromkeys(point.fields, total) | _parts(point, total, known, now)
    return {
        **point.event,
        **counts,
        "num_model_requests": requests,
        "id": f"counter:{point.counter.hex()}:{before.total}:{before.requests}",
        "timestamp": point.at // NANOSECONDS,
    }


def _is_unknown(start: int, at: int, now: int) -> bool:
    """Returns true where nobody can tell how much of a new counter's total was counted before.

    A point at the start of its counter says that its real start is not known, and a counter that is older than what is
    remembered may have been forgotten.
    """
    return start == at or start < (now - KEPT_SECONDS) * NANOSECONDS


def _begin(point: CounterPoint, known: Known) -> str | None:
    """Counts from the total of this point on."""
    known[point.counter] = Counted(point.total, point.requests, point.at)
    for part in point.parts:
        known.setdefault(part.counter, Counted(part.total, 0, point.at))
    if not point.total and not point.requests:
        return None
    return (
        f"Nobody can tell since when the total of {point.total} was counted: it is counted from here on. A program "
        "that is started when the ledger is there loses nothing."
    )


def _parts(point: CounterPoint, room: int, known: Known, now: int) -> dict[str, int]:
    """Counts what is new in the parts of a total, as far as it is part of what is new in the total.

    Points of a part may come without those of its total; what is left then counts with the next growth.
    """
    found: dict[str, int] = {}
    for part in point.parts:
        before = known.get(part.counter)
        if before is None and _is_unknown(part.start, point.at, now):
            known[part.counter] = Counted(part.total, 0, point.at)
            continue
        before = before or Counted()
        added = min(max(part.total - before.total, 0), room)
        if added:
            room -= added
            known[part.counter] = Counted(before.total + added, 0, point.at)
            found[part.field] = added
    return found


def _contradiction(point: CounterPoint, before: Counted) -> str:
    late = "the same or an earlier time" if point.at <= before.at else "a later time"
    return (
        f"A total of {point.total} ({point.requests} observations) at {late} than that of {before.total} "
        f"({before.requests}) contradicts it: a counter of one start only grows. Two processes of equal attributes "
        "need a 'service.instance.id' each, and one that begins anew a new start."
    )
