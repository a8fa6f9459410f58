"""Totals and disjoint parts: derived only where one answer is possible, refused where numbers contradict each other."""

import re
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from usageledger import tokens
from usageledger.meters import METER_BY_KIND
from usageledger.tokens import FIELDS, PARTS, complaints, evaluate, plan

Numbers = dict[str, int]

OTHER = "input_cache_write_other_tokens"  # cache writes whose lifetime nobody said: stored, never on the wire
LIFETIMES = tuple(f"input_cache_write_{lifetime}_tokens" for lifetime in ("5m", "30m", "1h", "12h"))
GROUPS: dict[str, tuple[str, ...]] = {
    "input_uncached_tokens": ("input_text_tokens", "input_audio_tokens", "input_image_tokens"),
    "input_cached_tokens": ("input_cached_text_tokens", "input_cached_audio_tokens", "input_cached_image_tokens"),
    "input_cache_write_tokens": (*LIFETIMES, OTHER),
    "output_tokens": ("output_text_tokens", "output_audio_tokens", "output_image_tokens"),
}
INPUT_PARTS = tuple(part for total, parts in GROUPS.items() if total != "output_tokens" for part in parts)
OUTPUT_PARTS = GROUPS["output_tokens"]
LARGEST = 2**53 - 1


def totals(parts: Numbers) -> Numbers:
    """Every reported total of some parts."""
    sums = {total: sum(parts[part] for part in members) for total, members in GROUPS.items()}
    return {"input_tokens": sum(parts[part] for part in INPUT_PARTS), **sums}


def reported(parts: Numbers) -> Numbers:
    """Every field that an event could give about these parts."""
    return {name: value for name, value in (parts | totals(parts)).items() if name in FIELDS}


def derived(numbers: Numbers) -> Numbers | None:
    """The parts that the plan makes of `numbers`; None where it refuses them."""
    if list(complaints(numbers)):
        return None
    made = plan(frozenset(numbers))
    return {part: evaluate(made.parts[part], numbers) for part in PARTS}


def choose(draw: st.DrawFn, parts: Numbers) -> Numbers:
    """Some of what could be said about these parts."""
    whole = reported(parts)
    chosen = draw(st.sets(st.sampled_from(sorted(whole))))
    return {name: whole[name] for name in sorted(chosen)}


