"""Parameters → a query: three encodings of lists, every refusal, limits at both sides, and page tokens."""

import base64
import hmac
import json
import re
import struct
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.model import WIDTHS
from tests.support.samples import DAY, NOW, SECRET, TODAY, ask
from tests.support.strategies import (
    Place,
    filters,
    groupings,
    limits,
    local_windows,
    meters,
    parameters,
    places,
    windows,
)

from usageledger.buckets import LATEST_TIME, Bucket, split, split_days
from usageledger.errors import InvalidRequestError, PageTokenError
from usageledger.meter import Dimension, Meter, Width
from usageledger.meters import COSTS, METER_BY_KIND, METERS
from usageledger.questions.query import FILTER_VALUES_MAX, TOKEN_SECONDS, Query, page_token, parse

RECORDED = Path(__file__).parent.parent / "contract" / "data" / "recorded"
ERRORS = {
    name: body["error"]
    for name, body in json.loads((RECORDED / "errors_live.json").read_text()).items()
    if not name.startswith("_")
}
TOKENS = json.loads((RECORDED / "page_tokens.json").read_text())["tokens"]

Pairs = list[tuple[str, str]]

ALL = (*METERS, COSTS)
COMPLETIONS = METER_BY_KIND["completions"]
WIDTH_CASES = [(meter, width) for meter in ALL for width in meter.widths]
FILTER_CASES = [(meter, dimension) for meter in ALL for dimension in meter.filters]
START = ("start_time", str(TODAY - 3 * DAY))
END = ("end_time", str(TODAY))


def name_of(case: Any) -> str:
    return str(getattr(case, "kind", None) or getattr(case, "name", None) or case)


def read(meter: Meter, *pairs: tuple[str, str], now: int = NOW) -> Query:
    return parse(meter, list(pairs), now=now, secret=SECRET)


def refused(meter: Meter, *pairs: tuple[str, str]) -> tuple[str | None, str | None, str]:
    """(code, param, message) of the refusal."""
    with pytest.raises(InvalidRequestError) as caught:
        read(meter, *pairs)
    assert caught.value.status == 400
    assert caught.value.type == "invalid_request_error"
    return caught.value.code, caught.value.param, caught.value.message


def token_of(query: Query, *, now: int = NOW) -> str:
    token = page_token(query, now=now, secret=SECRET)
    assert token
    return token


# --- the parameters ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("meter", ALL, ids=name_of)
def test_the_least_that_can_be_asked(meter: Meter) -> None:
    query = read(meter, START)
    assert query == Query(
        meter=meter,
        start_time=TODAY - 3 * DAY,
        end_time=TODAY + DAY if meter.priced else NOW,
        open_ended=True,
        width=meter.width("1d"),
        filters=(),
        group_by=(),
        limit=7,
        page_start=TODAY - 3 * DAY,
    )


@pytest.mark.parametrize("meter", METERS, ids=name_of)
def test_everything_that_can_be_asked(meter: Meter) -> None:
    values = {d.name: ("true",) if d.flag else d.values[:2] or ("b", "a") for d in meter.filters}
    pairs = [START, END, ("bucket_width", "1h"), ("limit", "10")]
    pairs += [(str(d.filter), value) for d in meter.filters for value in values[d.name]]
    pairs += [("group_by", d.name) for d in reversed(meter.groupings)]
    query = read(meter, *pairs)
    assert (query.start_time, query.end_time, query.open_ended) == (TODAY - 3 * DAY, TODAY, False)
    assert (query.width.name, query.limit) == ("1h", 10)
    assert query.group_by == tuple(d.name for d in meter.groupings)
    expected = {d.name: (True,) if d.flag else tuple(sorted(values[d.name])) for d in meter.filters}
    assert dict(query.filters) == expected
    assert [name for name, _ in query.filters] == [d.name for d in meter.filters]


