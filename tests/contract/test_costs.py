"""Costs as the official clients read them, and in the shape of the recorded answers."""

from decimal import Decimal, localcontext
from itertools import pairwise
from typing import Any

import httpx
import msgspec
import pytest
from openai import OpenAI
from tests.support.three_days import DAY, END, START, wire_events

from usageledger.meters import COSTS

GROUPINGS = [dimension.name for dimension in COSTS.groupings if not dimension.extension]


@pytest.mark.parametrize("group_by", [[], *([name] for name in GROUPINGS), GROUPINGS], ids="+".join)
def test_the_client_reads_costs(sdk: OpenAI, raw: httpx.Client, group_by: list[str]) -> None:
    given: dict[str, Any] = {"group_by": group_by} if group_by else {}
    page = sdk.admin.organization.usage.costs(start_time=START + 5, end_time=END - 5, limit=180, **given)
    response = raw.get(
        "/organization/costs", params={"start_time": START + 5, "end_time": END - 5, "limit": 180, **given}
    )
    plain = msgspec.json.Decoder(float_hook=Decimal).decode(response.content)
    results = [result for bucket in page.data for result in bucket.results]
    expected = [result for bucket in plain["data"] for result in bucket["results"]]
    assert results
    assert {bucket.start_time % DAY for bucket in page.data} == {bucket.end_time % DAY for bucket in page.data} == {0}
    for result, shown in zip(results, expected, strict=True):
        assert result.object == "organization.costs.result"
        assert type(result).model_validate(result.to_dict()) == result
        assert result.amount is not None
        assert result.amount.currency == "usd"
        assert result.amount.value == float(shown["amount"]["value"])
        assert (result.quantity is not None) == ("line_item" in group_by)
        for name in GROUPINGS:
            assert name in group_by or getattr(result, name) is None


def test_the_client_reads_costs_by_days_of_a_time_zone(sdk: OpenAI) -> None:
    zone = {"timezone": "Asia/Kathmandu"}
    page = sdk.admin.organization.usage.costs(start_time=START, end_time=END, extra_query=zone)
    midnights = [START + n * DAY - (5 * 3600 + 45 * 60) for n in range(5)]
    assert [(bucket.start_time, bucket.end_time) for bucket in page.data] == [*pairwise(midnights)]
    assert [str(bucket.to_dict()["start_time_iso"])[10:] for bucket in page.data] == ["T00:00:00+05:45"] * 4
    assert sum(len(bucket.results) for bucket in page.data) >= 3


@pytest.mark.parametrize("group_by", GROUPINGS)
def test_groups_sum_to_the_whole_to_the_last_digit(raw: httpx.Client, group_by: str) -> None:
    def total(**given: str) -> Decimal:
        params: dict[str, Any] = {"start_time": START, "end_time": END, "limit": 180, **given}
        body = raw.get("/organization/costs", params=params).content
        page = msgspec.json.Decoder(float_hook=Decimal).decode(body)
        return sum((Decimal(r["amount"]["value"]) for b in page["data"] for r in b["results"]), Decimal(0))

    with localcontext(prec=100):
        assert total(group_by=group_by) == total() > 0


def test_the_shape_is_that_of_the_recorded_answers(raw: httpx.Client, recorded: Any) -> None:
    params: dict[str, Any] = {"start_time": START, "end_time": END, "group_by": ["line_item", "project_id"]}
    ours = raw.get("/organization/costs", params=params).json()
    theirs = recorded("costs_live_2026-06")
    page, empty = theirs["populated"], theirs["empty"]
    assert set(ours) == set(page) == set(empty)
    assert {frozenset(bucket) for bucket in ours["data"]} == {frozenset(page["data"][0])}
    # Names of the vendor's organization are not ours to tell; `api_source` is newer than the recording.
    theirs_only = {"organization_id", "organization_name", "project_name", "user_email"}
    recorded_fields = set(page["data"][0]["results"][0]) - theirs_only
    for bucket in ours["data"]:
        for result in bucket["results"]:
            assert set(result) == recorded_fields | {"api_source", "quantity_unit"}
            assert set(result["amount"]) == {"value", "currency"}


def test_line_items_are_named_as_recorded(empty_raw: httpx.Client, recorded: Any) -> None:
    """The recorded usage, sent to us, is charged by the same names, in the same quantities, and to the same digits."""
    page = recorded("costs_live_2026-06")["populated"]
    at = page["data"][0]["start_time"]
    wanted = {r["line_item"]: (r["quantity"], Decimal(r["amount"]["value"])) for r in page["data"][0]["results"]}
    event = {"kind": "completions", "id": "recorded", "timestamp": at, "project_id": "proj_x", "output_tokens": 57}
    empty_raw.post("/events", json=event | {"model": "gpt-4o-mini-2024-07-18", "input_tokens": 30})
    params = {"start_time": at, "end_time": at + 1, "group_by": "line_item", "project_ids": "proj_x"}
    body = empty_raw.get("/organization/costs", params=params).content
    (bucket,) = msgspec.json.Decoder(float_hook=Decimal).decode(body)["data"]
    ours = {r["line_item"]: (r["quantity"], Decimal(r["amount"]["value"])) for r in bucket["results"]}
    assert ours == {name: values for name, values in wanted.items() if values[0]}


def test_what_has_no_price_is_said(raw: httpx.Client) -> None:
    response = raw.get("/organization/costs", params={"start_time": START, "end_time": END})
    listed = raw.get("/unpriced", params={"start_time": START, "end_time": END}).json()["data"]
    assert int(response.headers["x-usageledger-unpriced"]) >= len(listed) > 0
    sent = {(event["kind"], event.get("model")) for event in wire_events()}
    assert {(entry["kind"], entry["model"]) for entry in listed} <= sent
    for entry in listed:
        assert START <= entry["first_time"] <= entry["last_time"] < END
        assert all(quantity["quantity"] > 0 for quantity in entry["quantities"])


@pytest.mark.parametrize("text", ["page_bm90IG91cnM=", "not a token"])
def test_a_bad_page_is_refused_as_usage_is(raw: httpx.Client, text: str) -> None:
    answer = raw.get("/organization/costs", params={"start_time": START, "page": text})
    assert answer.status_code == 400
    assert "page token" in answer.json()["error"]["message"]
