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
from typing import IO, Any

import httpx
from tests.crash.clients import KEY, Client, Gate, clients, finish, known, raise_failures, wait_for_limited
from tests.crash.compare import Comparison, compare
from tests.support import later_version
from tests.support.numbered_events import DAYS, OLD_DAYS, SUMMED_KINDS, tally_of
from tests.support.samples import DAY
from tests.support.server_process import without_pandas

PYTHON = (sys.executable, "-W", "error")
# The server is the real one, but that a file says how wrong its clock is, and that what comes with every 64 MB of log
# or some 100,000 events comes as much more often as a run is shorter than a life: upkeep, moves of the journal, and
# folding the log into the file. And a file is there while the journal is moved, while sums are brought up to date, and
# while the events of a day are dropped.
SERVER = """
import os, time
from dataclasses import replace
from functools import partial
from pathlib import Path
real = time.time
time.time = lambda: real() + float(Path(os.environ["CRASH_RUN_CLOCK"]).read_text())
from usageledger.cli import main
from usageledger.ledger.duckdb import ledger, rollups
from usageledger.ledger.duckdb.tuning import MEASURED
from usageledger.server.ingest import commits
commits.Upkeep = partial(commits.Upkeep, idle_seconds=0.05)
def mark(place, name, doing, worth=lambda *_: True):
    function, file = getattr(place, name), Path(os.environ["CRASH_RUN_MARKS"]) / doing
    def marked(*given):
        if not worth(*given):
            return function(*given)
        file.touch()
        try:
            return function(*given)
        finally:
            file.unlink()
    setattr(place, name, marked)
mark(ledger.DuckDBLedger, "_move", "move", lambda it: it._journal.count)
mark(rollups, "add", "sums")
mark(rollups, "merge", "sums")
mark(rollups, "drop_day", "drop")
often = {
    family: replace(worth, events=worth.events // 20, rows=worth.rows // 20) for family, worth in MEASURED.worth.items()
}
tuning = replace(MEASURED, checkpoint_threshold="2MB", full_rows=MEASURED.full_rows // 20, worth=often)
ledger.DuckDBLedger = partial(ledger.DuckDBLedger, tuning=tuning)
main()
"""
START_S = 300  # no start or stop takes longer
WAIT_S = 10  # a kill waits no longer for the log to be folded into the file, or for what is marked
VERIFY_EVERY = 25  # kills; the last time is at the end

# When the kill comes, and how often: while requests are under way, before the server is ready, when the clients fall
# silent, when the log is folded into the file, in the middle of a clean stop, and while the server does what is marked.
MOMENTS = {"load": 7, "start": 3, "quiet": 2, "fold": 2, "stop": 2, "drop": 3, "move": 4, "sums": 2}
MARKED = {"move": "the journal was moved", "sums": "sums were brought up to date", "drop": "a day was dropped"}
KEPT_DAYS = DAYS + 1  # at the end
ALL_DAYS = KEPT_DAYS + OLD_DAYS  # at first: nothing is dropped
# By how much the server's clock is wrong, in seconds; no longer back than the events of now are old.
CLOCKS = (0, 0, -1800, 3600, DAY, 40 * DAY, 4000 * DAY)
# Each version later than the one before has one more column that is counted and one that usage is told apart by.
LATER = """
METERS = tuple(
    each if each.kind != "{kind}" else replace(
        each,
        measures=(*each.measures, replace(REQUESTS, name="num_later_{number}", doc="Later.", default=0)),
        dimensions=(*each.dimensions, Dimension("later_{number}", "Later.")),
    )
    for each in METERS
)

"""
LATER_KINDS = ("embeddings", "images", "audio_speeches")


@dataclass
class Outcome:
    """What a run found.

    Attributes:
        kills: moment → SIGKILLs of a server that was running.
        in_flight: kills with at least one request under way.
        during: what is marked → kills while the server did it.
        jumps: times that the server's clock was set.
        longer: starts with a retention that is longer than one before.
        upgrades: starts of a later version.
        verified: times that `usageledger verify` found everything in order.
    """

    kills: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    during: Counter[str] = field(default_factory=Counter)
    jumps: int = 0
    longer: int = 0
    upgrades: int = 0
    verified: int = 0
    resent: int = 0
    kept: int = 0
    retried: int = 0
    refused: int = 0
    another_way: int = 0
    comparison: Comparison | None = None


