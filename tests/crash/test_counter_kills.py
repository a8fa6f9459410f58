"""A server that is killed while running totals come in: each token counts once, whether its total came again or not."""

import random
import signal
import threading
import time
from pathlib import Path

import httpx
from tests.support.metric_bodies import metric, point
from tests.support.otlp_bodies import as_json
from tests.support.server_process import RunningServer, running

KILLS = 2
COUNTERS = 3


class Program:
    """A program that uses a token of each counter between two exports, and never sends an old total again."""

    def __init__(self) -> None:
        self.start = int(time.time()) - 600
        self.total = self.acknowledged = 0

    def export(self, client: httpx.Client) -> bool:
        """Sends the next totals; returns false once the server is gone."""
        self.total += 1
        at = self.start + self.total
        totals = [point("input", self.total, self.start, at, 1, {"user.id": f"u{n}"}) for n in range(COUNTERS)]
        try:
            answer = client.post("/v1/metrics", content=as_json(metric(*totals)))
        except httpx.TransportError:
            return False
        assert answer.status_code == 200, answer.text
        self.acknowledged = self.total
        return True


def client_of(server: RunningServer) -> httpx.Client:
    return httpx.Client(base_url=server.url, headers={**server.headers, "content-type": "application/json"})


def used(server: RunningServer, start: int) -> int:
    with client_of(server) as client:
        asked: dict[str, int | str] = {"start_time": start - 86_400, "bucket_width": "all"}
        answer = client.get("/v1/organization/usage/completions", params=asked).json()
    return sum(result["input_tokens"] for bucket in answer["data"] for result in bucket["results"])


def test_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    program, key = Program(), None
    for _ in range(KILLS):
        with running(tmp_path, key) as server:
            key = server.key
            counted = used(server, program.start)
            assert COUNTERS * program.acknowledged <= counted <= COUNTERS * program.total
            end = threading.Timer(random.uniform(0.2, 0.6), server.process.send_signal, [signal.SIGKILL])
            end.start()
            with client_of(server) as client:
                while program.export(client):
                    pass
            end.join()
            server.process.communicate()
    with running(tmp_path, key) as server:
        with client_of(server) as client:
            assert program.export(client)
        assert used(server, program.start) == COUNTERS * program.total
    assert program.total > KILLS
