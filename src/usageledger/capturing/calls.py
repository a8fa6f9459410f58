"""Requests to vendors: which of them use a model, whose it is, and for whom."""

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec import Raw, Struct

from usageledger.sources.bodies import UNREADABLE, read

# Hosts, with their port where it is not that of the scheme → the vendor.
HOSTS = {
    "api.openai.com": "openai",
    "*.api.openai.com": "openai",
    "*.openai.azure.com": "azure",
    "*.cognitiveservices.azure.com": "azure",
    "*.services.ai.azure.com": "azure",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "google",
    "aiplatform.googleapis.com": "vertex",
    "*-aiplatform.googleapis.com": "vertex",
    "bedrock-runtime.*.amazonaws.com": "bedrock",
    "api.mistral.ai": "mistral",
    "codestral.mistral.ai": "mistral",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "api.deepseek.com": "deepseek",
    "api.x.ai": "xai",
    "*.api.x.ai": "xai",
    "api.groq.com": "groq",
    "openrouter.ai": "openrouter",
    "localhost:11434": "ollama",
    "127.0.0.1:11434": "ollama",
}
# Ends of the paths that use a model, of OpenAI and those who speak like it; Anthropic; Google; Bedrock; Cohere; Ollama.
PATHS = (
    r"(chat/|fim/|agents/)?completions",
    r"responses(/compact)?",
    r"embeddings|images/(generations|edits|variations)|audio/(speech|transcriptions|translations)",
    r"v1/messages",
    r"models/[^/]+:(generateContent|streamGenerateContent|embedContent|batchEmbedContents|predict)",
    r"models/[^/]+:(rawPredict|streamRawPredict)",
    r"model/[^/]+/(converse|converse-stream|invoke|invoke-with-response-stream)",
    r"v[12]/(chat|embed|rerank)",
    r"api/(chat|generate|embed)",
)
# Vendors whose streams of chat completions say their usage only when they are asked to, and take the question.
ASKED = {"openai", "azure", "deepseek", "xai", "x-ai", "groq", "openrouter", "ollama", "vllm", "llamacpp"}

_PATH = re.compile("/(?:" + "|".join(f"(?:{each})" for each in PATHS) + ")/?")
_CHAT = re.compile(r".*/completions/?")
_MODEL_IN_PATH = re.compile(r"/(?:model/([^/]+)|models/([^/:]+))")
_MODEL_IN_FORM = re.compile(rb'name="model"\r\n(?:[^\r\n]+\r\n)*\r\n([^\r\n]{1,200})\r\n')
_FORM_BYTES_MAX = 1 << 16  # of the beginning of a form, in which the model is looked for

_attributes: ContextVar[Mapping[str, str]] = ContextVar("usageledger_attributes", default=MappingProxyType({}))


@contextmanager
def attributes(
    *, project_id: str | None = None, user_id: str | None = None, api_key_id: str | None = None
) -> Generator[None]:
    """Says for whom the calls inside of the block are: in its thread or task, and in tasks that begin there.

    What is given here counts before the arguments of `capture`; of blocks inside of one another, the inner one's.
    """
    token = _attributes.set({**_attributes.get(), **named(project_id, user_id, api_key_id)})
    try:
        yield
    finally:
        _attributes.reset(token)


def named(project_id: str | None, user_id: str | None, api_key_id: str | None) -> dict[str, str]:
    """Gives the fields of an event that are named; an empty text names nothing."""
    given = {"project_id": project_id, "user_id": user_id, "api_key_id": api_key_id}
    return {name: value for name, value in given.items() if value}


def current_attributes() -> Mapping[str, str]:
    """Gives the fields of an event that the blocks around name."""
    return _attributes.get()


@dataclass(frozen=True, slots=True)
class Call:
    """A request that uses a model.

    Attributes:
        vendor: a name of `VENDORS`.
        path: of the request.
        model: as the request names it, for answers that name none.
        fields: of its events: for whom it is.
        lacks_usage: a stream whose usage the vendor will not say, as it was not asked to.
    """

    vendor: str
    path: str
    model: str | None
    fields: Mapping[str, str]
    lacks_usage: bool = False


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Request(Struct):
    """Fields of a request that tell of its answer. All else is content, and is not made into anything."""

    model: str | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None


_requests: msgspec.json.Decoder[_Request] = msgspec.json.Decoder(_Request)


def vendor_of(host: str) -> str | None:
    """Finds the vendor that a host belongs to, with its port where that is not the one of the scheme."""
    return next((vendor for pattern, vendor in HOSTS.items() if fnmatchcase(host.lower(), pattern)), None)


def uses_model(method: str, path: str) -> bool:
    """Returns true for a request that a model answers."""
    return method == "POST" and any(_PATH.fullmatch(path, place.start()) for place in re.finditer("/", path))


def call_of(vendor: str, path: str, body: bytes, fields: Mapping[str, str]) -> Call:
    """Reads a request that uses a model.

    Args:
        vendor: a name of `VENDORS`.
        path: as it was sent, without its query.
        body: the whole, or the beginning of a form; empty where it is not known.
        fields: of its events: for whom it is.
    """
    request = read(_requests, body) if body.lstrip()[:1] == b"{" else None
    if request is None:
        return Call(vendor, path, _model_of(path) or _model_in(body[:_FORM_BYTES_MAX]), fields)
    asked = request.stream_options is not None and bool(request.stream_options.include_usage)
    lacks_usage = bool(request.stream) and not asked and vendor in ASKED and _CHAT.fullmatch(path) is not None
    return Call(vendor, path, _model_of(path) or request.model, fields, lacks_usage)


def asking_for_usage(body: bytes) -> bytes:
    """Makes the request whose stream ends with its usage; all else in it stays as it is.

    Raises:
        ValueError: the body is no object.
    """
    try:
        request: dict[str, Raw | Any] = msgspec.json.decode(body, type=dict[str, Raw])
        given: Any = msgspec.json.decode(request.get("stream_options", b"null")) or {}
        return msgspec.json.encode(request | {"stream_options": {**given, "include_usage": True}})
    except (*UNREADABLE, TypeError) as error:
        raise ValueError("the request's body is no JSON object") from error


def _model_in(form: bytes) -> str | None:
    found = _MODEL_IN_FORM.search(form)
    return found[1].decode(errors="replace") if found else None


def _model_of(path: str) -> str | None:
    found = _MODEL_IN_PATH.search(path)
    return unquote(next(filter(None, found.groups()))) if found else None