ENCODINGS: dict[str, Any] = {
    "repeated": lambda name, values: [(name, value) for value in values],
    "brackets": lambda name, values: [(f"{name}[]", value) for value in values],
    "numbers": lambda name, values: [(f"{name}[{n}]", value) for n, value in enumerate(values)],
    "commas": lambda name, values: [(name, ",".join(values))],
    "blanks": lambda name, values: [(name, ",  ".join(values))],
    "mixed": lambda name, values: [(name, values[0]), (f"{name}[]", values[1]), (name, ",".join(values[1:]))],
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("meter", ALL, ids=name_of)
def test_lists_in_every_encoding(meter: Meter, encoding: str) -> None:
    names = [d.name for d in meter.groupings]
    if len(names) > 1:
        assert read(meter, START, *ENCODINGS[encoding]("group_by", names)).group_by == tuple(names)
    for dimension in meter.filters:
        if not dimension.flag and not (dimension.has_commas and encoding == "blanks"):
            values = list(dimension.values) or ["proj_a", "proj_b", "proj_c"]
            query = read(meter, START, *ENCODINGS[encoding](str(dimension.filter), values))
            assert query.filters == ((dimension.name, tuple(sorted(values))),)


def test_a_list_in_brackets_of_groupings_with_commas() -> None:
    assert read(COMPLETIONS, START, ("group_by[]", "model,project_id")).group_by == ("project_id", "model")


@pytest.mark.parametrize(
    ("text", "values"),
    [("a, b", ("a", "b")), ("a, ,b", (" ", "a", "b")), ("a, ", (" ", "a")), (" a,  b c", (" a", "b c")), (" ", (" ",))],
)
def test_blanks_behind_a_comma_are_part_of_no_value_that_has_more(text: str, values: tuple[str, ...]) -> None:
    assert read(COMPLETIONS, START, ("models", text)).filters == (("model", values),)


def test_a_value_with_a_comma_can_be_asked_for_in_brackets() -> None:
    assert read(COMPLETIONS, START, ("models[]", "a,b"), ("models", "c,d")).filters == (("model", ("a,b", "c", "d")),)


def test_repeated_values_count_once_and_their_order_does_not_matter() -> None:
    query = read(COMPLETIONS, START, ("models", "b,a"), ("models", "a"), ("group_by", "model,batch,model"))
    assert query.filters == (("model", ("a", "b")),)
    assert query.group_by == ("model", "batch")


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False), ("True", True), ("FALSE", False)])
def test_flags(text: str, value: bool) -> None:
    assert read(COMPLETIONS, START, ("batch", text)).filters == (("batch", (value,)),)


@pytest.mark.parametrize(("meter", "width"), WIDTH_CASES, ids=name_of)
def test_limits_of_each_width(meter: Meter, width: Width) -> None:
    of_width = ("bucket_width", width.name)
    assert read(meter, START, of_width).limit == width.default_limit
    assert read(meter, START, of_width, ("limit", "1")).limit == 1
    assert read(meter, START, of_width, ("limit", str(width.max_limit))).limit == width.max_limit
    assert refused(meter, START, of_width, ("limit", str(width.max_limit + 1))) == (
        "invalid_request_error",
        None,
        f"Invalid limit provided: {width.max_limit + 1}. Limit must be less than or equal to {width.max_limit}.",
    )
    for limit in ("0", "-1"):
        assert refused(meter, START, of_width, ("limit", limit)) == (
            "invalid_request_error",
            None,
            f"Invalid limit provided: {limit}. Limit must be greater than or equal to 1.",
        )


@pytest.mark.parametrize("name", ["start_time", "end_time"])
def test_times_at_their_limits(name: str) -> None:
    for value in ("0", "1") if name == "start_time" else (str(TODAY - 3 * DAY + 1), str(LATEST_TIME)):
        query = read(COMPLETIONS, *{"start_time": START[1], name: value}.items())
        assert getattr(query, name) == int(value)
    for value in ("-1", str(LATEST_TIME + 1), str(NOW * 1000), str(NOW * 10**9), "9" * 100):
        code, param, message = refused(COMPLETIONS, *{"start_time": START[1], name: value}.items())
        assert (code, param) == ("invalid_value", name)
        hint = "" if value == "-1" else " Is it in milliseconds?"
        assert message == f"Invalid '{name}': expected Unix seconds from 0 to {LATEST_TIME}, got {value}.{hint}"


@pytest.mark.parametrize("name", ["start_time", "end_time", "limit"])
@pytest.mark.parametrize(
    "value", ["", " ", "1.0", "1e9", "abc", "+1", " 1", "1 ", "0x10", "1_000", "\u0661", "null", "1\n", "9" * 101]
)
def test_what_is_not_an_integer_is_refused(name: str, value: str) -> None:
    pairs = {"start_time": START[1], name: value}
    assert refused(COMPLETIONS, *pairs.items()) == (
        "invalid_type",
        name,
        f"Invalid type for '{name}': expected an integer, got '{value[:100]}'.",
    )


@pytest.mark.parametrize("end", [0, -1, -DAY])
def test_the_end_is_after_the_start(end: int) -> None:
    code, param, message = refused(COMPLETIONS, ("start_time", str(TODAY)), ("end_time", str(TODAY + end)))
    assert (code, param) == ("invalid_value", "end_time")
    assert str(TODAY) in message
    assert str(TODAY + end) in message
    assert read(COMPLETIONS, ("start_time", str(TODAY)), ("end_time", str(TODAY + 1))).end_time == TODAY + 1


