"""Parts of whole columns of token counts: as the plan of each row has them, at a bounded work whatever is given."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from usageledger import tokens
from usageledger.events.token_parts import MATRICES_KEPT_MAX, derive, matrix
from usageledger.events.typed_events import COUNT_MAX

PATTERNS = 2 ** len(tokens.FIELDS)
SIZES = [3, 1_000, COUNT_MAX]
CPU_RATIO_MAX = 8  # measured: 2 to 3


def columns(patterns: Sequence[int], most: int, seed: int = 1) -> dict[str, Any]:
    """Numbers from 0 to `most` where the bit of a field is set, and nothing elsewhere."""
    places = np.arange(len(tokens.FIELDS))[:, None]
    given = np.array(patterns, np.int64) >> places & 1 == 1
    numbers = np.random.default_rng(seed).integers(0, most, given.shape, endpoint=True)
    return dict(zip(tokens.FIELDS, np.where(given, numbers, -1), strict=True))


def by_plan(numbers: Mapping[str, int]) -> tuple[dict[str, int], bool]:
    given = {name: number for name, number in numbers.items() if number >= 0}
    made = tokens.plan(frozenset(given))
    parts = {part: tokens.evaluate(expression, given) for part, expression in made.parts.items()}
    return parts, any(tokens.complaints(given))


@pytest.mark.parametrize("most", SIZES)
def test_a_row_of_any_pattern_has_the_parts_of_its_plan(most: int) -> None:
    patterns = range(0, PATTERNS, 117)
    sent = columns(patterns, most)
    parts, wrong = derive(sent)
    for row in range(len(patterns)):
        expected, is_wrong = by_plan({name: int(column[row]) for name, column in sent.items()})
        assert {part: int(column[row]) for part, column in parts.items()} == expected
        assert bool(wrong[row]) == is_wrong


@pytest.mark.parametrize("most", SIZES)
def test_rows_come_out_alike_whether_their_pattern_is_common_or_rare(most: int) -> None:
    patterns = [*range(5, PATTERNS, 3_989), *[33] * 50, *[0b11111] * 50]
    np.random.default_rng(2).shuffle(patterns)
    sent = columns(patterns, most)
    results = []
    for common in (0, 1, 3, 10**9):
        parts, wrong = derive(sent, common_patterns_max=common)
        results.append([*parts.values(), wrong])
    assert all(np.array_equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))
    assert 0 < wrong.sum() < len(patterns)


def test_patterns_that_never_came_together_cost_little() -> None:
    """Once they were seen, events of many cost no more than some times those of one."""
    many, one = (columns(patterns, 3) for patterns in (range(1, PATTERNS, 32), [33] * (PATTERNS // 32)))

    def cpu(sent: Mapping[str, Any]) -> float:
        began = time.process_time()
        derive(sent)
        return time.process_time() - began

    derive(many)
    assert min(cpu(many) for _ in range(3)) <= CPU_RATIO_MAX * max(min(cpu(one) for _ in range(3)), 0.01)
    assert matrix.cache_info().maxsize == MATRICES_KEPT_MAX
