"""A server for the examples of one test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs.server import Running, running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    """A server on an empty folder; it is ended after the test."""
    with running(tmp_path) as started:
        yield started
