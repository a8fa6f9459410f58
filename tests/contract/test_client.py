"""Our own client against a running server: every endpoint, and the same answers as the official client gets."""

import asyncio
import json
from collections.abc import Iterator
from decimal import localcontext
from typing import Any

import httpx
import msgspec
import pytest
from tests.support.server_process import RunningServer
from tests.support.three_days import END, START, model, values

from usageledger import AsyncUsageAPI, UsageAPI
from usageledger.client import BadRequestError, Source
from usageledger.meter import Meter
from usageledger.meters import COSTS, METERS

KINDS = [pytest.param(meter, id=meter.kind) for meter in METERS]


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[UsageAPI]:
    with UsageAPI(server.key, f"{server.url}/v1", max_retries=0) as client:
        yield client


def expected(meter: Meter, **asked: Any) -> list[dict[str, Any]]:
    """The rows of the model's answer."""
    return [
        {"start_time": bucket["start_time"], "end_time": bucket["end_time"]}
        | {name: value for name, value in result.items() if name != "object"}
        for bucket in model().buckets(meter.kind, (START, END), asked.pop("bucket_width", "1d"), **asked)
        for result in bucket["results"]
    ]


@pytest.mark.parametrize("meter", KINDS)
def test_every_kind_over_all_pages(api: UsageAPI, meter: Meter) -> None:
    names = [d.name for d in meter.groupings]
    page = getattr(api, f"usage_{meter.kind}")(
        start_time=START, end_time=END, bucket_width="1h", group_by=names, limit=7
    )
    assert page.has_more
    rows = [row for bucket in page.auto_paging_iter() for row in bucket.to_rows()]
    assert rows == expected(meter, bucket_width="1h", group_by=names)
    assert rows == page.collect().to_rows()
    assert len(page.collect().data) == 72


@pytest.mark.parametrize("meter", KINDS)
def test_every_filter(api: UsageAPI, meter: Meter) -> None:
    for dimension in meter.filters:
        chosen = [value for value in values(dimension) if value is not None][-1:]
        given = chosen[0] if dimension.flag else chosen
        found = getattr(api, f"usage_{meter.kind}")(start_time=START, end_time=END, **{dimension.filter or "": given})
        assert found.to_rows() == expected(meter, filters={dimension.name: chosen})
        assert found.to_rows()


@pytest.mark.parametrize("meter", KINDS)
def test_the_asynchronous_client_gets_the_same(server: RunningServer, meter: Meter) -> None:
    async def ask() -> list[dict[str, Any]]:
        async with AsyncUsageAPI(server.key, f"{server.url}/v1", max_retries=0) as client:
            page = await getattr(client, f"usage_{meter.kind}")(
                start_time=START, end_time=END, group_by=["project_id"], limit=2
            )
            return [row async for bucket in page.auto_paging_iter() for row in bucket.to_rows()]

    assert asyncio.run(ask()) == expected(meter, group_by=["project_id"])


def test_costs_add_up_to_the_last_digit(api: UsageAPI, raw: httpx.Client) -> None:
    pages = {
        names: api.usage_costs(start_time=START, end_time=END, group_by=names, limit=1).collect()
        for names in ((), ("line_item",), ("project_id", "line_item"), ("model", "kind"))
    }
    with localcontext(prec=60):  # sums of Decimal are rounded to 28 digits otherwise
        totals = {names: sum(row["amount"] for row in page.to_rows()) for names, page in pages.items()}
    assert len(set(totals.values())) == 1
    assert totals[()] > 0
    plain = raw.get(COSTS.path, params={"start_time": START, "end_time": END, "group_by": "line_item"})
    for bucket in pages["line_item",].data:
        for result in bucket.results:
            assert result.amount
            assert f'"value":{result.amount.value},' in plain.text
            assert (result.quantity, result.quantity_unit) != (None, None)
            assert result.extra == {}


def test_nothing_of_ours_is_unknown_to_the_client(api: UsageAPI) -> None:
    for meter in (*METERS, COSTS):
        page = getattr(api, f"usage_{meter.kind}")(
            start_time=START, end_time=END, group_by=[d.name for d in meter.groupings]
        )
        assert page.extra == {}
        for bucket in page.data:
            assert (bucket.extra, bucket.unknown_results) == ({}, ())
            assert all(result.extra == {} for result in bucket.results)


def test_errors_of_the_server(api: UsageAPI) -> None:
    with pytest.raises(BadRequestError) as caught:
        api.usage_completions(start_time=START, bucket_width="1w")  # type: ignore[arg-type]  # what is tested
    error = caught.value
    assert (error.param, error.code, error.type) == ("bucket_width", "invalid_value", "invalid_request_error")
    assert (error.request_id or "").startswith("req_")
    assert "'1w'" in error.message


def test_sources(api: UsageAPI, server: RunningServer, raw: httpx.Client) -> None:
    chat = {"id": "chatcmpl-AbCdEf0123456789", "object": "chat.completion", "created": START, "model": "gpt-4o"}
    assert api.request("POST", "/sources/openai", body=chat)["not_counted"] == {"no_usage": 1}
    (source,) = api.list_sources()
    (told,) = raw.get("sources").json()["data"]
    assert json.loads(msgspec.json.encode(source)) == {name: value for name, value in told.items() if name != "object"}
    (tally,) = source.not_counted
    assert (tally.reason, tally.count, tally.example) == ("no_usage", 1, "response:chatcmpl-AbCdEf0123456789")

    async def ask() -> tuple[Source, ...]:
        async with AsyncUsageAPI(server.key, f"{server.url}/v1") as client:
            return await client.list_sources()

    assert asyncio.run(ask()) == (source,)
