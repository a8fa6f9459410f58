"""Real processes of the command, with nothing of the developer's own environment, and a real server."""

import io
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.support import COMMAND, DEADLINE_S, Run, Server, Start
from tests.support.server_process import without_pandas

import usageledger.cli


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    own = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "TMPDIR": str(temporary),
        "PYTHONPATH": str(Path(usageledger.__file__).parent.parent),
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "COLUMNS": "100",
    }
    return without_pandas(own)


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    """Runs `usageledger arguments…` to its end."""

    def run_command(*arguments: object, stdin: bytes = b"", **extra: str) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            input=stdin,
            env={**environment, **extra},
            capture_output=True,
            timeout=DEADLINE_S,
            check=False,
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run_command


@pytest.fixture
def call(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """As `run`, but within the process of the tests, where it takes a tenth of the time."""

    def call_command(*arguments: object, stdin: bytes = b"", **extra: str) -> "subprocess.CompletedProcess[str]":
        with monkeypatch.context() as patch:
            for name in os.environ:
                patch.delenv(name)
            for name, value in {**environment, **extra}.items():
                patch.setenv(name, value)
            patch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin))))
            capsys.readouterr()
            code = usageledger.cli.run([*map(str, arguments)])
            return subprocess.CompletedProcess([*map(str, arguments)], code, *capsys.readouterr())

    return call_command


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Start]:
    """Starts `usageledger arguments… --json`, and waits until it says that it is ready."""
    processes: list[subprocess.Popen[str]] = []

    def start_command(*arguments: object, **extra: str) -> Server:
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments), "--json"],
            env={**environment, **extra},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout
        line = process.stdout.readline()
        if not line:
            pytest.fail(f"It ended without being ready: {process.communicate(timeout=DEADLINE_S)[1]}")
        ready = json.loads(line)
        return Server(process, ready["address"], Path(ready["data"]), ready["admin_key"])

    yield start_command
    for process in processes:
        with process:
            process.kill()
