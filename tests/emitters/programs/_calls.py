"""The calls of every program: chat, streams with and without usage, responses, embeddings; messages and a stream."""

import asyncio
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


async def litellm_calls() -> None:
    """Calls through LiteLLM: also one that its cache answers, and one that fails."""
    import litellm

    litellm.cache = litellm.Cache()
    openai = {"api_base": f"{VENDOR}/v1", "api_key": "none"}
    chat = {**openai, "model": f"openai/{CHAT['model']}", "messages": CHAT["messages"]}
    claude = {"api_base": VENDOR, "api_key": "none", "model": "anthropic/claude-sonnet-4-5", "max_tokens": 100}
    for _ in range(2):
        await litellm.acompletion(**chat, caching=True)
        await asyncio.sleep(1)  # the cache is filled beside the call
    for options in ({"stream_options": {"include_usage": True}}, {}):
        async for _ in await litellm.acompletion(**chat, stream=True, **options):
            pass
    await litellm.aresponses(**openai, model=chat["model"], input="hi")
    await litellm.aembedding(**openai, model="openai/text-embedding-3-small", input="hi")
    await litellm.acompletion(**claude, messages=CHAT["messages"])
    async for _ in await litellm.acompletion(**claude, messages=CHAT["messages"], stream=True):
        pass
    try:
        await litellm.acompletion(**(chat | {"model": "openai/missing"}))
    except litellm.NotFoundError:
        pass
    else:
        raise AssertionError("a call of a missing model did not fail")


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