counts = st.integers(0, 5) | st.integers(0, LARGEST // 9)
all_parts = st.fixed_dictionaries(dict.fromkeys(PARTS, counts))


@st.composite
def published(draw: st.DrawFn) -> tuple[Numbers, Numbers]:
    """Some parts, and any true statement about them."""
    parts = draw(all_parts)
    return parts, choose(draw, parts)


def test_the_fields_are_those_of_the_meters_with_tokens() -> None:
    names = {m.name for m in METER_BY_KIND["completions"].measures if m.unit == "tokens"}
    assert set(FIELDS) == names
    assert len(FIELDS) == len(names)
    assert set(PARTS) == {part for parts in GROUPS.values() for part in parts}
    assert set(PARTS) - set(FIELDS) == {OTHER}


# --- any true statement ------------------------------------------------------------------------------------------


@given(published())
def test_what_is_derived_agrees_with_everything_given(case: tuple[Numbers, Numbers]) -> None:
    _, numbers = case
    parts = derived(numbers)
    if parts is not None:
        assert min(parts.values()) >= 0
        whole = parts | totals(parts)
        assert {name: whole[name] for name in numbers} == numbers


@given(all_parts, st.booleans())
def test_all_parts_are_kept_as_they_are(parts: Numbers, totals_too: bool) -> None:
    """Only a total can speak of cache writes without a lifetime, so without totals there are none."""
    parts = parts if totals_too else parts | {OTHER: 0}
    numbers = reported(parts)
    if not totals_too:
        numbers = {name: value for name, value in numbers.items() if name in PARTS}
    assert derived(numbers) == parts


@given(all_parts, st.sets(st.sampled_from(LIFETIMES)))
def test_cache_writes_of_unknown_lifetime_are_what_is_left_of_their_total(parts: Numbers, unsaid: set[str]) -> None:
    parts = parts | dict.fromkeys(unsaid, 0)
    numbers = {name: count for name, count in reported(parts).items() if name not in unsaid}
    assert derived(numbers) == parts


@given(all_parts, st.sampled_from([part for part in PARTS if part not in GROUPS["input_cache_write_tokens"]]))
def test_one_part_missing_is_what_is_left_of_its_total(parts: Numbers, missing: str) -> None:
    numbers = reported(parts)
    del numbers[missing]
    assert derived(numbers) == parts


@given(all_parts, st.sampled_from(list(GROUPS)))
def test_one_total_missing_changes_nothing(parts: Numbers, missing: str) -> None:
    parts = parts if missing != "input_cache_write_tokens" else parts | {OTHER: 0}
    numbers = reported(parts)
    del numbers[missing]
    assert derived(numbers) == parts


@given(all_parts, st.sampled_from(["input_uncached_tokens", "input_cached_tokens", "input_cache_write_tokens"]))
def test_one_input_group_missing_is_what_is_left_of_the_input(parts: Numbers, missing: str) -> None:
    """The whole group is text then, or cache writes of unknown lifetime."""
    remainder = {**dict.fromkeys(GROUPS), "input_cache_write_tokens": OTHER}[missing] or GROUPS[missing][0]
    parts = parts | dict.fromkeys(GROUPS[missing], 0) | {remainder: parts[remainder]}
    numbers = reported(parts)
    for name in (missing, *GROUPS[missing]):
        numbers.pop(name, None)
    assert derived(numbers) == parts


@given(st.lists(published(), min_size=1, max_size=5), st.data())
def test_columns_and_integers_give_the_same(cases: list[tuple[Numbers, Numbers]], data: st.DataObject) -> None:
    """Events that say the same things are worked out together, as columns."""
    names = sorted(cases[0][1])
    rows = [{name: reported(parts)[name] for name in names} for parts, _ in cases]
    made = plan(frozenset(names))
    columns = {name: np.array([row[name] for row in rows], np.int64) for name in names}
    for expression in made.parts.values():
        column: Any = evaluate(expression, columns) + np.zeros(len(rows), np.int64)
        assert column.tolist() == [evaluate(expression, row) for row in rows]
    for check in made.checks:
        rest: Any = check.rest(columns)
        assert rest.tolist() == [check.rest(row) for row in rows]


# --- contradictions ----------------------------------------------------------------------------------------------


@st.composite
def contradictory(draw: st.DrawFn) -> Numbers:
    """Numbers that no parts could have: all of them given, and one of them wrong."""
    numbers = reported(draw(all_parts))
    wrong = draw(st.sampled_from(sorted(numbers)))
    right = numbers[wrong]
    # Fewer writes of one lifetime would be more of an unknown one.
    least = numbers["input_cache_write_tokens"] + 1 if "write_" in wrong and wrong in PARTS else 0
    numbers[wrong] = draw(st.integers(least, LARGEST).filter(lambda value: value != right))
    return numbers


@given(contradictory())
def test_every_contradiction_is_refused_with_both_numbers(numbers: Numbers) -> None:
    found = list(complaints(numbers))
    assert found
    for field, reason in found:
        assert field in numbers
        named = re.findall(r"(\w+) \((\d+)\)", reason)
        assert len(named) >= 2
        assert {name: int(value) for name, value in named}.items() <= numbers.items()
        left, right = re.split(r" is (?:less|more) than ", reason)
        assert "(" in left
        assert "(" in right
        assert field in right


@pytest.mark.parametrize(
    ("numbers", "field", "reason"),
    [
        (
            {"input_tokens": 100, "input_cached_tokens": 120, "output_tokens": 1},
            "input_cached_tokens",
            "input_tokens (100) is less than input_cached_tokens (120)",
        ),
        (
            {"input_tokens": 100, "input_cached_tokens": 70, "input_cache_write_tokens": 40, "output_tokens": 1},
            "input_cached_tokens",
            "input_tokens (100) is less than input_cached_tokens (70) plus input_cache_write_tokens (40)",
        ),
        (
            {"input_tokens": 100, "input_uncached_tokens": 60, "output_tokens": 1},
            "input_uncached_tokens",
            "input_tokens (100) is more than input_uncached_tokens (60): what are the other 40?",
        ),
        (
            {"input_tokens": 100, "input_cached_tokens": 40, "input_audio_tokens": 61, "output_tokens": 1},
            "input_cached_tokens",
            "input_tokens (100) is less than input_cached_tokens (40) plus input_audio_tokens (61)",
        ),
        (  # the rest may be cached text as well as images, so nobody may say which
            {"input_tokens": 9, "input_text_tokens": 6, "input_audio_tokens": 2, "output_tokens": 1},
            "input_text_tokens",
            "input_tokens (9) is more than input_text_tokens (6) plus input_audio_tokens (2): what are the other 1?",
        ),
        (
            {"input_tokens": 1, "output_tokens": 9, "output_audio_tokens": 10},
            "output_audio_tokens",
            "output_tokens (9) is less than output_audio_tokens (10)",
        ),
        (
            {"input_tokens": 1, "output_tokens": 9, "output_text_tokens": 7},
            "output_text_tokens",
            "output_tokens (9) is more than output_text_tokens (7): what are the other 2?",
        ),
    ],
)
def test_words_for_a_contradiction(numbers: Numbers, field: str, reason: str) -> None:
    assert list(complaints(numbers)) == [(field, reason)]


def test_cached_tokens_are_never_counted_twice() -> None:
    """The classic error: an input total with cached tokens in it, and cached tokens beside it."""
    numbers = {"input_tokens": 1000, "input_cached_tokens": 400, "output_tokens": 5}
    parts = derived(numbers)
    assert parts == dict.fromkeys(PARTS, 0) | {
        "input_text_tokens": 600,
        "input_cached_text_tokens": 400,
        "output_text_tokens": 5,
    }


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        ({}, ["input_tokens", "output_tokens"]),
        ({"input_tokens": 1}, ["output_tokens"]),
        ({"output_tokens": 1}, ["input_tokens"]),
        ({"output_audio_tokens": 1, "input_cached_tokens": 1}, ["input_tokens"]),
        ({"output_audio_tokens": 1, "input_cache_write_30m_tokens": 1}, ["input_tokens"]),
        ({"output_audio_tokens": 1, "input_image_tokens": 1}, []),
        ({"output_tokens": 0, "input_uncached_tokens": 0}, []),
    ],
)
def test_what_nothing_determines_is_missing(numbers: Numbers, missing: list[str]) -> None:
    found = list(complaints(numbers))
    assert [field for field, _ in found] == missing
    assert all(reason == f"{f} is required, and the numbers given do not determine it" for f, reason in found)


