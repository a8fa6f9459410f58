"""What a real server counts, and what it does not: asked of it as a user would."""

import time
from collections import Counter
from dataclasses import astuple, dataclass

import httpx
from tests.support.server_process import RunningServer

_NAMES = ("num_model_requests", "input_tokens", "input_cached_tokens", "input_cache_write_tokens", "output_tokens")


@dataclass(frozen=True)
class Counts:
    """Calls, tokens in, from the cache, written to it, and out; tokens embedded."""

    calls: int = 0
    input: int = 0
    cached: int = 0
    written: int = 0
    output: int = 0
    embedded: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    def times(self, number: int) -> "Counts":
        """The counts of so many."""
        return Counts(*(number * each for each in astuple(self)))


def counted(server: RunningServer) -> Counts:
    """Asks the server for everything that it counts."""
    chat, embedded = (_sum(server, kind) for kind in ("completions", "embeddings"))
    return Counts(*(chat[name] for name in _NAMES)) + Counts(embedded=embedded["input_tokens"])


def _sum(server: RunningServer, kind: str) -> Counter[str]:
    now = int(time.time())  # whose second is not over, and may have events
    query: dict[str, str | int] = {"start_time": now - 3600, "end_time": now + 60, "bucket_width": "all"}
    answer = httpx.get(f"{server.url}/v1/organization/usage/{kind}", params=query, headers=server.headers)
    results = answer.raise_for_status().json()["data"][0]["results"]
    return Counter({name: sum(result.get(name, 0) for result in results) for name in _NAMES})


def not_counted(server: RunningServer) -> Counter[str]:
    """Adds up what the page of sources says was not counted: reason → how often."""
    sources = httpx.get(f"{server.url}/v1/sources", headers=server.headers).raise_for_status().json()["data"]
    left: Counter[str] = Counter()
    for source in sources:
        left.update({each["reason"]: each["count"] for each in source["not_counted"]})
    return left
