"""Rows of exports and logs, told by the names of their fields, and what of them becomes an event."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from usageledger.pricing.names import provider_name
from usageledger.sources.files.origin import Origin, leave_text, utc
from usageledger.sources.files.spend_logs import json_of
from usageledger.sources.readings import Reading
from usageledger.sources.usage_blocks import read_usage
from usageledger.sources.usage_events import events_of
from usageledger.sources.values import unix_time

Row = Mapping[str, Any]
Take = Callable[[Row, Origin, Reading], Iterator[dict[str, Any]]]
# An answer of an API holds its rows in one of these.
_LISTS = ("result", "data", "observations", "runs", "logs")
UNKNOWN = "unknown"
_VERTEX = {"google-vertexai": "google", "google-vertex-ai": "google"}


def read_rows(take: Take, texts: Iterable[bytes], origin: Origin, reading: Reading) -> Iterator[dict[str, Any]]:
    """Reads rows, each by `take`: objects, or answers of an API that hold a list of them."""
    for text in texts:
        row = json_of(text)
        if not isinstance(row, dict):
            leave_text(reading, text)
            continue
        inner = next((row[name] for name in _LISTS if isinstance(row.get(name), list)), None)
        for each in [row] if inner is None or "id" in row else inner:
            if isinstance(each, dict):
                yield from take(each, origin, reading)
            else:
                leave_text(reading, text)


def text(row: Row, *names: str) -> str | None:
    """Gives the first of the values that is a text, and not an empty one."""
    return next((value for name in names if isinstance(value := row.get(name), str) and value), None)


def part(row: Row, *names: str) -> Row:
    """Gives the first of the values that is an object, or JSON of one; else an empty one."""
    found = (json_of(row.get(name)) for name in names)
    return next((value for value in found if isinstance(value, dict)), {})


def count(row: Row, *names: str) -> Any:
    """Gives the first of the values that is there; CSV has nothing as an empty text."""
    return next((value for name in names if (value := row.get(name)) is not None and value != ""), None)


def is_true(value: object) -> bool:
    """Returns true for true, as JSON or CSV has it."""
    return str(value).lower() in {"true", "1"}


def time_of(row: Row, origin: Origin, *names: str) -> int:
    """Gives the first of the times; where there is none, that of the file, which is the same each time."""
    times = (unix_time(utc(row.get(name))) for name in names)
    return next((time for time in times if time is not None), origin.written)


def provider_of(*names: str | None) -> str:
    """Gives the first name of a provider as prices have it; `unknown` where there is none."""
    found = next((provider_name(name) for name in names if name), UNKNOWN)
    return _VERTEX.get(found, found)


def block_of(input_tokens: Any, output_tokens: Any, total: Any = None, **details: Any) -> dict[str, Any]:
    """Makes a usage block of counts of which input includes what was cached."""
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": total,
        "prompt_tokens_details": {name: value for name, value in details.items() if value is not None},
    }


def call_events(
    block: Row, fields: dict[str, Any], name: tuple[str, ...], reading: Reading
) -> Iterator[dict[str, Any]]:
    """Makes the events of a call with this usage block."""
    usage = read_usage(fields["provider"], dict(block), fields.get("kind", "completions"))
    yield from events_of(usage, fields, name, reading)
