// Settings that point what people already run at this server, to copy.

import { h } from "../lib/dom.js";
import { snippet } from "../lib/snippets.js";

const claudeCode = (origin) => `{
  "env": {
    "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
    "OTEL_LOGS_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "${origin}",
    "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer sk-…",
    "OTEL_RESOURCE_ATTRIBUTES": "usageledger.project_id=platform"
  }
}`;

const openTelemetry = (origin) => `OTEL_EXPORTER_OTLP_ENDPOINT=${origin}
OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer sk-…`;

const liteLlm = (origin) => `litellm_settings:
  callbacks: ["usageledger"]
  turn_off_message_logging: true
callback_settings:
  usageledger:
    callback_type: generic_api
    endpoint: ${origin}/v1/sources/litellm
    headers: {Authorization: "Bearer sk-…"}
    event_types: [llm_api_success]
    max_retries: 5`;

const RECIPES = [
  ["Claude Code", "In the managed settings of a company, or in ~/.claude/settings.json of one person.", claudeCode],
  ["OpenTelemetry", "In the environment of any program whose model calls are traced: GenAI instrumentations, the AI SDK, Pydantic AI, a Collector.", openTelemetry],
  ["LiteLLM", "In the config.yaml of its proxy.", liteLlm],
];

/** Each way, with the address of this server in its settings; `manages` is whether its reader may make keys. */
export function recipes(manages) {
  const key = "a key with the scope api.usage.write";
  return h("div", { class: "recipes" },
    h("p", {}, "Put ", manages ? h("a", { href: "/keys" }, key) : key, " in the place of ", h("code", {}, "sk-…"), ". Prompts and answers are never kept."),
    RECIPES.map(([title, where, settings]) => snippet(title, settings(location.origin), where)));
}
