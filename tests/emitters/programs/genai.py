"""OpenTelemetry's own instrumentations of OpenAI and Anthropic, beside Anthropic's own spans."""

from _calls import anthropic_calls, exporting, openai_calls

end = exporting()
from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor  # noqa: E402
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor  # noqa: E402

OpenAIInstrumentor().instrument()
AnthropicInstrumentor().instrument()
openai_calls()
anthropic_calls()
end()
