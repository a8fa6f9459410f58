"""OpenInference's instrumentation of OpenAI."""

from _calls import exporting, openai_calls

end = exporting()
from openinference.instrumentation.openai import OpenAIInstrumentor

OpenAIInstrumentor().instrument()
openai_calls()
end()
