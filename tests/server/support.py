"""What the tests of the server share: a clock and the running application."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
from starlette.routing import Route

from usageledger.errors import LedgerUnavailableError

NOW = 1_760_000_000


class Clock:
    """The time that the server believes it is, Unix seconds."""

    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


class Slowly:
    """A function that a thread calls: what it found is kept back until `go_on` is set."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._loop = asyncio.get_running_loop()
        self.found, self.go_on = asyncio.Event(), asyncio.Event()

    def __call__(self, *given: Any, **named: Any) -> Any:
        answer = self._function(*given, **named)
        self._loop.call_soon_threadsafe(self.found.set)
        asyncio.run_coroutine_threadsafe(self.go_on.wait(), self._loop).result()
        return answer


NO_SPACE = LedgerUnavailableError("The ledger could not write: no space left.")


class Server:
    """A running application and a client that has a key with every scope."""

    def __init__(self, app: Any, key: str) -> None:
        self.app = app
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://ledger.test",
            headers={"authorization": f"Bearer {key}"},
        )
        self.get, self.post, self.request = self.client.get, self.client.post, self.client.request

    @property
    def routes(self) -> list[Route]:
        return list(self.app._app.routes)


MakeKey = Callable[..., str]
Serve = Callable[..., AbstractAsyncContextManager[Server]]


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    """ASGI's start-up and shutdown around a block."""
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    task = asyncio.create_task(app({"type": "lifespan", "asgi": {"version": "3.0"}}, inbox.get, outbox.put))
    inbox.put_nowait({"type": "lifespan.startup"})
    assert (await outbox.get())["type"] == "lifespan.startup.complete"
    try:
        yield
    finally:
        inbox.put_nowait({"type": "lifespan.shutdown"})
        assert (await outbox.get())["type"] == "lifespan.shutdown.complete"
        await task


def event(number: int | str = 1, **fields: Any) -> dict[str, Any]:
    """A well-formed event of embeddings, a minute ago."""
    return {"kind": "embeddings", "id": f"e{number}", "timestamp": NOW - 60, "input_tokens": 10} | fields


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Lets everything else go on until `condition` holds."""
    async with asyncio.timeout(60):  # so that a defect fails the test and does not hang it
        while not await condition():
            await asyncio.to_thread(lambda: None)


def is_of_the_dashboard(route: Route) -> bool:
    """Whether it is for browsers: its pages, files and sessions are not of the API, and not in its document."""
    return not route.path.startswith(("/v1/", "/healthz", "/readyz", "/openapi.json", "/metrics"))