# --- against brute force -----------------------------------------------------------------------------------------
#
# Every way in which up to `MOST` tokens can be spread over the parts is tried. Of those that agree with what an event
# says, one has to remain: by itself, or by the convention that nothing is counted that nobody mentions, except as text.

MOST = 5


def spread(parts: tuple[str, ...]) -> list[Numbers]:
    """Every way to spread up to `MOST` tokens over `parts`."""
    found: list[tuple[int, ...]] = [()]
    for _ in parts:
        found = [(*way, more) for way in found for more in range(MOST - sum(way) + 1)]
    return [dict(zip(parts, way, strict=True)) for way in found]


def with_totals(way: Numbers) -> Numbers:
    """A way to spread the input, or the output, and the totals of that side."""
    whole = totals(dict.fromkeys(PARTS, 0) | way)
    side = "input" if INPUT_PARTS[0] in way else "output"
    return way | {total: value for total, value in whole.items() if total.startswith(side)}


INPUT_WAYS = [with_totals(way) for way in spread(INPUT_PARTS)]
OUTPUT_WAYS = [with_totals(way) for way in spread(OUTPUT_PARTS)]


def agreeing(ways: list[Numbers], numbers: Numbers) -> list[Numbers]:
    items = [(name, value) for name, value in numbers.items() if name in ways[0]]
    return [way for way in ways if all(way[name] == value for name, value in items)]


def is_open(total: str, numbers: Numbers) -> bool:
    """Whether an event neither gives a group's total nor all of its parts."""
    return total not in numbers and not all(part in numbers for part in GROUPS[total] if part != OTHER)


def unmentioned_groups(numbers: Numbers) -> set[str]:
    """The parts of groups that have no total, and cannot have one: what nobody mentions of them is nothing."""
    found: set[str] = set()
    for total, parts in GROUPS.items():
        if "input_tokens" not in numbers or total == "output_tokens":
            assumed = total not in numbers
        else:
            assumed = total != "input_uncached_tokens" and is_open("input_uncached_tokens", numbers)
            assumed = assumed and is_open(total, numbers)
        found |= set(parts) if assumed else set()
    return found


