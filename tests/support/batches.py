"""Events in batches that are hard to compress, what a server tells of them, and whether its ledger is sound."""

import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import httpx

import usageledger.cli

SINCE = 1_790_000_000 - 1_790_000_000 % 86_400


def batch(number: int, size: int = 1000) -> list[dict[str, Any]]:
    """Events of a batch, hard to compress."""
    return [
        {
            "kind": "embeddings",
            "id": f"{number}-{n}-{(number * 1000 + n) * 2_654_435_761 % 2**32:x}",
            "timestamp": SINCE + (number * 7 + n) % 86_400,
            "model": f"model {n % 50}",
            "user_id": f"user {number * n % 997}",
            "input_tokens": n,
        }
        for n in range(size)
    ]


def post(client: httpx.Client, events: list[dict[str, Any]]) -> httpx.Response:
    return client.post("/v1/events", json=events)


def events_told(client: httpx.Client, group_by: str = "user_id") -> int:
    """Asks the API how many events there are; -1 where it cannot be asked now."""
    window: dict[str, Any] = {"start_time": SINCE, "end_time": SINCE + 2 * 86_400, "group_by": group_by}
    response = client.get("/v1/organization/usage/embeddings", params=window)
    if response.status_code != 200:
        assert response.status_code == 503, response.text
        return -1
    return sum(result["num_model_requests"] for bucket in response.json()["data"] for result in bucket["results"])


def verified(data: Path) -> int:
    """How many events there are in a ledger that `usageledger verify` finds in order."""
    with redirect_stdout(io.StringIO()) as said:
        code = usageledger.cli.run(["verify", "--data", str(data), "--json"])
    assert code == 0, said.getvalue()
    count: int = json.loads(said.getvalue())["events"]
    return count
