"""Usage blocks that emitters put into attributes as text: the vendor's own says more than what they make of it."""

import ast
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from usageledger.sources.otlp.items import Attributes
from usageledger.sources.usage_blocks import Refusal, read_usage

TEXT_CHARACTERS_MAX = 64 * 1024
Counts = dict[str, int]


class ContradictionError(Exception):
    """Numbers that cannot all be true, or are none; the message names them."""


def counts_in(name: str, attributes: Attributes, provider: str, kind: str) -> Counts:
    """Reads the block in an attribute; empty where it says nothing.

    Raises:
        ContradictionError: its numbers contradict each other.
    """
    text = attributes.get(name)
    if not isinstance(text, str) or len(text) > TEXT_CHARACTERS_MAX:
        return {}
    return _BLOCKS[name](text, provider, kind)


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _metadata(text: str, provider: str, kind: str) -> Counts:
    """The AI SDK's metadata of providers: each has its own usage block, or none."""
    metadata = _json(text)
    for each in metadata.values() if isinstance(metadata, dict) else ():
        block = (each.get("usage") or each.get("usageMetadata")) if isinstance(each, dict) else None
        if counts := _read(provider, block, kind):
            return counts
    return {}


def _raw(text: str, provider: str, kind: str) -> Counts:
    """Logfire's copy of the vendor's block."""
    return _read(provider, _json(text), kind)


def _literal(text: str, provider: str, kind: str) -> Counts:
    """LiteLLM's block, which it writes as Python does."""
    try:
        block = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return {}
    return _read(provider, block, kind)


def _read(provider: str, block: Any, kind: str) -> Counts:
    usage = read_usage(provider, block, kind)
    if isinstance(usage, Refusal):
        raise ContradictionError(usage.message)
    counts = usage.counts if usage else {}
    return counts if kind == "completions" else {name: counts[name] for name in counts if name == "input_tokens"}


def _details(text: str, _provider: str, _kind: str) -> Counts:
    """LangSmith's parts of the input."""
    details = _json(text)
    names = {
        "cache_read": "input_cached_tokens",
        "cache_creation": "input_cache_write_tokens",
        "ephemeral_5m_input_tokens": "input_cache_write_5m_tokens",
        "ephemeral_1h_input_tokens": "input_cache_write_1h_tokens",
    }
    found = {names[key]: value for key, value in details.items() if key in names} if isinstance(details, dict) else {}
    return {name: value for name, value in found.items() if type(value) is int}


_BLOCKS: Mapping[str, Callable[[str, str, str], Counts]] = {
    "ai.response.providerMetadata": _metadata,
    "gen_ai.usage.raw": _raw,
    "metadata.usage_object": _literal,
    "gen_ai.usage.input_token_details": _details,
}
BLOCKS = frozenset(_BLOCKS)


def is_estimate(attributes: Attributes) -> bool:
    """Returns true for a stream whose usage LiteLLM counted by itself, since the vendor did not say it."""
    text = str(attributes.get("metadata.usage_object", ""))
    return "'prompt_tokens_details': None" in text and str(attributes.get("llm.is_streaming")).lower() == "true"
