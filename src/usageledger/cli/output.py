"""Where words go: data to stdout; messages, progress and errors to stderr."""

import json
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from usageledger.errors import UsageLedgerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console, RenderableType

PIPE_WIDTH = 200  # columns where stdout is no terminal, so that nothing is cut


class CommandError(UsageLedgerError):
    """What a command could not do, in words for its user; `exit_code` is 1, or 2 where the command line is at fault."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def print_data(text: str) -> None:
    """What the command was asked for, on stdout."""
    typer.echo(text)


def print_json(value: Any) -> None:
    """What the command was asked for, as one line of JSON on stdout."""
    typer.echo(json.dumps(value))


def print_table(draw: "Callable[[Console], RenderableType]") -> None:
    """What the command was asked for, on stdout: `draw` is told how wide the terminal is, and of what it is able."""
    from rich.console import Console  # noqa: PLC0415 - loaded only to draw

    fixed = sys.stdout.isatty() or os.environ.get("COLUMNS")
    console = Console(width=None if fixed else PIPE_WIDTH, highlight=False)
    console.print(draw(console))


def note(text: str) -> None:
    """A message to a person, on stderr."""
    typer.echo(text, err=True)


def print_error(message: str) -> None:
    """Why a command failed: one line on stderr, whatever `message` holds."""
    label = "Error:"
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        label = typer.style(label, fg="red", bold=True)
    typer.echo(f"{label} {' '.join(message.split())}", err=True)


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 event`, `12,000 events`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(names: "Sequence[str]", conjunction: str = "or") -> str:
    """`1m, 1h or 1d`."""
    return ", ".join(names[:-1]) + f" {conjunction} {names[-1]}" if len(names) > 1 else names[0]


def iso_time(seconds: int) -> str:
    """`2026-06-06T14:05:09Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
