"""Suggestions for words that are not known, at a bounded cost, since whoever asks may send ever new ones."""

from collections.abc import Iterable
from difflib import SequenceMatcher
from functools import lru_cache
from heapq import nlargest

WORD_CHARACTERS_MAX = 256
HINTS_KEPT_MAX = 4096  # words remembered with what they are close to
CLOSE = 0.6  # of the letters, from which on a word is meant
NEAREST_COMPARED = 3  # known words that are compared letter by letter


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'models'?`, or nothing where no known word is close."""
    close = _closest(word[:WORD_CHARACTERS_MAX], tuple(known))
    return f" Did you mean '{close}'?" if close else ""


@lru_cache(HINTS_KEPT_MAX)
def _closest(word: str, known: tuple[str, ...]) -> str | None:
    """The known word that is closest, if any is close; only those that share most pairs of letters are compared."""
    pairs = _pairs(word)
    shared = {name: len(pairs & of_name) for name, of_name in _known_pairs(known)}
    matcher = SequenceMatcher(b=word, autojunk=False)

    def closeness(name: str) -> float:
        matcher.set_seq1(name)
        return matcher.ratio()

    nearest = nlargest(NEAREST_COMPARED, shared, key=shared.__getitem__)
    ratio, name = max(((closeness(name), name) for name in nearest), default=(0.0, ""))
    return name if ratio >= CLOSE else None


@lru_cache(64)
def _known_pairs(known: tuple[str, ...]) -> list[tuple[str, frozenset[str]]]:
    return [(name, _pairs(name)) for name in known]


def _pairs(word: str) -> frozenset[str]:
    return frozenset(word[place : place + 2] for place in range(len(word)))
