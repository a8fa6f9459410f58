"""Answers of vendors, as far as they are read: who answered, when, with which model, and how much it was.

One struct has the fields of all vendors, since most speak another's language as well. It names no field that carries
content; `Raw` fields are texts that are looked into by need, and only where they are short.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec
from msgspec import Raw, Struct, field

from usageledger.sources.bodies import USAGE_BYTES_MAX, plain, read, read_each
from usageledger.sources.values import is_unique, unix_time, vendors_id

HTTP_OK = 200
ELEMENTS_MAX = 1_000  # candidates, images or embeddings of one answer that are looked at; vendors allow fewer
TRANSCRIBED = ("transcript.text.done", "input_audio_transcription.completed")
_NO_TEXT = Raw(b"")

Text: TypeAlias = str | None
Number: TypeAlias = int | float | str | None


class _Finish(Struct):
    finish: Text = field(default=None, name="finishReason")


class _Identity(Struct):
    arn: Text = None


class _Metadata(Struct):
    request_id: Text = field(default=None, name="RequestId")


class _Groq(Struct):
    id: Text = None
    usage: Raw = _NO_TEXT


class _LoggedTokens(Struct):
    """Numbers of one side of a call in a log of Bedrock."""

    input: Number = field(default=None, name="inputTokenCount")
    cached: Number = field(default=None, name="cacheReadInputTokenCount")
    written: Number = field(default=None, name="cacheWriteInputTokenCount")
    output: Number = field(default=None, name="outputTokenCount")


class Answer(Struct):
    """An object that a vendor sent: an answer, a piece of one, or a line about one."""

    id: Text = None
    response_id: Text = field(default=None, name="responseId")
    request_id: Text = field(default=None, name="requestId")
    custom_id: Text = None
    record_id: Text = field(default=None, name="recordId")
    object: Text = None
    type: Text = None
    model: Text = None
    model_version: Text = field(default=None, name="modelVersion")
    model_id: Text = field(default=None, name="modelId")
    created: Number = None
    created_at: Number = None
    create_time: Number = field(default=None, name="createTime")
    timestamp: Number = None
    usage: Raw = _NO_TEXT
    usage_metadata: Raw = field(default=_NO_TEXT, name="usageMetadata")
    x_groq: _Groq | None = None
    meta: Raw = _NO_TEXT
    svg_usage: Raw = _NO_TEXT
    service_tier: Raw = _NO_TEXT
    service_tier_object: Raw = field(default=_NO_TEXT, name="serviceTier")
    done: bool | None = None
    prompt_eval_count: Number = None
    eval_count: Number = None
    # What stands for content: that it is there tells the kind.
    choices: Raw = _NO_TEXT
    candidates: Raw = _NO_TEXT
    prompt_feedback: Raw = field(default=_NO_TEXT, name="promptFeedback")
    data: Raw = _NO_TEXT
    embedding: Raw = _NO_TEXT
    embeddings: Raw = _NO_TEXT
    predictions: Raw = _NO_TEXT
    results: Raw = _NO_TEXT
    text: Raw = _NO_TEXT
    duration: Number = None
    size: Text = None
    quality: Text = None
    # What other answers are inside of.
    status_code: Number = None
    body: Raw = _NO_TEXT
    response: Raw = _NO_TEXT
    result: Raw = _NO_TEXT
    message: Raw = _NO_TEXT
    delta: Raw = _NO_TEXT
    error: Raw = _NO_TEXT
    model_output: Raw = field(default=_NO_TEXT, name="modelOutput")
    metadata: Raw = _NO_TEXT
    message_start: Raw = field(default=_NO_TEXT, name="messageStart")
    # A log of Bedrock.
    schema: Text = field(default=None, name="schemaType")
    account: Text = field(default=None, name="accountId")
    identity: _Identity | None = None
    input: Raw = _NO_TEXT
    output: Raw = _NO_TEXT
    tools: Raw = _NO_TEXT
    error_code: Text = field(default=None, name="errorCode")
    amazon: _Metadata | None = field(default=None, name="ResponseMetadata")


_answers: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)
_finishes: msgspec.json.Decoder[_Finish] = msgspec.json.Decoder(_Finish)
_logged: msgspec.json.Decoder[_LoggedTokens] = msgspec.json.Decoder(_LoggedTokens)


def answer_of(text: bytes | Raw) -> Answer | None:
    """Reads an answer; None for what is none, or has a field of another type."""
    return read(_answers, text)


def has(raw: Raw) -> bool:
    """Returns true if a field was there and not null."""
    return len(raw) > 0 and not (len(raw) == len(b"null") and bytes(raw) == b"null")


def inner(raw: Raw) -> Answer | None:
    """Reads the answer in a field of another one."""
    return answer_of(raw) if has(raw) else None


def usage_of(answer: Answer) -> Any:
    """The usage block of an answer; None where it has none."""
    if answer.schema == "ModelInvocationLog":
        return _logged_usage(answer)
    if answer.prompt_eval_count is not None or answer.eval_count is not None:
        return {"prompt_eval_count": answer.prompt_eval_count, "eval_count": answer.eval_count}
    if has(answer.predictions):
        return _predicted_usage(answer)
    groq = answer.x_groq.usage if answer.x_groq else _NO_TEXT
    for raw in (answer.usage, answer.usage_metadata, groq, answer.meta):
        if (block := plain(raw, USAGE_BYTES_MAX)) is not None:
            return block
    return None


class _Statistics(Struct):
    token_count: Number = None


class _Embedding(Struct):
    statistics: _Statistics | None = None


class _Prediction(Struct):
    embeddings: _Embedding | None = None


_predictions: msgspec.json.Decoder[_Prediction] = msgspec.json.Decoder(_Prediction)


def _predicted_usage(answer: Answer) -> dict[str, Any] | None:
    """Vertex: each embedding says its tokens."""
    total: float = 0
    predictions = read_each(_predictions, answer.predictions, ELEMENTS_MAX)
    for each in predictions:
        statistics = each and each.embeddings and each.embeddings.statistics
        if not statistics or not isinstance(statistics.token_count, int | float):
            return None
        total += statistics.token_count
    return {"prompt_tokens": total} if predictions else None


def _logged_usage(answer: Answer) -> dict[str, Any]:
    before, after = (read(_logged, side) or _LoggedTokens() for side in (answer.input, answer.output))
    return {
        "inputTokens": before.input,
        "cacheReadInputTokens": before.cached,
        "cacheWriteInputTokens": before.written,
        "outputTokens": after.output,
    }


def id_of(answer: Answer) -> str | None:
    """The vendor's id of a response; None where it has none that is its own."""
    ids = (answer.id, answer.response_id, answer.request_id, answer.amazon and answer.amazon.request_id)
    found = next((each for each in ids if each), None)
    return vendors_id(found) if found and is_unique(found) else None


