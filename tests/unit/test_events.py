"""Wire events → columns: every field at its limit, every way to refuse, and two readings that agree."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.model import Usage
from tests.support.samples import (
    DAY,
    FORMS,
    LATEST,
    MANY,
    NOW,
    TODAY,
    decode,
    has_parts,
    rfc3339,
    table,
    total,
    usage,
    wire,
)
from tests.support.strategies import usages, wires

from usageledger.buckets import LATEST_TIME
from usageledger.errors import BodyTooLargeError, InvalidRequestError
from usageledger.events.batch import EventBatch
from usageledger.events.columns import EVENTS_AT_ONCE_MAX, SCHEMA, reason_of, to_table
from usageledger.events.json_events import ERRORS_PER_EVENT_MAX
from usageledger.events.typed_events import COUNT_MAX, ERRORS_LISTED_MAX, FIELDS, ID_CHARACTERS_MAX
from usageledger.fields import NAME_CHARACTERS_MAX
from usageledger.meter import Dimension, Measure, Meter
from usageledger.meters import DIMENSIONS, MEASURE_COLUMNS, METERS

KINDS = [meter.kind for meter in METERS]
DIMENSION_CASES = [(meter, dimension) for meter in METERS for dimension in meter.dimensions]
MEASURE_CASES = [(meter, measure) for meter in METERS for measure in meter.measures]


def name_of(case: Any) -> str:
    return str(getattr(case, "kind", None) or getattr(case, "name", None) or case)


def sent(meter: Meter, **changes: Any) -> dict[str, Any]:
    """A good event of a kind, with some fields changed; None as a value stays."""
    event = {**wire(usage(meter.kind)), **changes}
    if has_parts(meter) and any(name.endswith("_tokens") for name in changes):
        event = {k: v for k, v in event.items() if not k.endswith("_tokens") or k in changes}
        event = {"input_uncached_tokens": 0, "output_tokens": 0} | event
    return event


def read(*events: Any, lines: bool = False) -> EventBatch:
    if lines:
        return decode(b"\n".join(map(msgspec.json.encode, events)), lines=True, max_events=MANY)
    return decode(msgspec.json.encode(events), lines=False, max_events=MANY)


def refused(event: Any) -> list[tuple[str, str | None, str]]:
    """(code, param, message) for each refusal of one event sent alone; and the same among others."""
    alone, among = read(event), read(wire(usage("embeddings")), event)
    assert not alone.typed
    assert len(among.typed) == 1
    assert {r.index for r in alone.refused.listed} == {0}
    assert {r.index for r in among.refused.listed} == {1}
    found = [(r.code, r.param, r.message) for r in alone.refused.listed]
    assert found == [(r.code, r.param, r.message) for r in among.refused.listed]
    return found


def accepted(event: dict[str, Any]) -> Any:
    decoded = read(event)
    assert not decoded.refused.listed
    (found,) = decoded.typed
    return found


def columns(event: dict[str, Any], now: int = NOW) -> dict[str, Any]:
    """What is stored of one event."""
    rows, places = table([event], latest=now + 600)
    assert places == [0]
    (row,) = rows.to_pylist()
    return dict(row)


def problem(event: dict[str, Any]) -> tuple[str, str, str]:
    """Why a well-formed event cannot be kept."""
    typed = accepted(event)
    rows, places = to_table([typed], LATEST)
    assert (rows.num_rows, len(places)) == (0, 0)
    return reason_of(typed, LATEST, NOW)


def test_the_limits() -> None:
    """Beyond 2^53 - 1, readers of JSON that use doubles lose digits."""
    assert (ID_CHARACTERS_MAX, NAME_CHARACTERS_MAX, COUNT_MAX) == (128, 256, 2**53 - 1)


# --- each field at its limit -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_smallest_event_of_each_kind(kind: str) -> None:
    stored = columns(wire(usage(kind), "short"))
    assert (stored["event_id"], stored["ts"], stored["kind"]) == ("event-1", TODAY, kind)
    assert stored["provider"] == "openai"
    assert all(stored[name] is None for name in DIMENSIONS)
    requests = int("num_model_requests" in {m.name for m in METERS[KINDS.index(kind)].measures})
    assert {name: stored[name] for name in MEASURE_COLUMNS} == dict.fromkeys(MEASURE_COLUMNS, 0) | {
        "num_model_requests": requests
    }


@pytest.mark.parametrize("meter", METERS, ids=name_of)
@pytest.mark.parametrize(("field", "longest"), [("id", ID_CHARACTERS_MAX), ("provider", NAME_CHARACTERS_MAX)])
def test_text_at_its_longest_and_one_over(meter: Meter, field: str, longest: int) -> None:
    for text in ("x", "x" * longest, "\U0001f600" * longest):
        assert getattr(accepted(sent(meter, **{field: text})), field) == text
    for text in ("", "x" * (longest + 1)):
        ((code, param, message),) = refused(sent(meter, **{field: text}))
        assert (code, param) == ("invalid_value", field)
        assert message.startswith(f"Invalid '{field}': expected 1 to {longest} characters, got '{text[:9]}")


@pytest.mark.parametrize(("meter", "dimension"), DIMENSION_CASES, ids=name_of)
def test_each_dimension_at_its_limit(meter: Meter, dimension: Dimension) -> None:
    name = dimension.name
    good: list[Any] = [None, True, False] if dimension.flag else [None, *dimension.values]
    bad: list[Any] = [1, 1.5, [], {}, ["a"], {"a": 1}]
    if dimension.flag:
        bad += ["true", "", 0]
    elif dimension.values:
        bad += ["", "nothing like it", f"{dimension.values[0]} ", dimension.values[0].upper() + "!", True]
    else:
        good += ["x", "x" * NAME_CHARACTERS_MAX, "ü" * NAME_CHARACTERS_MAX, "'", '"', "a,b"]
        bad += ["", "x" * (NAME_CHARACTERS_MAX + 1), True]
    if dimension.pattern:
        good += dimension.others
        bad += [f"{dimension.values[0]}\n", f"\n{dimension.values[0]}", "A"]
    if name == "size":
        good += ["99999x10"]
        bad += ["100000x10", "1024x1024px", "Auto"]
    for value in good:
        assert getattr(accepted(sent(meter, **{name: value})), name) == value
        assert columns(sent(meter, **{name: value}))[name] == value
    for value in bad:
        ((code, param, message),) = refused(sent(meter, **{name: value}))
        right_type = isinstance(value, bool if dimension.flag else str)
        assert (code, param) == ("invalid_value" if right_type else "invalid_type", name)
        assert message.startswith(f"Invalid '{name}': expected ")
        if dimension.values and right_type:
            assert all(f"'{allowed}'" in message for allowed in dimension.values)


@pytest.mark.parametrize(("meter", "measure"), MEASURE_CASES, ids=name_of)
def test_each_count_at_its_limit(meter: Meter, measure: Measure) -> None:
    name = measure.name
    for value in (0, 1, COUNT_MAX):
        changes = {name: value}
        if name == "input_tokens" and has_parts(meter):
            changes["input_uncached_tokens"] = value
        assert getattr(accepted(sent(meter, **changes)), name) == value
    for value in (-1, COUNT_MAX + 1, 2**63, 2**64, -(2**63)):
        ((code, param, message),) = refused(sent(meter, **{name: value}))
        assert (code, param) == ("invalid_value", name)
        assert message == f"Invalid '{name}': expected an integer from 0 to {COUNT_MAX}, got {value}"
    for wrong, shown in ((1.0, "1.0"), (1.5, "1.5"), ("1", "'1'"), (True, "true"), ([1], "[1]")):
        ((code, param, message),) = refused(sent(meter, **{name: wrong}))
        assert (code, param) == ("invalid_type", name)
        assert message == f"Invalid '{name}': expected an integer, got {shown}"


@pytest.mark.parametrize(("meter", "measure"), MEASURE_CASES, ids=name_of)
@pytest.mark.parametrize("lines", [False, True])
def test_a_count_that_is_null_is_not_given(meter: Meter, measure: Measure, lines: bool) -> None:
    event = sent(meter)
    event.pop(measure.name, None)
    null = {**event, measure.name: None}
    if FIELDS[meter.kind][measure.name].default is msgspec.NODEFAULT:
        ((code, param, message),) = refused(null)
        assert (code, param) == ("missing_field", measure.name)
        assert message == f"Missing required field: '{measure.name}', an integer"
        return
    assert columns(null) == columns(event)
    body = b"\n".join(json.dumps(each).encode() for each in (event, null))
    both = decode(body if lines else b"[" + body.replace(b"\n", b",") + b"]", lines=lines, max_events=2)
    rows = to_table(both.typed, LATEST)[0]
    assert rows.num_rows == 2
    assert rows.slice(0, 1).equals(rows.slice(1, 1))


def test_a_null_beside_numbers_that_do_not_say_enough() -> None:
    event = {"kind": "completions", "id": "a", "timestamp": TODAY, "input_tokens": 1, "output_tokens": None}
    code, param, message = problem(event)
    assert (code, param) == ("missing_field", "output_tokens")
    assert message == "Invalid 'output_tokens': output_tokens is required, and the numbers given do not determine it"


@pytest.mark.parametrize(
    ("timestamp", "seconds"),
    [
        (0, 0),
        (NOW, NOW),
        (LATEST, LATEST),
        ("1970-01-01T00:00:00Z", 0),
        ("2026-06-15T12:34:56Z", NOW),
        ("2026-06-15T12:34:56+00:00", NOW),
        ("2026-06-15T14:34:56+02:00", NOW),
        ("2026-06-15T07:04:56-05:30", NOW),
        ("2026-06-15t12:34:56z", NOW),
        ("2026-06-15 12:34:56Z", NOW),
        ("2026-06-15T12:34:56.000001Z", NOW),
        ("2026-06-15T12:34:56.999999Z", NOW),
        ("2026-06-15T12:34:56.5+00:00", NOW),
        ("1970-01-01T00:00:00.999999Z", 0),
    ],
)
def test_timestamps_are_unix_seconds_or_rfc_3339(timestamp: int | str, seconds: int) -> None:
    assert columns(sent(METERS[1], timestamp=timestamp))["ts"] == seconds


@pytest.mark.parametrize(
    ("timestamp", "code"),
    [
        (-1, "invalid_value"),
        (LATEST_TIME + 1, "invalid_value"),
        (NOW * 1000, "invalid_value"),
        ("2026-06-15T12:34:56", "invalid_value"),
        ("2026-06-15", "invalid_value"),
        ("yesterday", "invalid_value"),
        ("", "invalid_value"),
        (str(NOW), "invalid_value"),
        (float(NOW), "invalid_type"),
        (True, "invalid_type"),
        (None, "invalid_type"),
        ([NOW], "invalid_type"),
    ],
)
def test_other_timestamps_are_refused(timestamp: Any, code: str) -> None:
    ((found, param, message),) = refused(sent(METERS[1], timestamp=timestamp))
    assert (found, param) == (code, "timestamp")
    assert message.startswith(
        "Invalid 'timestamp': expected Unix seconds (not milliseconds) or an RFC 3339 time with a time zone"
    )


@pytest.mark.parametrize(
    ("timestamp", "seconds"),
    [
        (LATEST + 1, LATEST + 1),
        (LATEST_TIME, LATEST_TIME),
        (rfc3339(LATEST + 1, offset_minutes=90), LATEST + 1),
        ("1969-12-31T23:59:59Z", -1),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("1970-01-01T00:00:00+00:01", -60),
        ("9999-12-31T23:59:59-01:00", LATEST_TIME + 3600),
    ],
)
def test_times_before_1970_or_far_ahead_are_not_kept(timestamp: Any, seconds: int) -> None:
    code, param, message = problem(sent(METERS[1], timestamp=timestamp))
    assert (code, param) == ("invalid_value", "timestamp")
    assert message.startswith(
        f"Invalid 'timestamp': {seconds} is outside of 0 to {LATEST}, {LATEST - NOW} seconds ahead of now."
    )
    assert "milliseconds" not in message or seconds > 100 * NOW


def test_a_time_in_milliseconds_is_recognized() -> None:
    event = accepted(sent(METERS[1], timestamp=DAY * 1000))
    assert not len(to_table([event], DAY + 600)[1])
    assert reason_of(event, DAY + 600, DAY)[2].endswith(" Is it in milliseconds?")


@pytest.mark.parametrize("field", ["id", "provider", *DIMENSIONS])
def test_nul_is_refused_wherever_text_is(field: str) -> None:
    """One engine keeps it, another cannot; and no filter could ask for it."""
    meter = next(m for m in METERS if field in {"id", "provider", *(d.name for d in m.dimensions)})
    if field in DIMENSIONS and (DIMENSIONS[field].flag or DIMENSIONS[field].values):
        return
    for text in ("\0", "a\0b", "a\0"):
        ((code, param, message),) = refused(sent(meter, **{field: text}))
        assert (code, param) == ("invalid_value", field)
        assert "NUL" in message
    assert getattr(accepted(sent(meter, **{field: "\\u0000"})), field) == "\\u0000"


# --- the shape of an event ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("meter", METERS, ids=name_of)
def test_required_fields(meter: Meter) -> None:
    required = {"id", "timestamp"}
    if not has_parts(meter):
        required |= {m.name for m in meter.measures if m.required}
    found = refused({"kind": meter.kind})
    assert {param for _, param, _ in found} == required
    for code, param, message in found:
        assert code == "missing_field"
        assert message.startswith(f"Missing required field: '{param}', ")


@pytest.mark.parametrize("meter", [m for m in METERS if has_parts(m)], ids=name_of)
def test_tokens_are_required_in_one_form_or_another(meter: Meter) -> None:
    event = {"kind": meter.kind, "id": "a", "timestamp": TODAY}
    code, param, message = problem(event | {"output_tokens": 1})
    assert (code, param) == ("missing_field", "input_tokens")
    assert message == "Invalid 'input_tokens': input_tokens is required, and the numbers given do not determine it"
    assert problem(event | {"input_tokens": 1})[:2] == ("missing_field", "output_tokens")


@pytest.mark.parametrize("meter", METERS, ids=name_of)
def test_every_wrong_field_is_named(meter: Meter) -> None:
    event: dict[str, Any] = {name: [] for name in sent(meter)}
    event |= {"kind": meter.kind, "what_is_this": 1, **{d.name: {} for d in meter.dimensions}}
    found = refused(event)
    faulty = [name for name in event if name != "kind"]
    assert [param for _, param, _ in found] == faulty[:ERRORS_PER_EVENT_MAX]
    more = " More is wrong with this event than is listed."
    assert [message.endswith(more) for *_, message in found] == [False] * (len(found) - 1) + [len(faulty) > len(found)]


@pytest.mark.parametrize("meter", METERS, ids=name_of)
def test_a_field_of_another_kind_is_unknown(meter: Meter) -> None:
    known = set(sent(meter)) | {d.name for d in meter.dimensions} | {m.name for m in meter.measures}
    for other in METERS:
        for name in {m.name for m in other.measures} - known:
            ((code, param, _),) = refused(sent(meter) | {name: 1})
            assert (code, param) == ("unknown_field", name)


@pytest.mark.parametrize(
    ("field", "suggestion"),
    [("modle", "model"), ("usr_id", "user_id"), ("timestmap", "timestamp"), ("provder", "provider")],
)
def test_a_mistyped_field_gets_a_suggestion(field: str, suggestion: str) -> None:
    ((code, param, message),) = refused(sent(METERS[0]) | {field: "x"})
    assert (code, param) == ("unknown_field", field)
    assert message == f"Unknown field: '{field}'. Did you mean '{suggestion}'?"


@pytest.mark.parametrize(
    "kind", ["completion", "Completions", "", "costs", "x" * 10_000, None, 5, True, [], {}, ["completions"]]
)
def test_an_unknown_kind_is_refused_with_those_supported(kind: Any) -> None:
    ((code, param, message),) = refused({"kind": kind, "id": "a", "timestamp": 0})
    assert (code, param) == ("invalid_value", "kind")
    assert message.startswith("Invalid 'kind': ")
    assert message.endswith("Supported kinds are: " + ", ".join(f"'{name}'" for name in KINDS) + ".")
    assert len(message) < 1000
    assert (" Did you mean 'completions'?" in message) is (kind in ("completion", "Completions", ["completions"]))


def test_a_missing_kind() -> None:
    ((code, param, message),) = refused({"id": "a", "timestamp": 0, "input_tokens": 1})
    assert (code, param) == ("missing_field", "kind")
    assert message.startswith("Missing required field: 'kind'. Supported kinds are: 'completions', ")


@pytest.mark.parametrize("event", [None, 5, "text", [], [wire(usage("embeddings"))], True, 1.5])
def test_an_event_is_an_object(event: Any) -> None:
    ((code, param, message),) = refused(event)
    assert (code, param) == ("invalid_type", None)
    assert message.startswith("An event is an object, got ")


def test_what_is_shown_of_a_value_is_short() -> None:
    ((_, _, message),) = refused(sent(METERS[0], model=["x" * 10_000]))
    assert message == "Invalid 'model': expected a string, got " + '["' + "x" * 95 + "..."
    ((_, _, message),) = refused(sent(METERS[0], model="y" * 10_000))
    assert message == "Invalid 'model': expected 1 to 256 characters, got '" + "y" * 96 + "..."


def test_the_id_of_a_refused_event_is_said() -> None:
    ids = [
        r.id
        for r in read(
            {"kind": "embeddings", "id": "a", "timestamp": 0},
            {"kind": "embeddings", "id": 5, "timestamp": 0, "input_tokens": 1},
            {"id": "x" * (ID_CHARACTERS_MAX + 5)},
            "text",
            {},
        ).refused.listed
    ]
    assert ids == ["a", None, "x" * ID_CHARACTERS_MAX, None, None]


# --- the shape of a body -----------------------------------------------------------------------------------------

ONE = msgspec.json.encode(wire(usage("embeddings")))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"[",
        b"]",
        b"not JSON",
        ONE + b"x",
        b"[" + ONE,
        b"[" + ONE + b",]",
        b"\xff",
        b'{"id":"\xff"}',
        b"NaN",
    ],
)
def test_a_body_that_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequestError, match="The body is not JSON: ") as caught:
        decode(body, lines=False, max_events=MANY)
    assert caught.value.code == "invalid_json"
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000]
)
@pytest.mark.parametrize("lines", [False, True])
def test_deep_nesting_is_refused(body: bytes, lines: bool) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        decode(body, lines=lines, max_events=MANY)
    assert caught.value.code == "invalid_json"


def test_a_deep_line_harms_no_other() -> None:
    decoded = decode(b"[" * 100_000 + b"\n" + ONE, lines=True, max_events=MANY)
    assert [(r.index, r.code, r.message) for r in decoded.refused.listed] == [
        (0, "invalid_json", "The event is not JSON: it is nested too deeply")
    ]
    assert list(decoded.typed_indexes) == [1]


@pytest.mark.parametrize("body", [b"no", b"no\n\nno", b"{\n}\nx{", b"\xff\n\xff", ONE.replace(b",", b",\n")])
def test_lines_of_which_none_is_json_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequestError, match="The body is not NDJSON") as caught:
        decode(body, lines=True, max_events=MANY)
    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize(("body", "lines"), [(b"[]", False), (b" [ ] ", False), (b"", True), (b" \r\n\n\t\n", True)])
def test_no_events(body: bytes, lines: bool) -> None:
    decoded = decode(body, lines=lines, max_events=MANY)
    assert (decoded.typed, list(decoded.typed_indexes), decoded.refused.listed, total(decoded)) == ([], [], [], 0)


def test_a_single_object_is_one_event() -> None:
    decoded = decode(b"  " + ONE + b"\n", lines=False, max_events=1)
    assert (len(decoded.typed), list(decoded.typed_indexes), total(decoded)) == (1, [0], 1)


@pytest.mark.parametrize(
    "body",
    [
        ONE + b"\n" + ONE,
        ONE + b"\r\n" + ONE + b"\r\n",
        b"\n\n  \r\n" + ONE + b"\n\n\t\n" + ONE + b"\n\n",
        b"  " + ONE + b"  \n" + ONE,
    ],
)
def test_blank_lines_and_line_ends_do_not_matter(body: bytes) -> None:
    decoded = decode(body, lines=True, max_events=2)
    assert (len(decoded.typed), list(decoded.typed_indexes), total(decoded)) == (2, [0, 1], 2)
    assert not decoded.refused.listed


def test_garbage_lines_harm_no_others() -> None:
    body = b"\n".join([ONE, b"", b"garbage", ONE, b"[" + ONE + b"]", b"5", b"\xff", ONE + ONE, ONE])
    decoded = decode(body, lines=True, max_events=MANY)
    assert list(decoded.typed_indexes) == [0, 2, 7]
    assert total(decoded) == 8
    assert [(r.index, r.code) for r in decoded.refused.listed] == [
        (1, "invalid_json"),
        (3, "invalid_type"),
        (4, "invalid_type"),
        (5, "invalid_json"),
        (6, "invalid_json"),
    ]


@pytest.mark.parametrize("separator", [b" ", b"", b"\t"])
def test_two_events_on_a_line_are_refused_whatever_the_others_are(separator: bytes) -> None:
    for more in (ONE, b"garbage"):
        decoded = decode(ONE + separator + ONE + b"\n" + more + b"\n" + ONE, lines=True, max_events=MANY)
        first = decoded.refused.listed[0]
        assert (first.index, first.code) == (0, "invalid_json")
        assert list(decoded.typed_indexes)[-1] == 2


@pytest.mark.parametrize("bad", [False, True])
@pytest.mark.parametrize("lines", [False, True])
def test_as_many_events_as_allowed_and_one_more(lines: bool, bad: bool) -> None:
    each = b'{"kind":"embeddings"}' if bad else ONE

    def body(count: int) -> bytes:
        return b"\n".join([each] * count) if lines else b"[" + b",".join([each] * count) + b"]"

    assert total(decode(body(3), lines=lines, max_events=3)) == 3
    told = "more than 3, which is the most that a request carries" if bad else r"4\. A request carries at most 3"
    with pytest.raises(BodyTooLargeError, match=rf"^Too many events: {told}\.$") as caught:
        decode(body(4), lines=lines, max_events=3)
    assert caught.value.status == 413


# --- two readings, one result ------------------------------------------------------------------------------------


@given(st.lists(usages().flatmap(wires), max_size=8), st.booleans())
def test_the_slow_reading_finds_the_same_events_as_the_fast_one(events: list[dict[str, Any]], lines: bool) -> None:
    fast, slow = read(*events, lines=lines), read(*events, "not an event", lines=lines)
    assert not fast.refused.listed
    assert [r.code for r in slow.refused.listed] == ["invalid_type"]
    assert slow.typed == fast.typed
    assert list(slow.typed_indexes) == list(fast.typed_indexes) == list(range(len(events)))
    assert (total(fast), total(slow)) == (len(events), len(events) + 1)


odd_values: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        False,
        -1,
        0,
        1,
        2**53,
        2**64,
        1.0,
        1.5,
        "",
        "a",
        "1",
        "x" * 300,
        "a\0",
        "2026-01-01T00:00:00Z",
        [],
        {},
    ]
)
odd_names = st.sampled_from(["", "kind", "x", "modle", "id", "timestamp", *DIMENSIONS, *MEASURE_COLUMNS])


@given(usages().flatmap(wires), st.dictionaries(odd_names, odd_values, min_size=1, max_size=3), st.sets(odd_names))
@example({"kind": "images", "id": "a", "timestamp": 0, "images": 1}, {"size": "1024x1024\n"}, set())
def test_what_the_fast_reading_refuses_the_slow_one_explains(
    event: dict[str, Any], odd: dict[str, Any], gone: set[str]
) -> None:
    changed = {name: value for name, value in (event | odd).items() if name not in gone}
    decoded = read(changed)
    if decoded.typed:
        assert not decoded.refused.listed
        return
    assert decoded.refused.listed
    for rejection in decoded.refused.listed:
        # A refusal that names no field would be the reader's own words, which say less.
        assert rejection.param is not None
        assert rejection.param[:256] in (*changed, "kind", "id", "timestamp", *MEASURE_COLUMNS, "input_tokens")
        assert rejection.code in ("invalid_type", "invalid_value", "unknown_field", "missing_field")


# --- typed events → columns --------------------------------------------------------------------------------------


def test_the_stored_columns() -> None:
    assert SCHEMA.names == ["event_id", "ts", "kind", "provider", *DIMENSIONS, *MEASURE_COLUMNS, "rate_id"]
    assert [f.name for f in SCHEMA if f.nullable] == list(DIMENSIONS)


@given(usages())
def test_every_form_of_an_event_is_stored_alike(usage: Usage) -> None:
    expected = dict.fromkeys(MEASURE_COLUMNS, 0) | dict.fromkeys(DIMENSIONS) | dict(usage.dimensions)
    counts = {"input_text_tokens" if name == "input_tokens" else name: n for name, n in usage.counts.items()}
    expected |= counts | {"event_id": usage.id, "ts": usage.timestamp, "kind": usage.kind, "provider": usage.provider}
    rows, places = table([wire(usage, form) for form in FORMS])
    assert places == list(range(len(FORMS)))
    for row in rows.to_pylist():
        assert row == expected | {"rate_id": 0}


@given(st.lists(usages().flatmap(wires), min_size=1, max_size=12))
def test_a_batch_of_many_kinds_keeps_its_order(events: list[dict[str, Any]]) -> None:
    """Of events that contradict each other the first one counts, so their order is part of the result."""
    rows, places = table(events)
    assert rows.schema == SCHEMA
    assert places == list(range(len(events)))
    assert [(row["event_id"], row["kind"]) for row in rows.to_pylist()] == [(e["id"], e["kind"]) for e in events]


def test_no_events_make_an_empty_table() -> None:
    rows, places = to_table([], LATEST)
    assert (rows.num_rows, rows.schema, len(places)) == (0, SCHEMA, 0)


@pytest.mark.parametrize("at_once", [1, 4, EVENTS_AT_ONCE_MAX])
def test_what_cannot_be_kept_is_left_out_of_a_mixed_batch(at_once: int) -> None:
    good = [wire(usage(kind, f"good {kind}")) for kind in KINDS]
    late = wire(usage("images", "late"), timestamp=LATEST + 1)
    contradictory = {
        "kind": "completions",
        "id": "contradictory",
        "timestamp": TODAY,
        "input_tokens": 10,
        "input_cached_tokens": 11,
        "output_tokens": 1,
    }
    open_input = {"kind": "decisions", "id": "open", "timestamp": TODAY, "output_tokens": 1}
    events = [late, *good[:5], contradictory, *good[5:], open_input, contradictory | {"input_cached_tokens": 12}]
    typed = read(*events).typed
    rows, places = to_table(typed, LATEST, at_once_max=at_once)
    assert rows["event_id"].to_pylist() == [event["id"] for event in good]
    assert [events[place] for place in places] == good
    found = {n: reason_of(typed[n], LATEST, NOW) for n in range(len(events)) if n not in places}
    assert found == {
        0: (
            "invalid_value",
            "timestamp",
            f"Invalid 'timestamp': {LATEST + 1} is outside of 0 to {LATEST}, 600 seconds ahead of now.",
        ),
        6: (
            "contradictory_counts",
            "input_cached_tokens",
            "Invalid 'input_cached_tokens': input_tokens (10) is less than input_cached_tokens (11)",
        ),
        len(events) - 2: (
            "missing_field",
            "input_tokens",
            "Invalid 'input_tokens': input_tokens is required, and the numbers given do not determine it",
        ),
        len(events) - 1: (
            "contradictory_counts",
            "input_cached_tokens",
            "Invalid 'input_cached_tokens': input_tokens (10) is less than input_cached_tokens (12)",
        ),
    }


def test_the_largest_counts_do_not_overflow() -> None:
    parts = [c for c in METERS[0].columns if c not in ("num_model_requests", "input_cache_write_other_tokens")]
    stored = columns({"kind": "completions", "id": "a", "timestamp": TODAY, **dict.fromkeys(parts, COUNT_MAX)})
    assert {stored[part] for part in parts} == {COUNT_MAX}


@pytest.mark.parametrize("encode", [json.dumps, lambda event: json.dumps(event, ensure_ascii=False, indent=1)])
def test_however_json_is_written(encode: Callable[[Any], str]) -> None:
    event = wire(usage("embeddings", "ü\U0001f600", model="é"))
    decoded = decode(encode([event]).encode(), lines=False, max_events=1)
    assert (decoded.typed[0].id, decoded.typed[0].model) == ("ü\U0001f600", "é")


# --- a field given twice -----------------------------------------------------------------------------------------


def texts(events: list[bytes]) -> list[tuple[bytes, bool]]:
    """Bodies of these events in each form, and whether it is NDJSON."""
    array = b" [" + b" ,\n".join(events) + b"] "
    return [(array, False), (b"\n".join(events), True), *([(events[0], False)] if len(events) == 1 else [])]


GOOD = b'"kind":"embeddings","timestamp":1750000000,"input_tokens":1'


@pytest.mark.parametrize(
    ("text", "name", "first", "second"),
    [
        (b'{"id":"a","id":"b",%s}', "id", "'a'", "'b'"),
        (b'{"id":"a",%s,"id":"a"}', "id", "'a'", "'a'"),
        (b'{"id":"a","\\u0069d":"b",%s}', "id", "'a'", "'b'"),
        (b'{"id":"a" , "id"\t:\r "b",%s}', "id", "'a'", "'b'"),
        (b'{"id":"a\\u003a","id":"a\\u003A",%s}', "id", "'a:'", "'a:'"),
        (b'{"id":"a\\u003a\\u003a","id":"a",%s}', "id", "'a::'", "'a'"),
        (b'{"id":"a","input_tokens":7,%s}', "input_tokens", "7", "1"),
        (b'{"id":"a",%s,"input_tokens":[ 7 ]}', "input_tokens", "1", "[ 7 ]"),
        (b'{"id":"a",%s,"model":null,"model":"m"}', "model", "null", "'m'"),
        (b'{"id":"a",%s,"model":"m","model":null}', "model", "'m'", "null"),
        (b'{"id":"a",%s,"provider":"openai","provider":"openai"}', "provider", "'openai'", "'openai'"),
        (b'{"id":"a",%s,"num_model_requests":1,"num_model_requests":1}', "num_model_requests", "1", "1"),
        (b'{"id":"a:","id":"a+00:00","id":"a:",%s}', "id", "'a:'", "'a+00:00'"),
        (b'{"id":"a",%s,"kind":"images"}', "kind", "'embeddings'", "'images'"),
    ],
)
def test_a_field_given_twice_is_refused_with_both_values(text: bytes, name: str, first: str, second: str) -> None:
    twice = text % GOOD
    good = b'{"id":"ok",%s}' % GOOD
    for events in ([twice], [good, twice, good]):
        for body, lines in texts(events):
            decoded = decode(body, lines=lines, max_events=MANY)
            assert (len(decoded.typed), total(decoded)) == (len(events) - 1, len(events))
            found = next(r for r in decoded.refused.listed if r.code == "duplicate_field")
            assert (found.index, found.param) == (len(events) // 2, name)
            assert found.message == f"Field given twice: '{name}', as {first} and as {second}."


@pytest.mark.parametrize("offset", ["Z", "+00:00", "-00:00", "+0000", "+0100", "+01:00", "-09:30", ".25+0530"])
def test_a_time_does_not_make_up_for_a_field_given_twice(offset: str) -> None:
    """What is written `+0100` has a colon less than when it is written anew."""
    once = b'{"kind":"embeddings","id":"a","timestamp":"2025-06-15T12:00:00%s","input_tokens":1}' % offset.encode()
    for body, lines in texts([once] * 3):
        assert len(decode(body, lines=lines, max_events=MANY).typed) == 3
    twice = once.replace(b'"id":"a"', b'"id":"a","id":"b"')
    for body, lines in texts([once, twice]):
        assert [r.code for r in decode(body, lines=lines, max_events=MANY).refused.listed] == ["duplicate_field"]


@given(
    st.lists(st.sampled_from(["id", "model", "user_id", "provider", "num_model_requests", "input_tokens"]), max_size=4),
    st.sampled_from(["a", "a:", "::", '":', '\\":', "a+00:00", "\\u003a", "ü:", None]),
    st.sampled_from([None, 1]),
    st.booleans(),
)
def test_exactly_the_fields_given_twice_are_refused(more: list[str], text: Any, count: Any, ascii_only: bool) -> None:
    pairs = [("id", text or "x"), ("kind", "embeddings"), ("timestamp", NOW), ("input_tokens", 5)]
    pairs += [(name, count or 5 if name.startswith(("num", "input")) else text or "x") for name in more]
    names = [name for name, _ in pairs]
    raw = "{" + ", ".join(f"{json.dumps(n)} : {json.dumps(v, ensure_ascii=ascii_only)}" for n, v in pairs) + "}"
    for body, lines in texts([raw.encode()] * 2):
        decoded = decode(body, lines=lines, max_events=MANY)
        assert bool(decoded.refused.listed) == (len(set(names)) < len(names))
        assert len(decoded.typed) == (0 if decoded.refused.listed else 2)


# --- the work of refusing ----------------------------------------------------------------------------------------


def test_reasons_are_looked_for_until_enough_are_found() -> None:
    bad = [{"kind": "embeddings", "id": f"{n}", "timestamp": 0, "x": 1} for n in range(ERRORS_LISTED_MAX)]
    for lines in (False, True):
        decoded = read(*bad, wire(usage("embeddings")), *bad, lines=lines)
        assert (len(decoded.typed), total(decoded)) == (1, 2 * len(bad) + 1)
        assert len({r.index for r in decoded.refused.listed}) + decoded.refused.omitted == 2 * len(bad)
        assert ERRORS_LISTED_MAX <= len(decoded.refused.listed) < ERRORS_LISTED_MAX + ERRORS_PER_EVENT_MAX
        first = range(ERRORS_LISTED_MAX // 2)
        assert {(r.index, r.id) for r in decoded.refused.listed} == {(n, f"{n}") for n in first}
