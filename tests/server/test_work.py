"""The work that a body makes, whatever is in it: time and memory are bounded, and others are answered meanwhile."""

import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support import hostile_bodies
from tests.support.hostile_bodies import ARROW, JSON, LINES, MEGABYTE, PARQUET
from tests.support.ledger_double import LedgerDouble
from tests.support.limits import memory_bounded
from tests.support.server_process import RunningServer, running

from usageledger.events.decoders import DECODERS
from usageledger.registry import open_registry
from usageledger.server.api.otlp import OTLP_PATHS
from usageledger.server.app import create_app
from usageledger.server.http.requests import OBJECT_BYTES_MAX
from usageledger.settings import Settings

pytestmark = pytest.mark.processes

CPU_SECONDS_MAX = 5
MEMORY_BYTES_MAX = 256 * MEGABYTE
SOON_S = 0.1  # for the answer of /healthz meanwhile
LATE_SHARE = 0.1  # of those answers, on a machine that is busy with other things as well
URL = "/v1/events"
# A backup reads no body, and what an exporter sends that tells of no usage is taken and left out.
TAKING = {"/v1/backup", *OTLP_PATHS}
KINDS = list(DECODERS)
TICKS = os.sysconf("SC_CLK_TCK")


class Watched:
    """A server, a client of it, and another one that asks all the time whether it is well."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.client = httpx.Client(base_url=server.url, headers=server.headers, timeout=60)
        self.latencies: list[float] = []
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._ask)
        self._watch.start()

    def _ask(self) -> None:
        with httpx.Client(base_url=self.server.url, timeout=60) as client:
            while not self._ended.wait(0.02):
                began = time.monotonic()
                assert client.get("/healthz").status_code == 200
                self.latencies.append(time.monotonic() - began)

    def end(self) -> None:
        self._ended.set()
        self._watch.join()
        self.client.close()

    def cpu(self) -> float:
        """The seconds that the server's process has worked for."""
        fields = Path(f"/proc/{self.server.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def post(self, body: bytes, kind: str, path: str = URL, encoding: str = "identity") -> tuple[httpx.Response, float]:
        """The answer, and the processor's time for it; what is wrong with it is never ours, nor much work."""
        headers = {"content-type": kind, "content-encoding": encoding}
        before = self.cpu()
        with memory_bounded(self.server, MEMORY_BYTES_MAX):
            response = self.client.post(path, content=body, headers=headers)
        worked = self.cpu() - before
        assert response.status_code < 500, response.text
        assert worked < CPU_SECONDS_MAX
        return response, worked


@contextmanager
def watched() -> Iterator[Watched]:
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as server:
        made = Watched(server)
        try:
            yield made
        finally:
            made.end()


@pytest.fixture(scope="module")
def server() -> Iterator[Watched]:
    with watched() as made:
        yield made


@pytest.fixture(autouse=True)
def _others_are_answered(server: Watched) -> Iterator[None]:
    """While a test runs, whoever asks only for `/healthz` waits for none of its bodies."""
    server.latencies.clear()
    yield
    late = [latency for latency in server.latencies if latency > SOON_S]
    assert len(late) <= 1 + LATE_SHARE * len(server.latencies), sorted(late)
    assert max(server.latencies, default=0) < 20 * SOON_S


@pytest.fixture(scope="module")
def taken(server: Watched) -> float:
    """The processor's time for a megabyte of events that are kept, the least of some."""
    now = int(time.time()) - 86_400
    return min(server.post(hostile_bodies.megabyte(now + n), JSON)[1] for n in range(3))


def test_json(server: Watched, taken: float) -> None:
    """A megabyte of events that are refused costs at most ten times one of events that are kept."""
    for name, (body, kind) in hostile_bodies.json_bodies(int(time.time()) - 3_600).items():
        response, worked = server.post(body, kind)
        assert worked <= 10 * max(taken, 0.04), name
        if response.status_code == 200:
            told = response.json()
            assert (told["rejected"] > 0) == bool(told["errors"])
            assert len({error["index"] for error in told["errors"]}) + told.get("errors_omitted", 0) >= told["rejected"]


MAKERS = [(ARROW, hostile_bodies.arrow_bodies), (PARQUET, hostile_bodies.parquet_bodies)]
READ = {"batches without rows", "wrong values", "a row a group"}


@pytest.mark.parametrize(("kind", "make"), MAKERS, ids=["arrow", "parquet"])
def test_tables(server: Watched, kind: str, make: Callable[[], dict[str, bytes]]) -> None:
    """What becomes too large is refused before it is made, and what is no table is the sender's fault."""
    for name, body in make().items():
        response, _ = server.post(body, kind)
        assert (response.status_code in {400, 413}) == (name not in READ), (name, response.text[:500])


def test_compressed(server: Watched) -> None:
    for name, body, encoding in hostile_bodies.packed_bodies():
        for kind in (JSON, ARROW):
            response, _ = server.post(body, kind, encoding=encoding)
            assert response.status_code in {400, 413}, (name, response.text[:500])
    bomb = hostile_bodies.arrow(hostile_bodies.table(model=hostile_bodies.referring("x" * 700_000)))
    for encoding, pack in hostile_bodies.PACKERS.items():
        assert server.post(pack(bomb), ARROW, encoding=encoding)[0].status_code == 413


PIECES = [
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b'"',
    b"\\",
    b"\\u0000",
    b'"id":',
    b'"kind":"images",',
    b"1",
    b"1e9",
    b"\n",
]
PIECES += [b"null", b"[]", b'{"a":[', b"\xff", b"\xc3\xbc", b"-", b" ", b'"x":{"y":"z"},', b"true"]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=6), st.binary(max_size=8), st.sampled_from(list(DECODERS))
)
def test_any_pieces(server: Watched, pieces: list[bytes], first: bytes, kind: str) -> None:
    server.post(first + hostile_bodies.repeated(b"".join(pieces)), kind)