def model_of(answer: Answer) -> str | None:
    """The model as the vendor names it."""
    return answer.model or answer.model_version or answer.model_id or None


def who(answer: Answer) -> dict[str, Any]:
    """The account and the person in a log of Bedrock."""
    if answer.schema is None:
        return {}
    return {"project_id": answer.account, "user_id": answer.identity and answer.identity.arn}


def tier_of(answer: Answer) -> Any:
    """The service tier that an answer names beside its usage."""
    raw = answer.service_tier if has(answer.service_tier) else answer.service_tier_object
    tier = plain(raw, 1_000)
    return tier.get("type") if isinstance(tier, dict) else tier


def time_of(answer: Answer) -> int | None:
    """The time that an answer says: Unix seconds, or RFC 3339 text with a zone."""
    for time in (answer.created, answer.created_at, answer.create_time, answer.timestamp):
        if (seconds := unix_time(time)) is not None:
            return seconds
    return None


def answer_in_line(line: Answer) -> Raw | None:
    """The text of the answer in a line of a batch's results; None where the request failed."""
    if line.record_id:
        return line.model_output if has(line.model_output) else None
    around = inner(line.response) or inner(line.result)
    if around is None or has(line.error):
        return None
    if around.status_code is not None:
        return around.body if around.status_code == HTTP_OK else None
    if has(line.result):
        return around.message if around.type == "succeeded" else None
    return line.response