def test_a_start_ahead_of_now_asks_for_nothing() -> None:
    query = read(COMPLETIONS, ("start_time", str(NOW + 5)))
    assert (query.start_time, query.end_time, query.buckets, query.next_start) == (NOW + 5, NOW + 5, (), None)
    assert page_token(query, now=NOW, secret=SECRET) is None


def test_start_time_is_required() -> None:
    """The official server sets no `param` here."""
    recorded = next(error for name, error in ERRORS.items() if name.startswith("missing start_time"))
    for pairs in ((), (END,), (("limit", "5"), ("group_by", "model"))):
        code, param, message = refused(COMPLETIONS, *pairs)
        assert (code, param) == (recorded["code"], recorded["param"])
        assert message == "Missing required parameter: 'start_time'."


@pytest.mark.parametrize("value", ["1w", "", "1D", "day", "1d,1h", "60"])
@pytest.mark.parametrize("meter", ALL, ids=name_of)
def test_an_unknown_width(meter: Meter, value: str) -> None:
    code, param, message = refused(meter, START, ("bucket_width", value))
    assert (code, param) == ("invalid_value", "bucket_width")
    supported = ", ".join(f"'{width.name}'" for width in meter.widths)
    assert message.startswith(f"Invalid value for 'bucket_width': '{value}'. Supported values are: {supported}.")


def test_costs_do_not_come_by_the_minute() -> None:
    assert refused(COSTS, START, ("bucket_width", "1m"))[:2] == ("invalid_value", "bucket_width")


@pytest.mark.parametrize(("width", "seconds"), [("1d", DAY), ("1h", 3600), ("all", 3600)])
def test_windows_of_costs_snap_outward(width: str, seconds: int) -> None:
    base = ("bucket_width", width)
    query = read(COSTS, ("start_time", str(TODAY + 1)), ("end_time", str(TODAY + seconds + 1)), base)
    assert (query.start_time, query.page_start, query.end_time) == (TODAY, TODAY, TODAY + 2 * seconds)
    query = read(COSTS, ("start_time", str(TODAY)), ("end_time", str(TODAY + seconds)), base)
    assert (query.start_time, query.end_time) == (TODAY, TODAY + seconds)


@pytest.mark.parametrize("meter", ALL, ids=name_of)
def test_a_whole_window_is_one_bucket(meter: Meter) -> None:
    """Hours of costs are whole ones; usage begins and ends where the window does."""
    query = read(
        meter, ("start_time", str(TODAY - 400 * DAY + 1)), ("end_time", str(TODAY - 1)), ("bucket_width", "all")
    )
    ends = (TODAY - 400 * DAY, TODAY) if meter.priced else (TODAY - 400 * DAY + 1, TODAY - 1)
    assert query.buckets == (Bucket(*ends),)
    assert query.next_start is None


def test_commas_of_line_items_have_a_space_behind() -> None:
    query = read(COSTS, START, ("line_items", "gpt-4o, input,gpt-4o, output"), ("line_items[]", "a,b"))
    assert query.filters == (("line_item", ("a,b", "gpt-4o, input", "gpt-4o, output")),)


def test_the_granularity_that_exporters_send_is_that_of_days() -> None:
    """No documentation has it; FX Exporter asks for costs with it, and shows nothing where it is refused."""
    day = ("granularity", "day")
    assert read(COSTS, START, day) == read(COSTS, START, ("bucket_width", "1d"), day) == read(COSTS, START)
    message = "Invalid value for 'granularity': 'hour'. Supported values are: 'day'."
    assert refused(COSTS, START, ("granularity", "hour")) == ("invalid_value", "granularity", message)
    message = "Invalid 'granularity': 'day' with a 'bucket_width' of '1h': leave one of the two out."
    assert refused(COSTS, START, ("bucket_width", "1h"), day) == ("invalid_value", "granularity", message)
    assert refused(COMPLETIONS, START, day)[:2] == ("unknown_parameter", "granularity")


def test_only_costs_can_be_asked_as_of_a_time() -> None:
    assert read(COSTS, START, ("as_of", "1750000000")).as_of == 1_750_000_000
    assert refused(COSTS, START, ("as_of", "yesterday"))[:2] == ("invalid_type", "as_of")
    assert refused(COMPLETIONS, START, ("as_of", "1750000000"))[:2] == ("unknown_parameter", "as_of")


def test_a_token_of_costs_is_for_the_prices_of_its_time() -> None:
    token = token_of(read(COSTS, START, ("as_of", "1750000000"), ("limit", "1")))
    assert read(COSTS, ("page", token)).as_of == 1_750_000_000
    with pytest.raises(PageTokenError):
        read(COSTS, START, ("page", token))


