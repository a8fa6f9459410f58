"""Which events are certainly new: never one that is not, whatever the order in which they came."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.samples import table, usage, wire

from usageledger.ledger import journal
from usageledger.ledger.journal import Newcomers, from_bytes, identities_of, to_bytes

Identity = tuple[str, int]


def note(newcomers: Newcomers, identities: list[Identity]) -> None:
    newcomers.note(identities, max(timestamp for _, timestamp in identities))


def test_what_was_noted_is_not_new() -> None:
    newcomers = Newcomers(10)
    assert newcomers.are([("a", 10), ("b", 10), ("a", 11)])
    note(newcomers, [("a", 10), ("a", 12)])
    assert not newcomers.are([("b", 10), ("a", 10)])
    assert newcomers.are([("b", 10), ("a", 11)])


def test_what_is_older_than_the_start_is_not_certainly_new() -> None:
    newcomers = Newcomers(10)
    assert not newcomers.are([("a", 9)])
    assert not newcomers.are([("a", 10), ("b", 9)])


def test_the_same_twice_is_not_new_twice() -> None:
    assert not Newcomers(0).are([("a", 1), ("a", 1)])


@pytest.mark.parametrize("most", [1, 3, 10])
@given(st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30)), min_size=1, max_size=4), max_size=40))
def test_however_many_there_were_nothing_known_is_called_new(most: int, batches: list[list[Identity]]) -> None:
    """Starting over forgets which ones there were, and must not forget that there were some."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "MOST_KNOWN", most)
        newcomers, kept = Newcomers(5), {("a", 4), ("b", 0)}
        for batch in batches:
            if newcomers.are(batch):
                assert not kept & set(batch)
                assert len(set(batch)) == len(batch)
            kept |= set(batch)
            note(newcomers, batch)


def test_starting_over_keeps_on_knowing_what_comes_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MOST_KNOWN", 3)
    newcomers = Newcomers(0)
    for timestamp in range(20):
        assert newcomers.are([("a", timestamp)])
        note(newcomers, [("a", timestamp)])
        assert not newcomers.are([("a", timestamp)])


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
