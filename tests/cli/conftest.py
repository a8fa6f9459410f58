"""Real processes of the command, with nothing of the developer's own environment, and a real server."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import httpx
import pytest
from tests.cli.every_command import HOSTILE, TIME
from tests.cli.support import COMMAND, DEADLINE_S, Run, Server, Start
from tests.support.server_process import without_pandas

import usageledger.cli
from usageledger.meters import METERS
from usageledger.registry import AlertTerms, Crossing, open_registry


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


@contextmanager
def _closed_pipe() -> Generator[io.TextIOWrapper]:
    read, write = os.pipe()
    os.close(read)
    with io.TextIOWrapper(os.fdopen(write, "wb"), "utf-8") as pipe:
        yield pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), write)


@pytest.fixture
def call(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """As `run`, but within the process of the tests, where it takes a tenth of the time."""

    def call_command(
        *arguments: object, stdin: bytes = b"", closed_stdout: bool = False, **extra: str
    ) -> "subprocess.CompletedProcess[str]":
        with monkeypatch.context() as patch:
            for name in os.environ:
                patch.delenv(name)
            for name, value in {**environment, **extra}.items():
                patch.setenv(name, value)
            patch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin))))
            capsys.readouterr()
            patch.setattr("sys.stderr", sys.stderr)
            with _closed_pipe() if closed_stdout else nullcontext(sys.stdout) as stdout:
                patch.setattr("sys.stdout", stdout)
                try:
                    code = usageledger.cli.run([*map(str, arguments)])
                    sys.stdout.flush()  # as at the end of a process
                except SystemExit as ended:
                    code = int(str(ended.code))
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


@pytest.fixture
def full_server(start: Start, environment: dict[str, str], tmp_path: Path) -> Server:
    """A server with events of every kind, a key and prices, all of them with that name wherever there may be one."""
    running = start("serve", "--data", tmp_path / "data", "--port", 0)
    assert running.key
    environment |= {"USAGELEDGER_URL": running.address, "USAGELEDGER_API_KEY": running.key}
    with httpx.Client(base_url=running.address, headers={"authorization": f"Bearer {running.key}"}) as client:
        for number, meter in enumerate(METERS):
            names = {d.name: HOSTILE for d in meter.groupings if not d.flag and not d.values}
            names.pop("size", None)
            counts = {measure.name: 1 for measure in meter.measures if measure.required}
            event = {"id": HOSTILE, "kind": meter.kind, "timestamp": TIME + number, **names, **counts}
            answer = client.post("/v1/events", json=event).json()
            assert answer["accepted"] == 1, (event, answer)
        agent = {"key": "gen_ai.operation.name", "value": {"stringValue": "invoke_agent"}}
        tokens = {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "5"}}
        span = {"traceId": "ab", "spanId": "cd", "name": HOSTILE, "attributes": [agent, tokens]}
        spans = {"scope": {"name": HOSTILE, "version": HOSTILE}, "spans": [span]}
        assert client.post("/v1/traces", json={"resourceSpans": [{"scopeSpans": [spans]}]}).json() == {}
    with open_registry(f"sqlite:///{running.data}/registry.sqlite") as registry:
        alert = registry.spend_settings.create_alert(HOSTILE, AlertTerms(100, ("a@b",)), now=TIME)
        registry.alert_firings.fire([Crossing(alert, TIME, 1, "crossed")], now=TIME)
    return running
