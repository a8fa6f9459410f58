"""What the engine takes: a question over far more than its memory holds keeps the server within a bound."""

from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import httpx
from tests.support.batches import SINCE, batch, events_told, post
from tests.support.limits import memory_bounded
from tests.support.problems import problem
from tests.support.server_process import running

MIB = 2**20
USERS = 500_000


def multiply(data: Path) -> None:
    """Makes an event that the ledger has into one of each of very many users, as another commit."""
    with closing(duckdb.connect(str(data / "ledger.duckdb"))) as connection:
        many = f"(SELECT * FROM events LIMIT 1), range({USERS}) AS numbers(number)"
        changed = (
            "'e' || number AS event_id, repeat(md5(number::VARCHAR), 3) AS user_id, commit_number + 1 AS commit_number"
        )
        connection.execute(f"INSERT INTO events SELECT * EXCLUDE (number) REPLACE ({changed}) FROM {many}")


def test_a_question_over_more_than_the_engine_may_hold(tmp_path: Path) -> None:
    """Groups by half a million users, read for the first time: the memory of the engine, and the rows of the answer."""
    with running(tmp_path) as server, httpx.Client(base_url=server.url, headers=server.headers, timeout=120) as client:
        assert post(client, batch(1)).json()["accepted"] == 1000
        assert server.stop() == (0, "")
    multiply(tmp_path)
    everyone: dict[str, Any] = {"start_time": SINCE, "end_time": SINCE + 86_400, "group_by": "user_id"}
    with (
        running(tmp_path, memory_bytes=128 * MIB) as server,
        httpx.Client(base_url=server.url, headers=server.headers, timeout=120) as client,
    ):
        with memory_bounded(server, 256 * MIB):
            for width in ("1d", "1m"):
                answer = client.get("/v1/organization/usage/embeddings", params=everyone | {"bucket_width": width})
                problem(answer, 400, code="too_many_results")
        assert events_told(client, "model") == USERS + 1000
        assert server.stop() == (0, "")
