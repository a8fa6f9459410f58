"""Gemini CLI's recorded chats (`tmp/*/chats/session-*.json` and, since April 2026, `.jsonl`) → events.

A chat is one object with all its messages, or a message a line. A message of type `gemini` has the tokens of one call:
input with what was cached, output without thoughts, and the prompts of tools beside them. In lines a message is written
again whenever it changes: the last line of an id counts.

The folder above `chats` is that of the project: its name, or in older versions a digest, which is no name.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Any

import msgspec
from msgspec import Raw, Struct, field

from usageledger.sources.bodies import USAGE_BYTES_MAX, plain, read, read_each
from usageledger.sources.files.origin import Origin, leave_text
from usageledger.sources.readings import Reading
from usageledger.sources.usage_blocks import read_usage
from usageledger.sources.usage_events import events_of
from usageledger.sources.values import unix_time

MESSAGES_MAX = 100_000  # in one chat
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TOKENS = {
    "input": "promptTokenCount",
    "output": "candidatesTokenCount",
    "cached": "cachedContentTokenCount",
    "thoughts": "thoughtsTokenCount",
    "tool": "toolUsePromptTokenCount",
}


class _Message(Struct):
    id: str | None = None
    type: str | None = None
    timestamp: str | None = None
    model: str | None = None
    tokens: Raw = field(default=Raw(b""))
    messages: Raw = field(default=Raw(b""))  # of a chat


_messages: msgspec.json.Decoder[_Message] = msgspec.json.Decoder(_Message)


def read_gemini_cli(texts: Iterable[bytes], origin: Origin, reading: Reading) -> Iterator[dict[str, Any]]:
    """Reads a chat."""
    written: dict[str, _Message] = {}
    for text in texts:
        line = read(_messages, text)
        if line is None:
            leave_text(reading, text)
            continue
        messages = read_each(_messages, line.messages, MESSAGES_MAX) if line.messages else [line]
        for message in messages:
            if message is None or (message.type == "gemini" and not message.id):
                leave_text(reading, text)
            elif message.type == "gemini" and message.id:
                written[message.id] = message
                if len(written) > MESSAGES_MAX:
                    yield from _events(written.pop(next(iter(written))), origin, reading)
    for each in written.values():
        yield from _events(each, origin, reading)


def _events(message: _Message, origin: Origin, reading: Reading) -> Iterator[dict[str, Any]]:
    tokens = plain(message.tokens, USAGE_BYTES_MAX)
    usage = None
    if isinstance(tokens, dict):
        block = {theirs: tokens.get(ours) for ours, theirs in _TOKENS.items()}
        usage = read_usage("google", block | {"totalTokenCount": tokens.get("total") or None})
    fields = {
        "provider": "google",
        "model": message.model,
        "timestamp": unix_time(message.timestamp) or origin.written,
        "project_id": _project(origin.file),
    }
    yield from events_of(usage, fields, ("gemini-cli:", message.id or ""), reading)


def _project(file: str) -> str | None:
    parts = PurePath(file).parts
    if "chats" not in parts[1:]:
        return None
    name = parts[parts.index("chats", 1) - 1]
    return None if _DIGEST.fullmatch(name) else name
