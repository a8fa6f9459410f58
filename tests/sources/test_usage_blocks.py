"""Usage blocks of every shape: the counts they say, what is refused with its numbers, and what is unknown."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.kept import assert_kept

from usageledger.sources.readings import Note
from usageledger.sources.usage_blocks import Refusal, Usage, for_kind, read_usage

OPENAI = {
    "prompt_tokens": 1000,
    "completion_tokens": 500,
    "total_tokens": 1500,
    "prompt_tokens_details": {"cached_tokens": 400, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 120, "audio_tokens": 0},
}
ANTHROPIC = {
    "input_tokens": 90,
    "cache_read_input_tokens": 900,
    "cache_creation_input_tokens": 10,
    "cache_creation": {"ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 3},
    "output_tokens": 150,
}
GEMINI = {
    "promptTokenCount": 1000,
    "cachedContentTokenCount": 400,
    "candidatesTokenCount": 380,
    "thoughtsTokenCount": 120,
    "totalTokenCount": 1500,
}
BEDROCK = {
    "inputTokens": 90,
    "cacheReadInputTokens": 900,
    "cacheWriteInputTokens": 10,
    "outputTokens": 150,
    "totalTokens": 1150,
}
USUAL = {"input_tokens": 1000, "input_cached_tokens": 400, "output_tokens": 500}
CACHED = {"input_tokens": 1000, "input_cached_tokens": 900, "input_cache_write_tokens": 10, "output_tokens": 150}
BY_LIFETIME = CACHED | {"input_cache_write_5m_tokens": 7, "input_cache_write_1h_tokens": 3}
PLAIN = {"input_tokens": 10, "output_tokens": 5}

CASES: dict[str, tuple[str, dict[str, Any], dict[str, int]]] = {
    "openai chat": ("openai", OPENAI, USUAL),
    "openai responses": (
        "openai",
        {
            "input_tokens": 1000,
            "input_tokens_details": {
                "cached_tokens": 400,
                "cache_write_tokens": 100,
                "cache_write_tokens_details": {"ttl_30m_tokens": 60, "ttl_12h_tokens": 40},
            },
            "output_tokens": 500,
            "total_tokens": 1500,
        },
        USUAL
        | {
            "input_cache_write_tokens": 100,
            "input_cache_write_30m_tokens": 60,
            "input_cache_write_12h_tokens": 40,
        },
    ),
    "openai audio, nothing cached": (
        "openai",
        {
            "prompt_tokens": 100,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 40},
            "completion_tokens": 50,
            "completion_tokens_details": {"audio_tokens": 30},
        },
        {
            "input_tokens": 100,
            "input_cached_tokens": 0,
            "input_audio_tokens": 40,
            "output_tokens": 50,
            "output_audio_tokens": 30,
        },
    ),
    "openai audio, some of it cached perhaps": (
        "openai",
        {
            "prompt_tokens": 100,
            "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 40},
            "completion_tokens": 50,
        },
        {"input_tokens": 100, "input_cached_tokens": 60, "output_tokens": 50},
    ),
    "openai realtime": (
        "openai",
        {
            "input_tokens": 130,
            "input_token_details": {
                "text_tokens": 30,
                "audio_tokens": 90,
                "image_tokens": 10,
                "cached_tokens": 64,
                "cached_tokens_details": {"text_tokens": 14, "audio_tokens": 50},
            },
            "output_tokens": 80,
            "output_token_details": {"text_tokens": 20, "audio_tokens": 60},
            "total_tokens": 210,
        },
        {
            "input_tokens": 130,
            "input_cached_tokens": 64,
            "input_audio_tokens": 40,
            "input_cached_audio_tokens": 50,
            "input_image_tokens": 10,
            "output_tokens": 80,
            "output_audio_tokens": 60,
        },
    ),
    "azure": ("azure", OPENAI, USUAL),
    "xai, reasoning beside the output": (
        "x-ai",
        {
            "prompt_tokens": 1000,
            "completion_tokens": 380,
            "total_tokens": 1500,
            "prompt_tokens_details": {"cached_tokens": 400},
            "completion_tokens_details": {"reasoning_tokens": 120},
        },
        USUAL,
    ),
    "xai, reasoning inside": ("x-ai", OPENAI, USUAL),
    "reasoning beside the output, of any vendor": (
        "vllm",
        {
            "prompt_tokens": 10,
            "completion_tokens": 2,
            "total_tokens": 15,
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
        PLAIN,
    ),
    "deepseek": (
        "deepseek",
        {
            "prompt_tokens": 1000,
            "completion_tokens": 500,
            "total_tokens": 1500,
            "prompt_cache_hit_tokens": 400,
            "prompt_cache_miss_tokens": 600,
        },
        USUAL,
    ),
    "groq": ("groq", OPENAI | {"queue_time": 0.01, "total_time": 0.2}, USUAL),
    "openrouter": ("openrouter", OPENAI | {"cost": 0.01, "is_byok": False, "cost_details": {}}, USUAL),
    "vllm": ("vllm", {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}, PLAIN),
    "vllm that writes to its cache": (
        "vllm",
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 4, "created_cache_tokens": 2},
        },
        PLAIN | {"input_cached_tokens": 4, "input_cache_write_tokens": 2},
    ),
    "mistral": ("mistral", {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}, PLAIN),
    "mistral with audio, whose tokens are in the total alone": (
        "mistral",
        {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 2640, "prompt_audio_seconds": 203},
        PLAIN,
    ),
    "gemini by OpenAI's interface, whose total has thoughts": (
        "google",
        {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 15},
        PLAIN,
    ),
    "anthropic": ("anthropic", ANTHROPIC, BY_LIFETIME),
    "anthropic by lifetime alone": (
        "anthropic",
        {name: count for name, count in ANTHROPIC.items() if name != "cache_creation_input_tokens"},
        BY_LIFETIME,
    ),
    "anthropic without a cache": ("anthropic", {"input_tokens": 10, "output_tokens": 5}, PLAIN),
    "anthropic from another vendor": ("aws", ANTHROPIC, BY_LIFETIME),
    "litellm": (
        "anthropic",
        {
            "prompt_tokens": 1000,
            "completion_tokens": 150,
            "total_tokens": 1150,
            "prompt_tokens_details": {
                "cached_tokens": 0,
                "cache_creation_tokens": 10,
                "cache_creation_token_details": {"ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 3},
            },
            "cache_creation_input_tokens": 10,
            "cache_read_input_tokens": 900,
        },
        BY_LIFETIME,
    ),
    "gemini": ("google", GEMINI, USUAL),
    "gemini with tools": (
        "google",
        GEMINI | {"promptTokenCount": 700, "toolUsePromptTokenCount": 300},
        USUAL,
    ),
    "gemini without output": ("google", {"promptTokenCount": 10, "totalTokenCount": 10}, PLAIN | {"output_tokens": 0}),
    "gemini by modality": (
        "google",
        GEMINI
        | {
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 300},
                {"modality": "AUDIO", "tokenCount": 500},
                {"modality": "VIDEO", "tokenCount": 150},
                {"modality": "IMAGE", "tokenCount": 50},
            ],
            "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 400}],
            "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 380}],
        },
        USUAL
        | {
            "input_audio_tokens": 100,
            "input_cached_audio_tokens": 400,
            "input_image_tokens": 50,
            "output_audio_tokens": 380,
        },
    ),
    "gemini live": (
        "google",
        {"promptTokenCount": 10, "responseTokenCount": 5, "totalTokenCount": 15},
        PLAIN,
    ),
    "bedrock": ("aws", BEDROCK, CACHED),
    "bedrock by lifetime": (
        "aws",
        BEDROCK | {"cacheDetails": [{"ttl": "5m", "inputTokens": 7}, {"ttl": "1h", "inputTokens": 3}]},
        BY_LIFETIME,
    ),
    "bedrock with the cache inside": (
        "aws",
        {"inputTokens": 1000, "cacheReadInputTokens": 400, "outputTokens": 500, "totalTokens": 1500},
        USUAL,
    ),
    "cohere": (
        "cohere",
        {"billed_units": {"input_tokens": 10.0, "output_tokens": 5.0}, "tokens": {"input_tokens": 90}},
        PLAIN,
    ),
    "ollama": ("ollama", {"prompt_eval_count": 10, "eval_count": 5}, PLAIN),
    "numbers as floats and digits": ("openai", {"prompt_tokens": 10.0, "completion_tokens": "5"}, PLAIN),
}


@pytest.mark.parametrize(("vendor", "block", "counts"), CASES.values(), ids=CASES.keys())
def test_counts(vendor: str, block: dict[str, Any], counts: dict[str, int]) -> None:
    usage = read_usage(vendor, block)
    assert isinstance(usage, Usage)
    assert usage.counts == counts
    assert_kept([{"id": "a", "timestamp": 1_794_970_000, **for_kind("completions", usage.counts)}])


@pytest.mark.parametrize(
    ("vendor", "block", "message"),
    [
        (
            "openai",
            OPENAI | {"total_tokens": 1700},
            "the total (1700) is not the input (1000) plus the output (500), nor these plus reasoning (120)",
        ),
        ("openai", OPENAI | {"total_tokens": 7}, "the total (7) is not the input (1000) plus the output (500)"),
        ("x-ai", OPENAI | {"total_tokens": 1400}, "the total (1400) is not the input (1000) plus the output (500)"),
        (
            "openai",
            OPENAI | {"prompt_tokens_details": {"cached_tokens": 1001}},
            "what was read from the cache and written to it (1001) is more than the input (1000)",
        ),
        (
            "anthropic",
            ANTHROPIC | {"cache_creation": {"ephemeral_5m_input_tokens": 11}},
            "cache writes by lifetime (11) is more than cache writes (10)",
        ),
        ("aws", BEDROCK | {"totalTokens": 1149}, "the total (1149) is not the input (1000) plus the output (150)"),
        (
            "google",
            GEMINI | {"totalTokenCount": 1499},
            "the total (1499) is not the input (1000) plus the output (500)",
        ),
        ("openai", {"prompt_tokens": 90.5, "completion_tokens": 1}, "prompt_tokens is no count: 90.5"),
        ("openai", {"prompt_tokens": True, "completion_tokens": 1}, "prompt_tokens is no count: True"),
        ("openai", {"prompt_tokens": -1, "completion_tokens": 1}, "prompt_tokens is no count: -1"),
        ("openai", {"prompt_tokens": 2**53, "completion_tokens": 1}, "prompt_tokens is no count: 9007199254740992"),
        ("openai", {"prompt_tokens": float("nan"), "completion_tokens": 1}, "prompt_tokens is no count: nan"),
        ("openai", {"prompt_tokens": "ten", "completion_tokens": 1}, "prompt_tokens is no count: 'ten'"),
        ("openai", {"prompt_tokens": [1], "completion_tokens": 1}, "prompt_tokens is no count: of type list"),
        (
            "openai",
            OPENAI | {"completion_tokens_details": {"audio_tokens": 501}},
            "audio and image tokens (501) is more than the output (500)",
        ),
        (
            "openai",
            OPENAI | {"prompt_tokens_details": {"audio_tokens": 900, "image_tokens": 101}},
            "audio and image tokens (1001) is more than the input that was not cached (1000)",
        ),
        (
            "google",
            GEMINI
            | {
                "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}],
                "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 6}],
            },
            "cached audio tokens (6) is more than audio tokens (5)",
        ),
        (
            "anthropic",
            ANTHROPIC | {"iterations": [{}] * 1001},
            "the number of iterations (1001) is more than is read (1000)",
        ),
    ],
)
def test_a_contradiction_is_refused_with_its_numbers(vendor: str, block: dict[str, Any], message: str) -> None:
    refused = read_usage(vendor, block)
    assert isinstance(refused, Refusal)
    assert refused.message.startswith(message)


@pytest.mark.parametrize(
    "block",
    [
        None,
        [],
        "usage",
        {},
        {"cost": 0.1},
        {"prompt_tokens": 10},
        {"input_tokens": None, "output_tokens": 5},
        {"billed_units": {"search_units": 1}},
        {"eval_count": 5},
        {"type": "duration", "seconds": 12.5},
    ],
)
def test_a_block_that_does_not_say_how_much_is_unknown(block: object) -> None:
    assert read_usage("openai", block) is None


def test_embeddings_have_no_output() -> None:
    for block in ({"prompt_tokens": 730, "total_tokens": 730}, {"prompt_tokens": 730}, {"prompt_eval_count": 730}):
        usage = read_usage("openai", block, "embeddings")
        assert isinstance(usage, Usage)
        assert for_kind("embeddings", usage.counts) == {"kind": "embeddings", "input_tokens": 730}


def test_output_of_images_and_speech_is_of_their_modality_where_the_block_does_not_say() -> None:
    block = {"input_tokens": 50, "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}, "output_tokens": 200}
    for kind, part in (("images", "image"), ("audio_speeches", "audio")):
        usage = read_usage("openai", block, kind)
        assert isinstance(usage, Usage)
        assert usage.counts["input_image_tokens"] == 40
        assert usage.counts[f"output_{part}_tokens"] == 200
    unsaid = read_usage(
        "openai", block | {"output_tokens_details": {"reasoning_tokens": 0, "image_tokens": None}}, "images"
    )
    assert isinstance(unsaid, Usage)
    assert unsaid.counts["output_image_tokens"] == 200
    said = read_usage("openai", block | {"output_tokens_details": {"image_tokens": 180, "text_tokens": 20}}, "images")
    assert isinstance(said, Usage)
    assert said.counts["output_image_tokens"] == 180


def test_anthropic_bills_compactions_and_advice_beside_its_numbers() -> None:
    entry = {"input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 1, "cache_creation_input_tokens": 0}
    usage = read_usage(
        "anthropic",
        ANTHROPIC
        | {
            "iterations": [
                {"type": "message"} | entry,
                {"type": "compaction"} | entry,
                {"type": "advisor_message", "model": "claude-opus-4-6"} | entry,
                {"type": ["odd"]},
                "odd",
            ],
            "server_tool_use": {"web_search_requests": 2},
        },
    )
    assert isinstance(usage, Usage)
    assert usage.counts == BY_LIFETIME
    searches, compaction, advice = usage.further
    assert (searches.kind, searches.fields) == ("web_search_calls", {"num_requests": 2})
    assert (compaction.suffix, compaction.fields["input_tokens"], compaction.fields["output_tokens"]) == (
        "iteration:1",
        6,
        7,
    )
    assert "model" not in compaction.fields
    assert advice.fields["model"] == "claude-opus-4-6"


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"service_tier": "standard", "inference_geo": "us"}, {"service_tier": "standard", "region": "us"}),
        ({"service_tier": "batch", "inference_geo": "not_available"}, {"batch": True}),
        ({"service_tier": "standard", "speed": "fast"}, {"service_tier": "fast"}),
        ({"service_tier": "priority", "speed": "fast"}, {"service_tier": "priority fast"}),
        ({"speed": "standard"}, {}),
        ({"trafficType": "ON_DEMAND"}, {"service_tier": "on_demand"}),
        ({"trafficType": "ON_DEMAND_PRIORITY"}, {"service_tier": "priority"}),
        ({"trafficType": "PROVISIONED_THROUGHPUT"}, {"service_tier": "provisioned_throughput"}),
        ({"serviceTier": "unspecified"}, {}),
        ({"service_tier": {"type": "odd"}, "inference_geo": 5}, {}),
    ],
)
def test_tier_and_region_are_those_that_the_block_says(block: dict[str, Any], said: dict[str, Any]) -> None:
    usage = read_usage("anthropic", ANTHROPIC | block)
    assert isinstance(usage, Usage)
    assert usage.said == said


def test_cache_writes_of_unknown_lifetime_are_noted() -> None:
    told = read_usage("anthropic", ANTHROPIC)
    untold = read_usage("anthropic", ANTHROPIC | {"cache_creation": None})
    assert isinstance(told, Usage)
    assert isinstance(untold, Usage)
    assert (told.notes, untold.notes) == ([], [Note.CACHE_LIFETIME_UNKNOWN])
    assert untold.counts == CACHED


KEYS = sorted({key for _, block, _ in CASES.values() for key in block} | {"iterations", "server_tool_use", "type"})
INNER = [
    "cached_tokens",
    "audio_tokens",
    "modality",
    "tokenCount",
    "ttl",
    "5m",
    "input_tokens",
    "output_tokens",
    "type",
]
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(INNER),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(INNER), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(KEYS), ANY | st.integers(0, 100), max_size=8), st.sampled_from(["x-ai", "aws"]))
def test_any_block_gives_counts_that_an_event_may_have_or_none(block: dict[str, Any], vendor: str) -> None:
    usage = read_usage(vendor, block)
    if isinstance(usage, Usage):
        assert_kept([{"id": "a", "timestamp": 1_794_970_000, **for_kind("completions", usage.counts)}])
