"""Token counts of whole columns → their disjoint parts, by the plans of `tokens`.

Events give their numbers in few patterns, each in many rows, so a plan is applied to all rows of its pattern at once.
Whoever makes up patterns has up to 2 to the power of 18 of them, and a few rows of each. To all but the most frequent
ones their plans are applied as matrices, all at once; and a matrix that was made is kept, as far as there is room.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from usageledger import tokens

COMMON_PATTERNS_MAX = 16  # whose plans are applied one after another, which is faster for few or long ones
MATRICES_KEPT_MAX = 1 << 16  # of some hundred bytes each
CHECKS_MAX = 11  # of a plan, where an exact one is two, and what is missing is one
PLACES = {name: place for place, name in enumerate(tokens.FIELDS)}
PART_PLACES = {part: place for place, part in enumerate(tokens.PARTS)}

Array = np.ndarray[Any, Any]


def derive(
    columns: Mapping[str, Array], *, common_patterns_max: int = COMMON_PATTERNS_MAX
) -> tuple[dict[str, Array], Array]:
    """Derives the parts from columns of all of `tokens.FIELDS`, where less than 0 is not given.

    Returns:
        The column of each of `tokens.PARTS`, and for each row, whether its numbers contradict each other or do not
        determine the parts.
    """
    given = np.stack([columns[name] for name in tokens.FIELDS])
    present = given >= 0
    patterns = (present * (1 << np.arange(len(PLACES)))[:, None]).sum(axis=0)
    parts = np.zeros((len(PART_PLACES), len(patterns)), np.int64)
    wrong = np.zeros(len(patterns), bool)
    found, counts = np.unique(patterns, return_counts=True)
    common = found[np.argsort(-counts)[:common_patterns_max]]
    for pattern in common.tolist():
        rows = np.nonzero(patterns == pattern)[0]
        _by_plan(pattern, rows, given, parts, wrong)
    if len(common) < len(found):
        rows = np.nonzero(~np.isin(patterns, common))[0]
        kinds, places = np.unique(patterns[rows], return_inverse=True)
        matrices = np.stack([matrix(pattern) for pattern in kinds.tolist()])
        numbers = np.vstack([np.maximum(given[:, rows], 0), np.ones(len(rows), np.int64)])
        sums = np.einsum("rsn,nr->sr", matrices[places], numbers)
        parts[:, rows] = sums[: len(parts)]
        wrong[rows] = (sums[len(parts) :] < 0).any(axis=0)
    return dict(zip(tokens.PARTS, parts, strict=True)), wrong


def _named(pattern: int) -> dict[str, int]:
    return {name: place for name, place in PLACES.items() if pattern >> place & 1}


def _by_plan(pattern: int, rows: Array, given: Array, parts: Array, wrong: Array) -> None:
    """Fills in the parts of rows of one pattern, and whether they are wrong."""
    named = {name: given[place][rows] for name, place in _named(pattern).items()}
    made = tokens.plan(frozenset(named))
    bad = np.full(len(rows), bool(made.missing))
    for check in made.checks:
        rest = check.rest(named)
        bad |= (rest != 0) if check.exact else (rest < 0)
    wrong[rows] = bad
    for part, expression in made.parts.items():
        if expression:
            parts[PART_PLACES[part]][rows] = tokens.evaluate(expression, named)


@lru_cache(MATRICES_KEPT_MAX)
def matrix(pattern: int) -> Array:
    """Makes the matrix of a pattern's plan, to be multiplied by the numbers given, 0 for the others, and a 1.

    Its first rows give the parts. Of the others none may give less than 0.
    """
    made = tokens.plan(frozenset(_named(pattern)))
    rows: list[tokens.Expression] = [made.parts[part] for part in tokens.PARTS]
    for check in made.checks:
        rest = {name: check.total.get(name, 0) - check.parts.get(name, 0) for name in (*check.total, *check.parts)}
        rows += [rest, {name: -sign for name, sign in rest.items()}] if check.exact else [rest]
    full = np.zeros((len(PART_PLACES) + CHECKS_MAX, len(PLACES) + 1), np.int8)
    full[-1, -1] = -bool(made.missing)
    for row, expression in enumerate(rows):
        for name, sign in expression.items():
            full[row, PLACES[name]] = sign
    return full
