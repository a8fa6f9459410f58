"""`send_events`: batches that are sent until they are answered, and the report of what became of every event."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.conftest import Ask
from tests.support.faulty_server import KEY, Faulty, Step, answer, batch, cut, cut_body

from usageledger import AsyncUsageAPI, UsageAPI
from usageledger.client import (
    APIResponseValidationError,
    AuthenticationError,
    BadRequestError,
    EventReport,
    InternalServerError,
    RequestTooLargeError,
    SettingsError,
    delivery,
    events,
)
from usageledger.client.errors import APIStatusError
from usageledger.client.events import Answer, encode


def event(number: int, **fields: Any) -> dict[str, Any]:
    return {"kind": "embeddings", "id": f"e{number}", "timestamp": 1_730_419_200, "input_tokens": number} | fields


def test_batches_of_their_size(ask: Ask, server: Faulty) -> None:
    found = ask("send_events", (event(n) for n in range(25)), batch_size=10)
    assert found == EventReport(accepted=25)
    assert [len(asked.body.splitlines()) for asked in server.asked] == [10, 10, 5]
    assert server.events == [event(n) for n in range(25)]
    assert {(a.method, a.path, a.headers["content-type"]) for a in server.asked} == {
        ("POST", "/v1/events", "application/x-ndjson")
    }


def test_nothing_to_send(ask: Ask, server: Faulty) -> None:
    assert ask("send_events", []) == EventReport()
    assert server.asked == []


def test_large_events_go_in_smaller_batches(ask: Ask, server: Faulty) -> None:
    sent = [event(n, model="m" * (delivery.BATCH_BYTES // 2)) for n in range(5)]
    sent += [event(9, model="m" * 2 * delivery.BATCH_BYTES), event(10)]
    assert ask("send_events", sent).accepted == 7
    assert [len(asked.body.splitlines()) for asked in server.asked] == [1, 1, 1, 1, 1, 1, 1]
    assert server.events == sent


@pytest.mark.parametrize("step", [cut, cut_body, answer(500), answer(429, retry_after="1"), answer(503)])
def test_a_batch_is_sent_again_byte_for_byte(ask: Ask, server: Faulty, waits: list[float], step: Step) -> None:
    server.steps = [step, step]
    assert ask("send_events", [{"kind": "embeddings", "timestamp": 1, "input_tokens": 1}] * 3).accepted == 3
    assert len(server.asked) == 3
    assert len({asked.sent for asked in server.asked}) == 1
    assert len({each["id"] for each in server.events}) == 3


def test_an_event_without_an_id_gets_one_and_keeps_its_own_dict(ask: Ask, server: Faulty) -> None:
    given_ = [{"kind": "a"}, {"kind": "b", "id": None}, {"kind": "c", "id": "mine"}]
    ask("send_events", given_)
    assert given_ == [{"kind": "a"}, {"kind": "b", "id": None}, {"kind": "c", "id": "mine"}]
    first, second, third = (each["id"] for each in server.events)
    assert third == "mine"
    assert first != second
    assert {len(first), len(second)} == {36}
    assert first.startswith("evt_")


def test_refusals_name_the_events_place_among_all(ask: Ask, server: Faulty) -> None:
    fault = {"index": 1, "id": "e1", "code": "unknown_field", "param": "x", "message": "Unknown field: 'x'"}
    server.steps = [
        answer(200, batch(2)),
        answer(200, batch(2, 1, [fault])),
        answer(200, batch(1, 1, [fault | {"index": 0}])),
    ]
    found = ask("send_events", [event(n) for n in range(5)], batch_size=2)
    assert (found.accepted, found.duplicates, found.rejected) == (3, 0, 2)
    assert [(error.index, error.code, error.param) for error in found.errors] == [
        (3, "unknown_field", "x"),
        (4, "unknown_field", "x"),
    ]


def at_most(most: int) -> Any:
    """Accepts so many events in one request, and no more."""
    too_large = answer(413, {"error": {"message": "Too many.", "code": "body_too_large"}})
    return lambda handler: (too_large if handler.lines > most else answer(200, batch(handler.lines)))(handler)


def test_a_batch_that_is_too_large_is_halved(ask: Ask, server: Faulty) -> None:
    server.steps = [at_most(2)] * 9
    assert ask("send_events", [event(n) for n in range(6)], batch_size=6) == EventReport(accepted=6)
    arrived = [tuple(json.loads(line)["input_tokens"] for line in asked.body.splitlines()) for asked in server.asked]
    assert arrived == [(0, 1, 2, 3, 4, 5), (0, 1, 2), (0,), (1, 2), (3, 4, 5), (3,), (4, 5)]


def test_one_event_that_is_too_large_is_refused_alone(ask: Ask, server: Faulty) -> None:
    too_large = answer(413, {"error": {"message": "Too many bytes.", "code": "body_too_large"}})
    server.steps = [too_large, too_large]
    found = ask("send_events", [event(0), event(1)])
    assert (found.accepted, found.rejected) == (1, 1)
    (error,) = found.errors
    assert (error.index, error.id, error.code, error.message) == (0, "e0", "body_too_large", "Too many bytes.")


@pytest.mark.parametrize(
    ("status", "error"), [(400, BadRequestError), (401, AuthenticationError), (500, InternalServerError)]
)
def test_an_error_says_how_far_it_came(ask: Ask, server: Faulty, status: int, error: type[APIStatusError]) -> None:
    server.steps = [answer(200, batch(2)), *[answer(status)] * 3]
    with pytest.raises(error) as caught:
        ask("send_events", [event(n) for n in range(5)], batch_size=2, client={"max_retries": 0})
    assert caught.value.__notes__ == ["Of the events given, the first 2 were answered before."]


@pytest.mark.parametrize(
    "body",
    [
        {"object": "page"},
        batch(1),
        batch(3),
        batch(2, 3),
        batch(2, 1, [{"index": 2, "message": "?"}]),
        batch(2, 1, [{"index": -1, "message": "?"}]),
        {**batch(2), "accepted": "2"},
    ],
)
def test_an_answer_that_is_not_about_these_events(ask: Ask, server: Faulty, body: dict[str, Any]) -> None:
    server.steps = [answer(200, body)]
    with pytest.raises(APIResponseValidationError):
        ask("send_events", [event(1), event(2)])
    assert len(server.asked) == 1


@pytest.mark.parametrize("wrong", ["text", 5, None, ["kind"], {"kind": object()}, {5: {1, 2, object()}}])
def test_what_is_no_event(ask: Ask, server: Faulty, wrong: Any) -> None:
    with pytest.raises(TypeError):
        ask("send_events", [event(1), wrong])
    assert server.asked == []


def test_openai_takes_no_events() -> None:
    for client in (UsageAPI("sk-admin-x"), UsageAPI("sk-admin-x", "https://api.openai.com/v1/")):
        with pytest.raises(SettingsError, match="give the address of a UsageLedger"):
            client.send_events([event(1)])


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_size_that_is_none(ask: Ask, server: Faulty, size: int) -> None:
    with pytest.raises(ValueError, match="batch_size: expected 1 or more"):
        ask("send_events", [event(1)], batch_size=size)


def test_an_asynchronous_source(server: Faulty) -> None:
    async def source() -> AsyncIterator[dict[str, Any]]:
        for number in range(7):
            yield event(number)

    async def run() -> EventReport:
        async with AsyncUsageAPI(KEY, server.url) as client:
            return await client.send_events(source(), batch_size=3)

    assert asyncio.run(run()) == EventReport(accepted=7)
    assert [len(asked.body.splitlines()) for asked in server.asked] == [3, 3, 1]


def test_times_are_written_with_their_zone() -> None:
    line = encode(event(1, timestamp=datetime(2026, 11, 1, tzinfo=UTC)))
    assert json.loads(line)["timestamp"] == "2026-11-01T00:00:00Z"


# --- against a model of the server --------------------------------------------------------------------------------


class Ledger:
    """Keeps events by id, takes at most so many at once, and names at most so many refusals."""

    def __init__(self, most_events: int, most_errors: int) -> None:
        self.kept: dict[str, str] = {}  # id → who told of it first
        self.most_events, self.most_errors = most_events, most_errors

    def take(self, lines: list[bytes]) -> Answer | RequestTooLargeError:
        if len(lines) > self.most_events:
            return RequestTooLargeError("Too many.", status_code=413)
        accepted = duplicates = same_response = 0
        errors = []
        for index, line in enumerate(lines):
            sent = json.loads(line)
            if "bad" in sent:
                errors += [{"index": index, "id": sent["id"], "message": "bad"}] * sent["bad"]
            elif sent["id"] in self.kept:
                duplicates += 1
                same_response += sent["by"] != self.kept[sent["id"]]
            else:
                self.kept[sent["id"]] = sent["by"]
                accepted += 1
        listed = [events._Error(**error) for error in errors[: self.most_errors]]
        omitted = len(errors) - len(listed)
        rejected = len(lines) - accepted - duplicates
        return Answer("event.batch", accepted, duplicates, rejected, listed, omitted, same_response)


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from([None, 1, 3]), st.sampled_from("ab")), min_size=1, max_size=40
    ),
    st.integers(1, 40),
    st.integers(3, 10),
)
def test_the_report_is_right_however_a_batch_has_to_be_split(
    given_: list[tuple[int, int | None, str]], most_events: int, most_errors: int
) -> None:
    sent: list[dict[str, Any]] = [
        {"id": f"{number}-{bad}", "by": by} | ({"bad": bad} if bad else {}) for number, bad, by in given_
    ]
    ledger = Ledger(most_events, most_errors)
    steps = delivery._steps([encode(each) for each in sent], 0)
    part = next(steps)
    while True:
        try:
            part = steps.send(ledger.take(list(part)))
        except StopIteration as end:
            report = end.value
            break
    good = {each["id"] for each in sent if "bad" not in each}
    bad = [index for index, each in enumerate(sent) if "bad" in each]
    assert ledger.kept.keys() == good
    assert (report.accepted, report.rejected) == (len(good), len(bad))
    assert report.duplicates == len(sent) - len(good) - len(bad)
    assert report.same_response == sum("bad" not in each and each["by"] != ledger.kept[each["id"]] for each in sent)
    assert sorted({error.index for error in report.errors}) == bad