@pytest.mark.parametrize("name", ["Europe/Berlin", "europe/berlin", "EUROPE/BERLIN"])
@pytest.mark.parametrize("meter", ALL, ids=name_of)
def test_days_of_a_time_zone(meter: Meter, name: str) -> None:
    midnight = TODAY - 2 * 3600  # in summer
    query = read(meter, ("start_time", str(midnight + 5)), ("end_time", str(midnight + DAY + 5)), ("timezone", name))
    assert query.timezone == "Europe/Berlin"
    edges = [(bucket.start - midnight, bucket.end - midnight) for bucket in query.buckets]
    assert edges == ([(0, DAY), (DAY, 2 * DAY)] if meter.priced else [(5, DAY), (DAY, DAY + 5)])
    assert [query.whole_start(bucket) for bucket in query.buckets] == [midnight, midnight + DAY]
    assert read(meter, START).timezone is None


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("Europe/Berln", " Did you mean 'Europe/Berlin'?"),
        ("Berlin", " Did you mean 'Europe/Berlin'?"),
        ("Etc/GMT 5", " Did you mean 'Etc/GMT-5'?"),  # a plus sign in an address is a space
        ("+02:00", ""),
        ("", ""),
        ("../Europe/Berlin", " Did you mean 'Europe/Berlin'?"),
        ("/etc/localtime", ""),
        ("localtime", ""),
        ("Europe/Berlin,UTC", " Did you mean 'Europe/Berlin'?"),
        ("\0", ""),
    ],
)
def test_an_unknown_time_zone(value: str, hint: str) -> None:
    expected = "Expected a name of the IANA time zone database, such as 'Europe/Berlin' or 'UTC'."
    message = f"Invalid value for 'timezone': '{value}'. {expected}{hint}"
    assert refused(COMPLETIONS, START, ("timezone", value)) == ("invalid_value", "timezone", message)


@pytest.mark.parametrize(("meter", "width"), WIDTH_CASES, ids=name_of)
def test_only_days_are_cut_by_a_time_zone(meter: Meter, width: Width) -> None:
    pairs = (START, ("bucket_width", width.name), ("timezone", "europe/berlin"))
    if width.name == "1d":
        assert read(meter, *pairs).timezone == "Europe/Berlin"
        return
    if meter.priced and width.name == "all":
        return  # below
    code, param, message = refused(meter, *pairs)
    assert (code, param) == ("invalid_value", "timezone")
    assert message.startswith(f"Invalid 'timezone': 'Europe/Berlin' with a 'bucket_width' of '{width.name}'. Only ")


def test_a_whole_window_of_costs_from_hour_to_hour_is_what_was_asked_for() -> None:
    window = (("start_time", "1794463200"), ("end_time", "1794549600"))
    (whole,) = read(COSTS, *window, ("bucket_width", "all")).buckets
    hours = read(COSTS, *window, ("bucket_width", "1h")).buckets
    assert (whole.start, whole.end) == (hours[0].start, hours[-1].end) == (1_794_463_200, 1_794_549_600)


def test_a_whole_window_of_costs_is_widened_to_hours_of_a_time_zone() -> None:
    """Hours are those since midnight there, so that days of the zone are whole hours."""
    zone, whole = ("timezone", "Asia/Kolkata"), ("bucket_width", "all")
    midnight = TODAY - 5 * 3600 - 1800  # half past six in the evening, UTC
    for start, end in ((midnight, midnight + 2 * DAY), (midnight + 3599, midnight + 2 * DAY - 3599)):
        query = read(COSTS, ("start_time", str(start)), ("end_time", str(end)), whole, zone)
        assert query.buckets == (Bucket(midnight, midnight + 2 * DAY),)
    query = read(COSTS, ("start_time", str(TODAY)), ("end_time", str(TODAY + 1)), whole, zone)
    assert query.buckets == (Bucket(TODAY - 1800, TODAY + 1800),)


def test_hours_of_a_time_zone_end_with_their_day() -> None:
    """On Lord Howe Island clocks go back by half an hour: that day has 24.5 hours."""
    zone, whole = ("timezone", "Australia/Lord_Howe"), ("bucket_width", "all")
    midnight = int(datetime(2026, 4, 5, 13, 30, tzinfo=UTC).timestamp())  # the end of that day
    for start, end in ((midnight - 1, midnight), (midnight - 1800, midnight - 1)):
        query = read(COSTS, ("start_time", str(start)), ("end_time", str(end)), whole, zone)
        assert query.buckets == (Bucket(midnight - 1800, midnight),)


