"""OpenTelemetry's own instrumentations of OpenAI and Anthropic, beside Anthropic's own spans."""

from _calls import anthropic_calls, exporting, openai_calls

end = exporting()
from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

OpenAIInstrumentor().instrument()
AnthropicInstrumentor().instrument()
openai_calls()
anthropic_calls()
end()
