"""Days of a time zone over HTTP, on all twelve endpoints: where they start and end, and what is on which."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.server.support import NOW, Serve, event
from tests.support.ledger_double import LedgerDouble
from tests.support.model import Model
from tests.support.problems import problem
from tests.support.samples import counted, keep, usage, wire

from usageledger.ledger import Ledger
from usageledger.meter import Meter
from usageledger.meters import COSTS, METERS

pytestmark = pytest.mark.anyio

DAY = 86_400
HEADER = "x-usageledger-unpriced"


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


# The last second of a day and the first of the next, around the days of 23 and of 25 hours.
SPRING = [
    ("2025-03-29T23:59:59+01:00", "2025-03-29T00:00:00+01:00"),
    ("2025-03-30T00:00:00+01:00", "2025-03-30T00:00:00+01:00"),
    ("2025-03-30T23:59:59+02:00", "2025-03-30T00:00:00+01:00"),
    ("2025-03-31T00:00:00+02:00", "2025-03-31T00:00:00+02:00"),
]
AUTUMN = [
    ("2024-10-26T23:59:59+02:00", "2024-10-26T00:00:00+02:00"),
    ("2024-10-27T00:00:00+02:00", "2024-10-27T00:00:00+02:00"),
    ("2024-10-27T02:30:00+02:00", "2024-10-27T00:00:00+02:00"),
    ("2024-10-27T02:30:00+01:00", "2024-10-27T00:00:00+02:00"),
    ("2024-10-27T23:59:59+01:00", "2024-10-27T00:00:00+02:00"),
    ("2024-10-28T00:00:00+01:00", "2024-10-28T00:00:00+01:00"),
]


async def get(server: Any, path: str, **given: Any) -> dict[str, Any]:
    response = await server.get(f"/v1{path}", params=given)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = msgspec.json.Decoder(float_hook=Decimal).decode(response.content)
    return body


async def buckets(server: Any, path: str, **given: Any) -> list[dict[str, Any]]:
    """Every bucket, page by page; each page but the first is asked for by its token alone."""
    page = await get(server, path, **given)
    found = page["data"]
    while page["has_more"]:
        page = await get(server, path, page=page["next_page"])
        found += page["data"]
    return found


@pytest.mark.parametrize("times", [SPRING, AUTUMN], ids=["spring", "autumn"])
@pytest.mark.parametrize("meter", METERS, ids=lambda meter: meter.kind)
async def test_usage_of_each_kind_is_on_its_day(
    serve: Serve, ledger: Ledger, meter: Meter, times: list[tuple[str, str]]
) -> None:
    model, measure = Model(), meter.measures[0]
    count = next(name for name in counted(meter.kind) if name in (measure.name, *measure.columns))
    usages = [
        usage(meter.kind, f"e{n}", at(time), **{count: 10**n}, project_id=f"p{n % 2}")
        for n, (time, _) in enumerate(times)
    ]
    keep(model, usages)
    window = at(times[0][1]), at(times[-1][1]) + DAY
    given = {"start_time": window[0], "end_time": window[1], "timezone": "Europe/Berlin"}
    async with serve(ledger) as server:
        await server.post("/v1/events", json=[wire(each) for each in usages])
        for group_by in ([], ["project_id"]):
            expected = model.buckets(meter.kind, window, "1d", group_by=group_by, zone="Europe/Berlin")
            for limit in (1, 31):
                found = await buckets(server, meter.path, **given, limit=limit, group_by=group_by)
                assert found == expected
    days = list(dict.fromkeys(day for _, day in times))
    assert [bucket["start_time_iso"] for bucket in found] == days
    # A size is the largest one, and the last one is the largest.
    add = sum if measure.adds == "sum" else max
    by_project = [
        [[10**n for n, (_, other) in enumerate(times) if (other, n % 2) == (day, project)] for project in (0, 1)]
        for day in days
    ]
    assert [[result[measure.name] for result in bucket["results"]] for bucket in found] == [
        [add(counts) for counts in projects if counts] for projects in by_project
    ]


@pytest.mark.parametrize("times", [SPRING, AUTUMN], ids=["spring", "autumn"])
async def test_costs_are_on_the_day_of_their_usage(serve: Serve, ledger: Ledger, times: list[tuple[str, str]]) -> None:
    events = [
        event(n, timestamp=at(time), model="text-embedding-3-small", input_tokens=50_000_000 * 10**n)  # 1 USD * 10^n
        for n, (time, _) in enumerate(times)
    ]
    noons = {"start_time": at(times[0][1]) + DAY // 2, "end_time": at(times[-1][1]) + DAY // 2}
    days = list(dict.fromkeys(day for _, day in times))
    dollars = [sum(10**n for n, (_, other) in enumerate(times) if other == day) for day in days]
    async with serve(ledger) as server:
        await server.post("/v1/events", json=events)
        for limit in (1, 180):
            found = await buckets(server, COSTS.path, **noons, timezone="Europe/Berlin", limit=limit)
            # The window is widened to whole days there.
            assert [bucket["start_time_iso"] for bucket in found] == days
            assert [bucket["end_time"] for bucket in found[:-1]] == [bucket["start_time"] for bucket in found[1:]]
            assert [bucket["results"][0]["amount"]["value"] for bucket in found] == dollars


async def test_a_size_is_charged_on_the_day_on_which_its_hour_begins(serve: Serve, ledger: Ledger) -> None:
    """Midnight in Kathmandu is at 18:15 UTC, inside of an hour."""
    midnight = at("2025-10-02T00:00:00+05:45")
    sizes = [
        {"kind": "vector_stores", "id": f"s{n}", "timestamp": midnight + off, "usage_bytes": 2**30, "project_id": "p"}
        for n, off in enumerate((-15 * 60, 0, 44 * 60, 45 * 60))
    ]
    given = {"start_time": midnight - DAY, "end_time": midnight + DAY, "timezone": "Asia/Kathmandu"}
    async with serve(ledger, cache_bytes=0) as server:
        await server.post("/v1/events", json=sizes)
        charged = await buckets(server, COSTS.path, **given, group_by="line_item")
        assert await buckets(server, COSTS.path, **given, group_by="line_item", limit=1) == charged
        seen = await buckets(server, "/organization/usage/vector_stores", **given)
    assert [bucket["results"][0]["quantity"] for bucket in charged] == [1, 1]
    assert [bucket["results"][0]["usage_bytes"] for bucket in seen] == [2**30, 2**30]


async def test_an_empty_window_of_costs_is_a_page_without_buckets(serve: Serve, ledger: Ledger) -> None:
    tomorrow = NOW - NOW % DAY + DAY
    async with serve(ledger) as server:
        assert (await get(server, COSTS.path, start_time=tomorrow))["data"] == []
        berlin = await get(server, COSTS.path, start_time=tomorrow - 2 * 3600, timezone="Europe/Berlin")
    assert berlin["data"] == []


@pytest.mark.parametrize(("limit", "expected"), [(1, [None, None, "1", None, "1"]), (2, [None, "1", "1"]), (5, ["2"])])
@pytest.mark.parametrize("zone", [{}, {"timezone": "Asia/Kathmandu"}])
async def test_the_header_is_about_the_page_alone(
    serve: Serve, ledger: Ledger, zone: dict[str, Any], limit: int, expected: list[str]
) -> None:
    """What later pages hold without a price does not count here, however many days a page has."""
    today = at("2025-10-09T00:00:00+05:45") if zone else NOW - NOW % DAY
    window = {"start_time": today - 5 * DAY, "end_time": today, "limit": limit, **zone}
    async with serve(ledger) as server:
        await server.post(
            "/v1/events",
            json=[event(1, model="mystery", timestamp=today - 3 * DAY), event(2, model="riddle", timestamp=today - 1)],
        )
        pages = [await server.get(f"/v1{COSTS.path}", params=window)]
        while token := pages[-1].json()["next_page"]:
            pages.append(await server.get(f"/v1{COSTS.path}", params={"page": token}))
    assert [page.headers.get(HEADER) for page in pages] == expected


@pytest.mark.parametrize("meter", [*METERS, COSTS], ids=lambda meter: meter.kind)
async def test_400_for_a_time_zone_that_is_none_and_for_hours_of_one(
    serve: Serve, double: LedgerDouble, meter: Meter
) -> None:
    path, start = f"/v1{meter.path}", {"start_time": NOW - DAY}
    async with serve(double) as server:
        unknown = await server.get(path, params={**start, "timezone": "Europe/Berln"})
        hours = await server.get(path, params={**start, "timezone": "Europe/Berlin", "bucket_width": "1h"})
        twice = await server.get(path, params=[*start.items(), ("timezone", "UTC"), ("timezone", "UTC")])
    assert "Did you mean 'Europe/Berlin'?" in problem(unknown, 400, param="timezone")["message"]
    assert "'1h'" in problem(hours, 400, param="timezone")["message"]
    assert problem(twice, 400, param="timezone")["message"] == "Parameter given twice: 'timezone'."


async def test_the_first_day_that_there_is(serve: Serve, ledger: Ledger) -> None:
    """In Berlin it began an hour before Unix seconds did."""
    async with serve(ledger) as server:
        await server.post(
            "/v1/events", json=[event(n, timestamp=at) for n, at in enumerate((0, DAY - 3601, DAY - 3600))]
        )
        for path in ("/organization/usage/embeddings", COSTS.path):
            page = await get(server, path, start_time=0, end_time=2 * DAY - 3600, timezone="Europe/Berlin")
            shown = [(bucket["start_time"], bucket["start_time_iso"]) for bucket in page["data"]]
            assert shown == [(0, "1970-01-01T01:00:00+01:00"), (DAY - 3600, "1970-01-02T00:00:00+01:00")]
            if path != COSTS.path:
                assert [bucket["results"][0]["num_model_requests"] for bucket in page["data"]] == [2, 1]
