"""Bodies of OTLP metrics, made up: histograms and sums of tokens."""

from typing import Any

from usageledger.sources.rules import Rule, Rules, signal_of

ENVOY = "envoyproxy/ai-gateway"
SECOND = 10**9
DELTA, CUMULATIVE = 1, 2
BY_METRICS = Rules([Rule("signal", (signal_of("metrics"),))])


def attributes(given: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": name, "value": {"stringValue": value}} for name, value in given.items()]


def point(
    tokens: str, total: float | str | None, start: int, at: int, count: int = 1, further: dict[str, str] | None = None
) -> dict[str, Any]:
    """A point of a histogram, whose times are seconds."""
    given = {
        "gen_ai.token.type": tokens,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.response.model": "gpt-4o",
        **(further or {}),
    }
    made = {
        "startTimeUnixNano": str(start * SECOND),
        "timeUnixNano": str(at * SECOND),
        "count": str(count),
        "attributes": attributes(given),
    }
    return made if total is None else made | {"sum": total}


def metric(
    *points: dict[str, Any],
    temporality: int = CUMULATIVE,
    scope: str = ENVOY,
    form: str = "histogram",
    name: str = "gen_ai.client.token.usage",
    resource: dict[str, str] | None = None,
) -> dict[str, Any]:
    """A body with one metric."""
    data: dict[str, Any] = {"dataPoints": list(points)}
    if form not in ("gauge", "summary"):
        data["aggregationTemporality"] = temporality
    if form == "sum":
        data["isMonotonic"] = True
    made = {"name": name, "unit": "{token}", form: data}
    scoped = {"scope": {"name": scope, "version": "1"}, "metrics": [made]}
    about = {"service.name": "gateway", **(resource or {})}
    return {"resourceMetrics": [{"resource": {"attributes": attributes(about)}, "scopeMetrics": [scoped]}]}
