"""Claude Code's session files (`projects/*/*.jsonl`, those of subagents too) → events.

Lines of type `assistant` hold Anthropic's message with its usage. While an answer streams, the same message is written
again and again with a growing output: its last line counts. Resumed and forked sessions begin with copies of lines of
another, whose messages have the same ids and so count once. An event has the id of the API's request where the line
says it, as Claude Code's telemetry does, so that a call counts once over both; else it has the message's.

A message that has not ended may still grow: the last one of a file that is being written is left for the next time.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import Raw, Struct, field

from usageledger.events.typed_events import RESPONSE_PREFIX
from usageledger.sources.bodies import USAGE_BYTES_MAX, plain, read
from usageledger.sources.files.origin import Origin, folder_name, leave_text
from usageledger.sources.readings import Reading, Reason
from usageledger.sources.usage_blocks import read_usage
from usageledger.sources.usage_events import events_of
from usageledger.sources.values import unix_time

MESSAGES_OPEN_MAX = 10_000  # messages of which a further line is waited for
WRITTEN_S_MAX = 600  # a message that has not ended by then never will
_SYNTHETIC = "<synthetic>"  # written by Claude Code itself, about a call that failed
_SELLERS = {"msg_bdrk_": "aws", "msg_vrtx_": "google"}


class _Line(Struct):
    type: str | None = None
    timestamp: str | None = None
    cwd: str | None = None
    request_id: str | None = field(default=None, name="requestId")
    message: Raw = field(default=Raw(b""))


class _Message(Struct):
    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    usage: Raw = field(default=Raw(b""))


class _Written(Struct):
    """A message as its last line has it."""

    message: _Message
    time: int
    project: str | None
    request_id: str | None


_lines: msgspec.json.Decoder[_Line] = msgspec.json.Decoder(_Line)
_messages: msgspec.json.Decoder[_Message] = msgspec.json.Decoder(_Message)


def read_claude_code(texts: Iterable[bytes], origin: Origin, reading: Reading) -> Iterator[dict[str, Any]]:
    """Reads the lines of a session."""
    written: dict[str, _Written] = {}
    for text in texts:
        line = read(_lines, text)
        if line is None:
            leave_text(reading, text)
        elif line.type == "assistant":
            message = read(_messages, line.message)
            if message is None or not message.id:
                leave_text(reading, text)
                continue
            written.pop(message.id, None)
            time = unix_time(line.timestamp) or origin.written
            written[message.id] = _Written(message, time, folder_name(line.cwd), line.request_id)
            if len(written) > MESSAGES_OPEN_MAX:
                yield from _events(written.pop(next(iter(written))), reading)
    last = next(reversed(written.values()), None)
    if last and last.message.stop_reason is None and last.time > origin.now - WRITTEN_S_MAX:
        written.pop(last.message.id or "")
        reading.leave(Reason.NO_USAGE, RESPONSE_PREFIX + (last.message.id or ""))
    for each in written.values():
        yield from _events(each, reading)


def _events(written: _Written, reading: Reading) -> Iterator[dict[str, Any]]:
    message = written.message
    name = message.id or ""
    if message.model == _SYNTHETIC:
        reading.leave(Reason.FAILED_CALL, name)
        return
    provider = next((seller for prefix, seller in _SELLERS.items() if name.startswith(prefix)), "anthropic")
    usage = read_usage(provider, plain(message.usage, USAGE_BYTES_MAX))
    fields = {
        "provider": provider,
        "model": message.model,
        "timestamp": written.time,
        "project_id": written.project,
    }
    yield from events_of(usage, fields, (RESPONSE_PREFIX, written.request_id or name), reading)
