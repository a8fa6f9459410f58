"""Docstrings name their thing: they begin with a verb (functions) or a noun (types, modules), never with a riddle."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import usageledger

ROOT = Path(usageledger.__file__).parent
RIDDLE = re.compile(r"(?:What|Whatever|Whether|How|Where|When|Which|Who|Whose|Whom|Why|One|That|It|Its)\b")


def riddles(source: str) -> Iterator[str]:
    """The first line of each docstring that begins so, with the name of what it describes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node) or ""
            if RIDDLE.match(text):
                yield f"{getattr(node, 'name', 'module')}: {text.splitlines()[0]}"


def test_docstrings_name_their_thing() -> None:
    found = {path.relative_to(ROOT).as_posix(): list(riddles(path.read_text("utf-8"))) for path in ROOT.rglob("*.py")}
    assert {module: lines for module, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('"""What a module is."""', ["module: What a module is."]),
        ('class A:\n    """Whether."""', ["A: Whether."]),
        ('class A:\n    def f():\n        """It does."""', ["f: It does."]),
        ('async def f():\n    """Who\n\n    may."""', ["f: Who"]),
        ('def f():\n    """Whether."""\n    class B:\n        """One."""', ["f: Whether.", "B: One."]),
        ('def f():\n    """Whatsoever, Itself, Ones, Thatch and Howl are words of their own."""', []),
        ("def f():\n    return 'What'", []),
    ],
)
def test_every_docstring_is_looked_at(source: str, found: list[str]) -> None:
    assert list(riddles(source)) == found
