"""OpenInference's instrumentation of Anthropic, beside Anthropic's own spans."""

from _calls import anthropic_calls, exporting

end = exporting()
from openinference.instrumentation.anthropic import AnthropicInstrumentor

AnthropicInstrumentor().instrument()
anthropic_calls()
end()
