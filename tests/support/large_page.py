"""Usage whose page by project has large, small and empty buckets, for clients that read it compressed."""

from typing import Any

import httpx
from tests.support.server_process import RunningServer

DAY = 86_400
START = 1_760_000_000 - 1_760_000_000 % DAY - 6 * DAY
WINDOW: dict[str, Any] = {"start_time": START, "end_time": START + 6 * DAY, "group_by": ["project_id"]}
# Of each day; what is large is sent as it is kept, see `usageledger.server.http.compressed_pages`.
PROJECTS = (700, 0, 1000, 3, 0, 300)
ADDRESS = "/v1/organization/usage/embeddings?" + str(httpx.QueryParams(WINDOW))


def fill(server: RunningServer) -> bytes:
    """Sends it; the page as it is without an encoding."""
    events = [
        {"kind": "embeddings", "id": f"{day}-{n}", "timestamp": START + day * DAY, "project_id": f"proj {n}"}
        | tokens(n)
        for day, count in enumerate(PROJECTS)
        for n in range(count)
    ]
    with httpx.Client(base_url=server.url, headers=server.headers | {"accept-encoding": "identity"}) as client:
        answer = client.post("/v1/events", json=events).json()
        assert (answer["accepted"], answer["rejected"]) == (len(events), 0), answer
        return client.get(ADDRESS).content


def tokens(number: int) -> dict[str, Any]:
    """Counts with runs of the same digit, as a careless compressor would mix up between buckets."""
    return {"input_tokens": 10 ** (number % 12)}
