"""One real server for all tests of the contract: a real ledger file, asked by the official clients."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI
from tests.support.server_process import RunningServer, running
from tests.support.three_days import wire_events

DATA = Path(__file__).parent / "data"

Recorded = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="session")
def empty_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server for tests that put in what they need; it ends cleanly and silently."""
    with running(tmp_path_factory.mktemp("empty")) as server:
        yield server
        assert server.stop() == (0, "")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that holds the usage of `three_days` and nothing else."""
    with running(tmp_path_factory.mktemp("contract")) as server:
        body = "\n".join(json.dumps(event) for event in wire_events())
        headers = server.headers | {"content-type": "application/x-ndjson"}
        answer = httpx.post(f"{server.url}/v1/events", content=body.encode(), headers=headers).json()
        assert (answer["accepted"], answer["rejected"]) == (len(wire_events()), 0), answer
        yield server
        assert server.stop() == (0, "")


@pytest.fixture(scope="session")
def sdk(server: RunningServer) -> Iterator[OpenAI]:
    """The official Python client, which only knows another base URL."""
    with OpenAI(base_url=f"{server.url}/v1", admin_api_key=server.key, max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def raw(server: RunningServer) -> Iterator[httpx.Client]:
    """Plain HTTP to the same server."""
    with httpx.Client(base_url=f"{server.url}/v1", headers=server.headers) as client:
        yield client


@pytest.fixture(scope="session")
def empty_raw(empty_server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{empty_server.url}/v1", headers=empty_server.headers) as client:
        yield client


@pytest.fixture(scope="session")
def endpoints() -> dict[str, Any]:
    """Parameters and result fields as the official client types them."""
    found: dict[str, Any] = json.loads((DATA / "sdk-endpoints.json").read_text())
    return found


@pytest.fixture(scope="session")
def recorded() -> Recorded:
    """`recorded("errors_live")`: what clients recorded of the official server."""

    def read(name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((DATA / "recorded" / f"{name}.json").read_text())
        return found

    return read
