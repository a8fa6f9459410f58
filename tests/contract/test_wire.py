"""The bytes on the wire, beside what clients make of them."""

import base64
import json
import struct
import time
from collections.abc import Callable
from itertools import product
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from tests.contract.conftest import Recorded
from tests.support.three_days import DAY, END, START, model

from usageledger.meter import Meter
from usageledger.meters import METERS

KINDS = [pytest.param(meter, id=meter.kind) for meter in METERS]
OFFICIAL = [pytest.param(meter, id=meter.kind) for meter in METERS if not meter.extension]
BUCKET_KEYS = ["object", "start_time", "end_time", "start_time_iso", "end_time_iso", "results"]
HEADER = struct.Struct(">q4sq")  # when it expires, a digest of the query, where the next page starts


def path(meter: Meter, query: str) -> str:
    return f"{meter.path}?start_time={START}&end_time={END}&{query}"


def pairs(response: httpx.Response) -> Any:
    """The JSON with objects as lists of pairs, so that their order can be seen."""
    assert response.status_code == 200, response.text
    return json.loads(response.content, object_pairs_hook=list)


def answer(raw: httpx.Client, meter: Meter, query: str) -> dict[str, Any]:
    response = raw.get(path(meter, query))
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


@pytest.mark.parametrize("meter", OFFICIAL)
def test_parameters_are_those_of_the_official_client(meter: Meter, endpoints: dict[str, Any]) -> None:
    official = set(endpoints["endpoints"][meter.kind]["params"])
    ours = {"start_time", "end_time", "bucket_width", "group_by", "limit", "page"} | {d.filter for d in meter.filters}
    assert ours == official
    groupings = endpoints["endpoints"][meter.kind]["params"]["group_by"]
    assert [d.name for d in meter.groupings] == groupings.split("'")[1::2]


@pytest.mark.parametrize("meter", OFFICIAL)
def test_every_field_is_there_in_a_stable_order_and_of_its_type(
    raw: httpx.Client, meter: Meter, endpoints: dict[str, Any]
) -> None:
    official = endpoints["results"][meter.object]
    for group_by in ("", ",".join(d.name for d in meter.groupings)):
        page = pairs(raw.get(path(meter, f"group_by={group_by}" if group_by else "")))
        assert [key for key, _ in page] == ["object", "data", "has_more", "next_page"]
        orders = set()
        for bucket in dict(page)["data"]:
            assert [key for key, _ in bucket] == BUCKET_KEYS
            for result in dict(bucket)["results"]:
                orders.add(tuple(key for key, _ in result))
                fields = dict(result)
                assert set(fields) == set(official)
                for name, value in fields.items():
                    kind = official[name]["type"]
                    assert official[name]["required"] <= (value is not None)
                    assert {"int": int, "bool": bool, "str": str}.get(inner(kind), str) is type(value) or value is None
                assert all(type(fields[measure.name]) is int for measure in meter.reported)
                assert group_by or all(fields[d.name] is None for d in meter.groupings)
        assert len(orders) == 1
        assert next(iter(orders))[0] == "object"


def inner(kind: str) -> str:
    return kind.removeprefix("Optional[").rstrip("]")


@pytest.mark.parametrize("meter", KINDS)
def test_large_counts_keep_every_digit(raw: httpx.Client, meter: Meter) -> None:
    expected = model().buckets(meter.kind, (START, END), "1d")
    largest = max(result[m.name] for bucket in expected for result in bucket["results"] for m in meter.reported)
    text = raw.get(path(meter, "")).text
    assert largest > 2**45
    assert f":{largest}" in text  # an integer as it is: no fraction, no exponent, no quotes