def test_times_in_a_time_zone_at_their_limits() -> None:
    zone = ("timezone", "Etc/GMT-14")
    last = LATEST_TIME - 2 * DAY
    for meter in (COMPLETIONS, COSTS):
        assert read(meter, ("start_time", str(last - 1)), ("end_time", str(last)), zone).buckets
        assert read(meter, ("start_time", "0"), ("end_time", "1"), zone).buckets[0].start == 0
        code, param, message = refused(meter, ("start_time", str(last)), ("end_time", str(last + 1)), zone)
        assert (code, param) == ("invalid_value", "end_time")
        assert message == f"Invalid 'end_time': expected Unix seconds from 0 to {last}, got {last + 1}."


@pytest.mark.parametrize("meter", ALL, ids=name_of)
def test_a_token_is_for_days_of_its_time_zone(meter: Meter) -> None:
    zone = ("timezone", "Europe/Berlin")
    first = read(meter, START, END, zone, ("limit", "1"))
    second = replace(first, page_start=TODAY - 2 * DAY - 2 * 3600)
    token = ("page", token_of(first))
    assert read(meter, token) == read(meter, token, START, END, ("timezone", "europe/BERLIN")) == second
    for others in ((), (("timezone", "Europe/Paris"),)):
        with pytest.raises(PageTokenError):
            read(meter, token, START, END, *others)


@pytest.mark.parametrize("meter", ALL, ids=name_of)
def test_an_unknown_grouping(meter: Meter) -> None:
    allowed = [d.name for d in meter.groupings]
    hidden = [d.name for d in meter.dimensions if not d.on_wire]
    supported = ", ".join(f"'{name}'" for name in allowed)
    for value in ("", "models", "start_time", f"{allowed[0]} ", *hidden):
        for pairs in ([("group_by", value)], [("group_by[]", value)], [("group_by", f"{allowed[0]},{value}")]):
            code, param, message = refused(meter, START, *pairs)
            assert (code, param) == ("invalid_value", "group_by")
            assert message.startswith(f"Invalid value for 'group_by': '{value}'. Supported values are: {supported}.")


def test_a_mistyped_grouping_gets_a_suggestion() -> None:
    assert refused(COMPLETIONS, START, ("group_by", "modle"))[2].endswith(" Did you mean 'model'?")


@pytest.mark.parametrize(("meter", "dimension"), FILTER_CASES, ids=name_of)
def test_each_filter_at_its_limit(meter: Meter, dimension: Dimension) -> None:
    name = str(dimension.filter)
    good, bad = ["x", "x" * 300, "ü", "'", " "], ["", "\0", "a\0"]
    if dimension.values:
        good, bad = list(dimension.values), ["", "x", dimension.values[0].upper() + "!", f"{dimension.values[0]} "]
    if dimension.pattern:
        good += ["1536x1024", "auto"]
        bad += ["1024x1024\n", "100000x10"]
    if dimension.flag:
        good, bad = ["true", "false"], ["", "1", "yes", "null", "true,false"]
    for value in good:
        ((found, values),) = read(meter, START, (name, value)).filters
        assert found == dimension.name
        assert values == ((value == "true",) if dimension.flag else (value,))
    for value in bad:
        code, param, message = refused(meter, START, (name, value))
        assert (code, param) == ("invalid_value", name)
        assert message.startswith(("Invalid value for", "Invalid "))
        allowed = ("true", "false") if dimension.flag else dimension.values
        assert all(f"'{each}'" in message for each in allowed)


def test_a_filter_with_an_empty_value_among_others_is_refused() -> None:
    for value in ("a,", ",a", "a,,b"):
        assert refused(COMPLETIONS, START, ("models", value))[:2] == ("invalid_value", "models")


def test_as_many_values_as_allowed_and_one_more() -> None:
    values = [f"m{number}" for number in range(FILTER_VALUES_MAX + 1)]
    assert len(read(COMPLETIONS, START, ("models", ",".join(values[1:]))).filters[0][1]) == FILTER_VALUES_MAX
    assert refused(COMPLETIONS, START, ("models", ",".join(values))) == (
        "invalid_value",
        "models",
        f"Too many values for 'models': {FILTER_VALUES_MAX + 1}. At most {FILTER_VALUES_MAX} are allowed.",
    )


