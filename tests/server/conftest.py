"""The real ASGI application over a real registry, with a clock and a ledger that tests control."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.server.support import NOW, Clock, MakeKey, Serve, Server, lifespan
from tests.support.ledger_double import LedgerDouble

from usageledger.ledger import Ledger, open_ledger
from usageledger.registry import Registry, open_registry
from usageledger.server.app import create_app
from usageledger.settings import Settings


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path)


@pytest.fixture
def registry(settings: Settings) -> Iterator[Registry]:
    with open_registry(settings.registry_url) as opened:
        yield opened


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    with closing(open_ledger(settings.ledger_url)) as opened:
        yield opened


@pytest.fixture
def double() -> LedgerDouble:
    return LedgerDouble()


@pytest.fixture
def key(registry: Registry) -> MakeKey:
    """`key("api.usage.read")`: the value of a new key with these scopes, or with all of them."""

    def make(*scopes: str, expires_at: int | None = None) -> str:
        given: dict[str, Any] = {"scopes": scopes} if scopes else {}
        return registry.create_key("test", **given, expires_at=expires_at, now=NOW)[1]

    return make


@pytest.fixture
def serve(settings: Settings, registry: Registry, clock: Clock, key: MakeKey) -> Serve:
    """`async with serve(ledger, queue_events=5) as server`: the application, drained at the end."""

    @asynccontextmanager
    async def start(ledger: Ledger, **changed: Any) -> AsyncIterator[Server]:
        app = create_app(replace(settings, **changed), ledger, registry, clock)
        server = Server(app, key())
        async with lifespan(app), server.client:
            try:
                yield server
            finally:
                if isinstance(ledger, LedgerDouble):
                    ledger.let_go()

    return start
