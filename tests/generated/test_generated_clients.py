"""Clients in Python, generated from the server's own description, answer what is in its ledger."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.generated.questions import ask, serving
from tests.support.server_process import RunningServer

pytestmark = [pytest.mark.external, pytest.mark.processes]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("generated")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[RunningServer]:
    with serving(folder) as server:
        yield server


@pytest.mark.parametrize("name", ["python", "python-client"])
def test_a_generated_client_answers_what_is_in_the_ledger(name: str, server: RunningServer, folder: Path) -> None:
    answered, right = ask(name, server, folder / "openapi.json", folder / name)
    assert answered == right
