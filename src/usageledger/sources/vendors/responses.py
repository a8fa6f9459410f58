"""Responses of vendors, put together from their pieces, and the events of each."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from msgspec import Raw

from usageledger.events.typed_events import FIELDS, RESPONSE_PREFIX
from usageledger.sources.bodies import USAGE_BYTES_MAX, plain
from usageledger.sources.readings import Note, Reason, short_id
from usageledger.sources.usage_blocks import Further, Refusal, Usage, for_kind, read_seconds, read_usage, tier_fields
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


@dataclass(frozen=True, slots=True)
class Uncounted:
    """A response that is not counted, and why."""

    reason: Reason
    example: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Counted:
    """The events of a response, and remarks on them."""

    events: list[dict[str, Any]]
    notes: list[Note]


def events_of(response: Response, provider: str, model: str | None, now: int, repeated: int) -> Counted | Uncounted:
    """Makes the events of a response.

    Args:
        response: all of it that came.
        provider: whose models they are.
        model: the one of answers that name none.
        now: the time of answers that say none.
        repeated: how many equal ones came before it in the same body, where it has no id.
    """
    own_id = response.fields.get("id") or response.id
    prefix, *name = (RESPONSE_PREFIX, own_id) if own_id else (_ANSWER_PREFIX, response.digest.hexdigest())
    name += [str(repeated)] if repeated and not own_id else []
    event_id = short_id(prefix, *name)
    if response.kind not in FIELDS:
        return Uncounted(Reason.UNKNOWN_KIND, event_id)
    if response.last.object == "batch":
        return Uncounted(Reason.AGGREGATE, event_id)  # its usage is the sum of its lines
    kind, usage = _usage(provider, response)
    if usage is None:
        return Uncounted(_reason(response.last), event_id)
    if isinstance(usage, Refusal):
        return Uncounted(Reason.REFUSED, event_id, usage.message)
    event: dict[str, Any] = {
        "provider": provider,
        "model": response.model or (None if _is_of_another(response.last) else model),
        "timestamp": response.time or now,
        **tier_fields(response.tier),
        **usage.said,
        **answers.who(response.last),
        **response.fields,
    }
    events = [for_kind(kind, event | usage.counts | {"id": event_id})]
    for further in (*usage.further, *calls_in(response.last.output, response.last.tools)):
        further_id = short_id(prefix, *name, further.suffix)
        events.append(for_kind(further.kind, event | further.fields | {"id": further_id}))
    return Counted(events, usage.notes)


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


def _reason(answer: Answer) -> Reason:
    return Reason.FAILED_CALL if answer.error_code or has(answer.error) else Reason.NO_USAGE


def _is_of_another(answer: Answer) -> bool:
    """Returns true for a transcription beside a realtime session: it is another model's, which nothing names."""
    return (answer.type or "").startswith("conversation.item.")