@pytest.mark.parametrize("meter", ALL, ids=name_of)
def test_an_unknown_parameter_is_refused(meter: Meter) -> None:
    known = {d.filter for d in meter.filters}
    foreign = {str(d.filter) for other in ALL for d in other.filters} - known
    for name in ("what", "start", "", "Start_time", *foreign, *(f"{each}[]" for each in foreign)):
        code, param, message = refused(meter, START, (name, "x"))
        assert (code, param) == ("unknown_parameter", name)
        assert message.startswith(f"Unknown parameter: '{name}'. ")
        assert "Did you mean '" in message or "Allowed are: 'start_time', 'end_time', " in message


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("model", "models"),
        ("project_id", "project_ids"),
        ("groupby", "group_by"),
        ("startTime", "start_time"),
        ("bucketwidth", "bucket_width"),
        ("batch[]", "batch"),
        ("limit[]", "limit"),
        ("start_time[]", "start_time"),
    ],
)
def test_a_mistyped_parameter_gets_a_suggestion(name: str, suggestion: str) -> None:
    """A filter that is silently ignored is a wrong number."""
    assert refused(COMPLETIONS, START, (name, "1")) == (
        "unknown_parameter",
        name,
        f"Unknown parameter: '{name}'. Did you mean '{suggestion}'?",
    )


def test_a_very_long_parameter_is_not_said_back() -> None:
    code, param, message = refused(COMPLETIONS, START, ("x" * 100_000, "1"))
    assert (code, param) == ("unknown_parameter", "x" * 256)
    assert len(message) < 1000
    for name in ("group_by", "models", "bucket_width", "batch", "limit", "end_time"):
        assert len(refused(COMPLETIONS, START, (name, "\0" * 100_000))[2]) < 500_000


@pytest.mark.parametrize("name", ["start_time", "end_time", "bucket_width", "limit", "page", "batch"])
def test_a_single_parameter_given_twice(name: str) -> None:
    code, param, message = refused(COMPLETIONS, START, (name, "1"), (name, "1"))
    assert (code, param, message) == ("invalid_value", name, f"Parameter given twice: '{name}'.")


def test_recorded_refusals_are_ours() -> None:
    """Real answers of the official server to the same mistakes."""
    recorded = {name.split(" (")[0].removesuffix(" 400"): error for name, error in ERRORS.items()}
    with pytest.raises(InvalidRequestError) as caught:
        read(COSTS, START, ("limit", "366"))
    assert caught.value.body() == {"error": recorded["costs limit too big"]}
    wrong_type = recorded["start_time wrong type"]
    code, param, message = refused(COMPLETIONS, ("start_time", "abc"))
    assert (code, param) == (wrong_type["code"], wrong_type["param"])
    assert message.startswith(wrong_type["message"].rstrip("."))
    with pytest.raises(PageTokenError) as caught:
        read(COMPLETIONS, ("page", TOKENS[0]["t"]))
    assert caught.value.body()["error"] == recorded["bad_page_token_400"] | {"param": None}


# --- page tokens -------------------------------------------------------------------------------------------------

FIRST = ask(
    "completions", TODAY - 20 * DAY + 5, TODAY, "1h", limit=24, group_by=["model"], models=["a", "b,c"], batch=True
)


def repeated(**changes: str | None) -> Pairs:
    """The parameters of `FIRST`, as a client repeats them beside its page token."""
    pairs = {
        "start_time": str(TODAY - 20 * DAY + 5),
        "end_time": str(TODAY),
        "bucket_width": "1h",
        "limit": "24",
        "group_by": "model",
        "batch": "true",
    } | changes
    return [("models[]", "b,c"), ("models[]", "a"), *((n, v) for n, v in pairs.items() if v is not None)]


SECOND = replace(FIRST, page_start=FIRST.buckets[-1].end)


@pytest.mark.parametrize("padding", ["=", "%3D", "%3d", "", "=="])
@pytest.mark.parametrize("length", range(3))
@pytest.mark.parametrize("with_parameters", [False, True])
def test_a_token_is_accepted_with_any_padding(padding: str, length: int, with_parameters: bool) -> None:
    # Names of different lengths make tokens that end in no, one and two padding characters.
    first = replace(FIRST, filters=(("model", ("a", "b,c", "x" * (length + 3))), *FIRST.filters[1:]))
    bare = token_of(first).rstrip("=")
    pairs = [*repeated(), ("models[]", "x" * (length + 3))] if with_parameters else []
    assert read(COMPLETIONS, *pairs, ("page", bare + padding)) == replace(first, page_start=SECOND.page_start)


