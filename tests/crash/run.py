"""The crash run: a real server, clients at work, SIGKILL at random instants, and a comparison event by event."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx
from tests.crash.clients import KEY, Client, Gate, clients, finish, known, raise_failures
from tests.crash.compare import Comparison, compare
from tests.crash.events import DAYS, SUMMED_KINDS, tally_of
from tests.samples import DAY

COMMAND = (sys.executable, "-W", "error", "-m", "usageledger")
START_S = 300  # no start or stop takes longer
VERIFY_EVERY = 25  # kills; the last time is at the end

# When the kill comes, and how often: while requests are under way, before the server is ready, when the clients fall
# silent and upkeep begins, when the log is folded into the file, and in the middle of a clean stop.
MOMENTS = {"load": 10, "start": 3, "quiet": 3, "fold": 2, "stop": 2}


@dataclass
class Outcome:
    """What a run found.

    Attributes:
        kills: moment → SIGKILLs of a server that was running.
        in_flight: kills with at least one request under way.
        verified: times that `usageledger verify` found everything in order.
    """

    kills: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    verified: int = 0
    resent: int = 0
    kept: int = 0
    retried: int = 0
    comparison: Comparison | None = None


class Run:
    """One run over a folder of its own, which holds the data and what the servers said.

    `fold_s` is how long a kill waits for the log to be folded into the file, which comes with every 64 MB of log.
    """

    def __init__(self, folder: Path, seed: int, fold_s: float) -> None:
        self._fold_s = fold_s
        self._data = folder / "data"
        self._said = folder / "said.txt"
        self._random = random.Random(seed)
        self._gate = Gate()
        self._start_s = 1.0  # how long the last start took
        self.outcome = Outcome()

    def kill(self, count: int) -> Outcome:
        """So many kills, then one clean start and stop, and the comparison."""
        with self._said.open("w") as said, clients(self._gate, int(time.time()) - DAYS * DAY - 7200) as started:
            while self.outcome.kills.total() < count:
                self._one(said, started)
                raise_failures(started)
                if self.outcome.kills.total() % VERIFY_EVERY == 0:
                    self._verify()
            self._end(said, started)
        self._verify()
        assert "Traceback" not in self._said.read_text(), self._said.read_text()
        self.outcome.resent, self.outcome.kept, self.outcome.retried = (
            sum(getattr(client, name) for client in started) for name in ("resent", "kept", "retried")
        )
        self.outcome.comparison = compare(self._data / "ledger.duckdb", started)
        return self.outcome

    def _one(self, said: IO[str], started: list[Client]) -> None:
        (moment,) = self._random.choices(list(MOMENTS), list(MOMENTS.values()))
        under_way = False
        with self._serving(said) as server:
            if moment == "start":
                time.sleep(self._random.uniform(0, 1.1 * self._start_s))
            else:
                address = self._ready(server)
                self._check_totals(address, *known(started))
                self._gate.open(address)
                self._wait_for(moment, server)
                under_way = any(client.in_flight for client in started)
        self._gate.shut()
        if server.returncode == -signal.SIGKILL:
            self.outcome.kills[moment] += 1
            self.outcome.in_flight += under_way

    def _end(self, said: IO[str], started: list[Client]) -> None:
        with self._serving(said) as server:
            address = self._ready(server)
            self._gate.open(address)
            finish(self._gate, started)
            certain, possible = known(started)
            assert not possible
            self._check_totals(address, certain, possible)
            server.send_signal(signal.SIGTERM)
            assert server.wait(START_S) == 0, self._said.read_text()

    def _wait_for(self, moment: str, server: "subprocess.Popen[str]") -> None:
        time.sleep(self._random.uniform(0.01, 1.0))
        if moment == "quiet":
            self._gate.shut()
            time.sleep(self._random.uniform(0, 0.6))
        elif moment == "fold":
            file = self._data / "ledger.duckdb"
            before, until = file.stat().st_mtime_ns, time.monotonic() + self._fold_s
            while file.stat().st_mtime_ns == before and time.monotonic() < until:
                time.sleep(0.001)
            time.sleep(self._random.uniform(0, 0.1))
        elif moment == "stop":
            server.send_signal(signal.SIGTERM)
            time.sleep(self._random.uniform(0, 0.4))

    @contextmanager
    def _serving(self, said: IO[str]) -> Iterator["subprocess.Popen[str]"]:
        """A server that is killed at the end of the block."""
        self._began = time.monotonic()
        command = [*COMMAND, "serve", "--data", str(self._data), "--port", "0", "--json"]
        environment = {**os.environ, "USAGELEDGER_ADMIN_KEY": KEY}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=said, text=True) as server:
            try:
                yield server
            finally:
                server.kill()

    def _ready(self, server: "subprocess.Popen[str]") -> str:
        """Waits until it answers; its address."""
        assert server.stdout
        line = server.stdout.readline()
        assert line, self._said.read_text()
        self._start_s = time.monotonic() - self._began
        address: str = json.loads(line)["address"]
        return address

    def _check_totals(self, address: str, certain: Counter[str], possible: Counter[str]) -> None:
        """What the API tells right after a start: all that was acknowledged, and at most what was under way."""
        now = int(time.time())
        window = {"start_time": now - now % DAY - (DAYS + 1) * DAY, "end_time": now - now % DAY + 2 * DAY, "limit": 31}
        with httpx.Client(base_url=address, headers={"authorization": f"Bearer {KEY}"}, timeout=START_S) as client:
            for kind in SUMMED_KINDS:
                grouping = self._random.choice(([], ["project_id"], ["user_id"], ["project_id", "user_id"]))
                if kind == "code_interpreter_sessions":
                    grouping = [name for name in grouping if name == "project_id"]
                answer = client.get(f"/v1/organization/usage/{kind}", params={**window, "group_by": grouping})
                page = answer.raise_for_status().json()
                told = sum(result[tally_of(kind)] for bucket in page["data"] for result in bucket["results"])
                assert certain[kind] <= told <= certain[kind] + possible[kind], (kind, told, certain, possible)

    def _verify(self) -> None:
        done = subprocess.run(
            [*COMMAND, "verify", "--data", str(self._data)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self.outcome.verified += 1
