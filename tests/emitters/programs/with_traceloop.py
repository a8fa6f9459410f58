"""OpenLLMetry's instrumentations of OpenAI and Anthropic, beside Anthropic's own spans."""

from _calls import anthropic_calls, exporting, openai_calls

end = exporting()
from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
from opentelemetry.instrumentation.openai import OpenAIInstrumentor

OpenAIInstrumentor().instrument()
AnthropicInstrumentor().instrument()
openai_calls()
anthropic_calls()
end()
