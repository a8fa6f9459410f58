"""Responses of vendors, put together from their pieces, and the events of each."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from msgspec import Raw

from usageledger.events.typed_events import FIELDS, RESPONSE_PREFIX
from usageledger.sources.bodies import USAGE_BYTES_MAX, plain
from usageledger.sources.readings import Reading, Reason, short_id
from usageledger.sources.usage_blocks import Further, Refusal, Usage, read_seconds, read_usage
from usageledger.sources.usage_events import events_of
from usageledger.sources.vendors import answers
from usageledger.sources.vendors.answers import Answer, has
from usageledger.sources.vendors.tools import calls_in

_ANSWER_PREFIX = "answer:"


@dataclass(slots=True)
class Response:
    """A response, as far as its pieces have told it.

    Attributes:
        fields: of its event that are known from what is around it, `id` as the vendor's.
        kind: of usage.
        id: the vendor's.
        model: as the vendor names it.
        time: Unix seconds.
        usage: its block.
        tier: that served it.
        last: its last piece.
        partial: only its beginning is known, whose numbers are not those of the whole.
        digest: of all that was sent of it.
        repeated: how many equal ones came before it in the same body.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    kind: str | None = None
    id: str | None = None
    model: str | None = None
    time: int | None = None
    usage: Any = None
    tier: Any = None
    last: Answer = field(default_factory=Answer)
    partial: bool = False
    digest: Any = field(default_factory=hashlib.sha256)
    repeated: int = 0

    def add(self, answer: Answer, text: bytes | Raw) -> None:
        """Takes what an answer, or the next piece of it, says."""
        self.digest.update(text)
        self.kind = self.kind or answers.kind_of(answer)
        self.id = self.id or answers.id_of(answer)
        self.model = self.model or answers.model_of(answer)
        self.time = self.time or answers.time_of(answer)
        self.tier = answers.tier_of(answer) or self.tier
        usage = answers.usage_of(answer)
        if answer.type == "message_delta" and isinstance(usage, dict) and isinstance(self.usage, dict):
            usage = self.usage | {name: value for name, value in usage.items() if value is not None}
        self.usage = self.usage if usage is None else usage
        self.partial = self.partial and usage is None
        self.last = answer


def take_response(response: Response, provider: str, model: str | None, now: int, reading: Reading) -> None:
    """Takes the events of a response, or why it is not counted.

    Args:
        response: all of it that came.
        provider: whose models they are.
        model: the one of answers that name none.
        now: the time of answers that say none.
        reading: takes them.
    """
    own_id = response.fields.get("id") or response.id
    name = [RESPONSE_PREFIX, own_id] if own_id else [_ANSWER_PREFIX, response.digest.hexdigest()]
    name += [str(response.repeated)] if response.repeated and not own_id else []
    last = response.last
    if response.kind not in FIELDS:
        reading.leave(Reason.UNKNOWN_KIND, short_id(*name))
        return
    if last.object == "batch":
        reading.leave(Reason.AGGREGATE, short_id(*name))  # its usage is the sum of its lines
        return
    kind, usage = _usage(provider, response)
    if usage is None and (last.error_code or has(last.error)):
        reading.leave(Reason.FAILED_CALL, short_id(*name))
        return
    if isinstance(usage, Usage):
        usage.further += calls_in(last.output, last.tools)
    fields: dict[str, Any] = {
        "provider": provider,
        "model": response.model or (None if _is_of_another(last) else model),
        "timestamp": response.time or now,
        **answers.who(last),
        **response.fields,
        "kind": kind,
    }
    reading.events += events_of(usage, fields, name, reading, tier=response.tier)


def _usage(provider: str, response: Response) -> tuple[str, Usage | Refusal | None]:
    """The kind of the events of a response, and its usage: tokens where it says any, for these are what is charged."""
    kind, answer = response.kind or "", response.last
    if response.partial:
        return kind, None
    usage = read_usage(provider, response.usage, kind)
    if kind == "audio_transcriptions":
        return _transcription(response, usage)
    if kind == "images" and usage is None:
        count = answers.images_of(answer)
        return kind, Usage({"images": count}, {"size": answer.size, "quality": answer.quality}) if count else None
    if kind == "images" and isinstance(usage, Usage) and has(answer.svg_usage):
        _add_svg(provider, usage, answer)
    return "completions" if kind in {"images", "audio_speeches"} else kind, usage


def _add_svg(provider: str, usage: Usage, answer: Answer) -> None:
    """Adds the tokens of the other model that wrote a picture as text."""
    block = plain(answer.svg_usage, USAGE_BYTES_MAX)
    model = block.get("model") if isinstance(block, dict) else None
    written = read_usage(provider, block)
    if isinstance(written, Usage):
        of_model = {"num_model_requests": 0, "model": model if isinstance(model, str) else None}
        usage.further.append(Further("svg", "completions", written.counts | of_model))


def _transcription(response: Response, usage: Usage | Refusal | None) -> tuple[str, Usage | Refusal | None]:
    """Tokens, or seconds where the vendor charges by them."""
    seconds = read_seconds(response.usage)
    if seconds is None and usage is None:
        seconds = read_seconds({"type": "duration", "seconds": response.last.duration})
    return ("completions", usage) if seconds is None else ("audio_transcriptions", seconds)


def _is_of_another(answer: Answer) -> bool:
    """Returns true for a transcription beside a realtime session: it is another model's, which nothing names."""
    return (answer.type or "").startswith("conversation.item.")