def test_a_token_has_the_official_layout() -> None:
    """Recorded tokens start with expiry, four bytes of digest, and the start of the next bucket; so do ours."""
    layout = struct.Struct(">q4sq")
    for recorded in TOKENS:
        raw = base64.b64decode(recorded["t"].removeprefix("page_"))
        assert len(raw) == layout.size
        _, _, start = layout.unpack(raw)
        assert start % DAY == 0
    token = token_of(FIRST)
    assert re.fullmatch(r"page_[A-Za-z0-9_-]+={0,2}", token)
    expiry, digest, start = layout.unpack_from(base64.urlsafe_b64decode(token.removeprefix("page_")))
    assert (expiry, start) == (NOW + 24 * 3600, SECOND.page_start)
    other = token_of(replace(FIRST, group_by=()))
    assert layout.unpack_from(base64.urlsafe_b64decode(other.removeprefix("page_")))[1] != digest


def test_the_last_page_has_no_token() -> None:
    last = replace(FIRST, page_start=TODAY - 24 * 3600)
    assert (len(last.buckets), last.next_start) == (24, None)
    assert page_token(last, now=NOW, secret=SECRET) is None
    assert replace(last, page_start=last.page_start - 3600).next_start == TODAY - 3600


def test_a_token_expires_after_24_hours_exactly() -> None:
    token = ("page", token_of(FIRST))
    assert TOKEN_SECONDS == 24 * 3600
    assert read(COMPLETIONS, token, now=NOW + TOKEN_SECONDS - 1) == SECOND
    with pytest.raises(PageTokenError):
        read(COMPLETIONS, token, now=NOW + TOKEN_SECONDS)


@pytest.mark.parametrize("meter", [m for m in ALL if m is not COMPLETIONS], ids=name_of)
def test_a_token_of_another_endpoint(meter: Meter) -> None:
    plain = ask("completions", TODAY - 20 * DAY, TODAY, "1d", limit=1)
    assert read(COMPLETIONS, ("page", token_of(plain))).page_start == TODAY - 19 * DAY
    with pytest.raises(PageTokenError):
        read(meter, ("page", token_of(plain)))


@pytest.mark.parametrize(
    "changes",
    [
        {"start_time": str(TODAY - 20 * DAY + 6)},
        {"end_time": str(TODAY - 1)},
        {"end_time": None},
        {"bucket_width": "1d"},
        {"bucket_width": None},
        {"group_by": None},
        {"group_by": "model,batch"},
        {"batch": "false"},
        {"batch": None},
        {"models": "d"},
        {"project_ids": "p"},
    ],
)
def test_a_token_of_another_query(changes: dict[str, str | None]) -> None:
    with pytest.raises(PageTokenError):
        read(COMPLETIONS, *repeated(**changes), ("page", token_of(FIRST)))


def test_a_token_with_parameters_written_in_another_way() -> None:
    pairs = [("models", "a"), *((n, v) for n, v in repeated() if (n, v) != ("models[]", "a"))]
    pairs = [("group_by[]" if n == "group_by" else n, "True" if n == "batch" else v) for n, v in reversed(pairs)]
    assert read(COMPLETIONS, ("page", token_of(FIRST)), *pairs) == SECOND


def test_parameters_beside_a_token_are_checked_too() -> None:
    token = ("page", token_of(FIRST))
    assert refused(COMPLETIONS, token, *repeated(model="x"))[0] == "unknown_parameter"
    assert refused(COMPLETIONS, token, *repeated(limit="169"))[2].startswith("Invalid limit provided: 169.")
    assert refused(COMPLETIONS, token, ("limit", "169"))[2].startswith("Invalid limit provided: 169.")


@pytest.mark.parametrize("with_parameters", [False, True])
def test_the_size_of_the_next_page_may_change(with_parameters: bool) -> None:
    pairs = repeated(limit="5") if with_parameters else [("limit", "5")]
    query = read(COMPLETIONS, ("page", token_of(FIRST)), *pairs)
    assert query == replace(SECOND, limit=5)


def test_an_open_end_is_fixed_by_the_first_page() -> None:
    first = read(COMPLETIONS, START, ("limit", "1"))
    later = NOW + 3600
    token = ("page", token_of(first))
    for pairs in ([token], [token, START], [token, START, ("limit", "1")]):
        query = read(COMPLETIONS, *pairs, now=later)
        assert (query.end_time, query.open_ended, query.page_start) == (NOW, True, TODAY - 2 * DAY)
    with pytest.raises(PageTokenError):
        read(COMPLETIONS, token, START, ("end_time", str(NOW)), now=later)


def test_a_token_goes_on_with_its_own_expiry() -> None:
    """Each page's token lives for a day of its own."""
    second = read(COMPLETIONS, ("page", token_of(FIRST)), now=NOW + TOKEN_SECONDS - 1)
    third = token_of(second, now=NOW + TOKEN_SECONDS - 1)
    assert read(COMPLETIONS, ("page", third), now=NOW + 2 * TOKEN_SECONDS - 2).page_start == second.buckets[-1].end


