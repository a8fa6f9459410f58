"""The official Python client against a running server: every endpoint, filter, grouping and width."""

import asyncio
from collections.abc import Iterator
from itertools import chain, combinations
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from openai.resources.admin.organization import Organization
from tests.support.server_process import RunningServer
from tests.support.three_days import DAY, END, START, model, values

from usageledger.meter import Dimension, Meter
from usageledger.meters import METERS

WINDOWS = {"1d": (START - 5, END + 5), "1h": (START - 5, END + 5), "1m": (START - 90, START + 5 * 3600 + 7)}
BUCKETS_AT_MOST = {"1d": 31, "1h": 168, "1m": 1440}
OFFICIAL = [meter for meter in METERS if not meter.extension]
KINDS = [pytest.param(meter, id=meter.kind) for meter in OFFICIAL]
FILTERS = [pytest.param(meter, d, id=f"{meter.kind}-{d.filter}") for meter in OFFICIAL for d in meter.filters]


def ask(sdk: OpenAI, meter: Meter, window: tuple[int, int] = (START, END), **given: Any) -> Any:
    """What the client makes of the answer; it has one method for each endpoint."""
    method = getattr(sdk.admin.organization.usage, meter.kind)
    return method(start_time=window[0], end_time=window[1], **given)


def buckets(page: Any) -> list[dict[str, Any]]:
    return [bucket.to_dict() for bucket in page.data]


def groupings(meter: Meter) -> list[list[str]]:
    """None, each one, each two, and all of them."""
    names = [dimension.name for dimension in meter.groupings]
    return [list(some) for some in {*chain(*(combinations(names, size) for size in (0, 1, 2))), tuple(names)}]


@pytest.mark.parametrize("meter", KINDS)
@pytest.mark.parametrize("width", WINDOWS)
def test_every_grouping_at_every_width(sdk: OpenAI, meter: Meter, width: str) -> None:
    for group_by in groupings(meter) if width == "1d" else ([], [d.name for d in meter.groupings]):
        given = {"group_by": group_by} if group_by else {}
        page = ask(sdk, meter, WINDOWS[width], bucket_width=width, limit=BUCKETS_AT_MOST[width], **given)
        expected = model().buckets(meter.kind, WINDOWS[width], width, group_by=sorted(group_by, key=order(meter)))
        assert buckets(page) == expected
        assert (page.object, page.has_more, page.next_page) == ("page", False, None)


def order(meter: Meter) -> Any:
    return [dimension.name for dimension in meter.groupings].index


@pytest.mark.parametrize("meter", KINDS)
def test_results_are_of_the_type_that_the_client_has_for_them(sdk: OpenAI, meter: Meter) -> None:
    page = ask(sdk, meter, group_by=["project_id"])
    results = [result for bucket in page.data for result in bucket.results]
    assert results
    words = "".join(word.title() for word in meter.object.replace("_", ".").split("."))
    for result in results:
        assert type(result).__name__.removeprefix("DataResult") in (words, "")
        assert type(result).model_validate(result.to_dict(), strict=True) == result
        assert result.object == meter.object
        for measure in meter.reported:
            assert type(getattr(result, measure.name)) is int
        assert all(getattr(result, d.name) is None for d in meter.groupings if d.name != "project_id")


@pytest.mark.parametrize(("meter", "dimension"), FILTERS)
def test_every_filter(sdk: OpenAI, meter: Meter, dimension: Dimension) -> None:
    known = [value for value in values(dimension) if value is not None]
    if dimension.flag:
        choices: list[tuple[Any, list[Any]]] = [(value, [value]) for value in known]
    else:
        # The client sends lists in brackets, where a value stands for itself, with commas too.
        choices = [([value], [value]) for value in known] + [(known, known), (known[:2] * 2, known[:2])]
    if not dimension.values and not dimension.flag:
        choices.append((["nobody"], ["nobody"]))
    for given, chosen in choices:
        page = ask(sdk, meter, **{dimension.filter or "": given}, group_by=["project_id"])
        expected = model().buckets(
            meter.kind, (START, END), "1d", filters={dimension.name: chosen}, group_by=["project_id"]
        )
        assert buckets(page) == expected


@pytest.mark.parametrize("meter", KINDS)
def test_all_filters_at_once(sdk: OpenAI, meter: Meter) -> None:
    usage = next(u for u in model().kept.values() if u.kind == meter.kind and None not in u.dimensions.values())
    given: dict[str, Any] = {
        d.filter: usage.dimensions[d.name] if d.flag else [usage.dimensions[d.name]] for d in meter.filters if d.filter
    }
    page = ask(sdk, meter, **given)
    filters = {d.name: [usage.dimensions[d.name]] for d in meter.filters}
    expected = model().buckets(meter.kind, (START, END), "1d", filters=filters)
    assert sum(len(bucket["results"]) for bucket in expected) >= 1
    assert buckets(page) == expected


@pytest.mark.parametrize("meter", KINDS)
@pytest.mark.parametrize(("width", "limit"), [("1d", 1), ("1d", 2), ("1h", 7), ("1h", None), ("1m", 100), ("1m", None)])
def test_pages_go_on_to_the_end(sdk: OpenAI, meter: Meter, width: str, limit: int | None) -> None:
    given: dict[str, Any] = {"bucket_width": width, "group_by": ["project_id"]} | ({"limit": limit} if limit else {})
    size = limit or {"1h": 24, "1m": 60}[width]
    page = ask(sdk, meter, WINDOWS[width], **given)
    found = buckets(page)
    sizes = [len(page.data)]
    while page.has_more:
        page = ask(sdk, meter, WINDOWS[width], page=page.next_page, **given)
        found += buckets(page)
        sizes.append(len(page.data))
    assert page.next_page is None
    assert set(sizes[:-1]) <= {size}
    assert 1 <= sizes[-1] <= size
    assert found == model().buckets(meter.kind, WINDOWS[width], width, group_by=["project_id"])


