"""The help of every command, as `docs/cli.md` shows it."""

import io
import os
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import cache
from typing import Any
from unittest.mock import patch

from rich.text import Text
from typer.main import get_command

from usageledger import cli

COLUMNS = 80


def help_region() -> str:
    """A heading and the help for each command, in the order of `usageledger --help`."""
    return "\n".join(
        f"### {' '.join(('usageledger', *names))}\n\n```text\n{help_text(names)}\n```\n" for names in commands()
    )


def commands() -> Iterator[tuple[str, ...]]:
    """The words of each command after `usageledger`, and of each group of commands."""

    def walk(names: tuple[str, ...], command: Any) -> Iterator[tuple[str, ...]]:
        yield names
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk((*names, name), inner)

    return walk((), get_command(cli.app))


@cache
def help_text(names: tuple[str, ...]) -> str:
    """What `--help` shows on a terminal that is 80 columns wide, without colours."""
    shown = io.StringIO()
    with patch.dict(os.environ, {"COLUMNS": str(COLUMNS), "NO_COLOR": "1", "TERM": "dumb"}), redirect_stdout(shown):
        cli.run([*names, "--help"])
    lines = (Text.from_ansi(line).plain.rstrip() for line in shown.getvalue().splitlines())
    return "\n".join(lines).strip()
