// The AI SDK's own telemetry: answers, streams and embeddings of OpenAI, answers and streams of Anthropic.
// Up to version 6 each call asks for it; version 7 has it from a package of its own.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import * as ai from "ai";

const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())] });
provider.register();
if (ai.registerTelemetry) {
  const { OpenTelemetry } = await import("@ai-sdk/otel");
  ai.registerTelemetry(new OpenTelemetry());
}

const vendor = process.env.VENDOR;
const openai = createOpenAI({ baseURL: `${vendor}/v1`, apiKey: "none" });
const anthropic = createAnthropic({ baseURL: `${vendor}/v1`, apiKey: "none" });
const asked = { prompt: "hi", experimental_telemetry: { isEnabled: true } };
const chat = openai.chat("gpt-4o-2024-08-06");
const claude = anthropic("claude-sonnet-4-5");

await ai.generateText({ ...asked, model: chat });
await ai.streamText({ ...asked, model: chat }).consumeStream();
await ai.generateText({ ...asked, model: openai.responses("gpt-4o-2024-08-06") });
await ai.generateText({ ...asked, model: claude });
await ai.streamText({ ...asked, model: claude }).consumeStream();
const { experimental_telemetry } = asked;
await ai.embed({ model: openai.textEmbeddingModel?.("text-embedding-3-small") ?? openai.embedding("text-embedding-3-small"), value: "hi", experimental_telemetry });
await ai.generateText({ ...asked, model: openai.chat("missing"), maxRetries: 0 }).then(
  () => { throw new Error("a call of a missing model did not fail"); },
  () => {},
);
await provider.shutdown();
