"""Codex's session files (`sessions/**/rollout-*.jsonl`) → events.

After each call an `event_msg` of type `token_count` says the tokens of that call (`last_token_usage`, input with what
was cached, output with reasoning) and those of the whole session (`total_token_usage`). It comes again whenever limits
are shown: only one whose totals went on is a call. Where it says none of the call, the difference of the totals counts.
`turn_context` says the model, `session_meta` whose it is and the working folder.

**Forks.** The file of a forked session, and of a subagent, begins with a copy of its parent's, stamped with the time of
the fork. The copy ends at the first turn whose id (a UUID of version 7, which has its time in it) is not older than the
session; where turns have no such ids, at the first pause, since a copy is written at once.

**Compaction** on the server does not move the totals. A `token_usage_record` of its response says what it used.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw, Struct, field

from usageledger.events.typed_events import RESPONSE_PREFIX
from usageledger.pricing.names import provider_name
from usageledger.sources.bodies import USAGE_BYTES_MAX, plain, read
from usageledger.sources.files.origin import Origin, folder_name, leave_text
from usageledger.sources.readings import Reading, Reason, short_id
from usageledger.sources.usage_blocks import read_usage, tier_fields
from usageledger.sources.usage_events import events_of
from usageledger.sources.values import number

PAUSE_MS = 2_000  # after a copy of the parent's file, which takes some 40 ms
_UUID7 = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIERS = {"fast": "priority", "standard": "default"}  # as Codex calls them → as OpenAI does
_PREFIX = "codex:"
_COUNTS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens", "total_tokens")
_WRITTEN = ("cache_write_input_tokens", "cache_creation_input_tokens")


class _Line(Struct):
    type: str | None = None
    timestamp: str | None = None
    payload: Raw = field(default=Raw(b""))


class _Payload(Struct):
    """The payload of a line of any type, as far as it is read."""

    type: str | None = None
    # of a session
    id: str | None = None
    timestamp: str | None = None
    cwd: str | None = None
    model_provider: str | None = None
    forked_from_id: str | None = None
    source: Raw = field(default=Raw(b""))
    # of a turn
    turn_id: str | None = None
    model: str | None = None
    # of a count of tokens, and of one response
    info: Raw = field(default=Raw(b""))
    thread_settings: Raw = field(default=Raw(b""))
    response_id: str | None = None
    usage: Raw = field(default=Raw(b""))
    compaction_response_id: str | None = None


_lines: msgspec.json.Decoder[_Line] = msgspec.json.Decoder(_Line)
_payloads: msgspec.json.Decoder[_Payload] = msgspec.json.Decoder(_Payload)
_READ = {"session_meta", "turn_context", "event_msg", "token_usage_record", "compacted"}


def read_codex(texts: Iterable[bytes], origin: Origin, reading: Reading) -> Iterator[dict[str, Any]]:
    """Reads the lines of a session."""
    session = _Session(origin, reading)
    for text in texts:
        line = read(_lines, text)
        payload = read(_payloads, line.payload) if line and line.type in _READ else None
        if line is None or (payload is None and line.type in _READ and b'"token_count"' in bytes(line.payload)):
            leave_text(reading, text)
        elif payload is not None:
            yield from session.take(line, payload)


class _Session:
    """A session, as far as its lines have told it."""

    def __init__(self, origin: Origin, reading: Reading) -> None:
        self._origin = origin
        self._reading = reading
        self._id = ""
        self._started: int | None = None  # milliseconds
        self._is_copy = False
        self._copied: int | None = None  # when the last line of a copy was written
        self._knows_turns = False
        self._totals: dict[str, Any] | None = None
        self._record: tuple[str, dict[str, Any]] | None = None
        self._fields: dict[str, Any] = {"provider": "openai"}

    def take(self, line: _Line, payload: _Payload) -> Iterator[dict[str, Any]]:
        """Takes a line: the events that it makes."""
        time = _milliseconds(line.timestamp)
        if line.type == "session_meta" and not self._id:
            self._start(payload, time)
        elif line.type == "turn_context":
            self._turn(payload)
        elif line.type == "token_usage_record":
            usage = plain(payload.usage, USAGE_BYTES_MAX)
            self._record = (payload.response_id, usage) if payload.response_id and isinstance(usage, dict) else None
        elif line.type == "compacted" and self._record and self._record[0] == payload.compaction_response_id:
            record, self._record = self._record, None
            yield from self._events(record[1], (RESPONSE_PREFIX, record[0]), time)
        elif payload.type == "thread_settings_applied":
            settings = plain(payload.thread_settings, USAGE_BYTES_MAX)
            tier = settings.get("service_tier") if isinstance(settings, dict) else None
            if isinstance(tier, str):
                self._fields |= tier_fields(_TIERS.get(tier, tier))
        elif payload.type == "token_count":
            yield from self._count(plain(payload.info, USAGE_BYTES_MAX), line.timestamp or "", time)

    def _start(self, meta: _Payload, time: int | None) -> None:
        self._id = meta.id or ""
        self._started = _uuid_time(self._id) or _milliseconds(meta.timestamp) or time
        self._is_copy = bool(meta.forked_from_id) or b'"parent_thread_id"' in bytes(meta.source)
        self._copied = self._started
        self._fields["provider"] = provider_name(meta.model_provider or "") or "openai"
        self._fields["project_id"] = folder_name(meta.cwd)

    def _turn(self, turn: _Payload) -> None:
        self._fields["model"] = turn.model or self._fields.get("model")
        if self._is_copy and (began := _uuid_time(turn.turn_id or "")) is not None:
            self._knows_turns = True
            self._is_copy = self._started is not None and began < self._started

    def _count(self, info: Any, text: str, time: int | None) -> Iterator[dict[str, Any]]:
        """Takes tokens of the session so far, and of its last call."""
        if not isinstance(info, dict):
            return  # limits alone
        totals, last = info.get("total_token_usage"), info.get("last_token_usage")
        before, record = self._totals, self._record
        if isinstance(totals, dict):
            if totals == before:
                return
            self._totals = totals
        name = short_id(_PREFIX, self._id or self._origin.file, text)
        if not isinstance(last, dict):
            last = _difference(totals, before)
        if self._in_copy(time):
            self._reading.leave(Reason.SAME_RESPONSE, name)
            return
        if last is None:
            self._reading.leave(Reason.NO_USAGE, name)
        elif record and _block(record[1]) == _block(last):
            self._record = None
            yield from self._events(last, (RESPONSE_PREFIX, record[0]), time)
        elif any(last.get(each) for each in _COUNTS):
            yield from self._events(last, (_PREFIX, self._id or self._origin.file, text), time)

    def _in_copy(self, time: int | None) -> bool:
        """Returns true for a count that the parent's file has as well."""
        if self._is_copy and not self._knows_turns and time is not None and self._copied is not None:
            self._is_copy = time - self._copied <= PAUSE_MS
            self._copied = time
        return self._is_copy

    def _events(self, counts: dict[str, Any], name: tuple[str, ...], time: int | None) -> Iterator[dict[str, Any]]:
        fields = self._fields | {"timestamp": self._origin.written if time is None else time // 1000}
        block = _block(counts)
        yield from events_of(read_usage(str(fields["provider"]), block), fields, name, self._reading)


def _block(counts: dict[str, Any]) -> dict[str, Any]:
    """The counts as OpenAI writes them."""
    written = next((counts[name] for name in _WRITTEN if counts.get(name)), None)
    return {
        "input_tokens": counts.get("input_tokens"),
        "output_tokens": counts.get("output_tokens"),
        "total_tokens": counts.get("total_tokens"),
        "input_tokens_details": {"cached_tokens": counts.get("cached_input_tokens"), "cache_write_tokens": written},
        "output_tokens_details": {"reasoning_tokens": counts.get("reasoning_output_tokens")},
    }


def _difference(totals: object, before: dict[str, Any] | None) -> dict[str, Any] | None:
    """The tokens by which the totals went on; all of them where they began anew."""
    if not isinstance(totals, dict):
        return None
    try:
        now = {name: number(totals.get(name), name) or 0 for name in (*_COUNTS, *_WRITTEN)}
        then = {name: number((before or {}).get(name), name) or 0 for name in now}
    except ValueError:
        return totals  # refused with its numbers where it is read
    if any(now[name] < then[name] for name in now):
        return now
    return {name: now[name] - then[name] for name in now}


def _uuid_time(name: str) -> int | None:
    """The milliseconds in a UUID of version 7; None for any other name."""
    found = _UUID7.fullmatch(name)
    return int(found[1] + found[2], 16) if found else None


def _milliseconds(time: str | None) -> int | None:
    try:
        moment = datetime.fromisoformat(time or "")
    except ValueError:
        return None
    milliseconds = int(moment.timestamp() * 1000) if moment.tzinfo else 0
    return milliseconds if milliseconds > 0 else None
