"""`POST /v1/events`: every form of the body, and the answer for each event."""

import gzip
import json
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import pytest
import zstandard
from tests.server.support import NOW, Serve, event
from tests.support.ledger_contents import count
from tests.support.ledger_double import LedgerDouble

from usageledger.ledger import Ledger
from usageledger.meter import Meter
from usageledger.meters import METERS
from usageledger.registry import Registry
from usageledger.server.api.event_examples import event_example
from usageledger.settings import Settings

pytestmark = pytest.mark.anyio

URL = "/v1/events"


def as_lines(events: list[dict[str, Any]]) -> bytes:
    return "\n".join(json.dumps(one) for one in events).encode()


def as_array(events: list[dict[str, Any]]) -> bytes:
    return json.dumps(events).encode()


def gzip_of_several_members(body: bytes) -> bytes:
    third = len(body) // 3
    return b"".join(gzip.compress(part) for part in (body[:third], b"", body[third:]))


def zstd_of_several_frames(body: bytes) -> bytes:
    third = len(body) // 3
    return b"".join(zstandard.compress(part) for part in (body[:third], b"", body[third:]))


def zstd_of_unknown_size(body: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=False).compress(body)


PACKINGS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "plain": (bytes, "identity"),
    "gzip": (gzip.compress, "gzip"),
    "gzip, several members": (gzip_of_several_members, "gzip"),
    "gzip, upper case": (gzip.compress, " GZIP "),
    "zstd": (zstandard.compress, "zstd"),
    "zstd, several frames": (zstd_of_several_frames, "zstd"),
    "zstd, unknown size": (zstd_of_unknown_size, "zstd"),
}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("application/json", as_array),
        ("application/json; charset=utf-8", as_array),
        ("application/x-ndjson", as_lines),
        ("Application/JSONL", as_lines),
    ],
)
async def test_several_events_in_every_form(
    serve: Serve, double: LedgerDouble, packing: str, kind: str, form: Callable[[list[dict[str, Any]]], bytes]
) -> None:
    pack, encoding = PACKINGS[packing]
    events = [event(number, model="ü" * 10) for number in range(40)]
    headers = {"content-type": kind, "content-encoding": encoding}
    async with serve(double) as server:
        response = await server.post(URL, content=pack(form(events)), headers=headers)
    assert response.status_code == 200
    assert response.json() == {
        "object": "event.batch",
        "accepted": 40,
        "duplicates": 0,
        "rejected": 0,
        "errors": [],
    }
    assert double.ids == [f"e{number}" for number in range(40)]


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
async def test_a_body_large_enough_for_a_thread(serve: Serve, double: LedgerDouble, encoding: str) -> None:
    random = Random(1)
    events = as_array([event(n, user_id=random.randbytes(100).hex()) for n in range(9000)])
    packed = gzip.compress(events, 1) if encoding == "gzip" else zstandard.compress(events, 1)
    assert len(packed) > 256 * 1024
    async with serve(double) as server:
        response = await server.post(URL, content=packed, headers={"content-encoding": encoding})
    assert response.json()["accepted"] == 9000


