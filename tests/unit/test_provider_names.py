"""Names of providers that senders have, and the one by which prices know each."""

import pytest
from genai_prices.data_snapshot import get_snapshot

from usageledger.pricing.names import provider_name, spellings

# The values of `gen_ai.provider.name` that OpenTelemetry's GenAI conventions list.
CONVENTIONS = {
    "anthropic": "anthropic",
    "aws.bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "groq": "groq",
    "ibm.watsonx.ai": "watsonx",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "openai": "openai",
    "perplexity": "perplexity",
    "x_ai": "x-ai",
}
# Those of the AI SDK before the first dot, Pydantic AI, LangChain and LiteLLM.
LIBRARIES = {
    "amazon-bedrock": "aws",
    "azure-openai": "azure",
    "google": "google",
    "google-gla": "google",
    "google-vertex": "google",
    "google-vertex-anthropic": "google",
    "google_anthropic_vertex": "google",
    "google_genai": "google",
    "google_vertexai": "google",
    "vertex": "google",
    "vertex_ai": "google",
    "vertex_ai_beta": "google",
    "mistralai": "mistral",
    "moonshotai": "moonshotai",
    "together_ai": "together",
    "togetherai": "together",
    "fireworks_ai": "fireworks",
    "github_copilot": "github-copilot",
    "watsonx": "watsonx",
    "xai": "x-ai",
}
WITHOUT_LIST = {"watsonx"}


@pytest.mark.parametrize(("given", "name"), (CONVENTIONS | LIBRARIES).items())
def test_a_provider_has_the_name_of_its_prices(given: str, name: str) -> None:
    assert provider_name(given) == provider_name(given.upper()) == name
    assert (name in {each.id for each in get_snapshot().providers}) == (name not in WITHOUT_LIST)


def test_a_name_is_one_providers() -> None:
    names = [name for provider, each in spellings().items() for name in (provider, *each.names)]
    assert len(names) == len(set(names))
    assert all(name == name.lower() and "_" not in name for name in names)


def test_github_models_are_not_copilots() -> None:
    assert provider_name("github") == "github"
