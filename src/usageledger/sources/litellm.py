"""LiteLLM's batches of its callback `generic_api` → events: an entry is a `StandardLoggingPayload`, one a call.

Bodies are arrays, lines (NDJSON, which LiteLLM labels as JSON as well) or single entries. What is read of an entry:

| of an event | from |
| --- | --- |
| `id` | `id`, else `litellm_call_id` |
| `timestamp` | `endTime`, its fraction cut off |
| `kind` | `call_type` |
| `provider`, `model` | `custom_llm_provider`, `model` |
| `project_id` | the key's team, else its project |
| `user_id` | the key's user, else the end user |
| `api_key_id` | the key's hash |
| counts | `metadata.usage_object`, where input includes cached and written tokens for every vendor |

**Identity.** `id` is the response's, as the program that called LiteLLM saw it: the vendor's own for OpenAI and Gemini,
`chatcmpl-` and a UUID of LiteLLM's for Anthropic and others, and a wrapping of the vendor's for OpenAI's Responses,
which is unwrapped. So a span of that program, or the answer it saved, is the same response and counts once. A spend log
is it too: its `request_id` is this `id` (as of 1.110; versions that file spend logs by `litellm_call_id` leave the
response's id out of them, so that theirs must be read instead of entries, not beside). Where there is no id that is
unique (embeddings, Ollama), `litellm_call_id` is taken for it, here and there: `call_event_id` makes the id for either.

**Not counted**: answers from LiteLLM's own cache, which repeat the tokens and id of an earlier one; failed calls, one
an attempt, which have none; calls of other types; and entries whose numbers are all 0, as LiteLLM has it where the
vendor said nothing.

**Estimated**: where a stream of a vendor that gives details has none, LiteLLM counted with a tokenizer of its own,
since the vendor was not asked for usage (`stream_options: {"include_usage": true}`). That is counted, and noted.
"""

import hashlib
from typing import Any, TypeAlias

import msgspec
from msgspec import Raw, Struct, field

from usageledger.events.typed_events import RESPONSE_PREFIX
from usageledger.pricing.names import provider_name
from usageledger.sources.bodies import END, ITEMS_MAX, USAGE_BYTES_MAX, check_items, plain, read, texts
from usageledger.sources.readings import Emitter, Note, Reading, Readings, Reason, response_event_id, short_id
from usageledger.sources.rules import NO_RULES, Rules
from usageledger.sources.usage_blocks import Refusal, Usage, read_seconds, read_usage
from usageledger.sources.usage_events import events_of
from usageledger.sources.values import is_unique, unix_time, vendors_id

_NO_TEXT = Raw(b"")
NAME = "litellm"

_CHAT = "completions"
KINDS = {
    "completion": _CHAT,
    "text_completion": _CHAT,
    "anthropic_messages": _CHAT,
    "responses": _CHAT,
    "responses_websocket": _CHAT,
    "get_responses": _CHAT,  # of a response in the background, whose usage was not known before
    "compact_responses": _CHAT,
    "create_interaction": _CHAT,
    "generate_content": _CHAT,
    "generate_content_stream": _CHAT,
    "realtime": _CHAT,
    "pass_through_endpoint": _CHAT,
    "llm_passthrough_route": _CHAT,
    "embedding": "embeddings",
    "image_generation": "images",
    "image_edit": "images",
    "image_variation": "images",
    "speech": "audio_speeches",
    "transcription": "audio_transcriptions",
    "moderation": "moderations",
    "decisions": "decisions",
}
# LiteLLM's routes to one provider → the provider.
_ROUTES = {
    "text-completion-openai": "openai",
    "azure_text": "azure",
    "bedrock_converse": "aws",
    "cohere_chat": "cohere",
    "codestral": "mistral",
    "text-completion-codestral": "mistral",
    "ollama_chat": "ollama",
    "hosted_vllm": "vllm",
}
# Who says how many of the input tokens were cached in every answer, also where none was.
_GIVING_DETAILS = {"openai", "azure", "anthropic", "google", "x-ai"}

