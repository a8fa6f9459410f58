"""Answers and errors that clients recorded of the official server: ours have the same boundaries, shapes and bodies."""

import re
from typing import Any

import httpx
import pytest
from tests.contract.conftest import Recorded
from tests.support.server_process import RunningServer

USAGE = "/organization/usage/completions"
COMPLETIONS = "organization.usage.completions.result"


def kept(client: httpx.Client, name: str, events: list[dict[str, Any]]) -> str:
    """Keeps events of a project of their own; the parameter that asks for them alone."""
    project = f"recorded-{name}"
    body = [
        {"kind": "completions", "id": f"{name}-{number}", "project_id": project} | event
        for number, event in enumerate(events)
    ]
    answer = client.post("/events", json=body).json()
    assert answer["accepted"] == len(events), answer["errors"]
    return f"project_ids={project}"


def pages(client: httpx.Client, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page: dict[str, Any] = {"next_page": None, "has_more": True}
    while page["has_more"]:
        more = f"&page={page['next_page']}" if page["next_page"] else ""
        page = client.get(f"{USAGE}?{query}{more}").json()
        found += page["data"]
    return found


def test_the_cookbooks_buckets(empty_raw: httpx.Client, recorded: Recorded) -> None:
    """A month by days from an unaligned start to an unaligned end, one of them empty."""
    official = recorded("cookbook_usage_completions_2025-02-10")["data"]
    events: list[dict[str, Any]] = []
    for bucket in official:
        for result in bucket["results"]:
            # Spread over the bucket, its very first and very last second included.
            counts = {name: value for name, value in strip(result).items() if name.endswith("tokens")}
            requests = result["num_model_requests"] - 1
            events.append({"timestamp": bucket["start_time"], "num_model_requests": requests, **counts})
            empty = {"input_tokens": 0, "output_tokens": 0, "num_model_requests": 1}
            events.append({"timestamp": bucket["end_time"] - 1, **empty})
    only = kept(empty_raw, "cookbook", events)
    start, end = official[0]["start_time"], official[-1]["end_time"]
    assert (start, end) == (1_736_616_660, 1_739_208_663)
    ours = pages(empty_raw, f"start_time={start}&end_time={end}&{only}")
    assert [] in [bucket["results"] for bucket in official]
    assert [shared(bucket, official[0]) for bucket in ours] == [
        {**bucket, "results": [strip(result) for result in bucket["results"]]} for bucket in official
    ]


def strip(result: dict[str, Any]) -> dict[str, Any]:
    """A recorded result without audio.

    When it was recorded, totals left audio out (one bucket has 822 output tokens and 3103 of audio); today they
    include it.
    """
    return {name: value for name, value in result.items() if "audio" not in name}


def shared(bucket: dict[str, Any], official: dict[str, Any]) -> dict[str, Any]:
    """The keys of our bucket that the recorded one has."""
    keys = set(strip(official["results"][0]))
    results = [{name: value for name, value in result.items() if name in keys} for result in bucket["results"]]
    return {name: bucket[name] for name in official if name != "results"} | {"results": results}


def test_usage_grouped_by_model(empty_raw: httpx.Client, recorded: Recorded) -> None:
    official = recorded("usage_group_by_model_2025-08")["sample_result"]
    counts = {name: value for name, value in official.items() if name.endswith("tokens")}
    event = {"timestamp": 1_754_825_426, "model": official["model"], "num_model_requests": 270, **counts}
    other = {"timestamp": 1_754_825_426, "model": "gpt-5-mini", "input_tokens": 1, "output_tokens": 1}
    only = kept(empty_raw, "by-model", [event, other])
    page = empty_raw.get(f"{USAGE}?start_time=1754825426&limit=1&group_by=model&{only}").json()
    assert page["has_more"]
    assert page["next_page"].startswith("page_")
    results = {result["model"]: result for result in page["data"][0]["results"]}
    assert set(results) == {official["model"], "gpt-5-mini"}
    assert {name: results[official["model"]][name] for name in official} == official
    # What the recorded server still lacked is what the newest client types.
    assert results[official["model"]]["input_uncached_tokens"] == 14_350_791 - 12_464_896


def test_bucket_times_in_iso(empty_raw: httpx.Client, recorded: Recorded) -> None:
    """Only recorded for costs, whose buckets have the same keys."""
    for bucket in recorded("costs_live_2026-06")["empty"]["data"]:
        start = bucket["start_time"]
        (ours,) = empty_raw.get(f"{USAGE}?start_time={start}&end_time={bucket['end_time']}").json()["data"]
        assert list(ours) == list(bucket)
        assert ours["start_time_iso"] == bucket["start_time_iso"]
        assert ours["end_time_iso"] == bucket["end_time_iso"]


# --- errors ------------------------------------------------------------------------------------------------------


@pytest.fixture
def official(recorded: Recorded) -> Recorded:
    """The recorded error whose name starts so; null for what a recording lacks, since ours always have all keys."""

    def find(start: str) -> dict[str, Any]:
        (error,) = (body["error"] for name, body in recorded("errors_live").items() if name.startswith(start))
        return {"message": None, "type": None, "param": None, "code": None} | error

    return find


def error(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status
    (body,) = response.json().values()
    assert set(body) == {"message", "type", "param", "code"}
    found: dict[str, Any] = body
    return found


def test_a_bad_page_token(empty_raw: httpx.Client, official: Recorded) -> None:
    assert error(empty_raw.get(f"{USAGE}?start_time=0&page=page_AAAA"), 400) == official("bad_page_token_400")


def test_a_limit_that_is_too_large(empty_raw: httpx.Client, official: Recorded) -> None:
    expected = official("costs limit too big 400")
    ours = error(empty_raw.get(f"{USAGE}?start_time=0&limit=366"), 400)
    assert ours == expected | {"message": expected["message"].replace("180", "31")}


def test_a_start_time_of_the_wrong_type(empty_raw: httpx.Client, official: Recorded) -> None:
    expected = official("start_time wrong type 400")
    ours = error(empty_raw.get(f"{USAGE}?start_time=yesterday"), 400)
    assert ours["message"].startswith(expected["message"].rstrip(".") + ":")
    assert ours | {"message": ""} == expected | {"message": ""}


def test_a_missing_start_time(empty_raw: httpx.Client, official: Recorded) -> None:
    ours = error(empty_raw.get(USAGE), 400)
    assert "'start_time'" in ours["message"]
    assert ours | {"message": None} == official("missing start_time 400")


def test_a_missing_scope(
    empty_raw: httpx.Client, empty_server: RunningServer, recorded: Recorded, official: Recorded
) -> None:
    made = empty_raw.post("/organization/admin_api_keys", json={"name": "w", "scopes": ["api.usage.write"]}).json()
    headers = {"authorization": f"Bearer {made['value']}"}
    ours = error(httpx.get(f"{empty_server.url}/v1{USAGE}?start_time=0", headers=headers), 403)
    (bare,) = (body["error"] for name, body in recorded("errors_live").items() if name.startswith("403"))
    assert ours["message"] == official("401 missing scope")["message"]
    assert ours["message"].startswith(bare)
    assert (ours["type"], ours["param"]) == ("invalid_request_error", None)


def test_a_wrong_key(empty_server: RunningServer, official: Recorded) -> None:
    expected = official("401 bad admin key")
    headers = {"authorization": "Bearer sk-admin-0123456789-fake"}
    ours = error(httpx.get(f"{empty_server.url}/v1{USAGE}?start_time=0", headers=headers), 401)
    shown = re.match(r"Incorrect API key provided: sk-admin\*+fake\. ", ours["message"])
    assert shown
    assert expected["message"].startswith("Incorrect API key provided: sk-admin*fake. ")
    assert ours | {"message": ""} == expected | {"message": ""}
