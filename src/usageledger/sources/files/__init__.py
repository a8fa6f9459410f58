"""Files and stores of others, read into events: a row for each format.

A reader takes the JSON texts of one file, one after the other, and gives events as it finds them, so that a file of any
size is read in little memory. What it leaves out is in the `Reading` that it is given.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from usageledger.sources.files.claude_code import read_claude_code
from usageledger.sources.files.cloudevents import take_cloudevent
from usageledger.sources.files.codex import read_codex
from usageledger.sources.files.gateways import take_cloudflare, take_helicone, take_kong, take_portkey
from usageledger.sources.files.gemini_cli import read_gemini_cli
from usageledger.sources.files.origin import Origin
from usageledger.sources.files.rows import read_rows
from usageledger.sources.files.spend_logs import read_spend_logs
from usageledger.sources.files.traces import take_langfuse, take_langsmith
from usageledger.sources.files.vendor_lines import read_lines
from usageledger.sources.readings import Reading

Reader = Callable[[Iterable[bytes], Origin, Reading], Iterator[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder in which a program of one person writes its files.

    Attributes:
        variable: of the environment, that names it.
        path: where that is not set.
        patterns: of the files in it.
    """

    variable: str
    path: str
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Format:
    """A format of files.

    Attributes:
        read: its reader.
        folder: of the files, for those of a program of one person.
    """

    read: Reader
    folder: Folder | None = None


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "claude-code": Format(read_claude_code, Folder("CLAUDE_CONFIG_DIR", "~/.claude", ("projects/**/*.jsonl",))),
        "codex": Format(
            read_codex, Folder("CODEX_HOME", "~/.codex", ("sessions/**/*.jsonl", "archived_sessions/**/*.jsonl"))
        ),
        "gemini-cli": Format(
            read_gemini_cli, Folder("GEMINI_DIR", "~/.gemini", ("tmp/*/chats/**/*.json", "tmp/*/chats/**/*.jsonl"))
        ),
        "openai-batch": Format(partial(read_lines, "openai")),
        "anthropic-batch": Format(partial(read_lines, "anthropic")),
        "bedrock": Format(partial(read_lines, "bedrock")),
        "litellm": Format(read_spend_logs),
        "langfuse": Format(partial(read_rows, take_langfuse)),
        "langsmith": Format(partial(read_rows, take_langsmith)),
        "cloudevents": Format(partial(read_rows, take_cloudevent)),
        "cloudflare": Format(partial(read_rows, take_cloudflare)),
        "portkey": Format(partial(read_rows, take_portkey)),
        "helicone": Format(partial(read_rows, take_helicone)),
        "kong": Format(partial(read_rows, take_kong)),
    }
)