def test_spans_of_many_attributes_that_nobody_knows(server: Watched) -> None:
    attribute = b'{"key":"tokens","value":{"intValue":1}}'
    attributes = b",".join([attribute] * (4 * MEGABYTE // len(attribute)))
    body = b'{"resourceSpans":[{"scopeSpans":[{"scope":{"name":"s"},"spans":[{"attributes":[%s]}]}]}]}' % attributes
    response, _ = server.post(body, JSON, "/v1/traces")
    assert response.json() == {}


def test_every_endpoint(server: Watched, tmp_path: Path) -> None:
    """The other ones take small bodies, or none; a large one is refused soon, whatever its type."""
    with open_registry(Settings(data=tmp_path).registry_url) as registry:
        app = create_app(Settings(data=tmp_path), LedgerDouble(), registry)
        routes = app._app.routes  # type: ignore[attr-defined]  # the application inside the envelope
    small = hostile_bodies.repeated(b'"name":"n",', b'{%s"name":"n"}', OBJECT_BYTES_MAX - 100)
    names = hostile_bodies.repeated(b'"nam\\u0065":[[],{}],', b'{%s"apply":1}', OBJECT_BYTES_MAX - 100)
    deep = b'{"name":' + b"[" * (OBJECT_BYTES_MAX - 100)
    for route in routes:
        path = re.sub(r"\{[^}]+\}", "x", route.path)
        for method in sorted((route.methods or set()) & {"POST", "GET", "DELETE"}):
            if (path, method) == (URL, "POST"):
                continue
            statuses = {400, 403, 404, 413, 415} | ({200} if path in TAKING else set())
            for kind in (JSON, LINES, ARROW) if method == "POST" else (JSON,):
                for body in (b"x" * MEGABYTE, *((small, names, deep) if method == "POST" else ())):
                    before = server.cpu()
                    response = server.client.request(method, path, content=body, headers={"content-type": kind})
                    assert response.status_code < 500, (method, path, response.text[:500])
                    assert method != "POST" or response.status_code in statuses, (path, response.text[:500])
                    assert server.cpu() - before < CPU_SECONDS_MAX
