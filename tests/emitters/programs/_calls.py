"""The calls of every program: chat, streams with and without usage, responses, embeddings; messages and a stream."""

import os

VENDOR = os.environ["VENDOR"]
CHAT = {"model": "gpt-4o-2024-08-06", "messages": [{"role": "user", "content": "hi"}]}


def openai_calls() -> None:
    import openai

    client = openai.OpenAI(base_url=f"{VENDOR}/v1", api_key="none")
    client.chat.completions.create(**CHAT)
    list(client.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True}))
    list(client.chat.completions.create(**CHAT, stream=True))
    client.responses.create(model=CHAT["model"], input="hi")
    list(client.responses.create(model=CHAT["model"], input="hi", stream=True))
    client.embeddings.create(model="text-embedding-3-small", input="hi", encoding_format="float")


def anthropic_calls() -> None:
    import anthropic

    client = anthropic.Anthropic(base_url=VENDOR, api_key="none")
    asked = {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": CHAT["messages"]}
    client.messages.create(**asked)
    list(client.messages.create(**asked, stream=True))


def exporting():
    from opentelemetry import metrics, trace
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
    metrics.set_meter_provider(meters)

    def end() -> None:
        provider.shutdown()
        meters.shutdown()

    return end
