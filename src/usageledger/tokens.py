"""Token counts of an event, totals and disjoint parts, in one canonical form.

The ledger stores parts that do not overlap, so that no token can be counted or charged twice; every reported total
is a sum of parts. An event may give totals, parts, or both. What is missing is derived where only one answer is
possible: audio and image parts that nobody mentions are 0, and text is what is left of a total. A cache write whose
lifetime nobody mentions is kept as just that, `input_cache_write_other_tokens`.

Which derivation applies depends only on *which* numbers an event gives. So a `Plan` is made once per such pattern:
linear expressions over the given numbers, which work on single integers and on whole numpy columns alike.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from usageledger.parts import CACHE_WRITE, CACHED, OUTPUT, UNCACHED

# A sum of given numbers, each with its sign: input_tokens - input_cached_tokens is {"input_tokens": 1, …: -1}.
Expression = dict[str, int]

UNCACHED_TOTAL = "input_uncached_tokens"
CACHED_TOTAL = "input_cached_tokens"
CACHE_WRITE_TOTAL = "input_cache_write_tokens"
INPUT_TOTAL = "input_tokens"
OUTPUT_TOTAL = "output_tokens"

# Each group of parts: its total, and the part that takes what is left when nobody says more.
_Group = tuple[str, tuple[str, ...], str]
_GROUPS: tuple[_Group, ...] = (
    (UNCACHED_TOTAL, UNCACHED, UNCACHED[0]),
    (CACHED_TOTAL, CACHED, CACHED[0]),
    (CACHE_WRITE_TOTAL, CACHE_WRITE, CACHE_WRITE[-1]),
    (OUTPUT_TOTAL, OUTPUT, OUTPUT[0]),
)
INPUTS = (CACHED_TOTAL, CACHE_WRITE_TOTAL, UNCACHED_TOTAL)
PARTS: tuple[str, ...] = (*UNCACHED, *CACHED, *CACHE_WRITE, *OUTPUT)
FIELDS: tuple[str, ...] = (
    INPUT_TOTAL,
    UNCACHED_TOTAL,
    CACHED_TOTAL,
    CACHE_WRITE_TOTAL,
    OUTPUT_TOTAL,
    *(part for part in PARTS if part != CACHE_WRITE[-1]),
)


@dataclass(frozen=True, slots=True)
class Check:
    """Something that must hold of the given numbers: `total - parts` is not negative, or is exactly zero."""

    total: Expression
    parts: Expression
    exact: bool

    def rest(self, given: Mapping[str, Any]) -> Any:
        """`total - parts`, for integers or for columns."""
        return evaluate(self.total, given) - evaluate(self.parts, given)

    def complaint(self, given: Mapping[str, int]) -> str | None:
        """Explains how the numbers contradict each other, naming them all; None where they do not."""
        rest = self.rest(given)
        if rest >= 0 and not (self.exact and rest):
            return None
        if rest < 0:
            return f"{_words(self.total, given)} is less than {_words(self.parts, given)}"
        return f"{_words(self.total, given)} is more than {_words(self.parts, given)}: what are the other {rest}?"


@dataclass(slots=True)
class Plan:
    """A way to derive the parts from one pattern of given numbers.

    Attributes:
        parts: an expression for every part.
        checks: what must hold, or the event contradicts itself.
        missing: the totals that nothing given determines.
    """

    parts: dict[str, Expression]
    checks: list[Check]
    missing: list[str]


def evaluate(expression: Expression, given: Mapping[str, Any]) -> Any:
    """The value of `expression`: an integer for integers, a column for numpy columns."""
    value: Any = 0
    for name, sign in expression.items():
        value = value + given[name] if sign > 0 else value - given[name]
    return value


@lru_cache(maxsize=1024)
def plan(given: frozenset[str]) -> Plan:
    """The plan for events that give exactly the fields in `given` (a subset of `FIELDS`)."""
    made = Plan({}, [], [])
    totals, assumed = _group_totals(given, made)
    for group in _GROUPS:
        _share(group, totals[group[0]], given, made, sure=group[0] != assumed)
    return made


def _group_totals(given: frozenset[str], made: Plan) -> tuple[dict[str, Expression], str | None]:
    """An expression for the total of each group, and the one that rests on others being 0; notes what is missing."""
    stated = {total: dict.fromkeys([p for p in parts if p in given], 1) for total, parts, _ in _GROUPS}
    known: dict[str, Expression] = {}
    for total, parts, _ in _GROUPS:
        if total in given:
            known[total] = {total: 1}
        elif all(part in given for part in parts if part in FIELDS):
            known[total] = stated[total]
    # The last unknown group takes what is left of the input; uncached stands last, so it is the first choice.
    unknown = [total for total in INPUTS if total not in known]
    taker = unknown.pop() if INPUT_TOTAL in given and _has_taker(unknown) else None
    for total in (*unknown, OUTPUT_TOTAL):
        known.setdefault(total, stated[total])
    if INPUT_TOTAL in given:
        others = _plus(*(known[total] for total in INPUTS if total != taker))
        _check(made, {INPUT_TOTAL: 1}, others, exact=taker is None)
        if taker:
            known[taker] = _minus({INPUT_TOTAL: 1}, others)
    elif not known[UNCACHED_TOTAL]:
        made.missing.append(INPUT_TOTAL)
    if not known[OUTPUT_TOTAL]:
        made.missing.append(OUTPUT_TOTAL)
    return known, taker if unknown else None


def _has_taker(unknown: Sequence[str]) -> bool:
    return len(unknown) == 1 or UNCACHED_TOTAL in unknown


def _share(group: _Group, total: Expression, given: frozenset[str], made: Plan, *, sure: bool) -> None:
    """Expressions for the parts of one group, given an expression for its total.

    What is left of a total that is not `sure` may just as well be cached, so no part but text takes it.
    """
    _, parts, remainder = group
    stated: Expression = {part: 1 for part in parts if part in given}
    absent = [part for part in parts if part not in given]
    taker = remainder if remainder in absent else absent[0] if sure and len(absent) == 1 else None
    for part in parts:
        made.parts[part] = {part: 1} if part in given else {}
    if taker:
        made.parts[taker] = _minus(total, stated)
    _check(made, total, stated, exact=taker is None)


def _check(made: Plan, total: Expression, parts: Expression, *, exact: bool) -> None:
    """Notes that `parts` must fit into `total`, unless there is nothing that could contradict it."""
    if parts and _minus(total, parts):
        positive = {name: 1 for name, sign in total.items() if sign > 0}
        negative = {name: 1 for name, sign in total.items() if sign < 0}
        made.checks.append(Check(positive, _plus(negative, parts), exact))


def _plus(*expressions: Expression) -> Expression:
    total: Expression = {}
    for expression in expressions:
        for name, sign in expression.items():
            total[name] = total.get(name, 0) + sign
    return {name: sign for name, sign in total.items() if sign}


def _minus(left: Expression, *right: Expression) -> Expression:
    return _plus(left, *({name: -sign for name, sign in expression.items()} for expression in right))


def _words(expression: Expression, given: Mapping[str, int]) -> str:
    return " plus ".join(f"{name} ({given[name]})" for name in expression) or "0"


def complaints(given: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Lists the contradictions and the missing totals in one event's numbers, as (field, reason) pairs."""
    made = plan(frozenset(given))
    for total in made.missing:
        yield total, f"{total} is required, and the numbers given do not determine it"
    for check in made.checks:
        if complaint := check.complaint(given):
            yield next(iter(check.parts or check.total)), complaint
