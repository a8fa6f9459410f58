"""`EventSender`: events in the background, each delivered once or told as lost; never a wait for the application."""

import asyncio
import json
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.support.faulty_server import KEY, Faulty, Step, answer, batch, cut, cut_body

from usageledger.client import (
    AsyncEventSender,
    Drop,
    EventSender,
    SenderCounts,
    SettingsError,
    sender,
)
from usageledger.client.delivery import BATCH_BYTES
from usageledger.client.outbox import Outbox

LATER = 3600.0


def event(number: int, **fields: Any) -> dict[str, Any]:
    return {"kind": "embeddings", "id": f"e{number}", "timestamp": 1_730_419_200, "input_tokens": number} | fields


@pytest.fixture
def start(server: Faulty) -> Iterator[Callable[..., EventSender]]:
    """`start(batch_events=2)`: a sender to the faulty server, closed at the end."""
    started: list[EventSender] = []

    def begin(**options: Any) -> EventSender:
        started.append(EventSender(KEY, server.url, **{"flush_seconds": LATER, "exit_seconds": 60.0} | options))
        return started[-1]

    yield begin
    for each in started:
        each.close(0)


@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long senders would wait before they try again."""
    found: list[float] = []
    pause = Outbox.pause

    def hurried(self: Outbox, seconds: float, *, asked: bool) -> bool:
        found.append(seconds)
        return pause(self, 0, asked=asked)

    monkeypatch.setattr(Outbox, "pause", hurried)
    return found


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


# --- when it sends -----------------------------------------------------------------------------------------------


def test_when_enough_wait(server: Faulty, start: Callable[..., EventSender]) -> None:
    sender_ = start(batch_events=3)
    for number in range(7):
        assert sender_.send(event(number))
    until(lambda: len(server.events) == 6)
    assert [len(asked.body.splitlines()) for asked in server.asked] == [3, 3]
    until(lambda: sender_.counts == SenderCounts(offered=7, delivered=6, waiting=1))


def test_when_the_oldest_has_waited(server: Faulty, start: Callable[..., EventSender]) -> None:
    sender_ = start(flush_seconds=0.05)
    sender_.send(event(1))
    until(lambda: sender_.counts.delivered == 1)
    assert server.events == [event(1)]


def test_when_it_is_flushed(server: Faulty, start: Callable[..., EventSender]) -> None:
    sender_ = start()
    for number in range(3):
        sender_.send(event(number))
    assert sender_.flush(60)
    assert server.events == [event(0), event(1), event(2)]
    assert sender_.counts == SenderCounts(offered=3, delivered=3)


def test_when_it_is_closed(server: Faulty, start: Callable[..., EventSender]) -> None:
    with start() as sender_:
        sender_.send(event(1))
    assert server.events == [event(1)]
    sender_.close()
    assert sender_.counts == SenderCounts(offered=1, delivered=1)


def test_it_starts_with_the_first_event(server: Faulty, start: Callable[..., EventSender]) -> None:
    before = threading.active_count()
    sender_ = start()
    assert sender_.flush(0)
    assert threading.active_count() == before
    sender_.close()
    assert server.asked == []


def test_an_event_is_what_it_was_when_it_was_given(server: Faulty, start: Callable[..., EventSender]) -> None:
    sender_ = start()
    given = event(1)
    sender_.send(given)
    given["input_tokens"] = 999
    del given["id"]
    sender_.send(given)
    sender_.send(given)
    sender_.flush(60)
    assert [each["input_tokens"] for each in server.events] == [1, 999, 999]
    assert len({each["id"] for each in server.events}) == 3
    with pytest.raises(TypeError):
        sender_.send({"kind": object()})
    assert sender_.counts.offered == 3


def test_many_threads(server: Faulty, start: Callable[..., EventSender]) -> None:
    sender_ = start(batch_events=50, queue_events=100_000)

    def work(first: int) -> None:
        for number in range(first, first + 250):
            sender_.send(event(number))

    threads = [threading.Thread(target=work, args=(250 * each,)) for each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sender_.flush(60)
    assert sorted(each["input_tokens"] for each in server.events) == list(range(2000))
    assert sender_.counts == SenderCounts(offered=2000, delivered=2000)


# --- servers and networks that fail ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "step", [cut, cut_body, answer(500), answer(503), answer(429), answer(401), answer(403), answer(404), answer(200)]
)
def test_a_batch_is_sent_byte_for_byte_until_it_is_answered(
    server: Faulty, start: Callable[..., EventSender], no_waits: list[float], step: Step
) -> None:
    server.steps = [step] * 5
    sender_ = start()
    sender_.send({"kind": "embeddings"})
    sender_.send(event(2))
    assert sender_.flush(60)
    assert len(server.asked) == 6
    assert len({asked.body for asked in server.asked}) == 1
    assert sender_.counts == SenderCounts(offered=2, delivered=2, retries=5)


def test_waits_grow_and_retry_after_is_obeyed(
    server: Faulty, start: Callable[..., EventSender], no_waits: list[float]
) -> None:
    server.steps = [answer(500)] * 9 + [answer(429, retry_after="400")]
    sender_ = start()
    sender_.send(event(1))
    sender_.flush(60)
    most = [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert all(limit / 2 <= wait <= limit for wait, limit in zip(no_waits, most, strict=False))
    assert no_waits[9:] == [400.0]


def test_what_waits_meanwhile_is_bounded(
    server: Faulty,
    start: Callable[..., EventSender],
    no_waits: list[float],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: 0.8)
    release = threading.Event()
    server.steps = [lambda handler: (release.wait(60), answer(503)(handler))]
    drops: list[Drop] = []
    sender_ = start(queue_events=5, batch_events=2, on_drop=drops.append)
    with caplog.at_level(logging.ERROR, "usageledger.client"):
        assert [sender_.send(event(number)) for number in range(8)] == [True] * 5 + [False] * 3
    assert [(drop.event, drop.reason) for drop in drops] == [(event(n), "queue_full") for n in (5, 6, 7)]
    assert sender_.counts == SenderCounts(offered=8, dropped=3, waiting=5)
    assert caplog.messages == ["events dropped: 1; the queue is full: events come faster than they are delivered"]
    release.set()
    assert sender_.flush(60)
    assert sender_.counts == SenderCounts(offered=8, delivered=5, dropped=3, retries=1)
    sender_.close()
    assert caplog.messages[1:] == [
        "events sent again in 0.4 s: 2; '503: Service Unavailable'",
        "events dropped: 2; the queue is full: events come faster than they are delivered",
    ]


def test_what_a_server_says_forges_no_line_of_the_log(
    server: Faulty, start: Callable[..., EventSender], no_waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    said = "\x1b[2J\r\n2026-11-27 CRITICAL forged"
    server.steps = [
        answer(503, {"error": {"message": said}}),
        answer(200, batch(1, 1, [{"index": 0, "id": said, "code": "x", "param": None, "message": said}])),
    ]
    sender_ = start()
    sender_.send(event(0))
    assert sender_.flush(60)
    sender_.close()
    assert [message.partition(" ")[0] for message in caplog.messages] == ["events", "events"]
    assert all("forged" in message and message.isprintable() for message in caplog.messages)


def test_refused_events_are_told_and_the_others_delivered(
    server: Faulty, start: Callable[..., EventSender], caplog: pytest.LogCaptureFixture
) -> None:
    faults = [
        {"index": 1, "id": "e1", "code": "unknown_field", "param": "x", "message": "Unknown field: 'x'"},
        {"index": 1, "id": "e1", "code": "unknown_field", "param": "y", "message": "Unknown field: 'y'"},
    ]
    server.steps = [answer(200, batch(3, 1, faults))]
    drops: list[Drop] = []
    sender_ = start(on_drop=drops.append)
    for number in range(3):
        sender_.send(event(number))
    assert sender_.flush(60)
    assert sender_.counts == SenderCounts(offered=3, delivered=2, refused=1)
    sender_.close()
    assert drops == [Drop(event(1), "refused", "Unknown field: 'x'; Unknown field: 'y'")]
    assert "events refused: 1; the first, 'e1': \"Unknown field: 'x'" in caplog.text


@pytest.mark.parametrize("status", [400, 422])
def test_a_batch_that_cannot_be_read_is_refused_as_a_whole(
    server: Faulty, start: Callable[..., EventSender], status: int
) -> None:
    server.steps = [answer(status, {"error": {"message": "No.", "code": "invalid_json"}})]
    drops: list[Drop] = []
    sender_ = start(on_drop=drops.append)
    sender_.send(event(1))
    sender_.send(event(2))
    assert sender_.flush(60)
    assert sender_.counts == SenderCounts(offered=2, refused=2)
    sender_.close()
    assert [(drop.event["id"], drop.message) for drop in drops] == [("e1", f"{status}: No."), ("e2", f"{status}: No.")]


def test_a_batch_that_is_too_large_is_halved(server: Faulty, start: Callable[..., EventSender]) -> None:
    server.steps = [
        lambda handler: (answer(413) if handler.lines > 2 else answer(200, batch(handler.lines)))(handler)
    ] * 9
    sender_ = start()
    for number in range(5):
        sender_.send(event(number))
    assert sender_.flush(60)
    arrived = [[json.loads(line)["input_tokens"] for line in asked.body.splitlines()] for asked in server.asked]
    assert arrived == [[0, 1, 2, 3, 4], [0, 1], [2, 3, 4], [2], [3, 4]]
    assert sender_.counts == SenderCounts(offered=5, delivered=5)


def test_refusals_that_were_not_named_are_asked_for_again(server: Faulty, start: Callable[..., EventSender]) -> None:
    fault = {"id": "e", "code": "unknown_field", "param": "x", "message": "Unknown field: 'x'"}
    server.steps = [
        answer(200, batch(4, 3, [fault | {"index": 0}], errors_omitted=2)),
        answer(200, batch(2, 2, [fault | {"index": 0}, fault | {"index": 1}])),
        answer(200, batch(2, 1, [fault | {"index": 1}])),
    ]
    drops: list[Drop] = []
    sender_ = start(on_drop=drops.append)
    for number in range(4):
        sender_.send(event(number))
    assert sender_.flush(60)
    assert sender_.counts == SenderCounts(offered=4, delivered=1, refused=3)
    sender_.close()
    assert [drop.event["id"] for drop in drops] == ["e0", "e1", "e3"]


# --- its end -----------------------------------------------------------------------------------------------------


def test_closing_gives_up_after_its_time_and_tells(
    server: Faulty, start: Callable[..., EventSender], caplog: pytest.LogCaptureFixture
) -> None:
    server.steps = [answer(503)] * 999
    drops: list[Drop] = []
    sender_ = start(on_drop=drops.append, batch_events=3)
    for number in range(3):
        sender_.send(event(number))
    until(lambda: len(server.asked) >= 1)
    began = time.monotonic()
    sender_.close(0.3)
    assert time.monotonic() - began < 10
    assert sender_.counts.dropped == 3
    assert [(drop.event["id"], drop.reason) for drop in drops] == [("e0", "unsent"), ("e1", "unsent"), ("e2", "unsent")]
    assert "events dropped: 3; the sender closed before they were answered" in caplog.text


def test_closing_does_not_wait_for_a_server_that_hangs(server: Faulty, start: Callable[..., EventSender]) -> None:
    release = threading.Event()
    server.steps = [lambda handler: (release.wait(60), answer(200, batch(1))(handler))]
    sender_ = start(batch_events=1)
    sender_.send(event(1))
    until(lambda: len(server.asked) == 1)
    sender_.close(0.1)
    assert sender_.counts == SenderCounts(offered=1, dropped=1)
    release.set()
    until(lambda: not any(thread.name == "usageledger-sender" for thread in threading.enumerate()))
    assert sender_.counts == SenderCounts(offered=1, dropped=1)


def test_after_its_end_events_are_dropped_and_told(server: Faulty, start: Callable[..., EventSender]) -> None:
    drops: list[Drop] = []
    sender_ = start(on_drop=drops.append)
    sender_.close()
    assert not sender_.send(event(1))
    assert sender_.counts == SenderCounts(offered=1, dropped=1)
    assert [drop.reason for drop in drops] == ["closed"]


def test_a_callback_that_fails_stops_nothing(
    server: Faulty, start: Callable[..., EventSender], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(drop: Drop) -> None:
        raise ZeroDivisionError

    server.steps = [answer(400)]
    sender_ = start(on_drop=fail, batch_events=1)
    sender_.send(event(1))
    sender_.send(event(2))
    assert sender_.flush(60)
    assert sender_.counts == SenderCounts(offered=2, delivered=1, refused=1)
    until(lambda: "on_drop failed" in caplog.text)


def test_a_defect_loses_one_batch_and_is_told(
    server: Faulty, start: Callable[..., EventSender], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> bool:
        raise ZeroDivisionError

    drops: list[Drop] = []
    sender_ = start(on_drop=drops.append, batch_events=1)
    with monkeypatch.context() as patch:
        patch.setattr(sender, "must_split", fail)
        sender_.send(event(1))
        assert sender_.flush(60)
    sender_.send(event(2))
    assert sender_.flush(60)
    assert sender_.counts == SenderCounts(offered=2, delivered=1, dropped=1)
    assert [drop.event["id"] for drop in drops] == ["e1"]
    assert "a defect of the sender" in caplog.text


def test_the_key_is_in_no_log_or_repr(
    server: Faulty, start: Callable[..., EventSender], no_waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.steps = [answer(401, {"error": f"Incorrect API key provided: {KEY}"}), cut, answer(400, {"error": KEY})]
    drops: list[Drop] = []
    sender_ = start(on_drop=drops.append)
    sender_.send(event(1))
    sender_.flush(60)
    sender_.close()
    assert len(drops) == 1
    assert KEY not in caplog.text + repr(sender_) + repr(drops)


# --- settings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["http://127.0.0.1:1", "http://127.0.0.1:1/", "http://127.0.0.1:1/v1"])
def test_the_address_with_or_without_v1(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "base_url='http://127.0.0.1:1/v1'" in repr(EventSender(KEY, given))
    monkeypatch.setenv("USAGELEDGER_URL", given)
    assert "base_url='http://127.0.0.1:1/v1'" in repr(EventSender(KEY))


def test_key_and_address_from_the_environment(server: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="USAGELEDGER_API_KEY or USAGELEDGER_ADMIN_KEY"):
        EventSender()
    monkeypatch.setenv("USAGELEDGER_ADMIN_KEY", "sk-admin")
    assert "http://127.0.0.1:8080/v1" in repr(EventSender())
    monkeypatch.setenv("USAGELEDGER_API_KEY", KEY)
    monkeypatch.setenv("USAGELEDGER_URL", server.url)
    with EventSender() as sender_:
        sender_.send(event(1))
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("options", [{"batch_events": 0}, {"batch_events": 11, "queue_events": 10}])
def test_sizes_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="batch_events: expected 1 to queue_events"):
        EventSender(KEY, **options)


# --- asynchronous ------------------------------------------------------------------------------------------------


def test_the_asynchronous_sender_does_the_same(server: Faulty) -> None:
    async def run() -> AsyncEventSender:
        async with AsyncEventSender(KEY, server.url, flush_seconds=LATER) as sender_:
            for number in range(3):
                assert sender_.send(event(number))
            assert await sender_.flush(60)
            assert len(server.events) == 3
            sender_.send(event(3))
        return sender_

    done = asyncio.run(run())
    assert Counter(each["id"] for each in server.events) == {f"e{n}": 1 for n in range(4)}
    assert done.counts == SenderCounts(offered=4, delivered=4)


def test_the_event_loop_never_waits_for_it(server: Faulty) -> None:
    """Another task runs while a flush and a close wait for a server that hangs."""
    release = threading.Event()
    server.steps = [lambda handler: (release.wait(60), answer(200, batch(1))(handler))]

    async def run() -> None:
        sender_ = AsyncEventSender(KEY, server.url)
        sender_.send(event(1))
        flushed = asyncio.create_task(sender_.flush())
        closed = asyncio.create_task(sender_.close(60))
        await asyncio.sleep(0.05)
        assert not flushed.done()
        assert not closed.done()
        release.set()
        assert await flushed
        await closed

    asyncio.run(run())


def test_both_senders_have_the_same_names() -> None:
    public = [{name for name in dir(cls) if not name.startswith("_")} for cls in (EventSender, AsyncEventSender)]
    assert public[0] == public[1] == {"send", "flush", "close", "counts"}


def test_the_defaults_fit_the_servers_limits() -> None:
    from usageledger.settings import Settings

    assert Settings().max_body_bytes >= BATCH_BYTES