ENCODINGS: dict[str, Callable[[str, list[str]], str]] = {
    "repeated": lambda name, values: "&".join(f"{name}={quote(v)}" for v in values),
    "brackets": lambda name, values: "&".join(f"{name}[]={quote(v)}" for v in values),
    "brackets, encoded": lambda name, values: "&".join(f"{name}%5B%5D={quote(v)}" for v in values),
    "commas": lambda name, values: f"{name}=" + ",".join(quote(v) for v in values),
    "commas, encoded": lambda name, values: f"{name}=" + "%2C".join(quote(v) for v in values),
    "mixed": lambda name, values: f"{name}[]={quote(values[0])}&{name}=" + ",".join(quote(v) for v in values),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("meter", KINDS)
def test_every_list_in_every_encoding(raw: httpx.Client, meter: Meter, encoding: str) -> None:
    encode = ENCODINGS[encoding]
    names = [d.name for d in meter.groupings]
    for dimension in meter.filters:
        if dimension.flag:
            continue
        values = list(dimension.values[:2]) or [f"{dimension.name}-1", f"{dimension.name}-2"]
        query = f"{encode(dimension.filter or '', values)}&{encode('group_by', names)}"
        expected = model().buckets(meter.kind, (START, END), "1d", filters={dimension.name: values}, group_by=names)
        assert answer(raw, meter, query)["data"] == expected
        assert sum(len(bucket["results"]) for bucket in expected) > 0


@pytest.mark.parametrize("flag", ["true", "True", "false", "FALSE"])
def test_flags_in_either_case(raw: httpx.Client, flag: str) -> None:
    (meter,) = (meter for meter in METERS if meter.kind == "completions")
    expected = model().buckets("completions", (START, END), "1d", filters={"batch": [flag.lower() == "true"]})
    assert answer(raw, meter, f"batch={flag}")["data"] == expected


@pytest.mark.parametrize("meter", KINDS)
def test_a_parameter_of_others_is_refused_and_not_ignored(raw: httpx.Client, meter: Meter) -> None:
    for other in {d.filter for m in METERS for d in m.filters if d.filter} - {d.filter for d in meter.filters}:
        response = raw.get(path(meter, f"{other}=x"))
        assert response.status_code == 400
        assert response.json()["error"]["param"] == other
        assert response.json()["error"]["code"] == "unknown_parameter"


@pytest.mark.parametrize(("width", "default", "most"), [("1d", 7, 31), ("1h", 24, 168), ("1m", 60, 1440)])
@pytest.mark.parametrize("meter", KINDS)
def test_limits_count_buckets(raw: httpx.Client, meter: Meter, width: str, default: int, most: int) -> None:
    def get(limit: str) -> httpx.Response:
        return raw.get(f"{meter.path}?start_time=0&end_time={END}&bucket_width={width}{limit}")

    assert len(get("").json()["data"]) == default
    assert len(get(f"&limit={most}").json()["data"]) == most
    assert len(get("&limit=1").json()["data"]) == 1
    for refused in (most + 1, 0, -1):
        assert get(f"&limit={refused}").status_code == 400


# --- pages -------------------------------------------------------------------------------------------------------


def decoded(token: str) -> tuple[int, bytes, int]:
    """The part of a page token that the official ones have too."""
    assert token.startswith("page_")
    raw = base64.b64decode(token.removeprefix("page_") + "==", altchars=b"-_")
    expiry, digest, start = HEADER.unpack_from(raw)
    return expiry, digest, start


def test_page_tokens_start_as_the_official_ones_do(raw: httpx.Client, recorded: Recorded) -> None:
    for token in recorded("page_tokens")["tokens"]:
        expiry, _, start = decoded(token["t"])
        assert start % 86_400 == 0
        assert 1_500_000_000 < start < expiry < 2_000_000_000
    (meter,) = (meter for meter in METERS if meter.kind == "completions")
    before = int(time.time())
    first = answer(raw, meter, "limit=1")["next_page"]
    second = answer(raw, meter, f"limit=1&page={first}")["next_page"]
    other = answer(raw, meter, "limit=1&models=x")["next_page"]
    after = int(time.time())
    expiry, digest, start = decoded(first)
    assert before + 86_400 <= expiry <= after + 86_400
    assert start == START + DAY
    assert decoded(second)[1:] == (digest, START + 2 * DAY)
    assert decoded(other)[1] != digest
    assert decoded(other)[2] == start


@pytest.mark.parametrize("meter", KINDS)
def test_a_page_token_in_every_writing_with_and_without_the_other_parameters(raw: httpx.Client, meter: Meter) -> None:
    given = "bucket_width=1h&limit=30&group_by=project_id"
    token = answer(raw, meter, given)["next_page"]
    expected = model().buckets(meter.kind, (START, END), "1h", group_by=["project_id"])[30:60]
    bare = token.rstrip("=")
    writings = {token, bare, bare + "=", bare + "%3D", quote(token, safe=""), quote(quote(token, safe=""), safe="")}
    for writing, repeated in product(writings, (True, False)):
        url = path(meter, f"{given}&page={writing}") if repeated else f"{meter.path}?page={writing}"
        page = raw.get(url).json()
        assert page["data"] == expected, (writing, repeated)
        assert page["has_more"]


def test_a_page_token_of_another_query_or_a_forged_one_is_refused(raw: httpx.Client, recorded: Recorded) -> None:
    completions, images = (meter for meter in METERS if meter.kind in ("completions", "images"))
    token = answer(raw, completions, "limit=1")["next_page"]
    (official,) = (v for k, v in recorded("errors_live").items() if k.startswith("bad_page_token"))
    body = {"error": {**official["error"], "param": None}}
    middle = len(token) // 2
    forged = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    urls = [
        path(completions, f"limit=1&page={forged}"),
        path(completions, f"limit=1&models=m&page={token}"),
        path(completions, f"bucket_width=1h&page={token}"),
        f"{completions.path}?start_time={START + 1}&end_time={END}&page={token}",
        f"{completions.path}?start_time={START}&page={token}",
        f"{images.path}?page={token}",
        *(f"{completions.path}?page={nonsense}" for nonsense in ("", "page_", "x", "page_%00", "page_AAAA", token[5:])),
        *(f"{completions.path}?page={old['t']}" for old in recorded("page_tokens")["tokens"]),
    ]
    for url in urls:
        response = raw.get(url)
        assert (response.status_code, response.json()) == (400, body), url


def test_an_open_end_is_fixed_by_the_first_page(raw: httpx.Client) -> None:
    (meter,) = (meter for meter in METERS if meter.kind == "completions")
    before = int(time.time())
    start = before - before % 60 - 600
    page = raw.get(f"{meter.path}?start_time={start}&bucket_width=1m&limit=3").json()
    found = page["data"]
    after = int(time.time())
    while page["has_more"]:
        page = raw.get(f"{meter.path}?start_time={start}&bucket_width=1m&page={page['next_page']}").json()
        found += page["data"]
    assert [bucket["start_time"] for bucket in found] == list(range(start, found[-1]["end_time"], 60))
    assert before <= found[-1]["end_time"] <= after
