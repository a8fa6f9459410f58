"""Places in texts of JSON: the elements of an array and the fields of an object, found without reading their values.

Nothing is made of what a stranger sent but the pieces that are asked for, one after the other, so that a text of ten
million empty arrays takes no more memory than it has bytes. The texts were checked to be JSON before.
"""

import re
from collections.abc import Iterator

import msgspec

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_BETWEEN = re.compile(rb"[ \t\r\n,:]*+")
_FLAT = re.compile(rb'\{(?:[^"{}\[\]]++|' + _STRING + rb")*+\}|" + _STRING + rb'|[^ \t\r\n,"{}\[\]]++', re.DOTALL)
# What has nothing nested in it is passed over as a whole.
_NESTED = re.compile(_STRING + rb'|\[[^"{}\[\]]*+\]|([\[\]{}])', re.DOTALL)
_DEPTH = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def is_array(text: bytes) -> bool:
    """Returns true if a text of JSON is an array."""
    return text.lstrip()[:1] == b"["


def elements(array: bytes) -> Iterator[bytes]:
    """The text of each element of an array."""
    return (array[start:end] for start, end in _values(array))


def fields(text: bytes) -> Iterator[tuple[str, bytes]]:
    """Each name that an object gives, again where it gives it again, with the text of its value."""
    places = _values(text)
    for (start, end), (value, last) in zip(places, places, strict=True):
        yield msgspec.json.decode(text[start:end]), text[value:last]


def names_given_twice(text: bytes) -> Iterator[tuple[str, bytes, bytes]]:
    """Each name that an object gives although it gave it before, with the texts of the first value and of this one."""
    given: dict[str, bytes] = {}
    for name, value in fields(text):
        if name in given:
            yield name, given[name], value
        given.setdefault(name, value)


def _values(text: bytes) -> Iterator[tuple[int, int]]:
    """Yields the start and end of each value of an array; of an object the names count as values."""
    end = re.search(rb"[\[{]", text).end()  # type: ignore[union-attr]  # it is one of them
    while chr(text[start := _BETWEEN.match(text, end).end()]) not in "]}":  # type: ignore[union-attr]  # matches always
        end = _end(text, start)
        yield start, end


def _end(text: bytes, start: int) -> int:
    """The end of the value that starts there."""
    if flat := _FLAT.match(text, start):
        return flat.end()
    depth = 0
    for token in _NESTED.finditer(text, start):
        bracket = token.start(1)
        if bracket >= 0:
            depth += _DEPTH[text[bracket]]
        if not depth:
            return token.end()
    raise ValueError("the text is not JSON")
