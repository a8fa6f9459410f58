"""Calls of OpenAI's own tools in an answer of its Responses, which are charged beside tokens."""

import re
from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

from usageledger.sources.bodies import read_each
from usageledger.sources.usage_blocks import Further

CALLS_MAX = 1_000  # items of one answer that are looked at
_DATE = re.compile(r"_[0-9]{4}_[0-9]{2}_[0-9]{2}\Z")  # behind the name of a tool
_CONTEXT_LEVELS = ("low", "medium", "high")


class _Action(Struct):
    type: str | None = None


class _Item(Struct):
    type: str | None = None
    action: _Action | None = None


class _Tool(Struct):
    type: str | None = None
    search_context_size: str | None = None
    vector_store_ids: list[str] | None = None


_items: msgspec.json.Decoder[_Item] = msgspec.json.Decoder(_Item)
_tools: msgspec.json.Decoder[_Tool] = msgspec.json.Decoder(_Tool)


def calls_in(output: Raw, tools: Raw) -> Iterator[Further]:
    """Gives the searches of the web and of files in an answer.

    Of what a search of the web did only searching is charged, not opening a page or finding in it. Details that prices
    depend on are those of the tool, where the answer had one such tool only.

    Args:
        output: the items of the answer.
        tools: the tools that it had.
    """
    items = [item for item in read_each(_items, output, CALLS_MAX) if item]
    searches = [i for i in items if i.type == "web_search_call" and (i.action is None or i.action.type == "search")]
    in_files = [i for i in items if i.type == "file_search_call"]
    if not searches and not in_files:
        return
    given = [tool for tool in read_each(_tools, tools, CALLS_MAX) if tool and tool.type]
    if searches:
        tool = _only([each for each in given if str(each.type).startswith("web_search")])
        level = tool.search_context_size
        details = {
            "tool": _DATE.sub("", tool.type) if tool.type else None,
            "context_level": level if level in _CONTEXT_LEVELS else None,
        }
        yield Further("web_search", "web_search_calls", {"num_requests": len(searches), **details})
    if in_files:
        stores = _only([each for each in given if each.type == "file_search"]).vector_store_ids or []
        store = stores[0] if len(stores) == 1 else None
        yield Further("file_search", "file_search_calls", {"num_requests": len(in_files), "vector_store_id": store})


def _only(tools: list[_Tool]) -> _Tool:
    return tools[0] if len(tools) == 1 else _Tool()