Text: TypeAlias = str | None
Time: TypeAlias = int | float | str | None


class _Metadata(Struct):
    key: Text = field(default=None, name="user_api_key_hash")
    team: Text = field(default=None, name="user_api_key_team_id")
    project: Text = field(default=None, name="user_api_key_project_id")
    user: Text = field(default=None, name="user_api_key_user_id")
    end_user: Text = field(default=None, name="user_api_key_end_user_id")
    usage: Raw = field(default=_NO_TEXT, name="usage_object")


class _Costs(Struct):
    service_tier: Text = None


class _Parameters(Struct):
    n: int | None = None
    size: Text = None
    quality: Text = None


class _Entry(Struct):
    """A call, as far as it is read."""

    id: Text = None
    litellm_call_id: Text = None
    call_type: Text = None
    cache_hit: bool | str | None = None
    stream: bool | None = None
    status: Text = None
    provider: Text = field(default=None, name="custom_llm_provider")
    model: Text = None
    start: Time = field(default=None, name="startTime")
    end: Time = field(default=None, name="endTime")
    end_user: Text = None
    prompt_tokens: int | float | None = None
    completion_tokens: int | float | None = None
    total_tokens: int | float | None = None
    metadata: _Metadata | None = None
    costs: _Costs | None = field(default=None, name="cost_breakdown")
    parameters: Raw = field(default=_NO_TEXT, name="model_parameters")


class _Metadatas(Struct):
    metadata: dict[str, Raw] | None = None


_entries: msgspec.json.Decoder[_Entry] = msgspec.json.Decoder(_Entry)
_whole: msgspec.json.Decoder[_Metadatas] = msgspec.json.Decoder(_Metadatas)
_parameters: msgspec.json.Decoder[_Parameters] = msgspec.json.Decoder(_Parameters)


def read_litellm(
    body: bytes, *, now: int, version: str = "", items_max: int = ITEMS_MAX, rules: Rules = NO_RULES
) -> Readings:
    """Reads a batch of LiteLLM's.

    Args:
        body: an array of entries, one a line, or a single one.
        now: the time of entries that say none, Unix seconds.
        version: of LiteLLM, as its `User-Agent` says it.
        items_max: entries in one body.
        rules: of the operator; attributes are those of an entry's `metadata`, with dots between names.

    Raises:
        InvalidRequestError: a body that is no JSON at all.
        BodyTooLargeError: too many entries.
    """
    readings = Readings()
    reading = readings.of(Emitter(NAME, version))
    for count, text in enumerate(texts(body), 1):
        check_items(count, items_max)
        entry = read(_entries, text)
        if entry is not None:
            _take(entry, text, now, reading, rules)
        elif text != END:
            reading.leave(Reason.REFUSED, hashlib.sha256(text).hexdigest())
    return readings


def call_event_id(response_id: str | None, call_id: str | None) -> str | None:
    """Makes the id of the event of a call; None where it has neither id.

    Args:
        response_id: `id` of an entry, `request_id` of a spend log.
        call_id: `litellm_call_id` of either.
    """
    own_id = _own_id(response_id, call_id)
    return response_event_id(own_id) if own_id else None


def _own_id(response_id: str | None, call_id: str | None) -> str | None:
    own_id = vendors_id(response_id) if response_id else ""
    return own_id if own_id and is_unique(own_id) else call_id or None