class Run:
    """One run over a folder of its own, which holds the data and what the servers said."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._data = folder / "data"
        self._said = folder / "said.txt"
        self._marks = folder / "marks"
        self._marks.mkdir()
        self._random = random.Random(seed)
        self._gate = Gate()
        self._start_s = 1.0  # how long the last start took
        self._clock = folder / "clock"
        self._versions = folder / "versions"
        self._later = 0  # how many versions later than this one the server is
        self._retention_days = self._least_days = ALL_DAYS
        self._dropped_before = 0
        self.outcome = Outcome()

    def kill(self, count: int) -> Outcome:
        """So many kills, then one clean start and stop, and the comparison.

        The clients' old events come before the first kill. Some of them are dropped at each kill that comes then, so
        that it has something to interrupt, and the others at the end. Meanwhile the retention is made longer and
        shorter, the clock jumps, and some starts are of a later version, over what was killed under load.
        """
        some_days = max(1, 5 * OLD_DAYS // count)
        upgrades = self._random.sample(range(1, count), max(1, count // 20))
        with self._said.open("w") as said, clients(self._gate, int(time.time()) - DAYS * DAY - 7200) as started:
            self._one(said, started, "fill")
            while self.outcome.kills.total() < count:
                kills = self.outcome.kills.total()
                left = self._least_days > KEPT_DAYS  # or there is nothing to drop any more
                moments = {moment: often for moment, often in MOMENTS.items() if left or moment != "drop"}
                (moment,) = self._random.choices(list(moments), list(moments.values()))
                if kills + 1 in upgrades:
                    moment = "load"
                elif kills in upgrades:
                    self._upgrade()
                if moment == "drop":
                    self._least_days = max(KEPT_DAYS, self._least_days - some_days)
                self._keep_for(self._least_days if moment == "drop" else self._some_days())
                self._one(said, started, moment)
                raise_failures(started)
                if self.outcome.kills.total() % VERIFY_EVERY == 0:
                    self._verify()
            self._end(said, started)
        self._verify()
        assert "Traceback" not in self._said.read_text(), self._said.read_text()
        for name in ("resent", "kept", "retried", "refused", "another_way"):
            setattr(self.outcome, name, sum(getattr(client, name) for client in started))
        assert all(client.closed_before <= self._dropped_before for client in started)
        self.outcome.comparison = compare(self._data / "ledger.duckdb", started, self._dropped_before)
        return self.outcome

    def _some_days(self) -> int:
        """A retention that drops nothing, or nothing more than was to be dropped before."""
        return self._random.choice((0, self._least_days, self._least_days + 2, ALL_DAYS, 100 * ALL_DAYS))

    def _keep_for(self, days: int) -> None:
        self.outcome.longer += (days or ALL_DAYS) > (self._retention_days or ALL_DAYS)
        self._retention_days = days

    def _set_clock(self, ahead: int) -> None:
        """At once, so that nobody reads a half of it."""
        new = self._clock.with_name("new clock")
        new.write_text(str(ahead))
        new.replace(self._clock)
        self.outcome.jumps += 1

    def _upgrade(self) -> None:
        self._later += 1
        self.outcome.upgrades += 1
        kinds = (LATER_KINDS[number % len(LATER_KINDS)] for number in range(self._later))
        more = "".join(LATER.format(kind=kind, number=number) for number, kind in enumerate(kinds))
        later_version.make(self._versions / str(self._later), more)

    def _version(self) -> dict[str, str]:
        """Where Python finds the version that the server is."""
        return {"PYTHONPATH": str(self._versions / str(self._later))} if self._later else {}

    def _one(self, said: IO[str], started: list[Client], moment: str) -> None:
        under_way = False
        self._set_clock(self._random.choice(CLOCKS))
        with self._serving(said) as server:
            if moment == "start":
                time.sleep(self._random.uniform(0, 1.1 * self._start_s))
            elif moment == "drop":
                self._wait_for(moment, server)  # upkeep begins before the first request can
            else:
                address = self._ready(server)
                self._check_totals(address, *known(started))
                self._gate.open(address)
                if moment == "fill":
                    wait_for_limited(started)
                self._set_clock(self._random.choice(CLOCKS))
                self._wait_for(moment, server)
                under_way = any(client.in_flight for client in started)
        self._gate.shut()
        if server.returncode == -signal.SIGKILL:
            self.outcome.kills[moment] += 1
            self.outcome.in_flight += under_way
            self.outcome.during.update(file.name for file in self._marks.iterdir())

    def _end(self, said: IO[str], started: list[Client]) -> None:
        self._keep_for(KEPT_DAYS)
        self._set_clock(0)
        with self._serving(said) as server:
            address = self._ready(server)
            self._gate.open(address)
            finish(self._gate, started)
            self._dropped_before = max(client.newest for client in started) // DAY * DAY - KEPT_DAYS * DAY
            self._wait_until_dropped(address)
            certain, possible = known(started)
            assert not possible
            self._check_totals(address, certain, possible)
            server.send_signal(signal.SIGTERM)
            assert server.wait(START_S) == 0, self._said.read_text()

    def _wait_for(self, moment: str, server: "subprocess.Popen[str]") -> None:
        if moment not in MARKED:
            time.sleep(self._random.uniform(0.01, 1.0))
        if moment == "quiet":
            self._gate.shut()
            time.sleep(self._random.uniform(0, 0.6))
        elif moment == "fold":
            file = self._data / "ledger.duckdb"
            before, until = file.stat().st_mtime_ns, time.monotonic() + WAIT_S
            while file.stat().st_mtime_ns == before and time.monotonic() < until:
                time.sleep(0.001)
            time.sleep(self._random.uniform(0, 0.1))
        elif moment == "stop":
            server.send_signal(signal.SIGTERM)
            time.sleep(self._random.uniform(0, 0.4))
        elif moment in MARKED:
            until = time.monotonic() + WAIT_S
            while not (self._marks / moment).exists() and time.monotonic() < until:
                time.sleep(0.001)
            time.sleep(self._random.uniform(0, 0.02))

    @contextmanager
    def _serving(self, said: IO[str]) -> Iterator["subprocess.Popen[str]"]:
        """A server that is killed at the end of the block."""
        self._began = time.monotonic()
        for file in self._marks.iterdir():
            file.unlink()
        command = [*PYTHON, "-c", SERVER, "serve", "--data", str(self._data), "--port", "0", "--json"]
        retention = {"USAGELEDGER_RETENTION_DAYS": str(self._retention_days)}
        files = {"CRASH_RUN_MARKS": str(self._marks), "CRASH_RUN_CLOCK": str(self._clock)}
        environment = without_pandas(
            {**os.environ, "USAGELEDGER_ADMIN_KEY": KEY, **retention, **files, **self._version()}
        )
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
        today = int(time.time()) // DAY * DAY
        window = {"start_time": today - (DAYS + OLD_DAYS + 2) * DAY, "end_time": today + 2 * DAY, "limit": 31}
        with httpx.Client(base_url=address, headers={"authorization": f"Bearer {KEY}"}, timeout=START_S) as client:
            for kind in SUMMED_KINDS:
                grouping = self._random.choice(([], ["project_id"], ["user_id"], ["project_id", "user_id"]))
                if kind == "code_interpreter_sessions":
                    grouping = [name for name in grouping if name == "project_id"]
                answer = client.get(f"/v1/organization/usage/{kind}", params={**window, "group_by": grouping})
                page = answer.raise_for_status().json()
                told = sum(result[tally_of(kind)] for bucket in page["data"] for result in bucket["results"])
                assert certain[kind] <= told <= certain[kind] + possible[kind], (kind, told, certain, possible)

    def _wait_until_dropped(self, address: str) -> None:
        """A minute of the last day that is to be dropped is refused when its events are gone."""
        until = time.monotonic() + START_S
        with httpx.Client(base_url=address, headers={"authorization": f"Bearer {KEY}"}, timeout=START_S) as client:
            window: dict[str, Any] = {"start_time": self._dropped_before - 60, "bucket_width": "1m", "limit": 1}
            while (answer := client.get("/v1/organization/usage/completions", params=window)).status_code == 200:
                assert time.monotonic() < until, "old days were not dropped"
                time.sleep(0.1)
            assert answer.json()["error"]["code"] == "events_dropped", answer.text

    def _verify(self) -> None:
        done = subprocess.run(
            [*PYTHON, "-m", "usageledger", "verify", "--data", str(self._data)],
            env=without_pandas({**os.environ, **self._version()}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self.outcome.verified += 1
