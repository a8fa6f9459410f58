"""The short form of `make fuzz`: random bytes, and what is right with a few bytes changed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz.targets import CORPUS, TARGETS, corpus
from tests.support.effort import EFFORT

EXAMPLES = 75 * EFFORT


@st.composite
def changed(draw: st.DrawFn, kept: list[bytes]) -> bytes:
    """An input of the corpus with pieces cut out, put in twice, or replaced."""
    data = draw(st.sampled_from(kept))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 20)))
        piece = draw(st.one_of(st.binary(max_size=8), st.just(data[start:end] * 2), st.just(b"")))
        data = data[:start] + piece + data[end:]
    return data


@pytest.mark.parametrize("name", TARGETS)
def test_what_the_corpus_holds(name: str) -> None:
    kept = corpus(name)
    assert kept
    for data in kept:
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_are_read_or_refused(name: str) -> None:
    @settings(max_examples=EXAMPLES)
    @given(data=st.one_of(st.binary(max_size=2000), changed(corpus(name))))
    def run(data: bytes) -> None:
        TARGETS[name](data)

    run()


def test_the_corpus_is_small_and_of_targets() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} == set(TARGETS)
    files = [file for file in CORPUS.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 500_000
