"""Sums of a few events by rollup key: exact, and complete."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.events_strategy import usages
from tests.model import Usage
from tests.samples import TODAY, table, usage, wire

from usageledger.events import LARGEST_COUNT
from usageledger.ledger.deltas import sums_of
from usageledger.ledger.schema import ROLLUP_COLUMNS, ROLLUP_KEYS
from usageledger.meters import GAUGES, MEASURE_COLUMNS


@given(st.lists(usages(), min_size=1, max_size=20))
def test_sums_are_those_of_the_events(events: list[Usage]) -> None:
    rows, _ = table([wire(each) for each in events])
    found: dict[tuple[object, ...], Counter[str]] = {}
    for row in rows.to_pylist():
        key = tuple(row[name] - row[name] % 3600 if name == "ts" else row[name] for name in ROLLUP_KEYS)
        into = found.setdefault(key, Counter())
        for name in MEASURE_COLUMNS:
            into[name] = max(into[name], row[name]) if name in GAUGES else into[name] + row[name]
    sums = sums_of(rows)
    assert tuple(sums.column_names) == ROLLUP_COLUMNS
    got = {tuple(row[name] for name in ROLLUP_KEYS): {n: row[n] for n in MEASURE_COLUMNS} for row in sums.to_pylist()}
    assert len(got) == sums.num_rows
    assert got == {key: {name: each[name] for name in MEASURE_COLUMNS} for key, each in found.items()}


@pytest.mark.parametrize("count", [1024, 1025, 3000])
def test_sums_beyond_64_bits_are_kept_in_pieces(count: int) -> None:
    """Arrow's own sums would wrap around without a word."""
    rows, _ = table([wire(usage("images", f"e{n}", TODAY, images=LARGEST_COUNT)) for n in range(count)])
    sums = sums_of(rows)["images"].to_pylist()
    assert sum(sums) == count * LARGEST_COUNT
    assert min(sums) > 0


def test_nothing_counted_is_summed_too() -> None:
    rows, _ = table([wire(usage("code_interpreter_sessions", f"e{n}")) for n in range(3)])
    (row,) = sums_of(rows).to_pylist()
    assert (row["ts"], row["num_sessions"]) == (TODAY, 0)