def is_batch_line(answer: Answer) -> bool:
    """Returns true for a line of a batch's results: OpenAI's, Mistral's, Anthropic's, Gemini's or Bedrock's."""
    if answer.custom_id or answer.record_id:
        return True
    return answer.type is None and answer.object is None and answer.done is None and inner(answer.response) is not None


_FIRST = ("message_start", "message-start")  # Anthropic's and Cohere's
_MESSAGES = (*_FIRST, "message_delta", "message-end", "message_stop")


def stream_of(answer: Answer) -> str | None:
    """A name of the stream that a piece belongs to; None for an answer that is whole."""
    if answer.type in _MESSAGES:
        return "messages"
    if _is_chunk(answer):
        return f"chunk {answer.id}"
    if has(answer.message_start) or _ends_converse(answer):
        return "converse"
    if answer.done is not None:
        return "ollama"
    is_gemini = any(map(has, (answer.candidates, answer.usage_metadata, answer.prompt_feedback)))
    if is_gemini and not has(answer.embedding) and not has(answer.embeddings):
        return f"gemini {answer.response_id}"
    return None


def is_first(answer: Answer) -> bool:
    """Returns true for the first piece of a stream, in streams that have such a piece."""
    return answer.type in _FIRST or has(answer.message_start)


def needs_first(answer: Answer) -> bool:
    """Returns true for a piece that does not say whose stream it is of."""
    return answer.type in _MESSAGES


def is_last(answer: Answer) -> bool:
    """Returns true for the last piece of a stream, in streams that have such a piece."""
    if answer.type == "message_stop" or answer.done or _ends_converse(answer):
        return True
    if _is_chunk(answer):
        return not is_unique(answer.id or "") and has(answer.usage)
    return answer.response_id is None and has(answer.candidates) and finished(answer)


def said_by(answer: Answer) -> Answer:
    """The object in a piece of a stream that says the usage."""
    inside = {"message_start": answer.message, "message-end": answer.delta}.get(answer.type or "", answer.metadata)
    if answer.type in _MESSAGES or _ends_converse(answer):
        return inner(inside) or answer
    return answer


def _is_chunk(answer: Answer) -> bool:
    """Returns true for a piece of a stream of OpenAI's; those of old completions look like whole answers."""
    name = answer.object or ""
    return name.endswith(".chunk") or (name == "text_completion" and answer.id is not None)


def _ends_converse(answer: Answer) -> bool:
    if answer.object is not None or answer.id is not None or not has(answer.metadata):
        return False
    metadata = inner(answer.metadata)
    return metadata is not None and has(metadata.usage)


def finished(answer: Answer) -> bool:
    """Returns true for the last piece of a stream of Gemini's."""
    candidates = read_each(_finishes, answer.candidates, ELEMENTS_MAX)
    return has(answer.prompt_feedback) or any(each and each.finish for each in candidates)


def images_of(answer: Answer) -> int:
    """The number of images in an answer."""
    return len(read_each(_finishes, answer.data, ELEMENTS_MAX))


def _is_string(raw: Raw) -> bool:
    return bytes(raw).startswith(b'"')


_KINDS: tuple[tuple[str, Callable[[Answer], bool]], ...] = (
    ("completions", lambda a: has(a.choices) or has(a.candidates)),
    ("moderations", lambda a: (a.id or "").startswith("modr-")),
    ("embeddings", lambda a: a.object == "list" or any(map(has, (a.embedding, a.embeddings, a.predictions)))),
    ("embeddings", lambda a: a.schema is not None and "embed" in (a.model_id or "")),
    ("images", lambda a: a.object is None and a.created is not None and has(a.data)),
    ("images", lambda a: (a.type or "").startswith(("image_generation.", "image_edit."))),
    ("rerank", lambda a: has(a.results)),
    (
        "audio_transcriptions",
        lambda a: (a.type or "").endswith(TRANSCRIBED) or (a.object is None and _is_string(a.text)),
    ),
    ("audio_speeches", lambda a: a.type == "speech.audio.done"),
)


def kind_of(answer: Answer) -> str:
    """The kind of usage that an answer is of."""
    return next((kind for kind, is_so in _KINDS if is_so(answer)), "completions")
