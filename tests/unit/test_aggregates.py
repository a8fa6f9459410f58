"""Summed rows in any order → an answer: sorted, and every measure the exact sum of its parts."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.samples import DAY, TODAY, ask
from tests.support.strategies import VALUES, groupings, meters

from usageledger.ledger.aggregates import to_aggregate
from usageledger.meter import Meter
from usageledger.meters import METER_BY_KIND

LARGEST = 2**63 - 1
COMPLETIONS = METER_BY_KIND["completions"]


def column(values: list[Any], *, numbers: bool = False) -> Any:
    """A column as an engine gives it: masked where there is no value."""
    if numbers:
        return np.array(values, np.int64)
    plain = np.array([value if value is not None else "" for value in values], dtype=object)
    return np.ma.masked_array(plain, mask=[value is None for value in values])


def columns(meter: Meter, starts: list[int], names: dict[str, list[Any]], **sums: list[int]) -> dict[str, Any]:
    zeros = {f"sum_{c}": column([0] * len(starts), numbers=True) for c in meter.columns}
    given_sums = {f"sum_{name}": column(values, numbers=True) for name, values in sums.items()}
    dimensions = {name: column(values) for name, values in names.items()}
    return {"bucket": column(starts, numbers=True), **dimensions, **zeros, **given_sums}


def sortable(key: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple((value is None, value if value is not None else 0) for value in key)


@given(meters, st.data())
def test_rows_are_sorted_by_bucket_and_groups(meter: Meter, data: st.DataObject) -> None:
    group_by = data.draw(groupings(meter))
    keys = data.draw(
        st.lists(st.tuples(st.integers(0, 3), *(VALUES[name] for name in group_by)), unique=True, max_size=12)
    )
    names = {name: [key[place] for key in keys] for place, name in enumerate(group_by, 1)}
    first = meter.columns[0]
    query = ask(meter.kind, TODAY - 9 * DAY, TODAY, group_by=group_by)
    found = to_aggregate(query, columns(meter, [key[0] for key in keys], names, **{first: list(range(len(keys)))}))
    in_order = sorted(range(len(keys)), key=lambda row: sortable(keys[row]))
    assert list(found.starts) == [keys[row][0] for row in in_order]
    for name, values in names.items():
        assert list(found.columns[name]) == [values[row] for row in in_order]
    for measure in meter.reported:
        expected = in_order if first in measure.columns else [0] * len(keys)
        assert list(found.columns[measure.name]) == expected
    assert set(found.columns) == {*group_by, *(measure.name for measure in meter.reported)}


def test_many_values_of_many_dimensions_are_sorted_too() -> None:
    """There are more possible groups than a number of 64 bits can tell apart."""
    rng = random.Random(1)
    group_by = ("project_id", "user_id", "api_key_id", "model", "service_tier", "api_source")
    names = {name: [f"{rng.randrange(10**6):06}" for _ in range(3000)] for name in group_by}
    starts = [rng.randrange(2) for _ in range(3000)]
    query = ask("completions", TODAY - 9 * DAY, TODAY, group_by=group_by)
    found = to_aggregate(query, columns(COMPLETIONS, starts, names))
    keys = list(zip(starts, *names.values(), strict=True))
    assert list(zip(found.starts, *(found.columns[name] for name in group_by), strict=True)) == sorted(keys)


@pytest.mark.parametrize("part", [1, LARGEST // 3, LARGEST // 3 + 1, LARGEST // 2, LARGEST])
def test_totals_are_exact_beyond_64_bits(part: int) -> None:
    parts = ("output_text_tokens", "output_audio_tokens", "output_image_tokens")
    query = ask("completions", TODAY - DAY, TODAY)
    found = to_aggregate(query, columns(COMPLETIONS, [0, 1], {}, **{name: [part, 0] for name in parts}))
    assert list(found.columns["output_tokens"]) == [3 * part, 0]
    assert list(found.columns["output_audio_tokens"]) == [part, 0]
    assert all(type(value) is int for value in found.columns["output_tokens"])


def test_no_rows() -> None:
    query = ask("completions", TODAY - DAY, TODAY, group_by=["model", "batch"])
    found = to_aggregate(query, columns(COMPLETIONS, [], {"model": [], "batch": []}))
    assert list(found.starts) == []
    assert all(list(values) == [] for values in found.columns.values())
