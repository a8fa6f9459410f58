"""From request to disk: nothing is acknowledged before its commit, and nothing that was taken is lost."""

import asyncio
import json
import socket
import threading
import tracemalloc
from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import pyarrow as pa
import pytest
import uvicorn
from tests.server.support import NO_SPACE, NOW, Clock, MakeKey, Serve, Server, event, lifespan, until
from tests.support.ledger_contents import count, drop_events
from tests.support.ledger_double import LedgerDouble, no_claims
from tests.support.problems import problem
from tests.support.samples import decode

from usageledger.errors import RegistryError
from usageledger.events.typed_events import COUNT_MAX, FIELDS
from usageledger.ledger import Judged, Ledger
from usageledger.registry import Registry
from usageledger.server.app import create_app
from usageledger.server.ingest import commit_group
from usageledger.server.ingest.commits import Ingest
from usageledger.server.ingest.upkeep import Upkeep
from usageledger.settings import Settings

pytestmark = pytest.mark.anyio

URL = "/v1/events"


def send(server: Server, *numbers: int) -> "asyncio.Task[Any]":
    """A request with the events of these numbers, under way."""
    return asyncio.create_task(server.post(URL, json=[event(number) for number in numbers]))


async def held(server: Server, double: LedgerDouble, *numbers: int) -> "asyncio.Task[Any]":
    """A request whose commit has begun and does not end."""
    double.hold()
    task = send(server, *numbers)
    await asyncio.to_thread(double.entered.acquire)
    return task


async def queued(server: Server, count: int) -> None:
    """Waits until so many events wait for the disk, as the server itself says."""

    async def are() -> bool:
        return (await server.get("/readyz")).json()["queued_events"] == count

    await until(are)