def _take(entry: _Entry, text: bytes, now: int, reading: Reading, rules: Rules) -> None:
    """Takes an entry: its events, or why it is not counted."""
    own_id = _own_id(entry.id, entry.litellm_call_id)
    prefix, name = (RESPONSE_PREFIX, own_id) if own_id else ("litellm:", hashlib.sha256(text).hexdigest())
    event_id = short_id(prefix, name)
    provider = _provider(entry)
    if (reason := _reason(entry)) is not None:
        reading.leave(reason, entry.litellm_call_id or event_id)
        return
    kind, usage = _usage(entry, provider)
    fields = {
        **_who(entry),
        **_mapped(text, rules),
        "kind": kind,
        "provider": provider,
        "model": entry.model or None,
        "timestamp": next((t for t in map(unix_time, (entry.end, entry.start)) if t is not None), now),
    }
    tier = entry.costs and entry.costs.service_tier
    reading.events += events_of(usage, fields, (prefix, name), reading, tier=tier)


def _mapped(text: bytes, rules: Rules) -> dict[str, str]:
    """Gives what the operator's rules find in an entry's metadata."""
    found = rules.of(NAME)
    if not found.attributes:
        return found.who(lambda _: None)
    whole = read(_whole, text)

    metadata = (whole.metadata if whole else None) or {}

    def attribute(path: str) -> object:
        first, *names = path.removeprefix("metadata.").split(".")
        node = plain(metadata.get(first, _NO_TEXT), USAGE_BYTES_MAX)
        for name in names:
            node = node.get(name) if isinstance(node, dict) else None
        return node

    return found.who(attribute)


def _reason(entry: _Entry) -> Reason | None:
    """The reason why a call is not counted, whatever its usage."""
    if str(entry.cache_hit).lower() == "true":
        return Reason.CACHE_HIT
    if entry.status == "failure":
        return Reason.FAILED_CALL
    return None if _kind(entry) else Reason.UNKNOWN_KIND


def _kind(entry: _Entry) -> str | None:
    name = (entry.call_type or "").lstrip("_")
    return KINDS.get(name) or KINDS.get(name.removeprefix("a"))


def _provider(entry: _Entry) -> str:
    name = entry.provider or ""
    return _ROUTES.get(name) or provider_name(name) or "unknown"


def _who(entry: _Entry) -> dict[str, Any]:
    """The team, user and key of a call; a key itself is never kept, were it there in place of its hash."""
    who = entry.metadata or _Metadata()
    return {
        "project_id": who.team or who.project,
        "user_id": who.user or entry.end_user or who.end_user,
        "api_key_id": None if (who.key or "").startswith("sk-") else who.key,
    }


def _usage(entry: _Entry, provider: str) -> tuple[str, Usage | Refusal | None]:
    """The kind of the events of a call, and its usage: tokens where it says any, for these are what is charged."""
    kind = _kind(entry) or ""
    block = plain(entry.metadata.usage, USAGE_BYTES_MAX) if entry.metadata else None
    if not isinstance(block, dict):
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        block = {name: getattr(entry, name) for name in names}
    if kind == "audio_transcriptions" and (seconds := read_seconds(block)):
        return kind, seconds
    usage = read_usage(provider, block, kind)
    if isinstance(usage, Usage):
        if not any(usage.counts.values()):
            usage = None
        elif _is_estimated(entry, provider, block):
            usage.notes.append(Note.ESTIMATED)
    if kind == "images" and usage is None:
        return kind, _images(entry)
    return _CHAT if kind in {"images", "audio_speeches", "audio_transcriptions"} else kind, usage


def _images(entry: _Entry) -> Usage:
    """The images that a call was asked for: one, where it does not say how many."""
    asked = read(_parameters, entry.parameters) or _Parameters()
    source = (entry.call_type or "").removeprefix("a").replace("_", ".")
    count = 1 if asked.n is None else asked.n
    return Usage({"images": count}, {"size": asked.size, "quality": asked.quality, "source": source})


def _is_estimated(entry: _Entry, provider: str, block: dict[str, Any]) -> bool:
    """Returns true for usage of a stream that LiteLLM counted by itself."""
    return entry.stream is True and provider in _GIVING_DETAILS and block.get("prompt_tokens_details") is None
