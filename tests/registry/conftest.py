"""A registry in a real file and in a real PostgreSQL, and real processes that share it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.services.postgresql import new_database

import usageledger
from usageledger.registry import Registry, open_registry

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "registry.sqlite"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test runs on both databases, but for those that look at SQLite's file."""
    if "backend" in metafunc.fixturenames:
        shared = [] if "path" in metafunc.fixturenames else [pytest.param("postgresql", marks=pytest.mark.external)]
        metafunc.parametrize("backend", ["sqlite", *shared])


@pytest.fixture
def url(backend: str, tmp_path: Path) -> str:
    return new_database() if backend == "postgresql" else f"sqlite:///{tmp_path}/data/registry.sqlite"


@pytest.fixture
def registry(url: str) -> Iterator[Registry]:
    with open_registry(url) as opened:
        yield opened


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts `python -c code arguments…`, with warnings as errors and our package on the path."""
    started: list[subprocess.Popen[str]] = []

    def run(code: str, *arguments: str, root: Path = Path(usageledger.__file__).parent.parent) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, *arguments],
            env={**os.environ, "PYTHONPATH": str(root)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        with process:
            process.kill()
