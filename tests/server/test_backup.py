"""`POST /v1/backup`: one at a time, never at the events' cost, and nothing left behind."""

import asyncio
import io
import shutil
import tarfile
from pathlib import Path

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send
from tests.server.support import NO_SPACE, Serve
from tests.support.ledger_double import LedgerDouble
from tests.support.problems import problem

from usageledger.settings import Settings

pytestmark = pytest.mark.anyio

URL = "/v1/backup"


async def test_it_is_an_archive_of_both(serve: Serve, double: LedgerDouble, settings: Settings) -> None:
    async with serve(double) as server:
        response = await server.post(URL, headers={"accept-encoding": "identity"})
    assert (response.status_code, response.headers["content-type"]) == (200, "application/x-tar")
    assert int(response.headers["content-length"]) == len(response.content)
    with tarfile.open(fileobj=io.BytesIO(response.content)) as archive:
        assert archive.getnames() == ["ledger.duckdb", "registry.sqlite"]
        kept = archive.extractfile("registry.sqlite")
        assert kept is not None
        assert kept.read(15) == b"SQLite format 3"
    assert not list(settings.data.glob(".backup-*"))


async def test_one_at_a_time(serve: Serve, double: LedgerDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, began, ended = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    def slowly(file: Path) -> None:
        loop.call_soon_threadsafe(began.set)
        asyncio.run_coroutine_threadsafe(ended.wait(), loop).result()
        file.write_text("a copy")

    monkeypatch.setattr(double, "backup", slowly)
    async with serve(double) as server:
        first = asyncio.create_task(server.post(URL))
        await began.wait()
        refused = await server.post(URL)
        assert "is being made" in problem(refused, 503, code="overloaded")["message"]
        assert refused.headers["retry-after"] == "30"
        ended.set()
        assert (await first).status_code == 200
        assert (await server.post(URL)).status_code == 200


async def test_whoever_has_the_last_byte_may_ask_for_the_next_one(serve: Serve, double: LedgerDouble) -> None:
    """A client knows the length: it can be back before the server has seen the end of the answer."""
    taken, again = 0, list[httpx.Response]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def watch(message: Message) -> None:
            nonlocal taken
            await send(message)
            taken += len(message.get("body", b""))
            length.extend(int(value) for name, value in message.get("headers", []) if name == b"content-length")
            if not again and taken == length[0]:
                again.append(await server.post(URL))

        length: list[int] = []
        await server.app(scope, receive, watch)

    async with serve(double) as server:
        headers = {"accept-encoding": "identity", "authorization": server.client.headers["authorization"]}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ledger.test") as client:
            assert (await client.post(URL, headers=headers)).status_code == 200
    assert [response.status_code for response in again] == [200]


async def test_a_backup_that_fails_leaves_nothing(
    serve: Serve, double: LedgerDouble, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    def fail(file: Path) -> None:
        file.write_text("half")
        raise NO_SPACE

    async with serve(double) as server:
        monkeypatch.setattr(double, "backup", fail)
        for _ in range(2):
            problem(await server.post(URL), 503)
        assert not list(settings.data.glob(".backup-*"))
        monkeypatch.undo()
        assert (await server.post(URL)).status_code == 200


async def test_it_does_not_fill_the_disk(serve: Serve, double: LedgerDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10))
    async with serve(double) as server:
        error = problem(await server.post(URL), 503, code="overloaded")
    assert "there are 10" in error["message"]


async def test_what_is_not_in_files(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double, registry="postgresql+psycopg://u@h/d") as server:
        error = problem(await server.post(URL), 400)
    assert "with the tools of its database" in error["message"]


async def test_it_takes_no_parameters(serve: Serve, double: LedgerDouble) -> None:
    async with serve(double) as server:
        problem(await server.post(URL, params={"path": "/etc"}), 400, param="path")