@pytest.mark.parametrize("meter", KINDS)
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu"])
def test_days_of_a_time_zone(sdk: OpenAI, meter: Meter, zone: str) -> None:
    """A parameter of ours, which the client passes on."""
    given = {"group_by": ["project_id"], "limit": 2, "extra_query": {"timezone": zone}}
    page = ask(sdk, meter, WINDOWS["1d"], **given)
    found = buckets(page)
    while page.has_more:
        page = ask(sdk, meter, WINDOWS["1d"], page=page.next_page, **given)
        found += buckets(page)
    assert found == model().buckets(meter.kind, WINDOWS["1d"], "1d", group_by=["project_id"], zone=zone)


def test_a_week_of_days_is_the_default(sdk: OpenAI) -> None:
    page = sdk.admin.organization.usage.completions(start_time=START - 2 * DAY)
    assert [bucket.start_time for bucket in page.data] == [START + n * DAY for n in range(-2, 5)]
    assert page.has_more


def test_errors_are_the_clients_own(sdk: OpenAI, server: RunningServer) -> None:
    usage = sdk.admin.organization.usage
    with pytest.raises(openai.BadRequestError) as bad:
        usage.completions(start_time=START, bucket_width="1w")  # type: ignore[arg-type]  # what is tested
    assert (bad.value.param, bad.value.code, bad.value.type) == (
        "bucket_width",
        "invalid_value",
        "invalid_request_error",
    )
    assert bad.value.request_id
    assert "'1w'" in bad.value.message
    with OpenAI(base_url=f"{server.url}/v1", admin_api_key="sk-admin-wrong", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError) as wrong:
            stranger.admin.organization.usage.images(start_time=START)
        assert wrong.value.code == "invalid_api_key"
    with pytest.raises(openai.NotFoundError):
        sdk.admin.organization.projects.retrieve("nobody")


def test_the_asynchronous_client_gets_the_same(server: RunningServer) -> None:
    async def ask() -> Any:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", admin_api_key=server.key, max_retries=0) as client:
            return await client.admin.organization.usage.completions(start_time=START, end_time=END, group_by=["model"])

    expected = model().buckets("completions", (START, END), "1d", group_by=["model"])
    assert buckets(asyncio.run(ask())) == expected


# --- administration ----------------------------------------------------------------------------------------------


@pytest.fixture
def administration(empty_server: RunningServer) -> Iterator[Organization]:
    with OpenAI(base_url=f"{empty_server.url}/v1", admin_api_key=empty_server.key, max_retries=0) as client:
        yield client.admin.organization


def strict(found: Any) -> Any:
    """What the client got, which has exactly the types that the client declares."""
    assert type(found).model_validate(found.to_dict(), strict=True) == found
    missing = set(type(found).model_fields) - set(found.to_dict(exclude_unset=True))
    # Of a project's residency the official document knows names but no null, and we know nothing.
    assert missing <= {"residency"}, f"fields that the client types and the server leaves out: {missing}"
    return found


def test_projects(administration: Organization) -> None:
    made = strict(administration.projects.create(name="Search"))
    assert (made.name, made.status, made.archived_at) == ("Search", "active", None)
    assert strict(administration.projects.retrieve(made.id)) == made
    renamed = strict(administration.projects.update(made.id, name="Suche"))
    assert renamed.name == "Suche"
    others = [administration.projects.create(name=f"p{n}") for n in range(4)]
    listed = list(administration.projects.list(limit=2))  # the client goes on by itself
    ids = [project.id for project in listed]
    assert len(set(ids)) == len(ids)
    assert {made.id, *(project.id for project in others)} <= set(ids)
    assert ids == [project.id for project in administration.projects.list(limit=100)]
    every = [project.id for project in administration.projects.list(limit=100, include_archived=True)]
    assert ids == [each for each in every if each in ids]


def test_users(administration: Organization, empty_raw: httpx.Client) -> None:
    events = [
        {"kind": "images", "id": f"u{n}", "timestamp": START, "images": 1, "user_id": f"user/{n}"} for n in range(5)
    ]
    empty_raw.post("/events", json=events).raise_for_status()
    users = [strict(user) for user in administration.users.list(limit=2)]
    assert {f"user/{n}" for n in range(5)} <= {user.id for user in users}
    assert strict(administration.users.retrieve("user/3")).id == "user/3"
    assert list(administration.users.list(emails=["nobody@example.com", "a@example.com"])) == []


def test_admin_api_keys(administration: Organization, empty_server: RunningServer) -> None:
    made = administration.admin_api_keys.create(name="ci", expires_in_seconds=3600)
    strict(made)
    assert made.expires_at == made.created_at + 3600
    assert made.owner.type == "user"
    assert set(type(made.owner).model_fields) == set(made.owner.to_dict())
    read = strict(administration.admin_api_keys.retrieve(made.id))
    assert read.redacted_value.endswith(made.value[-4:])
    assert "value" not in read.to_dict()
    keys = [strict(key) for key in administration.admin_api_keys.list(limit=1, order="desc")]
    assert made.id in [key.id for key in keys]
    assert [key.id for key in administration.admin_api_keys.list(limit=1)] == [key.id for key in keys[::-1]]
    with OpenAI(base_url=f"{empty_server.url}/v1", admin_api_key=made.value, max_retries=0) as other:
        assert other.admin.organization.usage.images(start_time=START).data
        deleted = strict(administration.admin_api_keys.delete(made.id))
        assert (deleted.id, deleted.deleted) == (made.id, True)
        with pytest.raises(openai.AuthenticationError):
            other.admin.organization.usage.images(start_time=START)
