"""Which model a name means: as genai-prices itself finds it, for what its lists say and for what comes near to it."""

import time
from collections.abc import Iterator

import pytest
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ClauseAnd, ClauseOr, MatchLogic, ModelInfo

from usageledger.pricing.price_lists import ROUTER, PriceLists

NEAR = ("{}", "{}-x", "x-{}", "{}-20251211", "{}-20250230", "{}-20251211:batch", "{}-2025-12-11", "openai/{}", "/{}")


def texts(match: MatchLogic) -> Iterator[str]:
    """What the clauses of a model compare names with."""
    if isinstance(match, ClauseOr | ClauseAnd):
        for clause in match.or_ if isinstance(match, ClauseOr) else match.and_:
            yield from texts(clause)
    else:
        (text,) = vars(match).values()
        yield text.replace("\\d{8}", "20251211").strip("^$")


def wanted(provider: str, model: str) -> ModelInfo | None:
    try:
        return get_snapshot().find_provider_model(model, None, provider, None)[1]
    except LookupError:
        return None


@pytest.mark.parametrize(
    "provider", ["openai", "azure", "anthropic", "aws", "google", "mistral", ROUTER, "Groq", "none"]
)
def test_names_are_found_as_by_the_lists_own_search(provider: str) -> None:
    lists = PriceLists(get_snapshot())
    of = {provider.lower()} if provider not in (ROUTER, "azure") else {"openai", "anthropic", "deepseek", "azure"}
    models = [model for each in get_snapshot().providers if each.id in of for model in each.models]
    names = dict.fromkeys(text for model in models for text in texts(model.match))
    near = [shape.format(name) for name in list(names)[::3] for shape in NEAR]
    for name in [*names, *near, *(name.upper() for name in names), "", "/", "openai/", "nothing"]:
        assert lists.find(provider, name) is wanted(provider, name), name


def test_a_name_is_looked_up_in_little_time() -> None:
    """A commit may bring ten thousand of them; comparing each with all models took 150 microseconds."""
    lists = PriceLists(get_snapshot())
    for shape in ("made-up-{}", "gpt-4o-2024-{}", "claude-3-opus-{}", "made-up-{}-20251211"):
        lists.find("anthropic", "first")
        began = time.process_time()
        for number in range(2_000):
            lists.find("anthropic", shape.format(number))
        assert time.process_time() - began < 0.15, shape
