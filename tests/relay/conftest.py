"""A relay in a process of its own, between an upstream of plain sockets and a ledger."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.faulty_server import KEY, Faulty, faulty
from tests.support.raw_server import RawServer, raw_server


@dataclass
class RunningRelay:
    """Where it listens, and its process."""

    url: str
    process: "subprocess.Popen[str]"

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def stop(self) -> dict[str, Any]:
        """Ends it; its counts."""
        self.process.send_signal(signal.SIGTERM)
        counts, _ = self.process.communicate(timeout=30)
        return json.loads(counts)


@contextmanager
def relaying(upstream: str, ledger: str, spool: Path, *options: str) -> Iterator[RunningRelay]:
    given = ["--upstream", upstream, "--vendor", "openai", "--listen", "127.0.0.1:0", "--spool", str(spool), "--json"]
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "usageledger", "relay", *given, *options],
        env={**os.environ, "USAGELEDGER_URL": ledger, "USAGELEDGER_API_KEY": KEY, "XDG_CONFIG_HOME": str(spool)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            yield RunningRelay(json.loads(line)["address"], process)
        finally:
            process.kill()


@dataclass
class Between:
    """An upstream, a relay to it, and its ledger."""

    upstream: RawServer
    relay: RunningRelay
    ledger: Faulty


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Between]:
    spool = tmp_path_factory.mktemp("relay") / "spool"
    with (
        raw_server() as upstream,
        faulty() as ledger,
        relaying(f"{upstream.url}/base", ledger.url, spool) as relay,
    ):
        yield Between(upstream, relay, ledger)


@pytest.fixture
def between(shared: Between) -> Between:
    shared.upstream.steps.clear()
    shared.upstream.asked.clear()
    shared.ledger.asked.clear()
    return shared