def without(ways: list[Numbers], nothing: set[str]) -> list[Numbers]:
    return [way for way in ways if not any(way[name] for name in nothing if name in way)]


def solved(ways: list[Numbers], numbers: Numbers) -> Numbers | None:
    """The one answer among `ways`, or None where there is none or more than one."""
    known = agreeing(ways, numbers)
    if "input_cache_write_tokens" not in numbers and not is_open("input_cache_write_tokens", numbers):
        known = without(known, {OTHER})
    # What all ways have in common stands, whether it was mentioned or not.
    varying = {name for name in ways[0] if len({way[name] for way in known}) > 1} - set(numbers)
    known = without(known, unmentioned_groups(numbers) & varying)
    if len({tuple(way[total] for total in GROUPS if total in way) for way in known}) != 1:
        return None
    besides_text = {p for parts in GROUPS.values() for p in parts if not p.endswith("_text_tokens") and p != OTHER}
    remaining = without(known, besides_text & varying)
    return remaining[0] if len(remaining) == 1 else None


def brute_force(numbers: Numbers) -> Numbers | None:
    """The parts that `numbers` can only mean, or None."""
    mentioned = set(numbers)
    if not mentioned & {"input_tokens", "input_uncached_tokens", *GROUPS["input_uncached_tokens"]}:
        return None
    if not mentioned & {"output_tokens", *OUTPUT_PARTS}:
        return None
    inputs, outputs = solved(INPUT_WAYS, numbers), solved(OUTPUT_WAYS, numbers)
    if inputs is None or outputs is None:
        return None
    return {part: (inputs | outputs)[part] for part in PARTS}


@st.composite
def small(draw: st.DrawFn) -> Numbers:
    """A statement about few tokens, true or with some numbers off."""
    ways = draw(st.sampled_from(INPUT_WAYS)), draw(st.sampled_from(OUTPUT_WAYS))
    whole = {name: value for name, value in (ways[0] | ways[1]).items() if name in FIELDS}
    chosen = draw(st.sets(st.sampled_from(sorted(whole)), min_size=1))
    numbers = {name: whole[name] for name in sorted(chosen)}
    for name in draw(st.sets(st.sampled_from(sorted(numbers)), max_size=2)):
        numbers[name] = draw(st.integers(0, MOST))
    return numbers


def within_reach(numbers: Numbers) -> bool:
    """Whether all that `numbers` could mean is among the ways that brute force tries."""
    least = {
        total: max(numbers.get(total, 0), sum(numbers.get(part, 0) for part in parts))
        for total, parts in GROUPS.items()
    }
    output = least.pop("output_tokens")
    return output <= MOST and sum(least.values()) <= MOST


@given(small().filter(within_reach))
@example({"input_tokens": 5, "input_text_tokens": 3, "input_audio_tokens": 1, "output_tokens": 0})
@example({"input_uncached_tokens": 5, "input_text_tokens": 3, "input_audio_tokens": 1, "output_tokens": 0})
@example({"input_tokens": 5, "input_uncached_tokens": 1, "input_cached_text_tokens": 0, "output_tokens": 0})
@example({"input_tokens": 5, "input_uncached_tokens": 1, "input_cached_tokens": 1, "output_tokens": 0})
def test_parts_are_derived_where_one_answer_is_possible_and_nowhere_else(numbers: Numbers) -> None:
    assert derived(numbers) == brute_force(numbers)


@pytest.mark.parametrize("total", [4, 5])
def test_every_way_to_speak_of_the_output(total: int) -> None:
    """All sixteen patterns of the smallest group, with every small number."""
    for numbers in product([None, 0, 1, 3, total], repeat=4):
        names = ("output_tokens", *OUTPUT_PARTS)
        given_numbers = {n: v for n, v in zip(names, numbers, strict=True) if v is not None}
        if within_reach(given_numbers):
            event = {"input_tokens": 0, **given_numbers}
            assert derived(event) == brute_force(event), event


def test_a_plan_is_made_once_for_each_pattern() -> None:
    given_names = frozenset({"input_tokens", "output_tokens"})
    assert plan(given_names) is plan(frozenset(given_names))
    assert tokens.plan.cache_info().maxsize