async def test_one_event_as_an_object(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        response = await server.post(URL, json=event())
        indented = await server.post(URL, content=b"\r\n\t " + json.dumps(event(2)).encode())
    assert response.json()["accepted"] == indented.json()["accepted"] == 1
    assert double.ids == ["e1", "e2"]


async def test_a_body_without_a_type_is_json(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        request = server.client.build_request("POST", URL, content=as_array([event()]))
        assert "content-type" not in request.headers
        assert (await server.client.send(request)).json()["accepted"] == 1


async def test_a_body_in_pieces(serve: Serve, double: LedgerDouble) -> None:
    body = as_lines([event(n) for n in range(20)])

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 7):
            yield body[at : at + 7]

    async with serve(double) as server:
        response = await server.post(URL, content=pieces(), headers={"content-type": "application/jsonl"})
    assert response.json()["accepted"] == 20


@pytest.mark.parametrize("body", [b"[]", b" [ ] "])
async def test_nothing_is_kept_of_nothing(serve: Serve, double: LedgerDouble, body: bytes) -> None:
    async with serve(double) as server:
        response = await server.post(URL, content=body)
    assert response.json() == {"object": "event.batch", "accepted": 0, "duplicates": 0, "rejected": 0, "errors": []}
    assert double.commits == []


async def test_lines_may_end_in_any_way_and_be_empty(serve: Serve, double: LedgerDouble) -> None:
    body = b"\r\n".join([b"", json.dumps(event(1)).encode(), b"", json.dumps(event(2)).encode(), b"", b""])
    async with serve(double) as server:
        response = await server.post(URL, content=body, headers={"content-type": "application/x-ndjson"})
    assert response.json()["accepted"] == 2


@pytest.mark.parametrize("meter", METERS, ids=lambda meter: meter.kind)
async def test_every_kind_is_kept(serve: Serve, ledger: Ledger, meter: Meter) -> None:
    async with serve(ledger) as server:
        assert (await server.post(URL, json=event_example(meter))).json()["accepted"] == 1
        assert (await server.post(URL, json=event_example(meter))).json()["duplicates"] == 1
    assert count(ledger) == 1


async def test_the_answer_for_each_event(serve: Serve, ledger: Ledger) -> None:
    good, other, bad = event(1), event(2), {"kind": "embeddings", "id": "e3", "timestamp": "x", "inputs": 1}
    async with serve(ledger) as server:
        first = await server.post(URL, json=[good, bad, other, 7, good])
        second = await server.post(URL, json=[good, good | {"input_tokens": 11}, event(4)])
    answer = first.json()
    assert list(answer) == ["object", "accepted", "duplicates", "rejected", "errors"]
    assert (answer["accepted"], answer["duplicates"], answer["rejected"]) == (2, 1, 2)
    assert all(list(error) == ["index", "id", "code", "param", "message"] for error in answer["errors"])
    assert [tuple(error.values())[:4] for error in answer["errors"]] == [
        (1, "e3", "invalid_value", "timestamp"),
        (1, "e3", "unknown_field", "inputs"),
        (1, "e3", "missing_field", "input_tokens"),
        (3, None, "invalid_type", None),
    ]
    assert answer["errors"][1]["message"] == "Unknown field: 'inputs'. Did you mean 'input_tokens'?"
    assert answer["errors"][3]["message"] == "An event is an object, got 7"
    (conflict,) = second.json()["errors"]
    assert (second.json()["accepted"], second.json()["duplicates"], second.json()["rejected"]) == (1, 1, 1)
    assert conflict["index"] == 1
    assert conflict["id"] == "e1"
    assert conflict["code"] == "conflict"
    assert conflict["param"] == "id"
    assert str(NOW - 60) in conflict["message"]


async def test_the_same_response_by_two_ways(serve: Serve, ledger: Ledger) -> None:
    """It is among the duplicates, and other numbers are told."""
    first = event(1) | {"id": "response:r", "input_tokens": 11}
    span = first | {"timestamp": first["timestamp"] + 3, "provider": "azure"}
    async with serve(ledger) as server:
        assert (await server.post(URL, json=first)).json()["accepted"] == 1
        told = (await server.post(URL, json=[first, span, event(2), span | {"input_tokens": 12}])).json()
        other = (await server.post(URL, json=span | {"kind": "moderations"})).json()
    errors = told.pop("errors")
    assert told == {"object": "event.batch", "accepted": 1, "duplicates": 2, "rejected": 1, "same_response": 1}
    assert errors == [
        {
            "index": 3,
            "id": "response:r",
            "code": "conflict",
            "param": "id",
            "message": "The response with id 'response:r' was kept before with other numbers: "
            "input_text_tokens 11 is kept, 12 was given. Nothing was changed.",
        }
    ]
    assert "other numbers: kind 'embeddings' is kept, 'moderations' was given" in other["errors"][0]["message"]
    assert count(ledger) == 2


async def test_events_that_fit_alone_but_not_together_or_not_now(
    serve: Serve, ledger: Ledger, settings: Settings
) -> None:
    latest = NOW + settings.max_future_seconds
    tokens = {"kind": "completions", "timestamp": NOW, "output_tokens": 1}
    events = [
        event(1, timestamp=latest),
        event(2, timestamp=latest + 1),
        tokens | {"id": "c1", "input_tokens": 5, "input_cached_tokens": 6},
        tokens | {"id": "c2", "input_tokens": 6, "input_cached_tokens": 6},
        event(3, timestamp=1000 * NOW),
    ]
    async with serve(ledger) as server:
        answer = (await server.post(URL, json=events)).json()
    assert (answer["accepted"], answer["rejected"]) == (2, 3)
    assert [(error["index"], error["id"], error["param"]) for error in answer["errors"]] == [
        (1, "e2", "timestamp"),
        (2, "c1", answer["errors"][1]["param"]),
        (4, "e3", "timestamp"),
    ]
    assert "milliseconds" in answer["errors"][2]["message"]


@pytest.mark.parametrize(("wrong", "omitted"), [(100, None), (101, 1), (350, 250)])
async def test_a_hundred_errors_are_listed_and_the_others_counted(
    serve: Serve, double: LedgerDouble, wrong: int, omitted: int | None
) -> None:
    events = [{"kind": "embeddings", "id": f"e{n}", "timestamp": NOW} for n in range(wrong)]
    async with serve(double) as server:
        answer = (await server.post(URL, json=[*events, event(9999)])).json()
    assert (answer["accepted"], answer["rejected"]) == (1, wrong)
    assert [error["index"] for error in answer["errors"]] == list(range(100))
    assert answer.get("errors_omitted") == omitted


async def test_errors_are_listed_in_the_order_of_the_events(serve: Serve, double: LedgerDouble) -> None:
    future, unreadable = event(1, timestamp=2 * NOW), {"kind": "nothing"}
    async with serve(double) as server:
        answer = (await server.post(URL, json=[future, unreadable, future | {"id": "e2"}, unreadable])).json()
    assert [error["index"] for error in answer["errors"]] == [0, 1, 2, 3]
    assert double.ids == []


async def test_names_seen_in_events_are_listed_by_themselves(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        await server.post(URL, json=[event(1, project_id="proj/ü 1", user_id="user-1"), event(2, user_id="user-2")])
        projects = (await server.get("/v1/organization/projects")).json()["data"]
        users = (await server.get("/v1/organization/users")).json()["data"]
        await server.request("POST", "/v1/organization/projects/proj%2F%C3%BC%201", json={"name": "Search"})
        await server.post(URL, json=event(3, project_id="proj/ü 1"))
        renamed = (await server.get("/v1/organization/projects/proj%2F%C3%BC%201")).json()
    assert [(project["id"], project["name"], project["created_at"]) for project in projects] == [
        ("proj/ü 1", "proj/ü 1", NOW)
    ]
    assert [(user["id"], user["name"], user["added_at"]) for user in users] == [
        ("user-1", None, NOW),
        ("user-2", None, NOW),
    ]
    assert renamed["name"] == "Search"


async def test_names_of_refused_events_are_not_listed(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        await server.post(URL, json=[event(1, timestamp=2 * NOW, project_id="p", user_id="u")])
        assert (await server.get("/v1/organization/projects")).json()["data"] == []
        assert (await server.get("/v1/organization/users")).json()["data"] == []


async def test_readiness_follows_the_ledger(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        ready = await server.get("/readyz")
        double.is_ready = False
        not_ready = await server.get("/readyz")
        alive = await server.get("/healthz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "reasons": [], "queued_events": 0})
    assert (not_ready.status_code, not_ready.json()) == (
        503,
        {"status": "not ready", "reasons": ["The ledger cannot be written."], "queued_events": 0},
    )
    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})


async def test_readiness_follows_the_registry(
    serve: Serve, ledger: Ledger, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(ledger) as server:
        with monkeypatch.context() as patch:
            patch.setattr(registry, "ready", lambda: False)
            not_ready = await server.get("/readyz")
        ready = await server.get("/readyz")
    assert (not_ready.status_code, not_ready.json()["reasons"]) == (503, ["The registry cannot be written."])
    assert (ready.status_code, ready.json()["reasons"]) == (200, [])
