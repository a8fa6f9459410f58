"""Shapes of usage blocks: which number is which. A row for each; a further vendor's is a further row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

Paths = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """A form of usage blocks: which of its numbers is which. A path leads through objects, and lists of parts.

    Attributes:
        marks: one of these is in every block of this shape.
        excluded: none of these is.
        input: all input, or with `exclusive` what was neither read from the cache nor written to it.
        output: what was put out.
        total: everything together.
        cached: read from the cache.
        written: written to the cache.
        lifetimes: the same by lifetime.
        exclusive: input leaves out what was cached and written; None where the total has to tell.
        beside_input: to be added to the input.
        beside_output: to be added to the output.
        reasoning: inside the output, or beside it where the total says so.
        input_parts: input by modality, cached included.
        cached_parts: cached input by modality.
        output_parts: output by modality.
        zero_omitted: an output of 0 is left out.
    """

    marks: Paths
    input: Paths
    output: Paths
    total: Paths = ()
    excluded: Paths = ()
    cached: Paths = ()
    written: Paths = ()
    lifetimes: Mapping[str, Paths] = field(default_factory=dict)
    exclusive: bool | None = False
    beside_input: Paths = ()
    beside_output: Paths = ()
    reasoning: Paths = ()
    input_parts: Paths = ()
    cached_parts: Paths = ()
    output_parts: Paths = ()
    zero_omitted: bool = False


_INPUTS = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_OUTPUTS = ("completion_tokens_details", "output_tokens_details", "output_token_details")
_ANTHROPIC_LIFETIMES = {
    "5m": ("cache_creation.ephemeral_5m_input_tokens",),
    "1h": ("cache_creation.ephemeral_1h_input_tokens",),
}


def _in_details(*names: str) -> Paths:
    return tuple(f"{details}.{name}" for details in _INPUTS for name in names)


def _lifetimes_in_details(*lifetimes: str) -> dict[str, Paths]:
    """OpenAI's, and as LiteLLM writes those of all vendors."""
    return {
        each: _in_details(
            f"cache_write_tokens_details.ttl_{each}_tokens",
            f"cache_creation_token_details.ephemeral_{each}_input_tokens",
        )
        for each in lifetimes
    }


SHAPES: Final = (
    # Gemini and Vertex: thoughts and the prompts of tools are beside the others; numbers that are 0 are left out.
    Shape(
        marks=("promptTokenCount", "totalTokenCount"),
        input=("promptTokenCount",),
        output=("candidatesTokenCount", "responseTokenCount"),
        total=("totalTokenCount",),
        cached=("cachedContentTokenCount",),
        beside_input=("toolUsePromptTokenCount",),
        beside_output=("thoughtsTokenCount",),
        input_parts=("promptTokensDetails",),
        cached_parts=("cacheTokensDetails",),
        output_parts=("candidatesTokensDetails", "responseTokensDetails"),
        zero_omitted=True,
    ),
    # Bedrock's Converse: what is cached is beside the input, but for some models inside. The total tells.
    Shape(
        marks=("inputTokens",),
        input=("inputTokens",),
        output=("outputTokens",),
        total=("totalTokens",),
        cached=("cacheReadInputTokens", "cacheReadInputTokenCount"),
        written=("cacheWriteInputTokens", "cacheWriteInputTokenCount"),
        lifetimes={"5m": ("cacheDetails.5m",), "1h": ("cacheDetails.1h",)},
        exclusive=None,
    ),
    # Cohere: what is billed, not what was seen.
    Shape(
        marks=("billed_units",),
        input=("billed_units.input_tokens",),
        output=("billed_units.output_tokens",),
        beside_input=("billed_units.image_tokens",),
    ),
    # Ollama's own form.
    Shape(marks=("prompt_eval_count", "eval_count"), input=("prompt_eval_count",), output=("eval_count",)),
    # Anthropic: input leaves out what was read from the cache and written to it, always.
    Shape(
        marks=("cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation", "iterations"),
        excluded=("prompt_tokens", "total_tokens"),
        input=("input_tokens",),
        output=("output_tokens",),
        cached=("cache_read_input_tokens",),
        written=("cache_creation_input_tokens",),
        lifetimes=_ANTHROPIC_LIFETIMES,
        exclusive=True,
    ),
    # OpenAI, and all who speak like it; also LiteLLM, which writes every vendor's usage so.
    Shape(
        marks=("prompt_tokens", "input_tokens"),
        input=("prompt_tokens", "input_tokens"),
        output=("completion_tokens", "output_tokens"),
        total=("total_tokens",),
        cached=(*_in_details("cached_tokens"), "prompt_cache_hit_tokens", "cache_read_input_tokens"),
        written=(
            *_in_details("cache_write_tokens", "cache_creation_tokens", "created_cache_tokens"),
            "cache_creation_input_tokens",
        ),
        lifetimes=_lifetimes_in_details("5m", "1h", "30m", "12h"),
        reasoning=tuple(f"{details}.reasoning_tokens" for details in _OUTPUTS),
        input_parts=_INPUTS,
        cached_parts=_in_details("cached_tokens_details"),
        output_parts=_OUTPUTS,
    ),
)
