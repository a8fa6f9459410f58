"""Which events are certainly new: never one that is not, whatever the order in which they came."""

import random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.samples import table, usage, wire

from usageledger.ledger.arrow_bytes import from_bytes, to_bytes
from usageledger.ledger.duckdb.journal import Journal, Newcomers
from usageledger.ledger.identity import identities_of

Identity = tuple[str, int]


def hashes_of(identities: list[Identity]) -> set[int]:
    return set(map(hash, identities))


def are_new(newcomers: Newcomers, identities: list[Identity]) -> bool:
    return newcomers.are(hashes_of(identities), min(timestamp for _, timestamp in identities))


def note(newcomers: Newcomers, identities: list[Identity]) -> None:
    newcomers.note(hashes_of(identities), max(timestamp for _, timestamp in identities))


def test_what_was_noted_is_not_new() -> None:
    newcomers = Newcomers(10, 100)
    assert are_new(newcomers, [("a", 10), ("b", 10), ("a", 11)])
    note(newcomers, [("a", 10), ("a", 12)])
    assert not are_new(newcomers, [("b", 10), ("a", 10)])
    assert are_new(newcomers, [("b", 10), ("a", 11)])


def test_what_is_older_than_the_start_is_not_certainly_new() -> None:
    newcomers = Newcomers(10, 100)
    assert not are_new(newcomers, [("a", 9)])
    assert not are_new(newcomers, [("a", 10), ("b", 9)])


@pytest.mark.parametrize("most", [1, 3, 10])
@given(st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30)), min_size=1, max_size=4), max_size=40))
def test_however_many_there_were_nothing_known_is_called_new(most: int, batches: list[list[Identity]]) -> None:
    """Starting over forgets which ones there were, and must not forget that there were some."""
    newcomers, kept = Newcomers(5, most), {("a", 4), ("b", 0)}
    for batch in batches:
        if are_new(newcomers, batch):
            assert not kept & set(batch)
        kept |= set(batch)
        note(newcomers, batch)


def test_starting_over_keeps_on_knowing_what_comes_next() -> None:
    newcomers = Newcomers(0, 3)
    for timestamp in range(20):
        assert are_new(newcomers, [("a", timestamp)])
        note(newcomers, [("a", timestamp)])
        assert not are_new(newcomers, [("a", timestamp)])


def test_rows_survive_the_journal() -> None:
    rng = random.Random(1)
    events = [
        usage("completions", f"ü{n}", n, model=rng.choice([None, "m"]), batch=rng.choice([None, True]))
        for n in range(9)
    ]
    rows, _ = table([wire(each) for each in events])
    assert from_bytes(to_bytes(rows)).equals(rows)
    assert from_bytes(to_bytes(rows.slice(3, 2))).equals(rows.slice(3, 2))
    assert identities_of(rows) == [(f"ü{n}", n) for n in range(9)]


def some_rows(first: int, count: int) -> pa.Table:
    return table([wire(usage("images", f"e{n}", n, images=1)) for n in range(first, first + count)])[0]


MOST = 2**30  # bytes


def test_a_journal_gives_its_rows_in_pieces_and_forgets_them() -> None:
    kept = Journal()
    parts = [some_rows(10 * n, n) for n in (3, 2, 5, 1)]
    for rows in parts:
        kept.add(rows, hashes_of(identities_of(rows)))
    assert (kept.count, kept.next_position) == (11, 4)
    assert kept.first(5, MOST, 4) == (1, parts[:2])
    assert kept.first(4, MOST, 4) == (0, parts[:1])
    assert kept.first(1, MOST, 4) == (0, parts[:1])  # at least one
    assert kept.first(99, MOST, 3) == (2, parts[:3])
    assert kept.first(99, MOST, 0) == (-1, [])
    assert kept.first(99, sum(rows.get_total_buffer_size() for rows in parts[:2]), 4) == (1, parts[:2])
    assert kept.first(99, 1, 4) == (0, parts[:1])
    assert kept.size == sum(rows.get_total_buffer_size() for rows in parts)
    assert not kept.has_none_of(hashes_of([("e20", 20), ("x", 1)]))
    kept.forget(1)
    assert kept.has_none_of(hashes_of(identities_of(parts[0]) + identities_of(parts[1])))
    assert not kept.has_none_of(hashes_of([("e10", 10)]))
    assert kept.count == 6
    assert kept.size == sum(rows.get_total_buffer_size() for rows in parts[2:])
    assert kept.first(5, MOST, 4) == (2, parts[2:3])
    assert list(kept) == parts[2:]


def test_a_journal_goes_on_after_what_was_left() -> None:
    kept = Journal([(4, some_rows(0, 2)), (7, some_rows(5, 1))])
    assert (kept.count, kept.next_position) == (3, 8)
    assert not kept.has_none_of(hashes_of([("e5", 5)]))
    assert Journal().next_position == 0
