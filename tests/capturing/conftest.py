"""A vendor and a ledger on this machine, and captures of clients between them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.support.faulty_server import KEY, Faulty, faulty

import usageledger
from usageledger.capturing import Capture

Start = Callable[..., Capture]


@pytest.fixture
def vendor() -> Iterator[Faulty]:
    with faulty() as state:
        yield state


@pytest.fixture
def ledger() -> Iterator[Faulty]:
    with faulty() as state:
        yield state


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USAGELEDGER_URL", "USAGELEDGER_API_KEY", "USAGELEDGER_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def start(ledger: Faulty) -> Iterator[Start]:
    """`start(client, vendor="openai")`: a capture that sends to the ledger, closed at the end."""
    started: list[Capture] = []

    def begin(client: Any, **options: Any) -> Capture:
        started.append(usageledger.capture(client, api_key=KEY, base_url=ledger.url, **options))
        return started[-1]

    yield begin
    for each in started:
        each.close()
