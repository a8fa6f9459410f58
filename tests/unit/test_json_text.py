"""Places in texts of JSON, against what Python's own reader makes of the same texts."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usageledger.json_text import elements, fields, is_array, names_given_twice

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
NAMES = st.one_of(st.sampled_from(["id", "a:", 'a"', "[{", ""]), st.text())
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner), st.dictionaries(NAMES, inner, max_size=4)), max_leaves=20
)
FORMS = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "indent": st.sampled_from([None, 0, "\t"]),
        "separators": st.sampled_from([(",", ":"), (" , ", " : "), ("\r\n,", "\t:")]),
    }
)


@given(st.lists(VALUES), FORMS, st.sampled_from(["", " ", "\n\t"]))
def test_the_elements_of_an_array(values: list[Any], form: dict[str, Any], around: str) -> None:
    text = (around + json.dumps(values, **form) + around).encode()
    assert is_array(text)
    assert [json.loads(element) for element in elements(text)] == values


@given(st.lists(st.tuples(NAMES, VALUES)), FORMS)
def test_the_fields_of_an_object(pairs: list[tuple[str, Any]], form: dict[str, Any]) -> None:
    comma, colon = form["separators"]
    text = "{" + comma.join(json.dumps(n) + colon + json.dumps(v, **form) for n, v in pairs) + "}"
    assert not is_array(text.encode())
    assert [(name, json.loads(value)) for name, value in fields(text.encode())] == pairs
    twice = [(name, json.loads(first), json.loads(value)) for name, first, value in names_given_twice(text.encode())]
    names = [name for name, _ in pairs]
    assert twice == [
        (name, pairs[names.index(name)][1], value) for at, (name, value) in enumerate(pairs) if name in names[:at]
    ]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_values_of_one_letter_are_told_apart(count: int) -> None:
    """Python has but one object for all of them."""
    text = b"{" + b",".join([b'"n":1'] * count) + b"}"
    assert list(names_given_twice(text)) == [("n", b"1", b"1")] * (count - 1)
