"""A real server in a process of its own, on a free port, over a real data folder."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usageledger.registry import open_registry
from usageledger.settings import Settings

PROGRAM = """
import json, sys
from usageledger.server.process import run
from usageledger.settings import load_settings
run(load_settings(json.loads(sys.argv[1]), {}), lambda url: print(url, flush=True))
"""


@dataclass
class RunningServer:
    """Where it listens, a key with every scope, and its process."""

    url: str
    key: str
    process: "subprocess.Popen[str]"

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Sends the signal; the exit code, and what the server said on stderr, but for models without a price."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, without_prices(said)


def without_prices(said: str) -> str:
    """What a server said, without its lines on usage that has no price: the tests make up models."""
    return "".join(line for line in said.splitlines(keepends=True) if "no price for " not in line)


def without_pandas(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a process that finds no pandas, as on most servers.

    Arrow imports it where it is, which takes a third of the time in which a server starts.
    """
    places = [str(Path(__file__).parent / "without_pandas"), environment.get("PYTHONPATH")]
    return {**environment, "PYTHONPATH": os.pathsep.join(filter(None, places))}


@contextmanager
def running(data: Path, key: str | None = None, prepare: str = "", **settings: Any) -> Iterator[RunningServer]:
    """A server over `data`, ready to answer, and a key, new or `key`; killed at the end if it was not stopped.

    `prepare` is Python that it runs first.
    """
    with open_registry(Settings(data=data, registry=settings.get("registry")).registry_url) as registry:
        _, key = registry.create_key("test", value=key, now=int(time.time()))
    given = json.dumps({"data": str(data), "port": 0, **settings})
    command = [sys.executable, "-W", "error", "-c", prepare + PROGRAM, given]
    with subprocess.Popen(
        command, env=without_pandas(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            url = process.stdout.readline().strip()
            if not url:
                raise AssertionError(process.communicate()[1])
            yield RunningServer(url, key, process)
        finally:
            process.kill()
