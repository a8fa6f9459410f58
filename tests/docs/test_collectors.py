"""The recipes for collectors: they are configurations, and lead to where the server takes usage."""

from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from tests.support.documentation import blocks

from usageledger.server.endpoints import ENDPOINTS

PAGE = "docs/collectors.md"
KEY = "Bearer sk-…"


@pytest.fixture(scope="module")
def recipes() -> list[dict[str, Any]]:
    found = [yaml.safe_load(block.text) for block in blocks(PAGE) if block.info == "yaml"]
    assert len(found) == 3
    return found


def test_the_collector_sends_spans_and_logs_and_keeps_them_on_disk(recipes: list[dict[str, Any]]) -> None:
    collector = recipes[0]
    ((name, exporter),) = collector["exporters"].items()
    assert exporter["headers"]["Authorization"] == KEY
    assert exporter["sending_queue"]["storage"] in collector["service"]["extensions"]
    for signal, pipeline in collector["service"]["pipelines"].items():
        assert pipeline == {"receivers": list(collector["receivers"]), "exporters": [name]}
        assert takes(f"{urlsplit(exporter['endpoint']).path}/v1/{signal}")


def test_vector_sends_what_it_read(recipes: list[dict[str, Any]]) -> None:
    vector = recipes[1]
    steps = {**vector["sources"], **vector["transforms"]}
    sink = vector["sinks"]["usageledger"]
    assert [steps[name]["type"] for name in sink["inputs"]] == ["remap"]
    assert [vector["sources"][name]["type"] for name in steps[sink["inputs"][0]]["inputs"]] == ["file"]
    assert sink["auth"] == {"strategy": "bearer", "token": KEY.removeprefix("Bearer ")}
    assert takes(urlsplit(sink["uri"]).path)


def test_fluent_bit_sends_what_it_read(recipes: list[dict[str, Any]]) -> None:
    fluent_bit = recipes[2]
    (reads,), (sends,) = fluent_bit["pipeline"]["inputs"], fluent_bit["pipeline"]["outputs"]
    assert reads["parser"] in {each["name"] for each in fluent_bit["parsers"]}
    assert sends["header"] == f"Authorization {KEY}"
    assert takes(sends["uri"])


def takes(path: str) -> bool:
    return any((endpoint.method, endpoint.path) == ("POST", path) for endpoint in ENDPOINTS)
