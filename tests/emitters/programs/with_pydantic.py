"""Pydantic AI: an agent with a tool and a model of its own that needs no vendor, and one that asks Anthropic."""

from _calls import VENDOR, exporting

end = exporting()
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.providers.anthropic import AnthropicProvider

Agent.instrument_all()
agent = Agent(TestModel(), name="tester")


@agent.tool_plain
def dice() -> str:
    """Throws a dice."""
    return "4"


agent.run_sync("hi")
model = AnthropicModel("claude-sonnet-4-5", provider=AnthropicProvider(api_key="none", base_url=VENDOR))
Agent(model, name="claude").run_sync("hi")
end()
