"""Exports of Langfuse and LangSmith → events: the model calls in traces, not what adds them up.

**Langfuse.** Observations of type `GENERATION` and `EMBEDDING`, in the names of exports to blob storage as well as of
the API. The numbers of `usage_details` do not overlap, and their sum is `total`. Where the total is that of input and
output alone, the others are inside of them. Any other total contradicts.

**LangSmith.** Runs of type `llm` and `embedding`; prompt tokens include what was cached.
"""

from collections.abc import Iterator
from typing import Any

from usageledger.sources.files.origin import Origin
from usageledger.sources.files.rows import Row, block_of, call_events, count, part, provider_of, text, time_of
from usageledger.sources.readings import Reading, Reason, short_id
from usageledger.sources.values import number

_TYPES = {"GENERATION": "completions", "EMBEDDING": "embeddings", "llm": "completions", "embedding": "embeddings"}
_OUTPUTS = ("output", "completion", "reasoning")
_WRITTEN, _CACHED = ("cache_creation", "cache_write"), ("cache_read", "cached")


def take_langfuse(row: Row, origin: Origin, reading: Reading) -> Iterator[dict[str, Any]]:
    """Takes an observation."""
    name = ("langfuse:", text(row, "id") or "")
    given = part(row, "usage_details", "usageDetails", "usage")
    kind = _kind(text(row, "type"), name, given, reading)
    if kind is None:
        return
    attributes = part(part(row, "metadata"), "attributes")
    fields = {
        "kind": kind,
        "provider": provider_of(
            text(attributes, "gen_ai.provider.name", "gen_ai.system"), text(part(row, "metadata"), "ls_provider")
        ),
        "model": text(row, "provided_model_name", "providedModelName", "model"),
        "timestamp": time_of(row, origin, "end_time", "endTime", "start_time", "startTime"),
        "project_id": text(row, "project_id", "projectId"),
        "user_id": text(row, "user_id", "userId"),
    }
    try:
        counts = {key: number(value, key) or 0 for key, value in given.items() if key != "unit"}
    except ValueError as wrong:
        reading.leave(Reason.REFUSED, short_id(*name), str(wrong))
        return
    yield from call_events(_whole(counts), fields, name, reading)


def _whole(counts: dict[str, int]) -> dict[str, Any]:
    """Adds up numbers that do not overlap to a block whose input and output are whole."""
    total = counts.pop("total", None) or sum(counts.values())
    input_tokens, output_tokens = counts.get("input"), counts.get("output", 0)
    cached = sum(value for key, value in counts.items() if any(each in key for each in _CACHED))
    written = {key: value for key, value in counts.items() if any(each in key for each in _WRITTEN)}
    apart = total != (input_tokens or 0) + output_tokens or total == sum(counts.values())
    if apart:
        output_tokens = sum(value for key, value in counts.items() if key.startswith(_OUTPUTS))
        rest = [value for key, value in counts.items() if not key.startswith(_OUTPUTS)]
        input_tokens = sum(rest) if rest else None
    lifetimes = {
        f"ephemeral_{each}_input_tokens": sum(value for key, value in written.items() if f"_{each}" in key)
        for each in ("5m", "1h")
    }
    return block_of(
        input_tokens,
        output_tokens,
        total,
        cached_tokens=cached or None,
        cache_write_tokens=sum(written.values()) or None,
        cache_creation_token_details=lifetimes if any(lifetimes.values()) else None,
    )


def take_langsmith(row: Row, origin: Origin, reading: Reading) -> Iterator[dict[str, Any]]:
    """Takes a run."""
    name = ("langsmith:", text(row, "id") or "")
    tokens = (count(row, "prompt_tokens"), count(row, "completion_tokens"))
    kind = _kind(text(row, "run_type"), name, {"tokens": tokens} if any(tokens) else {}, reading)
    if kind is None:
        return
    if text(row, "error") and not any(tokens):
        reading.leave(Reason.FAILED_CALL, short_id(*name))
        return
    metadata = part(part(row, "extra"), "metadata")
    fields = {
        "kind": kind,
        "provider": provider_of(text(metadata, "ls_provider")),
        "model": text(metadata, "ls_model_name"),
        "timestamp": time_of(row, origin, "end_time", "start_time"),
        "project_id": text(row, "session_name", "session_id"),
        "user_id": text(metadata, "user_id"),
    }
    details = part(row, "prompt_token_details", "prompt_tokens_details")
    lifetimes = {each: details.get(each) for each in ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")}
    block = block_of(
        *tokens,
        count(row, "total_tokens"),
        cached_tokens=details.get("cache_read"),
        cache_write_tokens=details.get("cache_creation"),
        cache_creation_token_details=lifetimes if any(lifetimes.values()) else None,
    )
    yield from call_events(block, fields, name, reading)


def _kind(kind: str | None, name: tuple[str, str], used: Row, reading: Reading) -> str | None:
    """The kind of a call; None for what is none, which is left out where it has numbers, or no id."""
    found = _TYPES.get(kind or "")
    if not name[1]:
        reading.leave(Reason.REFUSED, name[0], "It has no id, so that it could count twice.")
        return None
    if found is None and used:
        reading.leave(Reason.AGGREGATE, short_id(*name))
    return found
