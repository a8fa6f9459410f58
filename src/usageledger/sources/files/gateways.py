"""Logs of gateways → events: Cloudflare's AI Gateway, Portkey, Helicone and Kong's AI Gateway.

All say the tokens of a call; those of Portkey and Helicone may have the vendor's answer as well, whose usage block then
counts, and whose id is that of the event. Cloudflare and Kong do not say how many of the input tokens were cached.
"""

from collections.abc import Iterator
from typing import Any

from usageledger.events.typed_events import RESPONSE_PREFIX
from usageledger.sources.files.origin import Origin
from usageledger.sources.files.rows import Row, block_of, call_events, count, is_true, part, provider_of, text, time_of
from usageledger.sources.readings import Reading, Reason, short_id
from usageledger.sources.values import is_unique

_CALLS_FAIL = 400  # from this status on
_HITS = {"hit", "semantic hit", "simple hit"}


def take_cloudflare(row: Row, origin: Origin, reading: Reading) -> Iterator[dict[str, Any]]:
    """Takes a log of Cloudflare's AI Gateway, as its API lists them."""
    name = ("cloudflare:", text(row, "id") or "")
    if _is_left(
        row, name, reading, cached=is_true(row.get("cached")), failed=str(row.get("success")).lower() == "false"
    ):
        return
    about = f"{row.get('model_type')} {row.get('path')}".lower()
    metadata = part(row, "metadata")
    fields = {
        "kind": "embeddings" if "embedding" in about else "completions",
        "provider": provider_of(text(row, "provider")),
        "model": text(row, "model"),
        "timestamp": time_of(row, origin, "created_at"),
        "user_id": text(metadata, "user_id", "user", "userId"),
        "project_id": text(metadata, "project_id", "project", "team"),
    }
    yield from call_events(block_of(count(row, "tokens_in"), count(row, "tokens_out")), fields, name, reading)


def take_portkey(row: Row, origin: Origin, reading: Reading) -> Iterator[dict[str, Any]]:
    """Takes a log of Portkey's export."""
    name = ("portkey:", text(row, "id", "trace_id") or "")
    status = str(row.get("cache_status")).lower()
    if _is_left(
        row, name, reading, cached=status in _HITS, failed=str(row.get("is_success")).lower() in {"false", "0"}
    ):
        return
    metadata = part(row, "metadata")
    fields = {
        "provider": provider_of(text(row, "ai_org", "ai_provider")),
        "model": text(row, "ai_model"),
        "timestamp": time_of(row, origin, "created_at"),
        "user_id": text(metadata, "_user", "user"),
        "project_id": text(metadata, "project_id", "project", "team"),
    }
    counts = block_of(count(row, "req_units"), count(row, "res_units"), count(row, "total_units"))
    yield from _answered(part(row, "response"), counts, fields, name, reading)


def take_helicone(row: Row, origin: Origin, reading: Reading) -> Iterator[dict[str, Any]]:
    """Takes a request of Helicone's export, or of its webhook.

    Its prompt tokens leave out what was cached, but for some vendors do not: the total tells.
    """
    name = ("helicone:", text(row, "request_id") or "")
    status = count(row, "response_status", "status")
    failed = str(status).isdigit() and int(str(status)[:9]) >= _CALLS_FAIL
    if _is_left(row, name, reading, cached=text(row, "cache_reference_id") not in _NO_REFERENCE, failed=failed):
        return
    properties = part(row, "request_properties", "properties")
    fields = {
        "provider": provider_of(text(row, "provider")),
        "model": text(row, "model_override", "response_model", "request_model", "model"),
        "timestamp": time_of(row, origin, "request_created_at", "response_created_at"),
        "user_id": text(row, "request_user_id", "helicone_user", "user_id"),
        "project_id": text(properties, "project_id", "project", "team"),
    }
    counts = {
        "inputTokens": count(row, "prompt_tokens"),
        "outputTokens": count(row, "completion_tokens"),
        "totalTokens": count(row, "total_tokens"),
        "cacheReadInputTokens": count(row, "prompt_cache_read_tokens"),
        "cacheWriteInputTokens": count(row, "prompt_cache_write_tokens"),
    }
    yield from _answered(part(row, "response_body"), counts, fields, name, reading)


_NO_REFERENCE = {None, "00000000-0000-0000-0000-000000000000"}


def take_kong(row: Row, origin: Origin, reading: Reading) -> Iterator[dict[str, Any]]:
    """Takes a line of one of Kong's logging plugins: a call for each plugin that made one."""
    started = row.get("started_at")
    seconds = started / 1000 if isinstance(started, int | float) else None
    consumer, plugins = part(row, "consumer"), part(row, "ai")
    for plugin, value in plugins.items():
        block = value if isinstance(value, dict) else {}
        used, meta, cache = part(block, "usage"), part(block, "meta"), part(block, "cache")
        if not used:
            continue
        name = ("kong:", text(part(row, "request"), "id") or "", plugin)
        hit = str(cache.get("cache_status")).lower() in _HITS
        if _is_left(row, name, reading, cached=hit, failed=False):
            continue
        fields = {
            "provider": provider_of(text(meta, "provider_name")),
            "model": text(meta, "response_model", "request_model"),
            "timestamp": time_of({"started_at": seconds}, origin, "started_at"),
            "user_id": text(consumer, "username", "custom_id", "id"),
            "api_key_id": text(part(row, "authenticated_entity"), "id"),
        }
        counts = (count(used, f"{each}_tokens", f"{each}_token") for each in ("prompt", "completion"))
        yield from call_events(block_of(*counts), fields, name, reading)


def _is_left(row: Row, name: tuple[str, ...], reading: Reading, *, cached: bool, failed: bool) -> bool:
    """Returns true for a call that used nothing, or has no name, which is then left out."""
    if not name[1]:
        reading.leave(
            Reason.REFUSED, f"{name[0]}{sorted(row)[:5]}"[:128], "It has no id, so that it could count twice."
        )
    elif cached:
        reading.leave(Reason.CACHE_HIT, short_id(*name))
    elif failed:
        reading.leave(Reason.FAILED_CALL, short_id(*name))
    return cached or failed or not name[1]


def _answered(
    answer: Row, counts: dict[str, Any], fields: dict[str, Any], name: tuple[str, ...], reading: Reading
) -> Iterator[dict[str, Any]]:
    """Makes the events of a call by the vendor's answer where its usage is there, else by the gateway's counts."""
    block = part(answer, "usage", "usageMetadata")
    own_id = text(answer, "id", "responseId")
    if block and own_id and is_unique(own_id):
        name = (RESPONSE_PREFIX, own_id)
    yield from call_events(block or counts, fields, name, reading)
