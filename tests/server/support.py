"""What the tests of the server share: a clock, a ledger that does as a test says, and the running application."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
from starlette.routing import Route

from usageledger.errors import LedgerUnavailableError
from usageledger.ledger.protocol import PricesOf, Unpriced
from usageledger.questions.aggregate import Aggregate

NOW = 1_760_000_000


class Clock:
    """The time that the server believes it is, Unix seconds."""

    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


class LedgerDouble:
    """Keeps rows in memory. `hold` keeps the next `append` from ending, `let_go` ends it; `failure` makes it raise."""

    writers = 1

    def __init__(self) -> None:
        self.commits: list[list[str]] = []
        self.failure: Exception | None = None
        self.read_failure: Exception | None = None
        self.entered = threading.Semaphore(0)
        self._open = threading.Event()
        self._open.set()
        self.is_ready = True
        self.dropped: list[int] = []
        self.settled = 2 * NOW

    @property
    def ids(self) -> list[str]:
        """Every id kept, in the order of commits."""
        return [event_id for commit in self.commits for event_id in commit]

    def hold(self) -> None:
        self._open.clear()

    def let_go(self) -> None:
        self._open.set()

    def append(self, rows: pa.Table) -> np.ndarray[Any, np.dtype[np.uint8]]:
        self.entered.release()
        self._open.wait()
        if self.failure:
            raise self.failure
        self.commits.append(rows["event_id"].to_pylist())
        return np.zeros(rows.num_rows, np.uint8)

    def compact(self) -> bool:
        return False

    def drop_events(self, before: int) -> bool:
        self.dropped.append(before)
        return len(self.dropped) < 3

    def settled_until(self) -> int:
        return self.settled

    def aggregate(self, query: Any, *, max_seconds: float, max_results: int) -> Aggregate:
        if self.read_failure:
            raise self.read_failure
        return Aggregate([], {})

    def costs(self, query: Any, prices: PricesOf, *, max_seconds: float, max_results: int) -> Aggregate:
        return self.aggregate(query, max_seconds=max_seconds, max_results=max_results)

    def unpriced(self, query: Any, prices: PricesOf, *, max_seconds: float, max_results: int) -> list[Unpriced]:
        return []

    def unpriced_cards(self, query: Any, prices: PricesOf, *, max_seconds: float) -> int:
        return 0

    def facets(self, facet: Any, *, max_seconds: float, limit: int) -> list[str]:
        return []

    def times_of_cards(self, rate_ids: Sequence[int], start: int, end: int) -> dict[int, tuple[int, int]]:
        return {}

    def give_cards(self, cards: Any) -> int:
        return 0

    def version(self, start: int, end: int) -> int | None:
        return None

    def backup(self, file: Path) -> None:
        file.write_text("a copy")

    def ready(self) -> bool:
        return self.is_ready

    def close(self) -> None:
        pass


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


def event(number: int = 1, **fields: Any) -> dict[str, Any]:
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
