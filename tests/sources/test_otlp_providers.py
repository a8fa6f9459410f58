"""Providers of spans: each has the name by which prices know it."""

from typing import Any

import pytest
from tests.support.otlp_bodies import as_json
from tests.unit.test_provider_names import CONVENTIONS

from usageledger.sources.otlp.reading import read_otlp
from usageledger.sources.otlp.signals import Signal

NOW = 1_795_700_000


def provider_of(name: str) -> Any:
    """The provider of the event that a span becomes."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m",
        "gen_ai.provider.name": name,
        "gen_ai.usage.input_tokens": "10",
        "gen_ai.usage.output_tokens": "5",
    }
    values = [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
    one = {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "kind": 3}
    spans = [one | {"name": "chat", "endTimeUnixNano": str(NOW * 10**9), "attributes": values}]
    body = {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "unheard.of"}, "spans": spans}]}]}
    (reading,) = read_otlp(Signal.TRACES, as_json(body), is_json=True, now=NOW).values()
    (event,) = reading.events
    return event["provider"]


@pytest.mark.parametrize(("given", "name"), (CONVENTIONS | {"github": "github-copilot"}).items())
def test_a_span_has_the_provider_of_its_prices(given: str, name: str) -> None:
    assert provider_of(given) == name
