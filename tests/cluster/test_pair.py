"""The official client against two servers over two shards, behind nginx, and a server that is gone under load."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import OpenAI
from tests.cluster.pair import KEY, Pair, pair
from tests.support.engines import TWO_SHARDS
from tests.support.samples import DAY, usage, wire
from tests.support.three_days import END, START, model, wire_events

from usageledger.meter import Meter
from usageledger.meters import METERS

pytestmark = pytest.mark.external

KINDS = [pytest.param(meter, id=meter.kind) for meter in METERS]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A pair that holds the usage of the contract's tests, sent through nginx in batches."""
    folder = tmp_path_factory.mktemp("pair")
    TWO_SHARDS.prepare(folder)
    with pair(folder, (TWO_SHARDS.url(folder), TWO_SHARDS.url(folder))) as made:
        events = wire_events()
        with made.client() as client:
            for start in range(0, len(events), 100):
                body = "\n".join(map(json.dumps, events[start : start + 100]))
                headers = {"content-type": "application/x-ndjson"}
                answer = client.post("/events", content=body.encode(), headers=headers).json()
                assert answer["accepted"] == len(events[start : start + 100]), answer
        yield made


@pytest.fixture(scope="module")
def sdk(system: Pair) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{system.url}/v1", admin_api_key=KEY, max_retries=0) as client:
        yield client


def ask(sdk: OpenAI, meter: Meter, **given: Any) -> Any:
    return getattr(sdk.admin.organization.usage, meter.kind)(start_time=START, end_time=END, **given)


@pytest.mark.parametrize("meter", KINDS)
def test_every_endpoint_answers_as_the_model(sdk: OpenAI, meter: Meter) -> None:
    names = [dimension.name for dimension in meter.groupings]
    for group_by in ([], names[:1], names):
        page = ask(sdk, meter, group_by=group_by) if group_by else ask(sdk, meter)
        expected = model().buckets(meter.kind, (START, END), "1d", group_by=group_by)
        assert [bucket.to_dict() for bucket in page.data] == expected


def test_pages_go_on_whichever_server_answers(system: Pair, sdk: OpenAI) -> None:
    whole = [bucket.to_dict() for bucket in ask(sdk, METERS[0], bucket_width="1h", limit=72).data]
    found: list[Any] = []
    given: dict[str, Any] = {"start_time": START, "end_time": END, "bucket_width": "1h", "limit": 7}
    turn = 0
    while given:
        with system.client(turn % 2) as client:
            page = client.get(f"/{METERS[0].path.lstrip('/')}", params=given).json()
        found += page["data"]
        given, turn = {"page": page["next_page"]} if page["has_more"] else {}, turn + 1
    assert (found, turn) == (whole, 11)


def test_costs_are_the_same_on_both(system: Pair, sdk: OpenAI) -> None:
    asked: dict[str, Any] = {"start_time": START, "end_time": END, "group_by": ["line_item"]}
    answers = []
    for number in (0, 1):
        with system.client(number) as client:
            answers.append(client.get("/organization/costs", params=asked).text)
    assert answers[0] == answers[1]
    assert len(sdk.admin.organization.usage.costs(start_time=START, end_time=END, group_by=["line_item"]).data) == 3


def test_a_revoked_key_is_refused_on_both(system: Pair) -> None:
    with system.client(0) as admin:
        made = admin.post("/organization/admin_api_keys", json={"name": "x"}).json()
        for address in system.addresses:
            assert httpx.get(f"{address}/v1/meters", headers={"authorization": f"Bearer {made['value']}"}).is_success
        admin.delete(f"/organization/admin_api_keys/{made['id']}")
    for address in system.addresses:
        for _ in range(100):
            refused = httpx.get(f"{address}/v1/meters", headers={"authorization": f"Bearer {made['value']}"})
            if refused.status_code == 401:
                break
            threading.Event().wait(0.1)
        assert refused.status_code == 401


def test_one_server_gone_under_load_loses_nothing(system: Pair) -> None:
    sent, failures = 0, []
    killed = threading.Event()

    def kill() -> None:
        system.kill(1)
        killed.set()

    with system.client() as client:
        for number in range(24):
            if number == 6:
                threading.Thread(target=kill).start()
            batch = [wire(usage("images", f"{number} {n}", START + 10 * DAY, images=1)) for n in range(20)]
            answer = client.post("/events", json=batch)
            if answer.status_code == 200:
                sent += 20
            else:
                failures.append(answer.status_code)
        assert killed.wait(30)
        (bucket,) = client.get(
            "/organization/usage/images", params={"start_time": START + 10 * DAY, "end_time": START + 11 * DAY}
        ).json()["data"]
        assert bucket["results"][0]["images"] == sent == 24 * 20
    assert failures == []
    system.start(1)
