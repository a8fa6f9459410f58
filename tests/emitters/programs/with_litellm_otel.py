"""LiteLLM's callback `otel`."""

import asyncio
import os

import litellm
from _calls import litellm_calls
from litellm.integrations.opentelemetry import OpenTelemetry, OpenTelemetryConfig
from opentelemetry import trace


async def main() -> None:
    headers = os.environ["OTEL_EXPORTER_OTLP_HEADERS"]
    config = OpenTelemetryConfig(exporter="otlp_http", endpoint=f"{os.environ['LEDGER']}/v1/traces", headers=headers)
    litellm.callbacks = [OpenTelemetry(config)]
    await litellm_calls()
    await asyncio.sleep(2)  # callbacks are called beside the calls
    trace.get_tracer_provider().shutdown()


asyncio.run(main())
