"""Usage whose page by project has large, small and empty buckets, for clients that read it compressed."""

from typing import Any

import httpx
from tests.server.process import RunningServer
from tests.server.support import NOW, event

DAY = 86_400
WINDOW = {"start_time": NOW - NOW % DAY - 6 * DAY, "end_time": NOW - NOW % DAY, "group_by": ["project_id"]}
# Of each day; what is large is sent as it is kept, see `usageledger.server.http.compressed_pages`.
PROJECTS = (700, 0, 1000, 3, 0, 300)
ADDRESS = "/v1/organization/usage/embeddings?" + str(httpx.QueryParams(WINDOW))


def fill(server: RunningServer) -> bytes:
    """Sends it; the page as it is without an encoding."""
    events = [
        event(f"{day}-{n}", timestamp=WINDOW["start_time"] + day * DAY, project_id=f"proj {n}", model=None) | tokens(n)
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
