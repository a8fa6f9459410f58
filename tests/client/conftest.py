"""What the tests of the client share: a faulty server, and both clients behind one face."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.support.faulty_server import KEY, Faulty, faulty

from usageledger import AsyncUsageAPI, UsageAPI

Ask = Callable[..., Any]


@pytest.fixture
def server() -> Iterator[Faulty]:
    with faulty() as state:
        yield state


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "OPENAI_ADMIN_KEY",
        "OPENAI_BASE_URL",
        "USAGELEDGER_URL",
        "USAGELEDGER_API_KEY",
        "USAGELEDGER_ADMIN_KEY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the clients wait before they ask again; they do not really wait."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(time, "sleep", found.append)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    return found


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest, server: Faulty) -> Ask:
    """`ask("usage_costs", start_time=0)`: every bucket over all pages, as one page, by either client.

    `ask("send_events", events)` is the report.
    """

    def with_sync(method: str, *events: Any, client: dict[str, Any] | None = None, **given: Any) -> Any:
        with UsageAPI(KEY, server.url, **client or {}) as api:
            found = getattr(api, method)(*events, **given)
            return found if events else found.collect()

    def with_async(method: str, *events: Any, client: dict[str, Any] | None = None, **given: Any) -> Any:
        async def run() -> Any:
            async with AsyncUsageAPI(KEY, server.url, **client or {}) as api:
                found = await getattr(api, method)(*events, **given)
                return found if events else await found.collect()

        return asyncio.run(run())

    return with_sync if request.param == "sync" else with_async
