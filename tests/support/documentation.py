"""The project's pages as the tests read them: fenced blocks, examples with their outputs, tables, links."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
EXECUTED = (
    "README.md",
    *(f"docs/{name}.md" for name in ("getting-started", "events", "queries", "costs", "client", "python")),
)
PAGES = tuple(sorted(str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))))
ANYTHING = "…"  # stands in a shown output for what differs from run to run
LANGUAGES = ("sh", "python", "js")
OUTPUTS = ("json", "text")


@dataclass
class Block:
    """A fenced block: where it stands, what it says it is, and its text."""

    page: str
    line: int
    info: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def runs(self) -> bool:
        return self.info in LANGUAGES or self.info == "json event"


@dataclass
class Example:
    """A block that is executed, and the block right after it that shows what comes out."""

    block: Block
    output: Block | None = field(default=None)


def read(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in their order."""
    found: list[Block] = []
    current: Block | None = None
    for number, line in enumerate(read(page).splitlines(), 1):
        if line.startswith("```"):
            if current is None:
                current = Block(page, number, line.removeprefix("```").strip(), "")
            else:
                found.append(current)
                current = None
        elif current is not None:
            current.text += line + "\n"
    assert current is None, f"{page}: the block of line {current and current.line} has no end"
    return found


def examples(page: str) -> list[Example]:
    """What is executed on a page. `make` is left out: it is what sets these tests up."""
    found: list[Example] = []
    for block in blocks(page):
        if block.runs:
            found.append(Example(block))
        elif block.info in OUTPUTS and found and _adjoin(page, found[-1].block, block):
            assert found[-1].output is None
            found[-1].output = block
    return [example for example in found if not example.block.text.startswith("make ")]


def _adjoin(page: str, before: Block, after: Block) -> bool:
    """Whether nothing but empty lines is between two blocks."""
    end = before.line + before.text.count("\n") + 1
    return not "".join(read(page).splitlines()[end : after.line - 1]).strip()


def prose(page: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", read(page), flags=re.MULTILINE | re.DOTALL)


def tables(page: str) -> Iterator[list[list[str]]]:
    """The tables of a page as rows of cells, the titles first."""
    rows: list[list[str]] = []
    for line in [*prose(page).splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif rows:
            yield [rows[0], *rows[2:]]
            rows = []


def table(page: str, first_title: str, second_title: str) -> list[list[str]]:
    """The rows of the one table that begins with these titles."""
    (found,) = [rows[1:] for rows in tables(page) if rows[0][:2] == [first_title, second_title]]
    return found


def differences(shown: str, came: str, info: str) -> str | None:
    """What differs between a shown output and the one that came; None where they agree."""
    if info == "json":
        wanted, got = _values(shown), _values(came)
        return None if _agree(wanted, got) else f"shown: {json.dumps(wanted)}\ncame:  {json.dumps(got)}"
    came = "\n".join(line.rstrip() for line in came.splitlines())
    return None if _agree(shown.strip(), came.strip()) else f"shown:\n{shown}\ncame:\n{came}"


def _values(text: str) -> list[Any]:
    """The JSON values of a text, one after the other."""
    found: list[Any] = []
    position, decoder = 0, json.JSONDecoder()
    while rest := text[position:].lstrip():
        try:
            value, end = decoder.raw_decode(rest)
        except ValueError:
            raise AssertionError(f"this is not JSON: {rest[:500]}") from None
        found.append(value)
        position = len(text) - len(rest) + end
    return found


def _agree(shown: Any, came: Any) -> bool:
    if isinstance(shown, dict) and isinstance(came, dict):
        return list(shown) == list(came) and all(_agree(shown[name], came[name]) for name in shown)
    if isinstance(shown, list) and isinstance(came, list):
        return len(shown) == len(came) and all(map(_agree, shown, came))
    if isinstance(shown, str) and isinstance(came, str):
        return bool(re.fullmatch(".*".join(map(re.escape, shown.split(ANYTHING))), came, re.DOTALL))
    return type(shown) is type(came) and shown == came
