"""Plain bodies are read by columns, and any other is not: what is read so is the same as read event by event."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.effort import EFFORT
from tests.support.plain_bodies import is_plain
from tests.support.samples import FORMS, NOW, TODAY, usage, wire
from tests.support.strategies import usages

from usageledger.events.batch import Limits
from usageledger.events.json_columns import decode_plain
from usageledger.meters import METERS

Events = list[dict[str, Any]]
WRITERS: dict[str, tuple[Callable[[Events], bytes], bool]] = {
    "compact": (msgspec.json.encode, False),
    "spaced": (lambda events: json.dumps(events, ensure_ascii=False).encode(), False),
    "lines": (lambda events: b"\n".join(map(msgspec.json.encode, events)), True),
    "spaced lines": (lambda events: "".join(json.dumps(e, ensure_ascii=False) + "\n" for e in events).encode(), True),
}
# Pieces that make of a plain body one that is almost plain, almost JSON, or JSON that says something else.
PIECES = [
    *(b'"', b":", b",", b"{", b"}", b"[", b"]", b" ", b"  ", b"\n", b"\r\n", b"\t", b"\\", b"\0", b"\x7f", b"\x1f"),
    *(b"0", b"1", b"-", b"-0", b".0", b".5", b"e3", b"E-1", b"9007199254740991", b"9007199254740992", b"00"),
    *(b"9223372036854775808", b"18446744073709551616", b"99999999", b"123456789", b"true", b"false", b"null", b"NaN"),
    *(b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", "ü".encode(), b'\\"', b"\\u003a", b"\\ud800", b"\\u0000", b"[1]"),
    *(b'{"a":1}', b'"a":1,', b'"id":"x",', b'"model":null,', b'"kind":"images",', b'"input_tokens":1,', b'"x"'),
    *(b"},{", b"}, {", b"}],[{", b"},[{", b"},1,{", b"},{},{", b"}{", b"}\n{", b"}\n[{", b"}]\n{", b'":"', b"a" * 129),
]

events = st.lists(
    st.builds(wire, usages(), st.sampled_from(FORMS), provider=st.sampled_from(["openai", None])),
    min_size=1,
    max_size=6,
)


@st.composite
def almost(draw: st.DrawFn) -> tuple[bytes, bool]:
    """A plain body with some pieces put in, put in the place of others, or left out."""
    write, lines = WRITERS[draw(st.sampled_from(sorted(WRITERS)))]
    body = write(draw(events))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.sampled_from([0, 0, 1, 2, 5, 20])))
        piece = draw(st.sampled_from([b"", *PIECES]) | st.just(body[start:end] * 2))
        body = body[:start] + piece + body[end:]
    return body, lines


@pytest.mark.parametrize("writer", WRITERS)
def test_what_writers_write_is_plain(writer: str) -> None:
    write, lines = WRITERS[writer]
    every = [wire(usage(meter.kind, timestamp=NOW), form) for meter in METERS for form in FORMS]
    assert is_plain(write(every), lines=lines)
    for alone in every:
        assert is_plain(write([alone]), lines=lines)


@settings(max_examples=60 * EFFORT)
@given(events=events, writer=st.sampled_from(sorted(WRITERS)))
def test_any_events_are_the_same_by_columns(events: Events, writer: str) -> None:
    write, lines = WRITERS[writer]
    assert is_plain(write(events), lines=lines)


@settings(max_examples=200 * EFFORT)
@given(almost())
def test_what_is_almost_plain_is_the_same_by_columns_or_not_read_so(case: tuple[bytes, bool]) -> None:
    is_plain(case[0], lines=case[1])


@pytest.mark.parametrize("piece", PIECES)
def test_a_piece_at_any_place(piece: bytes) -> None:
    """Goes over all places of a small body, since few of them are where one piece makes another body that is JSON."""
    body = WRITERS["compact"][0]([{"kind": "images", "id": "a", "timestamp": TODAY, "images": n} for n in (1, 20)])
    for place in range(len(body) + 1):
        for end in (place, place + 2):
            is_plain(body[:place] + piece + body[end:], lines=False)
            is_plain((body[:place] + piece + body[end:])[1:-1].replace(b"},{", b"}\n{"), lines=True)


def image(number: Any = 1, name: str = "a", more: str = "", timestamp: int = TODAY) -> str:
    """An event; `more` is further members of it."""
    return f'{{"kind":"images","id":"{name}","timestamp":{timestamp},"images":{number}{more}}}'


def in_array(*events: str) -> str:
    return f"[{','.join(events)}]"


ONE, OTHER = image(), image(name="b")


@pytest.mark.parametrize(
    "text",
    [
        *("[]", "[ ]", "{}", "[{}]", '"a"', '[""]', '["a"]', '["a","b"]', "", " ", "null", "[1]", "[[]]"),
        ONE,  # alone it is no array
        *(f"[{ONE},{{}}]", f"[{{}},{ONE}]", f"[{ONE},1]", f"[1,{ONE}]", f"[{ONE}]]", f"[[{ONE}]]", f"[{ONE},{ONE}"),
        *(f"[{ONE},[{OTHER}]]", f"[{ONE},[{OTHER}],{ONE}]", f"[[{ONE}],{OTHER}]", f"[{ONE},\n {OTHER}]"),
        *(f"[{image(number)}]" for number in ("1.0", "1e0", "-0", "-1", "01", '"1"', "true", "null", "[1]", '["a"]')),
        *(f"[{image(number)}]" for number in (2**53, 2**63, 2**64, 10**16, 10**40)),
        in_array(image(more=',"id":"b"')),
        in_array(image(more=',"unknown":1')),
        in_array(image(more=',"input_tokens":1')),  # a field of other kinds
        in_array(image(more=',"input_tokens":null')),
        in_array(image(more=',"provider":null')),
        in_array(image(more=',"size":"large"')),
        in_array(image(more=',"size":["auto"]')),
        f"[{image(name='')}]",
        f"[{image(name='a' * 129)}]",
        f"[{image(timestamp=NOW + 10**6)}]",
        f"[{ONE.replace('timestamp', 'images')}]",
        f"[{ONE.replace(':', ' :')}]",
    ],
)
def test_what_is_not_plain(text: str) -> None:
    assert not is_plain(text.encode(), lines=False)
    assert is_plain(f"{text}\n{ONE}".encode(), lines=True) == (text.strip() in {"", ONE})


@pytest.mark.parametrize(
    "text",
    [
        f" [{image(2**53 - 1)}]\n",
        f"[{image(0)},{image(12345678)}, {image(123456789, name='{:,}[1]')}]",
        in_array(image(more=', "size": null,"num_model_requests":null')),
        in_array(image(more=',"size":"1536x1024"')),
    ],
)
def test_what_is_plain(text: str) -> None:
    assert is_plain(text.encode(), lines=False)


def test_a_plain_body_of_too_many_events_is_not_read_by_columns() -> None:
    body = f"[{','.join([ONE] * 3)}]".encode()
    assert decode_plain(body, Limits(3, 10**9, NOW, NOW), lines=False)
    assert decode_plain(body, Limits(2, 10**9, NOW, NOW), lines=False) is None
