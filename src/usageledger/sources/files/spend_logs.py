"""LiteLLM's spend logs → events: rows of its table `LiteLLM_SpendLogs`, from its API, `psql` or the table itself.

A row is made into an entry of the callback `generic_api`, and read as such (`sources/litellm.py`): the same call has
the same event by either way. `request_id` is the entry's `id`. Times have no zone and are UTC. The vendor's usage block
is in `metadata.usage_object`; rows of older versions have three numbers, and `additional_usage_values` at most.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from usageledger.sources.bodies import UNREADABLE
from usageledger.sources.files.origin import Origin, leave_text, take_readings, utc
from usageledger.sources.litellm import read_litellm
from usageledger.sources.readings import Reading

_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_SAME = ("call_type", "cache_hit", "status", "custom_llm_provider", "model", "end_user")


def read_spend_logs(texts: Iterable[bytes], origin: Origin, reading: Reading) -> Iterator[dict[str, Any]]:
    """Reads rows."""
    for text in texts:
        row = json_of(text)
        if not isinstance(row, dict):
            leave_text(reading, text)
            continue
        yield from take_readings(read_litellm(msgspec.json.encode(_entry(row)), now=origin.written), reading)


def _entry(row: dict[str, Any]) -> dict[str, Any]:
    said = json_of(row.get("metadata"))
    metadata = said if isinstance(said, dict) else {}
    block = json_of(metadata.get("usage_object"))
    if not isinstance(block, dict):
        further = json_of(metadata.get("additional_usage_values"))
        block = {name: row.get(name) for name in _COUNTS} | (further if isinstance(further, dict) else {})
    return {
        **{name: row.get(name) or None for name in _SAME},
        "id": row.get("request_id") or None,
        "litellm_call_id": row.get("litellm_call_id") or row.get("request_id") or None,
        "status": row.get("status") or metadata.get("status"),
        "startTime": utc(row.get("startTime")),
        "endTime": utc(row.get("endTime")),
        "metadata": {
            "user_api_key_hash": row.get("api_key") or None,
            "user_api_key_team_id": row.get("team_id") or None,
            "user_api_key_project_id": metadata.get("user_api_key_project_id"),
            "user_api_key_user_id": row.get("user") or None,
            "usage_object": block,
        },
    }


def json_of(value: Any) -> Any:
    """Gives the value of a text of JSON, as CSV has it; of what is none, None; any other value as it is."""
    if not isinstance(value, bytes | str):
        return value
    try:
        return msgspec.json.decode(value)
    except UNREADABLE:
        return None