async def test_no_answer_before_the_events_are_on_disk(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        first = await held(server, double, 1, 2)
        second = send(server, 3)
        await queued(server, 3)
        assert not first.done()
        assert not second.done()
        double.let_go()
        assert (await first).json()["accepted"] == 2
        assert double.commits[0] == ["e1", "e2"]
        assert (await second).json()["accepted"] == 1
        assert (await server.get("/readyz")).json()["queued_events"] == 0


async def test_other_requests_are_answered_meanwhile(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        waiting = await held(server, double, 1)
        page = await server.get("/v1/organization/usage/completions", params={"start_time": 0})
        nothing = await server.post(URL, json=[])
        assert (page.status_code, nothing.status_code) == (200, 200)
        assert not waiting.done()
        double.let_go()
        await waiting


async def test_requests_that_arrive_during_a_commit_share_the_next_ones(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        first = await held(server, double, 0)
        others = [send(server, number) for number in range(1, 101)]
        await queued(server, 101)
        double.let_go()
        answers = await asyncio.gather(first, *others)
    assert [answer.json()["accepted"] for answer in answers] == [1] * 101
    assert sorted(double.ids) == sorted(f"e{number}" for number in range(101))
    # One commit was held, one table was ready behind it, one was being made, and everything else came in one.
    assert len(double.commits) <= 4


async def test_as_many_commits_at_once_as_the_ledger_takes(serve: Serve, double: LedgerDouble) -> None:
    double.writers = 2
    async with serve(double) as server:
        first = await held(server, double, 1)
        second = await held(server, double, 2)
        third = send(server, 3)
        await queued(server, 3)
        assert not double.entered.acquire(blocking=False)
        double.let_go()
        answers = await asyncio.gather(first, second, third)
    assert [answer.json()["accepted"] for answer in answers] == [1, 1, 1]
    assert sorted(double.ids) == ["e1", "e2", "e3"]


async def test_a_commit_has_a_size(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double, commit_events=10) as server:
        first = await held(server, double, 0)
        others = [send(server, *range(number, number + 4)) for number in range(1, 81, 4)]
        large = send(server, *range(100, 125))
        await queued(server, 1 + 80 + 25)
        double.let_go()
        await asyncio.gather(first, *others, large)
    sizes = [len(commit) for commit in double.commits]
    assert max(sizes) == 25  # a request is never split
    assert sorted(sizes)[-2] <= 10
    assert sum(sizes) == 106


async def test_each_request_of_a_group_gets_its_own_answer(serve: Serve, ledger: Ledger, double: LedgerDouble) -> None:
    async with serve(ledger) as server:
        await server.post(URL, json=[event(1), event(2)])

    class Held(LedgerDouble):
        def append(self, rows: Any) -> Any:
            super().append(rows)
            return ledger.append(rows)

    behind = Held()
    async with serve(behind) as server:
        first = await held(server, behind, 10)
        bodies = [
            [event(1), event(3), {"kind": "x"}],
            [event(4)],
            [event(2, input_tokens=11), event(4), event(5, timestamp=2 * NOW)],
            [event(6, input_tokens=-1)],
            [event(3), event(7)],
        ]
        tasks = []
        for body, waiting in zip(bodies, (3, 4, 7, 7, 9), strict=True):
            tasks.append(asyncio.create_task(server.post(URL, json=body)))
            await queued(server, waiting)  # each in its turn: a body that is not clean is read in a thread
        behind.let_go()
        await first
        answers = [(await task).json() for task in tasks]
    assert [(a["accepted"], a["duplicates"], a["rejected"]) for a in answers] == [
        (1, 1, 1),
        (1, 0, 0),
        (0, 1, 2),
        (0, 0, 1),
        (1, 1, 0),
    ]
    assert [[(e["index"], e["id"], e["code"]) for e in a["errors"]] for a in answers] == [
        [(2, None, "invalid_value")],
        [],
        [(0, "e2", "conflict"), (2, "e5", "invalid_value")],
        [(0, "e6", "invalid_value")],
        [],
    ]
    assert count(ledger) == 6


async def test_503_when_the_queue_is_full(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double, queue_events=5) as server:
        first = await held(server, double, 1, 2, 3)
        second = send(server, 4, 5)
        await queued(server, 5)
        refused = await send(server, 6)
        error = problem(refused, 503, type="server_error", param=None, code="overloaded")
        assert "5 events" in error["message"]
        assert refused.headers["retry-after"] == "1"
        double.let_go()
        await asyncio.gather(first, second)
        assert (await send(server, 6)).json()["accepted"] == 1
    assert double.ids == ["e1", "e2", "e3", "e4", "e5", "e6"]


async def test_503_when_the_queue_has_as_many_bytes_as_it_may(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double, queue_bytes=3000) as server:
        first = await held(server, double, 1, 2, 3, 4)
        error = problem(await send(server, 5, 6), 503, code="overloaded")
        assert "4 events" in error["message"]
        assert (await server.post(URL, json=[])).status_code == 200
        double.let_go()
        await first
        double.hold()
        others = [send(server, number) for number in (5, 6, 7)]
        await queued(server, 3)
        double.let_go()
        await asyncio.gather(*others)
    assert sorted(double.ids) == [f"e{number}" for number in range(1, 8)]


async def test_a_commit_has_a_size_in_bytes(
    serve: Serve, double: LedgerDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usageledger.server.app.Ingest", partial(Ingest, commit_bytes_max=4000))
    async with serve(double) as server:
        first = await held(server, double, 0)
        others = [send(server, number, number + 1) for number in range(1, 41, 2)]
        large = send(server, *range(100, 125))
        await queued(server, 1 + 40 + 25)
        double.let_go()
        await asyncio.gather(first, *others, large)
    sizes = sorted(len(commit) for commit in double.commits)
    assert sum(sizes) == 66
    assert sizes[-1] == 25  # a request is never split
    assert 1 < sizes[-2] <= 6


def fullest(kind: str, number: int, text: str) -> dict[str, Any]:
    """An event that has every field, all texts that may be anything being `text`."""
    values: dict[str, Any] = {"kind": kind, "id": f"{number:06}", "timestamp": NOW - number}
    for name, field in FIELDS[kind].items():
        if name not in values:
            free = field.problem(text) is None and field.problem("x") is None
            rule = field.rule.split("'")
            values[name] = (COUNT_MAX - number) if int in field.python else text if free else rule[1:2] or True
            if isinstance(values[name], list):
                (values[name],) = values[name]
    return values


@pytest.mark.parametrize("kind", list(FIELDS))
@pytest.mark.parametrize("text", ["x", "x" * 250, "é" * 9, "x" * 250 + "😀", "\u4e00" * 250])
@pytest.mark.parametrize("escaped", [False, True])
def test_events_take_no_more_memory_than_they_count(kind: str, text: str, escaped: bool) -> None:
    count = 300
    body = json.dumps([fullest(kind, n, text) for n in range(count)], ensure_ascii=escaped).encode()
    decode(body, lines=False, max_events=count)
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    decoded = decode(body, lines=False, max_events=count)
    taken = tracemalloc.get_traced_memory()[0] + pa.total_allocated_bytes() - before
    tracemalloc.stop()
    assert (decoded.count, decoded.refused.listed) == (count, [])
    assert taken <= decoded.size < 12 * taken


async def test_a_request_larger_than_the_queue_is_taken_when_nothing_waits(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double, queue_events=5) as server:
        assert (await send(server, *range(8))).json()["accepted"] == 8
        first = await held(server, double, 10)
        problem(await send(server, *range(11, 19)), 503)
        double.let_go()
        await first


async def test_the_queue_empties_after_failures_too(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double, queue_events=2) as server:
        double.failure = NO_SPACE
        for _ in range(3):
            problem(await send(server, 1, 2), 503)
        double.failure = None
        assert (await send(server, 1, 2)).json()["accepted"] == 2


async def test_every_request_of_a_group_hears_of_its_failure(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        double.failure = NO_SPACE
        first = await held(server, double, 1)
        others = [send(server, number) for number in range(2, 6)]
        await queued(server, 5)
        double.let_go()
        for task in (first, *others):
            problem(await task, 503)
    assert double.ids == []


async def test_names_that_cannot_be_noted_keep_nothing(
    serve: Serve,
    double: LedgerDouble,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RegistryError("The registry is locked.")

    monkeypatch.setattr(registry, "note_seen", fail)
    async with serve(double) as server:
        refused = await server.post(URL, json=event(project_id="p"))
        problem(refused, 503)
        assert "The registry is locked." in caplog.text
        assert double.ids == []
        monkeypatch.undo()
        assert (await server.post(URL, json=event(project_id="p"))).json()["accepted"] == 1
        assert (await server.get("/v1/organization/projects/p")).status_code == 200


async def test_a_name_is_noted_once(
    serve: Serve, double: LedgerDouble, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[tuple[set[str], set[str]]] = []
    note = registry.note_seen

    def watch(projects: set[str], users: set[str], *, now: int) -> None:
        noted.append((set(projects), set(users)))
        note(projects, users, now=now)

    monkeypatch.setattr(registry, "note_seen", watch)
    for _ in range(2):  # the second server asks the registry once, which has the names
        async with serve(double) as server:
            await server.post(URL, json=event(1, project_id="p", user_id="u"))
            await server.post(URL, json=event(2, project_id="p", user_id="u"))
            await server.post(URL, json=event(3))
    assert noted == [({"p"}, {"u"})] * 2
    assert [each.id for each in registry.list_projects().data] == ["p"]


async def test_stopping_drains_the_queue(
    double: LedgerDouble, settings: Settings, registry: Registry, key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Ingest] = []

    class Known(Ingest):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            made.append(self)

    monkeypatch.setattr("usageledger.server.app.Ingest", Known)
    app = create_app(settings, double, registry, Clock())
    server, stop = Server(app, key()), asyncio.Event()

    async def run() -> None:
        async with lifespan(app):
            await stop.wait()

    async with server.client:
        running = asyncio.create_task(run())
        first = await held(server, double, 1)
        others = [send(server, number) for number in range(2, 30)]
        await queued(server, 29)
        stop.set()

        async def closing() -> bool:
            return made[0]._closing

        await until(closing)
        late = await send(server, 99)
        assert not first.done()
        double.let_go()
        answers = await asyncio.gather(first, *others)
        await running
    assert "stopping" in problem(late, 503, code="overloaded")["message"]
    assert late.headers["retry-after"] == "2"
    assert [answer.json()["accepted"] for answer in answers] == [1] * 29
    assert sorted(double.ids) == sorted(f"e{number}" for number in range(1, 30))


async def test_a_client_that_leaves_while_it_waits_loses_nothing(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double, queue_events=2) as server:
        first = await held(server, double, 1)
        second = send(server, 2)
        await queued(server, 2)
        for task in (first, second):
            task.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        double.let_go()
        await queued(server, 0)
        # Its events are kept, and the server goes on for everyone else.
        assert (await send(server, 3, 4)).json()["accepted"] == 2
    assert double.ids == ["e1", "e2", "e3", "e4"]


async def test_a_connection_that_breaks_during_the_wait_loses_nothing(
    double: LedgerDouble, settings: Settings, registry: Registry, key: MakeKey
) -> None:
    value = key()
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(settings, double, registry, Clock()), lifespan="on", log_config=None)
    web = uvicorn.Server(config)
    serving = asyncio.create_task(web.serve([listener]))
    address = listener.getsockname()
    body = json.dumps(event(1)).encode()
    double.hold()
    _, writer = await asyncio.open_connection(*address)
    writer.write(b"POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\n" % value.encode())
    writer.write(b"content-length: %d\r\n\r\n%s" % (len(body), body))
    await asyncio.to_thread(double.entered.acquire)
    writer.transport.abort()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    double.let_go()
    async with httpx.AsyncClient(base_url="http://{}:{}".format(*address)) as client:
        response = await client.post(URL, json=event(2), headers={"authorization": f"Bearer {value}"})
    web.should_exit = True
    await serving
    assert response.json()["accepted"] == 1
    assert double.ids == ["e1", "e2"]


async def test_a_group_that_cannot_be_assembled_is_refused_and_the_server_goes_on(
    serve: Serve, double: LedgerDouble, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("secret insides")

    async with serve(double, queue_events=2) as server:
        monkeypatch.setattr("usageledger.server.ingest.commits.join", fail)
        for _ in range(2):
            assert "secret" not in problem(await send(server, 1, 2), 503)["message"]
        monkeypatch.undo()
        assert (await send(server, 1, 2)).json()["accepted"] == 2
    assert "secret insides" in caplog.text


@pytest.mark.parametrize("failure", [NO_SPACE, ZeroDivisionError("a defect")])
async def test_upkeep_that_fails_stops_nothing(
    serve: Serve,
    double: LedgerDouble,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failure: Exception,
) -> None:
    def fail() -> bool:
        raise failure

    monkeypatch.setattr(double, "compact", fail)
    async with serve(double) as server:
        for number in range(3):
            assert (await send(server, number)).json()["accepted"] == 1
    assert str(failure) in caplog.text


async def test_events_are_dropped_after_their_time(serve: Serve, double: LedgerDouble, clock: Clock) -> None:
    async def dropped(times: int) -> bool:
        return len(double.dropped) >= times

    async with serve(double, retention_days=30):
        await until(partial(dropped, 3))
        before = NOW - NOW % 86_400 - 30 * 86_400
        assert double.dropped == [before] * 3  # until there are no more of that day
        clock.now += 86_400
        await until(partial(dropped, 4))
        assert double.dropped[3] == before + 86_400


async def test_a_clock_that_is_ahead_alone_drops_nothing(serve: Serve, double: LedgerDouble, clock: Clock) -> None:
    """What the events say of the time holds, until they say something later."""

    async def dropped(before: int) -> bool:
        return double.dropped[-1:] == [before]

    double.settled = NOW - NOW % 86_400
    clock.now += 400 * 86_400
    async with serve(double, retention_days=30):
        for _ in range(3):
            double.settled += 86_400
            await until(partial(dropped, double.settled - 30 * 86_400))
    assert max(double.dropped) == double.settled - 30 * 86_400


async def test_an_event_of_a_dropped_day_is_refused_by_itself(serve: Serve, ledger: Ledger) -> None:
    async with serve(ledger) as server:
        await server.post("/v1/events", json=event(3, timestamp=NOW - 3 * 86_400))
        drop_events(ledger, NOW - 86_400)
        answer = (await server.post("/v1/events", json=[event(1), event(2, timestamp=NOW - 3 * 86_400)])).json()
    assert (answer["accepted"], answer["rejected"]) == (1, 1)
    (error,) = answer["errors"]
    assert (error["index"], error["id"], error["code"], error["param"]) == (1, "e2", "too_old", "timestamp")
    assert "were dropped after their time" in error["message"]


# --- after the commit --------------------------------------------------------------------------------------------


async def test_an_answer_that_cannot_be_made_is_the_failure_of_its_request_alone(
    serve: Serve, double: LedgerDouble, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The events of the whole group are on disk: nobody is told that they could not be written."""
    made = commit_group.answer

    def fail_once(batch: Any, *given: Any) -> dict[str, Any]:
        if batch.typed[0].id == "e3":
            raise ZeroDivisionError("secret insides")
        return made(batch, *given)

    async with serve(double) as server:
        first = await held(server, double, 1)
        others = [send(server, number) for number in (2, 3, 4)]
        await queued(server, 4)
        monkeypatch.setattr(commit_group, "answer", fail_once)
        double.let_go()
        answers = [await task for task in (first, *others)]
        assert [answer.status_code for answer in answers] == [200, 200, 500, 200]
        assert "secret" not in problem(answers[2], 500, type="server_error", code="internal_error")["message"]
        assert "secret insides" in caplog.text
        assert (await server.get("/readyz")).json() == {"status": "ready", "reasons": [], "queued_events": 0}
        assert (await send(server, 5)).json()["accepted"] == 1
    assert sorted(double.ids) == ["e1", "e2", "e3", "e4", "e5"]


async def test_outcomes_that_fit_nobody_are_told_to_nobody_as_events_that_were_not_kept(
    serve: Serve, double: LedgerDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = double.append
    async with serve(double) as server:
        monkeypatch.setattr(double, "append", lambda rows: Judged(append(rows).outcomes[:-1]))
        problem(await send(server, 1), 500, code="internal_error")
        monkeypatch.undo()
        assert (await send(server, 2)).json()["accepted"] == 1
    assert double.ids == ["e1", "e2"]


def test_an_event_loop_that_closed_keeps_no_answer_from_others(
    double: LedgerDouble, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    ingest = Ingest(double, lambda *_: None, lambda rows: rows["ts"].to_numpy(), no_claims, settings, Clock())
    decoded = [decode(json.dumps(event(number)).encode(), lines=False, max_events=1) for number in (1, 2, 3)]
    gone, here = asyncio.new_event_loop(), asyncio.new_event_loop()
    left: Any = gone.create_task(ingest.submit(decoded[0]))
    gone.run_until_complete(asyncio.sleep(0))
    answers = [here.create_task(ingest.submit(each)) for each in decoded[1:]]
    here.run_until_complete(asyncio.sleep(0))
    gone.close()
    ingest.start()
    told = here.run_until_complete(asyncio.wait_for(asyncio.gather(*answers), 60))
    ingest.close()
    here.close()
    assert [answer["accepted"] for answer in told] == [1, 1]
    assert double.commits == [["e1", "e2", "e3"]]
    assert "closed" in caplog.text
    left._log_destroy_pending = False  # its loop is gone, as this test has it


@pytest.mark.parametrize(
    ("part", "method", "thread"), [(Ingest, "_take", "writer 0"), (Upkeep, "_step", "upkeep")], ids=["writer", "upkeep"]
)
async def test_a_thread_that_ends_ends_the_server(
    double: LedgerDouble,
    settings: Settings,
    registry: Registry,
    key: MakeKey,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    part: type,
    method: str,
    thread: str,
) -> None:
    """Whoever waits is told at once, and `/readyz` says why."""
    failing = threading.Event()
    work = getattr(part, method)

    def fail(*given: Any) -> Any:
        if failing.is_set():
            raise ZeroDivisionError("secret insides")
        return work(*given)

    monkeypatch.setattr(part, method, fail)
    ended: list[str] = []
    app = create_app(settings, double, registry, Clock(), ended.append)
    server = Server(app, key())
    async with lifespan(app), server.client:
        assert (await send(server, 1)).json()["accepted"] == 1
        failing.set()
        sent = [send(server, number) for number in (2, 3)]

        async def not_ready() -> bool:
            return (await server.get("/readyz")).status_code == 503

        await until(not_ready)
        state = (await server.get("/readyz")).json()
        assert (state["status"], any(thread in reason for reason in state["reasons"])) == ("not ready", True)
        for task in (*sent, send(server, 4)):
            answer = await asyncio.wait_for(task, 60)
            if answer.status_code != 200:
                assert "stopping" in problem(answer, 503, code="overloaded")["message"]
    assert len(ended) == 1
    assert thread in ended[0]
    assert "secret insides" in caplog.text


# --- several writers ---------------------------------------------------------------------------------------------


def test_what_a_writer_leaves_another_one_takes_at_once(double: LedgerDouble, settings: Settings) -> None:
    """One waits for as much company as last time, another for anything at all: neither is left asleep."""
    changed = replace(settings, commit_events=1, commit_wait_ms=200)
    ingest = Ingest(double, lambda *_: None, lambda rows: rows["ts"].to_numpy(), no_claims, changed, Clock())
    taken: list[list[Any]] = []
    loop = asyncio.new_event_loop()

    def take(company: int) -> threading.Thread:
        thread = threading.Thread(target=lambda: taken.append(ingest._take(company)), daemon=True)
        thread.start()
        return thread

    def arrive(number: int) -> "asyncio.Task[Any]":
        decoded = decode(json.dumps(event(number)).encode(), lines=False, max_events=1)
        task = loop.create_task(ingest.submit(decoded))
        loop.run_until_complete(asyncio.sleep(0))
        return task

    tasks = [arrive(1)]
    writers = [take(5)]
    tasks += [arrive(2), arrive(3)]
    writers += [take(1), take(1)]
    for writer in writers:
        writer.join(10)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.close()
    assert sorted(each.batch.typed[0].id for group in taken for each in group) == ["e1", "e2", "e3"]
