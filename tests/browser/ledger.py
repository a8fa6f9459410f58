"""The usage that the browser tests look at: all kinds, the last 40 days, the same each time but for the clock."""

import time
from typing import Any

import httpx
from tests.support.server_process import RunningServer

from usageledger.meters import METERS
from usageledger.server.api.event_examples import event_example

DAYS = 40
MODELS = ("gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", "gpt-4.1", "in-house-7b")
PROJECTS = {"proj_search": "Search", "proj_support": "Support bot", "proj_lab": "proj_lab"}
UNPRICED = MODELS[-1]


def fill(site: RunningServer) -> None:
    """Sends it, and names its projects."""
    now = int(time.time())
    with httpx.Client(base_url=site.url, headers=site.headers, timeout=60) as client:
        sent = events(now)
        answer = client.post("/v1/events", json=sent).json()
        assert (answer["accepted"], answer["rejected"]) == (len(sent), 0), answer
        for project, name in PROJECTS.items():
            assert client.post(f"/v1/organization/projects/{project}", json={"name": name}).status_code == 200


def events(now: int) -> list[dict[str, Any]]:
    made = [_completion(now, number) for number in range(DAYS * 12)]
    for meter in METERS:
        if meter.kind != "completions":
            made += [_other(meter, now, number) for number in range(DAYS)]
    return made


def _completion(now: int, number: int) -> dict[str, Any]:
    return {
        "kind": "completions",
        "id": f"c{number}",
        "timestamp": now - 60 - number * 7200,
        "model": MODELS[number * 7 % 4],
        "project_id": list(PROJECTS)[number % 3],
        "user_id": f"user_{number % 5}" if number % 6 else None,
        "api_key_id": f"key_{number % 70}",
        "batch": number % 4 == 0,
        "input_tokens": 1000 + 37 * number,
        "input_cached_tokens": 400 + number,
        "output_tokens": 90 + 13 * number,
    }


def _other(meter: Any, now: int, number: int) -> dict[str, Any]:
    measures = {m.name: 3 + number for m in meter.measures if m.required}
    dimensions = {"project_id": list(PROJECTS)[number % 3]}
    if any(d.name == "model" for d in meter.dimensions):
        dimensions["model"] = MODELS[number % 2]
    return (
        event_example(meter)
        | {"id": f"{meter.kind}-{number}", "timestamp": now - 60 - number * 86400}
        | measures
        | dimensions
    )