@given(st.data())
def test_a_forged_token_is_refused(data: st.DataObject) -> None:
    raw = bytearray(base64.urlsafe_b64decode(token_of(FIRST).removeprefix("page_")))
    for bit in data.draw(st.sets(st.integers(0, len(raw) * 8 - 1), min_size=1, max_size=4)):
        raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(PageTokenError):
        read(COMPLETIONS, ("page", "page_" + base64.urlsafe_b64encode(raw).decode()))


@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_any_text_is_a_token_or_refused_as_one(text: str) -> None:
    for token in (text, "page_" + text):
        with pytest.raises(PageTokenError):
            read(COMPLETIONS, ("page", token))


@given(st.integers(0, 200), st.sampled_from(["", "=", "A", "AAAA", "%", "\n", " ", "é"]))
def test_a_cut_or_longer_token_is_refused(cut: int, more: str) -> None:
    token = token_of(FIRST)
    shorter = token[: max(0, len(token) - cut)] + more
    if shorter.rstrip("=") != token.rstrip("="):
        with pytest.raises(PageTokenError):
            read(COMPLETIONS, ("page", shorter))


def test_a_token_of_another_server_is_refused() -> None:
    token = page_token(FIRST, now=NOW, secret=b"another secret")
    with pytest.raises(PageTokenError):
        read(COMPLETIONS, ("page", str(token)))
    with pytest.raises(PageTokenError):
        read(COMPLETIONS, ("page", token_of(FIRST).removeprefix("page_")))


def test_a_digest_alone_does_not_make_a_token() -> None:
    """Whoever knows the layout still lacks the secret."""
    header = struct.pack(">q4sq", NOW + 1000, sha256(b"x").digest()[:4], TODAY)
    for tail in (b"", b"\0" * 16, sha256(header).digest()[:16]):
        with pytest.raises(PageTokenError):
            read(COMPLETIONS, ("page", "page_" + base64.urlsafe_b64encode(header + tail).decode()))


@given(meters, st.data())
def test_pages_concatenate_to_one_larger_query(meter: Meter, data: st.DataObject) -> None:
    width = data.draw(st.sampled_from(sorted(WIDTHS)))
    start, end = data.draw(windows(width, buckets=60))
    chosen = parameters(data.draw(filters(meter)))
    group_by = data.draw(groupings(meter))
    limit = data.draw(limits(width))
    query = ask(meter.kind, start, end, width, limit=limit, group_by=group_by, **chosen)
    whole = split(start, end, WIDTHS[width], 10**9)
    found: list[Any] = []
    while True:
        pages = query.buckets
        assert 1 <= len(pages) <= limit
        found += pages
        token = page_token(query, now=NOW, secret=SECRET)
        if token is None:
            break
        following = parse(meter, [("page", token)], now=NOW, secret=SECRET)
        assert following == replace(query, page_start=pages[-1].end)
        query = following
    assert tuple(found) == whole


@given(meters, places, st.data())
def test_pages_of_days_of_a_time_zone_concatenate(meter: Meter, place: Place, data: st.DataObject) -> None:
    start, end = data.draw(local_windows(place))
    limit = data.draw(st.integers(1, 31))
    query = ask(meter.kind, start, end, timezone=place.zone, limit=limit)
    whole = split_days(start, end, place.zone, 10**9)
    found = list(query.buckets)
    while token := page_token(query, now=NOW, secret=SECRET):
        assert query.page_end == found[-1].end
        query = parse(meter, [("page", token)], now=NOW, secret=SECRET)
        assert 1 <= len(query.buckets) <= limit
        found += query.buckets
    assert tuple(found) == whole
    assert query.page_end == end


def test_a_token_of_another_release_is_refused() -> None:
    """It is authentic, and has other fields than ours."""
    body = base64.urlsafe_b64decode(token_of(FIRST).removeprefix("page_"))[:-16]
    head, _, text = zlib.decompress(body[28:]).partition(b"\n")
    for fields in ([*json.loads(text), 1], json.loads(text)[:-1]):
        raw = body[:28] + zlib.compress(head + b"\n" + json.dumps(fields).encode())
        token = base64.urlsafe_b64encode(raw + hmac.digest(SECRET, raw, "sha256")[:16]).decode()
        with pytest.raises(PageTokenError):
            read(COMPLETIONS, ("page", f"page_{token}"))


def test_the_last_bit_of_a_window_is_a_page() -> None:
    query = ask("completions", TODAY, TODAY + DAY + 1, "1d", limit=1)
    assert query.next_start == TODAY + DAY
    assert ask("completions", TODAY, TODAY + DAY, "1d", limit=1).next_start is None
